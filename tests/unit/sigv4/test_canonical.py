"""Against the signatures that AWS published with its test suite for Signature Version 4 and in the IAM user guide."""

import hashlib
from datetime import UTC, datetime

import pytest

from ecru.sigv4.canonical import (
    HttpRequest,
    Scope,
    canonical_path,
    canonical_query,
    canonical_request,
    find_header,
    signature,
    string_to_sign,
)

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SIGNED_AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
DATE = ("x-amz-date", "20150830T123600Z")


def a_request(
    method: str = "GET",
    path: str = "/",
    query: str = "",
    *headers: tuple[str, str],
    host: str = "example.amazonaws.com",
    body: bytes = b"",
) -> HttpRequest:
    return HttpRequest(method, path, query, [("host", host), DATE, *headers], hashlib.sha256(body).hexdigest())


def sign(request: HttpRequest, service: str) -> str:
    scope = Scope("20150830", "us-east-1", service)
    canonical = canonical_request(request, sorted({name for name, _ in request.headers}))
    return signature(SECRET, scope, string_to_sign(SIGNED_AT, scope, canonical))


VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"


@pytest.mark.parametrize(
    "request_, expected",
    [
        pytest.param(a_request(), VANILLA, id="get-vanilla"),
        pytest.param(a_request(path="/example/.."), VANILLA, id="get-relative"),
        pytest.param(a_request(path="/./"), VANILLA, id="get-slash-dot-slash"),
        pytest.param(a_request(path="//"), VANILLA, id="get-slash"),
        pytest.param(
            a_request(path="/example space/"),
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
            id="get-space",
        ),
        pytest.param(
            a_request(path="/ሴ".encode().decode("latin-1")),
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            id="get-utf8",
        ),
        pytest.param(
            a_request(query="Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            id="get-vanilla-query-order-key-case",
        ),
        pytest.param(
            a_request("GET", "/", "", ("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")),
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            id="get-header-key-duplicate",
        ),
        pytest.param(
            a_request("GET", "/", "", ("my-header1", " value1"), ("my-header2", ' "a   b   c"')),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            id="get-header-value-trim",
        ),
        pytest.param(
            a_request("POST"),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            id="post-vanilla",
        ),
        pytest.param(
            a_request("POST", "/", "", ("content-type", "application/x-www-form-urlencoded"), body=b"Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            id="post-x-www-form-urlencoded",
        ),
    ],
)
def test_the_published_requests_have_the_published_signatures(request_: HttpRequest, expected: str) -> None:
    assert sign(request_, "service") == expected


def test_the_example_of_the_iam_user_guide_has_its_signature() -> None:
    request = a_request(
        "GET",
        "/",
        "Action=ListUsers&Version=2010-05-08",
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        host="iam.amazonaws.com",
    )

    assert sign(request, "iam") == "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"


@pytest.mark.parametrize(
    "path, canonical",
    [
        ("", "/"),
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a//b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/b/../c", "/a/c"),
        ("/../../a", "/a"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a%20b", "/a%2520b"),
        ("/a b", "/a%20b"),
        ("/-_.~", "/-_.~"),
        ("/a+b=c", "/a%2Bb%3Dc"),
    ],
)
def test_a_path_is_normalised_and_encoded_once_more(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical


@pytest.mark.parametrize(
    "query, canonical",
    [
        ("", ""),
        ("a", "a="),
        ("b=1&a=2", "a=2&b=1"),
        ("a=2&a=1", "a=1&a=2"),
        ("a=b=c", "a=b%3Dc"),
        ("A=1&a=1&_=1", "A=1&_=1&a=1"),
        ("a=%7e%2D%41", "a=~-A"),
        ("a=%2f", "a=%2F"),
        ("a=1+2", "a=1%202"),
        ("a=1%2B2", "a=1%2B2"),
        ("a=%", "a=%25"),
        ("&&a=1&", "a=1"),
        ("a=/:?@", "a=%2F%3A%3F%40"),
        ("b=1&X-Amz-Signature=0123&X-Amz-Date=now", "X-Amz-Date=now&b=1"),
    ],
)
def test_a_query_is_encoded_in_one_way_and_sorted(query: str, canonical: str) -> None:
    assert canonical_query(query) == canonical


@pytest.mark.parametrize(
    "values, joined",
    [
        ([], None),
        ([""], ""),
        (["a"], "a"),
        ([" a \t b "], "a b"),
        (["a", "b", "a"], "a,b,a"),
        (["a\xa0 \xa0b"], "a\xa0 \xa0b"),
    ],
    ids=["not sent", "empty", "one", "blanks", "repeated", "blanks of other scripts are no blanks"],
)
def test_a_header_is_trimmed_and_its_repetitions_joined(values: list[str], joined: str | None) -> None:
    headers = [("other", "x"), *(("name", value) for value in values)]

    assert find_header(headers, "name") == joined
