import json
from dataclasses import replace

import pytest

from ecru.oci.descriptor import Platform
from ecru.oci.digest import Digest, digest_of
from ecru.oci.manifest import (
    DEEPEST_NESTING,
    MANIFEST_SIZE_LIMIT,
    InvalidManifest,
    UnsupportedManifest,
    parse_config_labels,
    parse_manifest,
)
from ecru.oci.media_types import (
    BUILDKIT_CACHE_CONFIG,
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)
from tests.making import a_config, a_descriptor, a_layer, a_manifest, an_index, as_json, descriptor_members

FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
BLAKE3 = Digest("blake3:" + "0" * 64)


def with_member(content: bytes, path: str, value: object) -> bytes:
    """The document with another value at a path such as ``layers.0.size``."""
    document = json.loads(content)
    *parents, last = path.split(".")
    place = document
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    place[last] = value
    return as_json(document)


# --- what a manifest says


def test_an_image_manifest_says_what_it_needs() -> None:
    config, layer = a_config(), a_layer()

    manifest = parse_manifest(a_manifest(config=config, layers=[layer]), OCI_MANIFEST)

    assert manifest.media_type == OCI_MANIFEST
    assert manifest.config_media_type == OCI_CONFIG
    assert manifest.needed_blobs == (digest_of(config), digest_of(layer))
    assert manifest.needed_images == ()
    assert manifest.size_bytes_of_content == len(config) + len(layer)
    assert manifest.subject is None
    assert not manifest.is_index


def test_an_index_says_what_it_needs() -> None:
    amd64, arm64 = a_manifest(), a_manifest(config=a_config(architecture="arm64"))

    index = parse_manifest(an_index(amd64, arm64), OCI_INDEX)

    assert index.is_index
    assert index.needed_images == (digest_of(amd64), digest_of(arm64))
    assert index.needed_blobs == ()
    assert index.config_media_type is None
    assert index.size_bytes_of_content == 0


def test_a_blob_that_is_named_twice_is_needed_once() -> None:
    layer = a_layer()

    manifest = parse_manifest(a_manifest(layers=[layer, a_layer("other"), layer]), None)

    assert manifest.needed_blobs == (digest_of(a_config()), digest_of(layer), digest_of(a_layer("other")))
    assert len(manifest.layers) == 3


def test_a_child_that_is_named_twice_is_needed_once() -> None:
    index = parse_manifest(an_index(a_manifest(), a_manifest()), None)

    assert index.needed_images == (digest_of(a_manifest()),)


@pytest.mark.parametrize(
    "media_type", [FOREIGN_LAYER, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"], ids=["oci", "docker"]
)
def test_a_foreign_layer_is_not_needed(media_type: str) -> None:
    foreign = replace(a_descriptor(b"elsewhere", media_type=media_type), urls=("https://example.com/layer",))

    manifest = parse_manifest(a_manifest(layers=[foreign]), None)

    assert manifest.needed_blobs == (digest_of(a_config()),)
    assert manifest.layers[0].urls == ("https://example.com/layer",)
    assert manifest.size_bytes_of_content == len(a_config()) + len(b"elsewhere")


def test_annotations_and_platforms_are_read() -> None:
    platform = Platform("arm64", "linux", variant="v8", os_version="1", os_features=("f",))
    child = replace(a_descriptor(a_manifest(), media_type=OCI_MANIFEST), platform=platform, annotations={"of": "child"})

    index = parse_manifest(an_index(child, annotations={"of": "index"}), None)

    assert index.annotations == {"of": "index"}
    assert index.children == (child,)


@pytest.mark.parametrize("platform", [{}, {"architecture": "amd64"}, None], ids=["empty", "no os", "null"])
def test_a_platform_may_be_incomplete(platform: object) -> None:
    content = with_member(an_index(a_manifest()), "manifests.0.platform", platform)

    assert len(parse_manifest(content, None).children) == 1


# --- the type of a document


@pytest.mark.parametrize(
    "declared",
    [None, "", OCI_MANIFEST, f"{OCI_MANIFEST}; charset=utf-8"],
    ids=["none", "empty", "same", "same with parameters"],
)
def test_the_type_is_that_in_the_document(declared: str | None) -> None:
    assert parse_manifest(a_manifest(), declared).media_type == OCI_MANIFEST


@pytest.mark.parametrize(
    "content, media_type",
    [(a_manifest(mediaType=None), OCI_MANIFEST), (an_index(mediaType=None), OCI_INDEX)],
    ids=["manifest", "index"],
)
def test_a_document_without_a_type_has_the_declared_one(content: bytes, media_type: str) -> None:
    assert parse_manifest(content, media_type).media_type == media_type


def test_a_document_of_a_type_other_than_declared_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="is not the declared type"):
        parse_manifest(a_manifest(), OCI_INDEX)


def test_a_document_without_any_type_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="mediaType is missing"):
        parse_manifest(a_manifest(mediaType=None), None)


@pytest.mark.parametrize(
    "content, declared",
    [
        (a_manifest(media_type=DOCKER_MANIFEST, mediaType=None), DOCKER_MANIFEST),
        (an_index(media_type=DOCKER_LIST, mediaType=None), DOCKER_LIST),
    ],
    ids=["manifest", "list"],
)
def test_dockers_documents_must_say_their_type(content: bytes, declared: str) -> None:
    """https://distribution.github.io/distribution/spec/manifest-v2-2/ has ``mediaType`` without an exception."""
    with pytest.raises(InvalidManifest, match=r"mediaType is missing, which application/vnd\.docker\..* must have"):
        parse_manifest(content, declared)


@pytest.mark.parametrize(
    "content, declared",
    [
        pytest.param(
            as_json({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": [], "signatures": []}),
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            id="schema 1, signed",
        ),
        pytest.param(as_json({"schemaVersion": 1, "fsLayers": []}), None, id="schema 1, undeclared"),
        pytest.param(as_json({"schemaVersion": 1, "fsLayers": []}), OCI_MANIFEST, id="schema 1, declared as OCI"),
        pytest.param(a_manifest(media_type="application/vnd.oci.artifact.manifest.v1+json"), None, id="artifact manifest"),
        pytest.param(a_manifest(media_type="application/vnd.cncf.oras.artifact.manifest.v1+json"), None, id="ORAS artifact"),
        pytest.param(a_manifest(mediaType=None), "application/json", id="plain JSON"),
        pytest.param(a_manifest(media_type=OCI_MANIFEST.upper()), None, id="in uppercase"),
    ],
)
def test_other_types_are_unsupported(content: bytes, declared: str | None) -> None:
    with pytest.raises(UnsupportedManifest):
        parse_manifest(content, declared)


def test_schema_1_is_told_what_to_do() -> None:
    with pytest.raises(UnsupportedManifest, match="push the image with a current client"):
        parse_manifest(as_json({"schemaVersion": 1}), None)


# --- artifacts and referrers


def test_an_artifact_type_of_its_own_wins() -> None:
    manifest = parse_manifest(a_manifest(artifactType="application/vnd.example"), None)

    assert manifest.artifact_type == "application/vnd.example"
    assert manifest.config_media_type == OCI_CONFIG


@pytest.mark.parametrize("missing", [None, ""], ids=["missing", "empty"])
def test_an_image_manifest_without_one_has_the_type_of_its_config(missing: str | None) -> None:
    config = a_descriptor(b"{}", media_type="application/vnd.cncf.helm.config.v1+json")

    manifest = parse_manifest(a_manifest(config=config, artifactType=missing), None)

    assert manifest.artifact_type == "application/vnd.cncf.helm.config.v1+json"


def test_an_index_without_one_has_none() -> None:
    assert parse_manifest(an_index(), None).artifact_type is None
    assert parse_manifest(an_index(artifactType="application/vnd.example"), None).artifact_type == "application/vnd.example"


def test_parameters_in_an_artifact_type_are_kept() -> None:
    """ECR refuses them, its users ask for them, and OCI has unknown types cause no error."""
    artifact_type = "application/vnd.example; version=0.2"

    assert parse_manifest(a_manifest(artifactType=artifact_type), None).artifact_type == artifact_type


def test_an_artifact_without_layers_needs_its_empty_config() -> None:
    empty = replace(a_descriptor(b"{}", media_type=OCI_EMPTY), data=b"{}")

    manifest = parse_manifest(a_manifest(config=empty, layers=[], artifactType="application/vnd.example"), None)

    assert manifest.needed_blobs == ("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",)
    assert manifest.config is not None
    assert manifest.config.data == b"{}"


@pytest.mark.parametrize("make", [a_manifest, an_index], ids=["manifest", "index"])
def test_a_subject_is_read_and_not_needed(make: type) -> None:
    subject = a_descriptor(b"any", media_type=OCI_MANIFEST)

    manifest = parse_manifest(make(subject=subject), None)

    assert manifest.subject == subject
    assert subject.digest not in (*manifest.needed_blobs, *manifest.needed_images)


@pytest.mark.parametrize("make", [a_manifest, an_index], ids=["manifest", "index"])
def test_a_subject_may_have_a_digest_that_is_not_stored_here(make: type) -> None:
    """It is a reference and never looked up; children, configs and layers are."""
    subject = replace(a_descriptor(media_type=OCI_MANIFEST), digest=BLAKE3)

    assert parse_manifest(make(subject=subject), None).subject == subject


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(a_manifest(media_type=DOCKER_MANIFEST, subject=a_descriptor(), artifactType="a/b", annotations={"a": "b"})),
        pytest.param(an_index(media_type=DOCKER_LIST, subject=a_descriptor(), artifactType="a/b", annotations={"a": "b"})),
        pytest.param(with_member(a_manifest(media_type=DOCKER_MANIFEST, artifactType=5, annotations=[]), "subject", "?")),
    ],
    ids=["manifest", "list", "not even well formed"],
)
def test_what_oci_added_means_nothing_in_dockers_documents(content: bytes) -> None:
    manifest = parse_manifest(content, None)

    assert (manifest.subject, manifest.annotations) == (None, {})
    assert manifest.artifact_type == (None if manifest.is_index else DOCKER_CONFIG)


# --- what is legal though unusual


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(a_manifest(layers=[]), id="no layers"),
        pytest.param(with_member(a_manifest(), "layers", None), id="layers null, as Go writes an empty list"),
        pytest.param(an_index(), id="no children"),
        pytest.param(with_member(an_index(), "manifests", None), id="manifests null"),
        pytest.param(a_manifest(custom={"a": [1, 2.5, None, True]}), id="unknown members"),
        pytest.param(with_member(a_manifest(), "layers.0.custom", 1), id="unknown member in a descriptor"),
        pytest.param(with_member(a_manifest(), "annotations", None), id="annotations null"),
        pytest.param(with_member(a_manifest(), "annotations", {"a": "", "": "b"}), id="empty annotation"),
        pytest.param(with_member(a_manifest(), "layers.0.mediaType", "not-a-media-type"), id="layer of any type"),
        pytest.param(a_manifest(config=a_descriptor(media_type="text/plain")), id="config of any type"),
        pytest.param(a_manifest(config=a_descriptor(b"{}", media_type=OCI_EMPTY), layers=[]), id="empty config, no artifact type"),
        pytest.param(an_index(a_descriptor(an_index(), media_type=OCI_INDEX)), id="nested index"),
        pytest.param(an_index(a_descriptor(a_manifest(), media_type=DOCKER_MANIFEST)), id="Docker's child in an OCI index"),
        pytest.param(an_index(a_descriptor(media_type="application/vnd.unknown")), id="child of an unknown type"),
        pytest.param(an_index(media_type=DOCKER_LIST), id="empty list of Docker's"),
        pytest.param(a_manifest(config=a_descriptor(algorithm="sha512"), layers=[b""]), id="sha512, and a layer of no bytes"),
        pytest.param(b" \n" + a_manifest() + b"\n ", id="blanks around it"),
        pytest.param(a_manifest(annotations={"a": '}{][\\"' * 100}), id="brackets inside of strings"),
    ],
)
def test_unusual_documents_are_taken(content: bytes) -> None:
    parse_manifest(content, None)


def test_a_foreign_layer_may_have_a_digest_that_is_not_stored_here() -> None:
    foreign = replace(a_descriptor(media_type=FOREIGN_LAYER), digest=BLAKE3)

    assert parse_manifest(a_manifest(layers=[foreign]), None).layers == (foreign,)


def test_a_manifest_may_have_as_many_bytes_as_the_limit() -> None:
    """The conformance suite pushes one of about 3.9 MB."""
    padding = MANIFEST_SIZE_LIMIT - len(a_manifest(annotations={"padding": ""}))
    largest = a_manifest(annotations={"padding": "p" * padding})

    assert parse_manifest(largest, None).annotations == {"padding": "p" * padding}
    with pytest.raises(InvalidManifest, match="4194305 bytes are more than 4194304"):
        parse_manifest(largest + b" ", None)


# --- what is refused


@pytest.mark.parametrize(
    "content, reason",
    [
        pytest.param(b"", "not a JSON document", id="no bytes"),
        pytest.param(b"{", "not a JSON document", id="cut off"),
        pytest.param(a_manifest()[:-1], "not a JSON document", id="last bracket missing"),
        pytest.param(a_manifest() + b"{}", "not a JSON document", id="two documents"),
        pytest.param(b"\xef\xbb\xbf" + a_manifest(), "not a JSON document", id="byte order mark"),
        pytest.param(a_manifest().decode().encode("utf-16"), "not a JSON document", id="UTF-16"),
        pytest.param(b'{"a":"\xff"}', "not a JSON document", id="invalid UTF-8"),
        pytest.param(b'{"schemaVersion":NaN}', "NaN is not a JSON number", id="NaN"),
        pytest.param(b'{"schemaVersion":-Infinity}', "-Infinity is not a JSON number", id="infinity"),
        pytest.param(b'{"schemaVersion":' + b"2" * 5000 + b"}", "not a JSON document", id="more digits than Python converts"),
        pytest.param(b'{"a":"\n"}', "not a JSON document", id="newline in a string"),
        pytest.param(b'{"a":1,}', "not a JSON document", id="comma too many"),
        pytest.param(b"[]", r"the document \(an array\) is not an object", id="array"),
        pytest.param(b'"manifest"', 'the document "manifest" is not an object', id="string"),
        pytest.param(b"null", "the document null is not an object", id="null"),
        pytest.param(b'{"mediaType":"a/b","mediaType":"c/d"}', 'member "mediaType" occurs twice', id="member twice"),
        pytest.param(b'{"layers":[{"size":1,"size":2}]}', 'member "size" occurs twice', id="member of a descriptor twice"),
        pytest.param(b'{"a":1,"\\u0061":2}', 'member "a" occurs twice', id="member twice, once escaped"),
        pytest.param(b"[" + b"[]," * 100_000, "more than 100000 arrays and objects", id="arrays without an end"),
        pytest.param(b"[" * 100_000, "nested deeper than 64 levels", id="brackets without an end"),
        pytest.param(b'{"a":' * 100_000, "nested deeper than 64 levels", id="objects without an end"),
        pytest.param(
            b'{"a":' + b"[" * DEEPEST_NESTING + b"]" * DEEPEST_NESTING + b"}",
            "nested deeper than 64 levels",
            id="one level too deep",
        ),
    ],
)
def test_bytes_that_are_no_strict_json_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidManifest, match=reason):
        parse_manifest(content, OCI_MANIFEST)


def test_a_document_as_deep_as_the_limit_is_read() -> None:
    depth = DEEPEST_NESTING - 1
    nested = json.loads("[" * depth + "]" * depth)

    parse_manifest(a_manifest(custom=nested), None)


@pytest.mark.parametrize(
    "content, reason",
    [
        pytest.param(a_manifest(manifests=[]), "manifests does not belong here", id="image with children"),
        pytest.param(with_member(a_manifest(), "manifests", None), "manifests does not belong here", id="image with null children"),
        pytest.param(a_manifest(fsLayers=[]), "fsLayers does not belong here", id="image with layers of schema 1"),
        pytest.param(an_index(layers=[]), "layers does not belong here", id="index with layers"),
        pytest.param(an_index(config=descriptor_members(a_descriptor())), "config does not belong here", id="index with a config"),
        pytest.param(a_manifest(Layers=[]), '"Layers" is a known member in another case', id="layers in another case"),
        pytest.param(an_index(MANIFESTS=[]), '"MANIFESTS" is a known member in another case', id="manifests in another case"),
        pytest.param(with_member(a_manifest(), "layerſ", []), "is a known member in another case", id="layers with a long s"),
        pytest.param(
            with_member(a_manifest(), "layers.0.Digest", digest_of(b"other")),
            r'layers\[0\]\."Digest" is a known member in another case',
            id="digest in another case",
        ),
    ],
)
def test_a_document_that_clients_would_read_differently_is_refused(content: bytes, reason: str) -> None:
    """CVE-2021-41190, and its relatives for parsers that ignore case."""
    with pytest.raises(InvalidManifest, match=reason):
        parse_manifest(content, None)


FAULTS: list[tuple[str, object, str]] = [
    ("schemaVersion", None, "schemaVersion null is not 2"),
    ("schemaVersion", 3, "schemaVersion 3 is not 2"),
    ("schemaVersion", "2", 'schemaVersion "2" is not a whole number'),
    ("schemaVersion", 2.0, "schemaVersion 2.0 is not a whole number"),
    ("schemaVersion", True, "schemaVersion true is not a whole number"),
    ("mediaType", 5, "mediaType 5 is not a string"),
    ("artifactType", [], r"artifactType \(an array\) is not a string"),
    ("artifactType", "a/b\n", r'artifactType "a/b\\n" is not a media type'),
    ("artifactType", "a/" + "b" * 254, 'artifactType "a/b+.* is not a media type'),
    ("annotations", [], r"annotations \(an array\) is not an object of strings"),
    ("annotations", {"a": 1}, r'annotations\["a"\] 1 is not a string'),
    ("annotations", {"a": None}, r'annotations\["a"\] null is not a string'),
    ("annotations", {"a": "\0"}, r'annotations\["a"\] "\\u0000" is not a string of Unicode characters'),
    ("annotations", {"a": "\ud800"}, r'annotations\["a"\] "\\ud800" is not a string of Unicode characters'),
    ("annotations", {"\udfff": "a"}, r'annotations "\\udfff" is not a string of Unicode characters'),
    ("config", None, "config is missing"),
    ("config", [], r"config \(an array\) is not an object"),
    ("config", {}, "config.mediaType is missing"),
    ("config.mediaType", "", "config.mediaType is missing"),
    ("config.digest", "sha256:abc", "config.digest: 'sha256:abc' is not a digest"),
    ("config.digest", "sha256:" + "A" * 64, "config.digest: 'sha256:A+' is not a digest"),
    ("config.digest", BLAKE3, "config.digest: digest 'blake3:0+' is not of an algorithm we store: sha256, sha512"),
    ("config.digest", None, "config.digest is missing"),
    ("config.size", None, "config.size is missing"),
    ("config.size", -1, "config.size -1 is not a whole number from 0 to 9223372036854775807"),
    ("config.size", 1.5, "config.size 1.5 is not a whole number"),
    ("config.size", True, "config.size true is not a whole number"),
    ("config.size", "1", 'config.size "1" is not a whole number'),
    ("config.size", 2**63, "config.size 9223372036854775808 is not a whole number"),
    ("config.size", 2**63 - 1, "the sizes of config and layers are together more than"),
    ("config.urls", "https://example.com", 'config.urls "https://example.com" is not an array of strings'),
    ("config.urls", [1], r"config.urls\[0\] 1 is not a string"),
    ("config.platform", "linux", 'config.platform "linux" is not an object'),
    ("config.platform", {"os": 1}, "config.platform.os 1 is not a string"),
    ("layers", {}, r"layers \(an object\) is not an array"),
    ("layers", False, "layers false is not an array"),
    ("layers", [None], r"layers\[0\] is missing"),
    ("layers", ["sha256:abc"], r'layers\[0\] "sha256:abc" is not an object'),
    ("layers.0.digest", BLAKE3, r"layers\[0\].digest: digest 'blake3:0+' is not of an algorithm we store"),
    ("layers.0.annotations", {"a": []}, r'layers\[0\].annotations\["a"\] \(an array\) is not a string'),
    ("layers.0.data", "e30=", r"layers\[0\].data has 2 bytes, and size is \d+"),
    ("layers.0.data", "not base64!", r"layers\[0\].data is not base64"),
    ("subject", "sha256:abc", 'subject "sha256:abc" is not an object'),
    ("subject", {"mediaType": OCI_MANIFEST, "digest": "latest", "size": 1}, "subject.digest: 'latest' is not a digest"),
]


@pytest.mark.parametrize("path, value, reason", FAULTS, ids=[f"{path} {value!r:.30}" for path, value, _ in FAULTS])
def test_a_fault_names_its_place_and_value(path: str, value: object, reason: str) -> None:
    with pytest.raises(InvalidManifest, match=f"^{reason}"):
        parse_manifest(with_member(a_manifest(), path, value), None)


@pytest.mark.parametrize(
    "content, reason",
    [
        (a_manifest().replace(b'"config"', b'"custom"'), "config is missing"),
        (a_manifest().replace(b'"layers"', b'"custom"'), "layers is missing"),
        (an_index().replace(b'"manifests"', b'"custom"'), "manifests is missing"),
    ],
    ids=["config", "layers", "manifests"],
)
def test_what_a_form_requires_may_not_be_missing(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidManifest, match=reason):
        parse_manifest(content, None)


def test_a_child_must_have_a_digest_that_is_stored_here() -> None:
    child = replace(a_descriptor(media_type=OCI_MANIFEST), digest=BLAKE3)

    with pytest.raises(InvalidManifest, match=r"manifests\[0\]\.digest"):
        parse_manifest(an_index(child), None)


def test_embedded_data_must_be_the_content() -> None:
    """Image spec, https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#embedded-content."""
    config = replace(a_descriptor(b"{}", media_type=OCI_EMPTY), data=b"[]")

    with pytest.raises(InvalidManifest, match=r"config\.data is not the content of sha256:44136fa3"):
        parse_manifest(a_manifest(config=config), None)


@pytest.mark.parametrize("digest", [BLAKE3, "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564"])
def test_embedded_data_of_an_unknown_digest_is_held_against_the_size_only(digest: Digest) -> None:
    subject = replace(a_descriptor(b"{}", media_type=OCI_MANIFEST), digest=digest, data=b"{}")

    assert parse_manifest(a_manifest(subject=subject), None).subject == subject


def test_a_value_is_quoted_in_part_if_it_is_long() -> None:
    with pytest.raises(InvalidManifest) as fault:
        parse_manifest(a_manifest(artifactType="a" * 1_000_000), None)

    assert len(str(fault.value)) < 200


@pytest.mark.parametrize("media_type", [BUILDKIT_CACHE_CONFIG, OCI_LAYER, "application/vnd.docker.image.rootfs.diff.tar.gzip"])
def test_an_index_of_layers_is_refused_with_the_remedy(media_type: str) -> None:
    """BuildKit's cache export before ``image-manifest=true``; its users search for these very words."""
    cache = an_index(a_descriptor(a_layer(), media_type=media_type))

    with pytest.raises(UnsupportedManifest, match="image-manifest=true,oci-mediatypes=true"):
        parse_manifest(cache, None)


# --- labels of configs


def test_the_labels_of_a_config_are_read() -> None:
    assert parse_config_labels(a_config(labels={"a": "b", "c": ""})) == {"a": "b", "c": ""}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="no bytes"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b'{"config":null}', id="config null"),
        pytest.param(b'{"config":[]}', id="config an array"),
        pytest.param(a_config(), id="no labels"),
        pytest.param(b'{"config":{"Labels":null}}', id="labels null"),
        pytest.param(b'{"config":{"Labels":["a"]}}', id="labels an array"),
        pytest.param(a_config(labels={"a": "b" * MANIFEST_SIZE_LIMIT}), id="larger than a manifest"),
    ],
)
def test_what_is_no_config_has_no_labels(content: bytes) -> None:
    assert parse_config_labels(content) == {}


def test_odd_labels_are_left_out() -> None:
    labels = {"number": 1, "null": None, "NUL": "\0", "half": "\ud800", "good": "yes"}

    assert parse_config_labels(a_config(labels=labels)) == {"good": "yes"}
