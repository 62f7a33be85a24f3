import json
import re
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecru.oci.descriptor import Descriptor
from ecru.oci.digest import Algorithm, InvalidDigest, digest_of, finish, new_hasher, parse_any_digest, parse_digest
from ecru.oci.manifest import InvalidManifest, Manifest, parse_config_labels, parse_manifest
from ecru.oci.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, is_foreign_layer
from ecru.oci.names import InvalidRepositoryName, InvalidTag, parse_reference, parse_repository_name, parse_tag
from ecru.oci.ranges import InvalidContentRange, UnsatisfiableRange, parse_byte_range, parse_content_range
from tests.making import a_config, a_descriptor, a_manifest, an_index, as_json

algorithms: st.SearchStrategy[Algorithm] = st.sampled_from(["sha256", "sha512"])
positions = st.integers(0, 40)

# Texts that a document may say and a database keep: no U+0000, no half of a surrogate pair.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
annotations = st.dictionaries(texts, texts, max_size=3)
layer_types = st.sampled_from([OCI_LAYER, "application/vnd.oci.image.layer.nondistributable.v1.tar", "application/vnd.example"])
any_text = st.text(st.characters(exclude_categories=[]), max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=10,
)


@st.composite
def descriptors(draw: st.DrawFn) -> Descriptor:
    content = draw(st.binary(max_size=8))
    return Descriptor(
        media_type=draw(layer_types),
        digest=digest_of(content, draw(algorithms)),
        size=len(content),
        annotations=draw(annotations),
        urls=tuple(draw(st.lists(texts, max_size=2))),
        data=draw(st.sampled_from([None, content])) if content else None,
    )


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A manifest or an index that a client may push."""
    subject = draw(st.none() | descriptors())
    if draw(st.booleans()):
        children = [a_descriptor(draw(st.binary(max_size=8)), media_type=OCI_MANIFEST) for _ in range(draw(st.integers(0, 3)))]
        return an_index(*children, subject=subject, annotations=draw(annotations))
    return a_manifest(
        config=draw(descriptors()),
        layers=draw(st.lists(descriptors(), max_size=4)),
        media_type=draw(st.sampled_from([OCI_MANIFEST, DOCKER_MANIFEST])),
        subject=subject,
        annotations=draw(annotations),
    )


# --- digests


@given(st.binary(), algorithms)
def test_every_digest_of_content_is_a_digest(content: bytes, algorithm: Algorithm) -> None:
    digest = digest_of(content, algorithm)

    assert parse_digest(digest) == parse_any_digest(digest) == digest


@given(st.lists(st.binary()), algorithms)
def test_how_content_is_cut_does_not_change_its_digest(pieces: list[bytes], algorithm: Algorithm) -> None:
    hasher = new_hasher(algorithm)
    for piece in pieces:
        hasher.update(piece)

    assert finish(hasher) == digest_of(b"".join(pieces), algorithm)


@given(st.text() | st.from_regex(r"\A(sha256|sha512|[a-z0-9+._-]*):?[0-9a-fA-F]*\Z"))
def test_a_text_is_a_digest_as_it_is_or_not_at_all(text: str) -> None:
    try:
        assert parse_digest(text) == text
    except InvalidDigest:
        return
    assert re.fullmatch(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", text, re.ASCII)


# --- names


def is_component(text: str) -> bool:
    """The rule in words: runs of letters and digits, between them a dot, one or two underscores, or hyphens."""
    runs = ["".join(run) for _, run in groupby(text, lambda character: "a" <= character <= "z" or "0" <= character <= "9")]
    separators, ends = runs[1::2], text[:1] + text[-1:]
    return (
        text != ""
        and not set(ends) & set("._-")
        and set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
        and all(separator in {".", "_", "__"} or set(separator) == {"-"} for separator in separators)
    )


@given(st.text("ab0._-/A", max_size=12) | st.text(max_size=5))
def test_a_repository_name_is_of_components(text: str) -> None:
    expected = 2 <= len(text) <= 256 and all(is_component(component) for component in text.split("/"))

    try:
        accepted = parse_repository_name(text) == text
    except InvalidRepositoryName:
        accepted = False

    assert accepted is expected


@given(st.text("aZ0_.-:/ ", max_size=6) | st.text(max_size=5))
def test_a_reference_is_a_tag_or_a_digest_and_never_both(text: str) -> None:
    try:
        digest, tag = parse_reference(text)
    except (InvalidDigest, InvalidTag):
        return
    assert {digest, tag} == {text, None}
    if digest is not None:
        with pytest.raises(InvalidTag):
            parse_tag(text)


# --- ranges


@given(st.binary(min_size=1, max_size=30), positions, st.none() | positions)
def test_a_range_is_the_slice_of_the_content(content: bytes, first: int, last: int | None) -> None:
    header = f"bytes={first}-{'' if last is None else last}"
    expected = content[first : None if last is None else last + 1]

    if not expected:
        with pytest.raises(UnsatisfiableRange):
            parse_byte_range(header, len(content))
        return
    wanted = parse_byte_range(header, len(content))

    assert wanted is not None
    assert content[wanted.first : wanted.last + 1] == expected
    assert wanted.length == len(expected)


@given(st.binary(min_size=1, max_size=30), st.integers(1, 40))
def test_a_suffix_is_the_end_of_the_content(content: bytes, length: int) -> None:
    wanted = parse_byte_range(f"bytes=-{length}", len(content))

    assert wanted is not None
    assert content[wanted.first : wanted.last + 1] == content[-length:]


@given(st.text() | st.from_regex(r"\A(bytes=)?[0-9]*-?[0-9]*\Z"), st.integers(0, 2**63 - 1))
def test_a_range_lies_within_the_content(header: str, size: int) -> None:
    try:
        wanted = parse_byte_range(header, size)
    except UnsatisfiableRange:
        return
    assert wanted is None or 0 <= wanted.first <= wanted.last < size


@given(positions, positions)
def test_a_content_range_is_read_as_written(first: int, last: int) -> None:
    if last < first:
        with pytest.raises(InvalidContentRange):
            parse_content_range(f"{first}-{last}")
        return
    assert parse_content_range(f"{first}-{last}") == (first, last)
    assert parse_content_range(f"bytes {first}-{last}/{last + 1}") == (first, last)


# --- manifests


@given(descriptors(), st.lists(descriptors(), max_size=4), annotations)
def test_a_manifest_is_read_as_written(config: Descriptor, layers: list[Descriptor], written: dict[str, str]) -> None:
    manifest = parse_manifest(a_manifest(config=config, layers=layers, annotations=written), OCI_MANIFEST)

    assert (manifest.config, manifest.layers, manifest.annotations) == (config, tuple(layers), written)
    assert set(manifest.needed_blobs) == {config.digest, *(each.digest for each in layers if not is_foreign_layer(each.media_type))}
    assert len(manifest.needed_blobs) == len(set(manifest.needed_blobs))
    assert manifest.size_bytes_of_content == config.size + sum(layer.size for layer in layers)


@given(documents(), st.data())
def test_neither_blanks_nor_the_order_of_members_change_a_document(content: bytes, data: st.DataObject) -> None:
    document = json.loads(content)
    shuffled = {name: document[name] for name in data.draw(st.permutations(list(document)))}

    rewritten = json.dumps(shuffled, indent=data.draw(st.none() | st.integers(0, 3))).encode()

    assert parse_manifest(rewritten, None) == parse_manifest(content, None)


@given(documents(), json_values)
def test_unknown_members_change_nothing(content: bytes, value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    document = json.loads(content)

    assert parse_manifest(as_json(document | {"org.example": value}), None) == parse_manifest(content, None)


@given(documents(), st.data())
def test_a_damaged_document_is_read_or_refused(content: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(content)))
    damaged = content[:position] + data.draw(st.binary(max_size=3)) + content[position + data.draw(st.integers(0, 3)) :]

    check_whatever_comes(damaged)


@given(st.dictionaries(st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "subject"]), json_values))
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    check_whatever_comes(as_json(document))
    check_whatever_comes(as_json({"schemaVersion": 2, "mediaType": OCI_INDEX} | document))


@given(st.binary() | json_values.map(as_json))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    check_whatever_comes(content)


def check_whatever_comes(content: bytes) -> None:
    """The only error is ours, and what is read can be stored: as text in UTF-8 and as a number of 64 bits."""
    try:
        manifest = parse_manifest(content, OCI_MANIFEST)
    except InvalidManifest as fault:
        assert str(fault).encode()  # noqa: PT017 - there may be no fault at all
        return
    assert manifest.size_bytes_of_content < 2**63
    assert all("\0" not in text and text.encode().decode() == text for text in texts_of(manifest))


def texts_of(manifest: Manifest) -> list[str]:
    descriptors = [part for part in (manifest.config, manifest.subject, *manifest.layers, *manifest.children) if part]
    described = [
        text
        for part in descriptors
        for text in (
            part.media_type,
            part.digest,
            part.artifact_type or "",
            *part.annotations,
            *part.annotations.values(),
            *part.urls,
        )
    ]
    return [manifest.media_type, manifest.artifact_type or "", *manifest.annotations, *manifest.annotations.values(), *described]


@given(annotations)
def test_labels_are_read_as_written(labels: dict[str, str]) -> None:
    assert parse_config_labels(a_config(labels=labels)) == labels


@given(st.binary() | json_values.map(as_json) | json_values.map(lambda value: as_json({"config": {"Labels": value}})))
def test_labels_of_anything_can_be_stored(content: bytes) -> None:
    labels = parse_config_labels(content)

    assert all("\0" not in text and text.encode().decode() == text for pair in labels.items() for text in pair)
