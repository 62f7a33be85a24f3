"""What the current conformance suite checks, under the names that it has there, with requests of our own.

That suite is not among the peers yet (docs/conformance.md), so that this is written after what is known of it.
https://github.com/opencontainers/distribution-spec/tree/main/conformance
"""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from ecru.oci.descriptor import Descriptor, Platform
from ecru.oci.digest import Algorithm, Digest, digest_of
from ecru.oci.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from tests.clients.images import Made, noise
from tests.clients.registry import Registry
from tests.making import a_config, a_descriptor, a_layer, a_manifest, an_index

ALGORITHMS: list[Algorithm] = ["sha256", "sha512"]
CHUNK_BYTES = 1024
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EXAMPLE_TYPE = "application/vnd.example.conformance.v1"
OTHER_TYPE = "application/vnd.example.conformance.v2"


@pytest.fixture
def http(registry: Registry, mounting: None) -> Iterator[httpx.Client]:
    """A client that is logged in, in an account that mounts."""
    with registry.http() as client:
        yield client


# --- ping, empty ----------------------------------------------------------------------------------------------------


def test_ping(http: httpx.Client) -> None:
    assert http.get("/v2/").status_code == 200
    refused = http.get("/v2/", headers={"Authorization": ""})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith('Basic realm="')


def test_empty(http: httpx.Client, repository: str) -> None:
    tags = http.get(f"/v2/{repository}/tags/list")
    referrers = http.get(f"/v2/{repository}/referrers/{digest_of(b'of nothing')}")

    assert (tags.status_code, tags.json()) == (200, {"name": repository, "tags": []})
    assert (referrers.status_code, referrers.headers["content-type"]) == (200, OCI_INDEX)
    assert referrers.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


# --- blobs ----------------------------------------------------------------------------------------------------------


def begin(http: httpx.Client, repository: str, **parameters: str) -> str:
    """Open an upload; answers where."""
    answer = http.post(f"/v2/{repository}/blobs/uploads/", params=parameters)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def end(http: httpx.Client, location: str, digest: str, content: bytes = b"", **headers: str) -> httpx.Response:
    """Close an upload, with its last bytes."""
    return http.put(location, params={"digest": digest}, content=content, headers=headers)


def post_only(http: httpx.Client, repository: str, content: bytes, digest: str) -> httpx.Response:
    return http.post(f"/v2/{repository}/blobs/uploads/", params={"digest": digest}, content=content)


def post_put(http: httpx.Client, repository: str, content: bytes, digest: str) -> httpx.Response:
    return end(http, begin(http, repository), digest, content)


def stream(http: httpx.Client, repository: str, content: bytes, digest: str) -> httpx.Response:
    answer = http.patch(begin(http, repository), content=iter([content[:100], content[100:]]))
    assert answer.status_code == 202, answer.text
    return end(http, answer.headers["location"], digest)


def chunked(
    http: httpx.Client,
    repository: str,
    content: bytes,
    digest: str,
    *,
    last_with_put: bool = False,
    out_of_order: bool = False,
) -> httpx.Response:
    location = begin(http, repository)
    starts = list(range(0, max(len(content), 1), CHUNK_BYTES))
    for first in starts:
        is_last = last_with_put and first == starts[-1]
        if out_of_order:
            wrong = starts[-1] if first != starts[-1] else 0
            refused = send_chunk(http, location, digest, content, wrong, with_put=is_last)
            assert refused.status_code == 416, refused.text
            status = http.get(location)
            assert status.status_code == 204
            assert status.headers["range"] == f"0-{max(first - 1, 0)}"
            location = status.headers["location"]
        answer = send_chunk(http, location, digest, content, first, with_put=is_last)
        if is_last:
            return answer
        assert answer.status_code == 202, answer.text
        assert answer.headers["range"] == f"0-{min(first + CHUNK_BYTES, len(content)) - 1}"
        location = answer.headers["location"]
    return end(http, location, digest)


def send_chunk(http: httpx.Client, location: str, digest: str, content: bytes, first: int, *, with_put: bool) -> httpx.Response:
    chunk = content[first : first + CHUNK_BYTES]
    headers = {"Content-Range": f"{first}-{first + len(chunk) - 1}", "Content-Type": "application/octet-stream"}
    if with_put:
        return http.put(location, params={"digest": digest}, content=chunk, headers=headers)
    return http.patch(location, content=chunk, headers=headers)


def chunked_and_put(http: httpx.Client, repository: str, content: bytes, digest: str) -> httpx.Response:
    return chunked(http, repository, content, digest, last_with_put=True)


def chunked_out_of_order(http: httpx.Client, repository: str, content: bytes, digest: str) -> httpx.Response:
    return chunked(http, repository, content, digest, out_of_order=True)


def chunked_out_of_order_and_put(http: httpx.Client, repository: str, content: bytes, digest: str) -> httpx.Response:
    return chunked(http, repository, content, digest, last_with_put=True, out_of_order=True)


Upload = Callable[[httpx.Client, str, bytes, str], httpx.Response]

SMALL = 512
SEVERAL_CHUNKS = 3 * CHUNK_BYTES - 5
UPLOADS: Mapping[str, tuple[Upload, int]] = {
    "post only": (post_only, SMALL),
    "post+put": (post_put, SMALL),
    "chunked single": (chunked, SMALL),
    "stream": (stream, SMALL),
    "chunked multi": (chunked, SEVERAL_CHUNKS),
    "chunked multi and put chunk": (chunked_and_put, SEVERAL_CHUNKS),
    "chunked out-of-order": (chunked_out_of_order, SEVERAL_CHUNKS),
    "chunked out-of-order and put chunk": (chunked_out_of_order_and_put, SEVERAL_CHUNKS),
}


def assert_blob(http: httpx.Client, repository: str, content: bytes, digest: str, pushed: httpx.Response) -> None:
    """Hold what a push answered, and HEAD and GET, against the blob; then delete it, which is seen at once."""
    assert pushed.status_code == 201, pushed.text
    assert pushed.headers["docker-content-digest"] == digest
    assert http.get(pushed.headers["location"], follow_redirects=True).content == content
    path = f"/v2/{repository}/blobs/{digest}"
    for answer in (http.head(path), http.get(path)):
        assert answer.status_code == 200
        assert answer.headers["content-length"] == str(len(content))
        assert answer.headers["docker-content-digest"] == digest
    assert http.get(path).content == content
    assert http.delete(path).status_code == 202
    assert http.head(path).status_code == 404


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_blobs_get_missing(http: httpx.Client, repository: str, algorithm: Algorithm) -> None:
    missing = http.get(f"/v2/{repository}/blobs/{digest_of(b'missing', algorithm)}")

    assert missing.status_code == 404
    assert missing.json()["errors"][0]["code"] == "BLOB_UNKNOWN"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", UPLOADS)
def test_blobs(http: httpx.Client, repository: str, name: str, algorithm: Algorithm) -> None:
    upload, size_bytes = UPLOADS[name]
    content = noise(f"{name} {algorithm}", size_bytes)
    digest = digest_of(content, algorithm)

    pushed = upload(http, repository, content, digest)

    assert_blob(http, repository, content, digest, pushed)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", UPLOADS)
def test_blobs_bad_digest(http: httpx.Client, repository: str, name: str, algorithm: Algorithm) -> None:
    upload, size_bytes = UPLOADS[name]
    content = noise(f"bad {name} {algorithm}", size_bytes)
    digest = digest_of(content, algorithm)

    refused = upload(http, repository, content + b"oh no", digest)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == "DIGEST_INVALID"
    assert http.head(f"/v2/{repository}/blobs/{digest}").status_code == 404


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("content", [b"", b"{}"], ids=["empty", "emptyJSON"])
@pytest.mark.parametrize("name", ["post only", "post+put", "stream"])
def test_blobs_known(http: httpx.Client, repository: str, name: str, content: bytes, algorithm: Algorithm) -> None:
    digest = digest_of(content, algorithm)

    pushed = UPLOADS[name][0](http, repository, content, digest)

    assert_blob(http, repository, content, digest, pushed)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_blobs_mount(http: httpx.Client, registry: Registry, repository: str, algorithm: Algorithm) -> None:
    source, content = registry.create_repository(), noise(f"mount {algorithm}", SMALL)
    digest = digest_of(content, algorithm)
    post_only(http, source, content, digest)

    mounted = http.post(f"/v2/{repository}/blobs/uploads/", params={"mount": digest, "from": source})

    assert mounted.headers["location"] == f"/v2/{repository}/blobs/{digest}"
    assert_blob(http, repository, content, digest, mounted)
    assert http.get(f"/v2/{source}/blobs/{digest}").content == content


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_blobs_mount_anonymous(http: httpx.Client, registry: Registry, repository: str, algorithm: Algorithm) -> None:
    """It becomes an upload, which the suite counts as skipped."""
    content = noise(f"mount anonymous {algorithm}", SMALL)
    digest = digest_of(content, algorithm)
    post_only(http, registry.create_repository(), content, digest)

    location = begin(http, repository, mount=digest)

    assert_blob(http, repository, content, digest, end(http, location, digest, content))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_blobs_mount_missing(http: httpx.Client, registry: Registry, repository: str, algorithm: Algorithm) -> None:
    content = noise(f"mount missing {algorithm}", SMALL)
    digest = digest_of(content, algorithm)

    location = begin(http, repository, mount=digest, **{"from": registry.create_repository()})

    assert_blob(http, repository, content, digest, end(http, location, digest, content))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_blobs_post_cancel(http: httpx.Client, repository: str, algorithm: Algorithm) -> None:
    location = begin(http, repository, **{"digest-algorithm": algorithm})
    http.patch(location, content=b"begun")

    assert http.delete(location).status_code == 204
    for answer in (http.get(location), http.patch(location, content=b"more"), http.delete(location)):
        assert answer.status_code == 404
    assert end(http, location, digest_of(b"begun", algorithm)).json()["errors"][0]["code"] == "BLOB_UPLOAD_UNKNOWN"


RANGES: Mapping[str, tuple[int, int]] = {
    "500-1499": (500, 1499),
    "500-": (500, 2047),
    "-500": (1548, 2047),
    "2000-5000": (2000, 2047),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_blobs_range_requests(http: httpx.Client, repository: str, algorithm: Algorithm) -> None:
    content = noise("ranges", 2048)
    digest = digest_of(content, algorithm)
    post_only(http, repository, content, digest)
    path = f"/v2/{repository}/blobs/{digest}"

    for asked, (first, last) in RANGES.items():
        answer = http.get(path, headers={"Range": f"bytes={asked}"})
        assert (answer.status_code, answer.content) == (206, content[first : last + 1]), asked
        assert answer.headers["content-length"] == str(last - first + 1)
        assert answer.headers["content-range"] == f"bytes {first}-{last}/2048"
    for asked in ("500-0", "5000-10000"):
        answer = http.get(path, headers={"Range": f"bytes={asked}"})
        assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */2048"), asked


# --- sets of data ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataSet:
    """What is pushed together: manifests, those that others need first, with their blobs; and tags of some."""

    manifests: Sequence[Made]
    tags: Mapping[str, Made]
    algorithm: Algorithm = "sha256"
    referrers: Mapping[str, Sequence[Made]] = field(default_factory=dict)
    """By the digest of their subject."""

    def digest(self, made: Made) -> Digest:
        return digest_of(made.content, self.algorithm)


def image_of(
    *layers: bytes,
    algorithm: Algorithm = "sha256",
    layer_type: str = OCI_LAYER,
    config: bytes | None = None,
    subject: Made | None = None,
    foreign: Sequence[Descriptor] = (),
    data: bool = False,
    **members: Any,  # noqa: ANN401  JSON
) -> Made:
    config = a_config(author=noise(repr(members), 8).hex()) if config is None else config
    parts = [a_descriptor(config, media_type=OCI_CONFIG, algorithm=algorithm)]
    parts += [a_descriptor(layer, media_type=layer_type, algorithm=algorithm) for layer in layers]
    if data:
        parts = [replace(part, data=content) for part, content in zip(parts, [config, *layers], strict=True)]
    content = a_manifest(
        config=parts[0], layers=[*parts[1:], *foreign], subject=None if subject is None else subject.descriptor, **members
    )
    return Made(content, OCI_MANIFEST, frozenset({config, *layers}))


def artifact_of(
    *layers: bytes,
    artifact_type: str = EXAMPLE_TYPE,
    subject: Made | None = None,
    **members: Any,  # noqa: ANN401  JSON
) -> Made:
    empty = a_descriptor(b"{}", media_type=EMPTY_TYPE)
    parts = [a_descriptor(layer, media_type=artifact_type if layer != b"{}" else EMPTY_TYPE) for layer in layers]
    content = a_manifest(
        config=empty,
        layers=parts,
        subject=None if subject is None else subject.descriptor,
        artifactType=artifact_type,
        **members,
    )
    return Made(content, OCI_MANIFEST, frozenset({b"{}", *layers}))


def index_of(
    *children: Made,
    algorithm: Algorithm = "sha256",
    subject: Made | None = None,
    **members: Any,  # noqa: ANN401  JSON
) -> Made:
    platforms = [Platform("amd64", "linux"), Platform("arm64", "linux")]
    described = [
        replace(a_descriptor(child.content, media_type=child.media_type, algorithm=algorithm), platform=platform)
        for child, platform in zip(children, platforms, strict=False)
    ]
    content = an_index(*described, subject=None if subject is None else subject.descriptor, **members)
    return Made(content, OCI_INDEX)


def two_images(seed: str, algorithm: Algorithm = "sha256", **members: Any) -> tuple[Made, Made]:  # noqa: ANN401  JSON
    one, other = (image_of(a_layer(f"{seed} {number}"), algorithm=algorithm, seed=f"{seed} {number}", **members) for number in "12")
    return one, other


def an_indexed(name: str, algorithm: Algorithm = "sha256", **members: Any) -> tuple[Made, ...]:  # noqa: ANN401  JSON
    children = two_images(name, algorithm, **members)
    return *children, index_of(*children, algorithm=algorithm, **members)


def _nested() -> DataSet:
    first, second = an_indexed("nested first"), an_indexed("nested second")
    outer = index_of(first[-1], second[-1])
    return DataSet([*first, *second, outer], {"index-of-index": outer})


def _artifact_index() -> DataSet:
    children = artifact_of(b"for one"), artifact_of(b"for the other")
    index = index_of(*children, artifactType=EXAMPLE_TYPE)
    return DataSet([*children, index], {"artifact-index": index})


def _artifacts_with_subject() -> DataSet:
    subject = image_of(a_layer("subject"))
    notes = {"org.opencontainers.conformance": "hello conformance test"}
    plain = image_of(a_layer("image as referrer"), subject=subject)
    first = artifact_of(b"first", subject=subject, annotations=notes | {"which": "first"})
    second = artifact_of(b"second", artifact_type=OTHER_TYPE, subject=subject, annotations=notes | {"which": "second"})
    referrers = [plain, first, second]
    tags = {"image": subject, "tagged-artifact1": first, "tagged-artifact2": second}
    return DataSet([subject, *referrers], tags, referrers={subject.digest: referrers})


def _index_with_subject() -> DataSet:
    of_subject, of_artifact = an_indexed("index as subject"), (artifact_of(b"in an index"), artifact_of(b"in it too"))
    artifact = index_of(
        *of_artifact, subject=of_subject[-1], artifactType=EXAMPLE_TYPE, annotations={"org.opencontainers.conformance": "hello"}
    )
    tags = {"index": of_subject[-1], "tagged-artifact": artifact}
    return DataSet([*of_subject, *of_artifact, artifact], tags, referrers={of_subject[-1].digest: [artifact]})


def _missing_subject() -> DataSet:
    subject = Made(b"missing content", OCI_MANIFEST)
    artifact = artifact_of(b"of what is missing", subject=subject, annotations={"a": "b"})
    return DataSet([artifact], {"tagged-artifact": artifact}, referrers={subject.digest: [artifact]})


def _foreign() -> DataSet:
    foreign = [
        replace(
            a_descriptor(media_type.encode(), media_type=media_type),
            size=123_456,
            urls=(f"https://store.example.com/{media_type}",),
        )
        for media_type in (
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
        )
    ]
    image = image_of(a_layer("ours"), foreign=foreign)
    return DataSet([image], {"non-distributable-image": image})


def _one(name: str, image: Made) -> DataSet:
    return DataSet([image], {name: image})


def _indexed(name: str, manifests: Sequence[Made]) -> DataSet:
    return DataSet(manifests, {name: manifests[-1]})


DATA_SETS: Mapping[str, Callable[[], DataSet]] = {
    "image": lambda: _one("image", image_of(a_layer("a"), a_layer("b"), a_layer("c"))),
    "image-uncompressed": lambda: _one(
        "image-uncompressed",
        image_of(gzip.decompress(a_layer("a")), layer_type="application/vnd.oci.image.layer.v1.tar"),
    ),
    "large-manifest": lambda: _one(
        "large-manifest",
        image_of(a_layer("large"), annotations={f"large-annotation-{number}": "A" * 10_000 for number in range(390)}),
    ),
    "index": lambda: _indexed("index", an_indexed("index")),
    "nested-index": _nested,
    "empty-index": lambda: _one("index", index_of()),
    "artifact": lambda: _one("artifact", artifact_of(b"an artifact")),
    "artifact-index": _artifact_index,
    "artifact-without-layers": lambda: _one("artifact-without-layers", artifact_of(b"{}")),
    "artifacts-with-subject": _artifacts_with_subject,
    "index-with-subject": _index_with_subject,
    "missing-subject": _missing_subject,
    "data-field": lambda: _one("data-field", image_of(a_layer("data"), data=True)),
    "non-distributable-layers": _foreign,
    "custom-fields": lambda: _indexed("custom-fields", an_indexed("custom", "sha256", **{"org.example.custom": {"a": [1, None]}})),
    "no-layers": lambda: _one("no-layers", image_of()),
    "sha512": lambda: DataSet(an_indexed("sha512", "sha512"), {}, "sha512"),
}


@pytest.mark.parametrize("name", DATA_SETS)
def test_data(http: httpx.Client, repository: str, name: str) -> None:
    data = DATA_SETS[name]()

    push(http, repository, data)

    assert_listed(http, repository, data)
    assert_pulled(http, repository, data)
    assert_referrers(http, repository, data)
    assert_deleted(http, repository, data)


def push(http: httpx.Client, repository: str, data: DataSet) -> None:
    """Push blobs in one way after the other, then manifests by digest, then tags."""
    ways = [upload for upload, _ in UPLOADS.values()]
    blobs = sorted({blob for made in data.manifests for blob in made.blobs})
    for number, blob in enumerate(blobs):
        pushed = ways[number % 4](http, repository, blob, digest_of(blob, data.algorithm))
        assert pushed.status_code == 201, pushed.text
    for made in data.manifests:
        put_manifest(http, repository, data.digest(made), made, data)
    for tag, made in data.tags.items():
        put_manifest(http, repository, tag, made, data)


def put_manifest(http: httpx.Client, repository: str, reference: str, made: Made, data: DataSet) -> None:
    answer = http.put(f"/v2/{repository}/manifests/{reference}", content=made.content, headers={"Content-Type": made.media_type})
    assert answer.status_code == 201, answer.text
    assert answer.headers["docker-content-digest"] == data.digest(made)
    subject = json.loads(made.content).get("subject")
    assert answer.headers.get("oci-subject") == (None if subject is None else subject["digest"])
    assert_manifest(http, answer.headers["location"], made, data)


def assert_manifest(http: httpx.Client, path: str, made: Made, data: DataSet) -> None:
    for answer in (http.head(path), http.get(path)):
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == made.media_type
        assert answer.headers["content-length"] == str(len(made.content))
        assert answer.headers["docker-content-digest"] == data.digest(made)
    assert http.get(path).content == made.content


def assert_listed(http: httpx.Client, repository: str, data: DataSet) -> None:
    path, tags = f"/v2/{repository}/tags/list", sorted(data.tags)
    assert http.get(path).json() == {"name": repository, "tags": tags}
    for number, tag in enumerate(tags):
        assert http.get(path, params={"last": tag}).json()["tags"] == tags[number + 1 :]
        assert http.get(path, params={"n": str(number)}).json()["tags"] == tags[:number]


def assert_pulled(http: httpx.Client, repository: str, data: DataSet) -> None:
    for made in data.manifests:
        assert_manifest(http, f"/v2/{repository}/manifests/{data.digest(made)}", made, data)
        for blob in made.blobs:
            path = f"/v2/{repository}/blobs/{digest_of(blob, data.algorithm)}"
            assert http.head(path).headers["content-length"] == str(len(blob))
            assert http.get(path).content == blob
    for tag, made in data.tags.items():
        assert_manifest(http, f"/v2/{repository}/manifests/{tag}", made, data)


def assert_referrers(http: httpx.Client, repository: str, data: DataSet) -> None:
    subjects = {data.digest(made) for made in data.manifests} | data.referrers.keys()
    for subject in subjects:
        expected = [descriptor_of(made) for made in data.referrers.get(subject, ())]
        path = f"/v2/{repository}/referrers/{subject}"
        answer = http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, OCI_INDEX)
        assert "oci-filters-applied" not in answer.headers
        assert by_digest(answer.json()["manifests"]) == by_digest(expected)
        for artifact_type in {each["artifactType"] for each in expected}:
            filtered = http.get(path, params={"artifactType": str(artifact_type)})
            assert filtered.headers["oci-filters-applied"] == "artifactType"
            of_type = [each for each in expected if each["artifactType"] == artifact_type]
            assert by_digest(filtered.json()["manifests"]) == by_digest(of_type)


def descriptor_of(made: Made) -> dict[str, object]:
    """What a list of referrers says of one: its annotations, and its type, or that of its config."""
    document = json.loads(made.content)
    described: dict[str, object] = {"mediaType": made.media_type, "digest": made.digest, "size": len(made.content)}
    described["artifactType"] = document.get("artifactType") or document["config"]["mediaType"]
    return described | ({"annotations": document["annotations"]} if "annotations" in document else {})


def by_digest(descriptors: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    return sorted(descriptors, key=lambda each: str(each["digest"]))


def assert_deleted(http: httpx.Client, repository: str, data: DataSet) -> None:
    """Delete tags, manifests in the reverse order and blobs; each is gone at once."""
    paths = [f"manifests/{tag}" for tag in data.tags]
    paths += [f"manifests/{data.digest(made)}" for made in reversed(data.manifests)]
    paths += sorted({f"blobs/{digest_of(blob, data.algorithm)}" for made in data.manifests for blob in made.blobs})
    for path in paths:
        deleted = http.delete(f"/v2/{repository}/{path}")
        assert deleted.status_code == 202, deleted.text
        assert http.head(f"/v2/{repository}/{path}").status_code == 404
        assert http.get(f"/v2/{repository}/{path}").status_code == 404
    assert http.get(f"/v2/{repository}/tags/list").json()["tags"] == []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_data_tag_param(http: httpx.Client, repository: str, algorithm: Algorithm) -> None:
    name = f"tag-param-{algorithm}"
    *children, index = an_indexed(name, algorithm)
    data = DataSet([*children, index], {}, algorithm)
    push(http, repository, replace(data, manifests=children))
    tags = [f"{name}-{number:02}" for number in range(10)]

    pushed = http.put(
        f"/v2/{repository}/manifests/{data.digest(index)}",
        params={"tag": tags},
        content=index.content,
        headers={"Content-Type": index.media_type},
    )

    assert pushed.status_code == 201, pushed.text
    assert sorted(pushed.headers["oci-tag"].split(", ")) == tags
    assert_listed(http, repository, replace(data, tags=dict.fromkeys(tags, index)))
    assert_pulled(http, repository, replace(data, tags=dict.fromkeys(tags, index)))


def test_data_bad_digest_image(http: httpx.Client, repository: str) -> None:
    image = image_of(a_layer("bad digest"))
    push(http, repository, DataSet([image], {}))
    altered = image.content.replace(b"{", b"{  ", 1)

    refused = http.put(f"/v2/{repository}/manifests/{digest_of(b'other')}", content=altered, headers={"Content-Type": OCI_MANIFEST})

    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert http.head(f"/v2/{repository}/manifests/{digest_of(altered)}").status_code == 404


def test_data_sparse(http: httpx.Client, repository: str) -> None:
    """We refuse what the profile (off unless asked for) has registries take: what an image needs must be there."""
    image = image_of(a_layer("there"))
    push(http, repository, DataSet([image], {}))
    lacking_layer = image_of(a_layer("there"), a_layer("missing"))
    lacking_child = index_of(image, image_of(a_layer("missing too")))

    for made in (lacking_layer, lacking_child):
        for blob in made.blobs - {a_layer("missing")}:
            post_only(http, repository, blob, digest_of(blob))
        refused = http.put(f"/v2/{repository}/manifests/sparse", content=made.content, headers={"Content-Type": made.media_type})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert http.head(f"/v2/{repository}/manifests/sparse").status_code == 404


# --- errors of manifests --------------------------------------------------------------------------------------------


def test_manifest_errors(http: httpx.Client, repository: str) -> None:
    image = image_of(a_layer("errors"))
    push(http, repository, DataSet([image], {}))

    for unknown in (digest_of(b"unknown"), digest_of(b"unknown", "sha512"), "unknown-tag"):
        answer = http.get(f"/v2/{repository}/manifests/{unknown}")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
        assert http.head(f"/v2/{repository}/manifests/{unknown}").status_code == 404
    bad = f"/v2/{repository}/manifests/sha256:baddigeststring"
    refused = http.put(bad, content=image.content, headers={"Content-Type": image.media_type})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert http.get(bad).status_code == 404
