import pytest

from ecru.oci.ranges import (
    ByteRange,
    InvalidContentRange,
    UnsatisfiableRange,
    parse_byte_range,
    parse_content_range,
)

SIZE = 2048
"""As in the conformance suite of the distribution spec."""


@pytest.mark.parametrize(
    "header, first, last",
    [
        ("bytes=500-1499", 500, 1499),
        ("bytes=500-", 500, 2047),
        ("bytes=-500", 1548, 2047),
        ("bytes=2000-5000", 2000, 2047),
        ("bytes=0-0", 0, 0),
        ("bytes=2047-2047", 2047, 2047),
        ("bytes=0-", 0, 2047),
        ("bytes=-5000", 0, 2047),
        ("BYTES=0-9", 0, 9),
        ("bytes= 0-9 ", 0, 9),
        ("bytes=007-08", 7, 8),
    ],
)
def test_a_satisfiable_range_is_the_bytes_there_are(header: str, first: int, last: int) -> None:
    wanted = parse_byte_range(header, SIZE)

    assert wanted == ByteRange(first, last)
    assert wanted.length == last - first + 1


@pytest.mark.parametrize("header", ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=2048-2048", "bytes=-0"])
def test_a_range_without_a_byte_is_unsatisfiable(header: str) -> None:
    with pytest.raises(UnsatisfiableRange, match=header):
        parse_byte_range(header, SIZE)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("bytes", id="no range"),
        pytest.param("bytes=", id="empty range"),
        pytest.param("bytes=-", id="neither end"),
        pytest.param("bytes=a-b", id="letters"),
        pytest.param("bytes=1", id="no hyphen"),
        pytest.param("bytes=1-2-3", id="two hyphens"),
        pytest.param("bytes=+1-2", id="sign"),
        pytest.param("bytes=1 - 2", id="blanks inside"),
        pytest.param("bytes=0-9,20-29", id="two ranges"),
        pytest.param("bytes=5000-6000,0-9", id="two ranges, one of them unsatisfiable"),
        pytest.param("lines=0-9", id="another unit"),
        pytest.param("bytes=0-" + "9" * 5000, id="more digits than Python converts"),
        pytest.param("bytes=٠-٩", id="digits of another script"),
    ],
)
def test_what_is_not_served_as_a_range_is_the_whole(header: str | None) -> None:
    assert parse_byte_range(header, SIZE) is None


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-", None])
def test_empty_content_is_always_the_whole(header: str | None) -> None:
    assert parse_byte_range(header, 0) is None


@pytest.mark.parametrize(
    "text, first, last",
    [
        ("0-1023", 0, 1023),
        ("1024-2047", 1024, 2047),
        ("0-0", 0, 0),
        ("bytes 0-1023/4096", 0, 1023),
        ("bytes 0-1023/*", 0, 1023),
        ("bytes 0-1023/1024", 0, 1023),
        ("bytes=0-1023", 0, 1023),
        (" 0-1023 ", 0, 1023),
    ],
)
def test_a_content_range_is_read_in_the_forms_of_oci_and_of_http(text: str, first: int, last: int) -> None:
    assert parse_content_range(text) == (first, last)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("-", id="neither end"),
        pytest.param("0-", id="no end"),
        pytest.param("-1023", id="no start"),
        pytest.param("1023-0", id="end before start"),
        pytest.param("0--1", id="what some send for nothing"),
        pytest.param("bytes */4096", id="unsatisfied form"),
        pytest.param("bytes 0-1023/1023", id="end not below the total"),
        pytest.param("bytes0-1023", id="no blank after the unit"),
        pytest.param("lines 0-1023/*", id="another unit"),
        pytest.param("0-1023,1024-2047", id="two ranges"),
        pytest.param("0-" + "9" * 5000, id="more digits than Python converts"),
        pytest.param("0-1023\n1", id="newline"),
    ],
)
def test_other_content_ranges_are_refused(text: str) -> None:
    with pytest.raises(InvalidContentRange):
        parse_content_range(text)
