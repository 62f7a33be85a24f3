from uuid import UUID, uuid4

import pytest

from ecru.blobs import layout
from ecru.blobs.layout import InvalidLocation
from ecru.blobs.store import Location

UPLOAD = UUID("1b4e28ba-2fa1-4d1f-883f-0016d3cca427")


def test_locations_of_an_upload() -> None:
    first = layout.segment(UPLOAD, 0, "9c3e51aa")

    assert first == "27/1b4e28ba-2fa1-4d1f-883f-0016d3cca427.0.9c3e51aa"
    assert layout.segment(UPLOAD, 12, "9c3e51aa") == "27/1b4e28ba-2fa1-4d1f-883f-0016d3cca427.12.9c3e51aa"
    assert layout.joined(UPLOAD, "5d10c3b2") == "27/1b4e28ba-2fa1-4d1f-883f-0016d3cca427.joined.5d10c3b2"
    assert layout.unfinished(first, "70e15f00") == f"{first}.half.70e15f00"


def test_all_an_upload_writes_begins_with_its_prefix() -> None:
    prefix = layout.prefix(UPLOAD)
    segment = layout.segment(UPLOAD, 3, "9c3e51aa")

    assert all(
        location.startswith(prefix)
        for location in (segment, layout.joined(UPLOAD, "5d10c3b2"), layout.unfinished(segment, "70e15f00"))
    )


@pytest.mark.parametrize("upload_id", [str(UPLOAD), str(UPLOAD).upper(), UPLOAD.hex, UPLOAD], ids=["text", "upper", "hex", "uuid"])
def test_an_upload_has_one_prefix_however_its_id_is_written(upload_id: UUID | str) -> None:
    assert layout.prefix(upload_id) == layout.prefix(UPLOAD)


def test_uploads_begun_together_lie_in_many_folders() -> None:
    folders = {layout.prefix(uuid4()).split("/")[0] for _ in range(2_000)}

    assert len(folders) > 200
    assert all(len(folder) == 2 for folder in folders)


def test_the_upload_is_known_from_any_of_its_locations() -> None:
    segment = layout.segment(UPLOAD, 0, "9c3e51aa")

    for location in (segment, layout.joined(UPLOAD, "5d10c3b2"), layout.unfinished(segment, "70e15f00")):
        assert layout.upload_of(location) == UPLOAD
    assert layout.upload_of(layout.probe("9c3e51aa")) is None
    assert layout.upload_of(Location("27/README")) is None


@pytest.mark.parametrize(
    "upload_id,index,nonce",
    [
        ("../../etc", 0, "9c3e51aa"),
        ("", 0, "9c3e51aa"),
        (str(UPLOAD), -1, "9c3e51aa"),
        (str(UPLOAD), 0, "../x"),
        (str(UPLOAD), 0, ""),
    ],
)
def test_what_is_no_part_of_a_location_is_refused(upload_id: str, index: int, nonce: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        layout.segment(upload_id, index, nonce)


@pytest.mark.parametrize(
    "text", [layout.segment(UPLOAD, 0, "9c3e51aa"), layout.probe("00c0ffee"), "27/README.md", "a/b/c/d"], ids=str
)
def test_locations_are_parsed(text: str) -> None:
    assert layout.parse_location(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/..",
        "a/../b",
        ".hidden",
        "a/.hidden",
        "a b",
        "a\n",
        "a\0b",
        "a\\b",
        "ä",
        "a" * 201,
    ],
)
def test_what_leads_elsewhere_or_means_something_to_a_store_is_refused(text: str) -> None:
    with pytest.raises(InvalidLocation):
        layout.parse_location(text)


@pytest.mark.parametrize(
    "prefix,expected",
    [
        ("", ("", "")),
        ("27/", ("27", "")),
        ("27", ("", "27")),
        (layout.prefix(UPLOAD), ("27", f"{UPLOAD}.")),
        ("a/b/c", ("a/b", "c")),
    ],
)
def test_prefixes_are_split(prefix: str, expected: tuple[str, str]) -> None:
    assert layout.split_prefix(Location(prefix)) == expected


@pytest.mark.parametrize("prefix", ["/", "../", "../x", "a/../b", "//", "27/.."])
def test_prefixes_that_lead_elsewhere_are_refused(prefix: str) -> None:
    with pytest.raises(InvalidLocation):
        layout.split_prefix(Location(prefix))
