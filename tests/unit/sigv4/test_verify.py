import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ecru.sigv4.canonical import HttpRequest, Scope, canonical_request, signature, string_to_sign, timestamp
from ecru.sigv4.verify import (
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    SignedRequest,
    parse_authorization,
    verify,
)

ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
SCOPE = Scope("20260304", "us-east-1", "ecr")
CREDENTIAL = f"{ACCESS_KEY_ID}/{SCOPE.text}"
HEADERS = (
    ("host", "localhost:5050"),
    ("content-type", "application/x-amz-json-1.1"),
    ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"),
)


def a_request(*more: tuple[str, str], body: bytes = b"{}", headers: tuple[tuple[str, str], ...] = HEADERS) -> HttpRequest:
    """A request of the JSON protocol, not signed."""
    return HttpRequest("POST", "/", "", [*headers, *more], hashlib.sha256(body).hexdigest())


def sign(
    request: HttpRequest,
    *,
    at: datetime = NOW,
    scope: Scope | None = None,
    leaving_out: tuple[str, ...] = (),
) -> HttpRequest:
    """The request as a client would sign it, headers left out being sent all the same."""
    scope = scope or replace(SCOPE, day=f"{at:%Y%m%d}")
    headers = [*request.headers, ("x-amz-date", timestamp(at))]
    names = sorted({name for name, _ in headers} - set(leaving_out))
    canonical = canonical_request(replace(request, headers=headers), names)
    value = signature(SECRET, scope, string_to_sign(at, scope, canonical))
    authorization = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{scope.text}, SignedHeaders={';'.join(names)}, Signature={value}"
    return replace(request, headers=[*headers, ("authorization", authorization)])


def presign(request: HttpRequest, *, at: datetime = NOW, **parameters: str) -> HttpRequest:
    """The request with its signature in the query; a parameter of '' is left out."""
    names = sorted({name for name, _ in request.headers})
    scope = replace(SCOPE, day=f"{at:%Y%m%d}")
    signing = {
        "Algorithm": "AWS4-HMAC-SHA256",
        "Credential": f"{ACCESS_KEY_ID}/{scope.text}".replace("/", "%2F"),
        "Date": timestamp(at),
        "Expires": "60",
        "SignedHeaders": "%3B".join(names),
    } | parameters
    query = "&".join(f"X-Amz-{name.replace('_', '-')}={value}" for name, value in signing.items() if value)
    canonical = canonical_request(replace(request, query=query), names)
    value = signature(SECRET, scope, string_to_sign(at, scope, canonical))
    return replace(request, query=f"{query}&X-Amz-Signature={value}")


def check(
    request: HttpRequest,
    *,
    secret: str = SECRET,
    now: datetime = NOW,
    service: str = "ecr",
    regions: tuple[str, ...] = ("us-east-1",),
) -> SignedRequest:
    signed = parse_authorization(request.headers, request.query)
    verify(signed, request, secret=secret, now=now, service=service, regions=regions)
    return signed


def authorize(value: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [*HEADERS, ("x-amz-date", timestamp(NOW)), ("authorization", value), *more]


# --- what is accepted


def test_a_signed_request_is_accepted() -> None:
    signed = check(sign(a_request()))

    assert signed.access_key_id == ACCESS_KEY_ID
    assert signed.scope == SCOPE
    assert signed.signed_at == NOW
    assert signed.signed_headers == ("content-type", "host", "x-amz-date", "x-amz-target")
    assert signed.session_token is None
    assert not signed.presigned


def test_a_presigned_request_is_accepted() -> None:
    signed = check(presign(a_request()))

    assert signed.access_key_id == ACCESS_KEY_ID
    assert signed.signed_headers == ("content-type", "host", "x-amz-target")
    assert signed.presigned


def test_a_session_token_is_handed_on() -> None:
    """Whether it is good for this access key is for the caller to say."""
    assert check(sign(a_request(("x-amz-security-token", "token")))).session_token == "token"
    assert check(presign(a_request(), Security_Token="to%2Bken")).session_token == "to+ken"


def test_a_content_type_need_not_be_signed() -> None:
    """Version 2 of the AWS SDK for JavaScript leaves it out."""
    assert "content-type" not in check(sign(a_request(), leaving_out=("content-type",))).signed_headers


@pytest.mark.parametrize("name", ["user-agent", "accept", "x-forwarded-for", "x-amzn-trace-id"])
def test_what_proxies_and_clients_add_need_not_be_signed(name: str) -> None:
    signed = sign(a_request())

    check(replace(signed, headers=[*signed.headers, (name, "added later")]))


def test_a_date_header_will_do_instead() -> None:
    """As botocore signs a request that has one."""
    request = a_request(("date", "Wed, 04 Mar 2026 12:00:00 GMT"))
    signed = sign(request)
    names = ["content-type", "date", "host", "x-amz-target"]
    value = signature(SECRET, SCOPE, string_to_sign(NOW, SCOPE, canonical_request(request, names)))
    authorization = f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders={';'.join(names)}, Signature={value}"

    check(replace(signed, headers=[*request.headers, ("authorization", authorization)]))


def test_the_stated_hash_of_the_body_may_be_there() -> None:
    body_sha256 = hashlib.sha256(b"{}").hexdigest()

    check(sign(a_request(("x-amz-content-sha256", body_sha256))))


@pytest.mark.parametrize("separator", [",", ", ", " , "], ids=["comma", "comma and blank", "blanks around"])
def test_the_parameters_may_be_separated_by_blanks(separator: str) -> None:
    signed = sign(a_request())
    headers = [(name, value.replace(", ", separator)) for name, value in signed.headers]

    check(replace(signed, headers=headers))


@pytest.mark.parametrize("age", [timedelta(minutes=-15), timedelta(), timedelta(minutes=15)], ids=str)
def test_clocks_may_be_a_quarter_of_an_hour_apart(age: timedelta) -> None:
    check(sign(a_request(), at=NOW - age))


@pytest.mark.parametrize("expires", ["1", "60", "604800", ""], ids=["a second", "as EKS", "a week", "not said"])
def test_a_presigned_request_counts_a_quarter_of_an_hour_whatever_it_says(expires: str) -> None:
    """So does STS, and EKS's tokens, which say 60 seconds, are used for up to 14 minutes."""
    request = presign(a_request(), Expires=expires, at=NOW - timedelta(minutes=15))

    check(request)
    with pytest.raises(InvalidSignature, match="Signature expired"):
        check(request, now=NOW + timedelta(seconds=1))


# --- nothing that could be a signature


@pytest.mark.parametrize("query", ["", "Action=GetCallerIdentity", "X-Amz-Signature=0123", "x-amz-algorithm=AWS4-HMAC-SHA256"])
def test_a_request_without_a_signature_is_told_so(query: str) -> None:
    with pytest.raises(MissingAuthenticationToken, match=r"^Request is missing Authentication Token$"):
        parse_authorization(HEADERS, query)


# --- what cannot be read as a signature

GOOD = f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"


@pytest.mark.parametrize(
    "authorization, text",
    [
        pytest.param("", "Unsupported AWS 'algorithm': ''", id="empty"),
        pytest.param("Basic QVdTOnRva2Vu", "Unsupported AWS 'algorithm': 'Basic'", id="basic"),
        pytest.param("Bearer token", "Unsupported AWS 'algorithm': 'Bearer'", id="bearer"),
        pytest.param(
            GOOD.replace("HMAC-SHA256", "ECDSA-P256-SHA256", 1),
            "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'",
            id="version 4a",
        ),
        pytest.param(
            "AWS4-HMAC-SHA256",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. "
            "Authorization header requires 'SignedHeaders' parameter.",
            id="algorithm only",
        ),
        pytest.param(GOOD.replace("Signature=", "Sig="), "Authorization header requires 'Signature' parameter.", id="no signature"),
        pytest.param(GOOD.replace(CREDENTIAL, ""), "Authorization header requires 'Credential' parameter.", id="empty credential"),
        pytest.param(
            "AWS4-HMAC-SHA256 Credential, Signature",
            "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header.",
            id="no equal-sign",
        ),
        pytest.param(f"{GOOD}, Signature={'1' * 64}", "'Signature' occurs twice in the signature.", id="two signatures"),
        pytest.param(
            GOOD.replace("/aws4_request", ""),
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{CREDENTIAL.removesuffix('/aws4_request')}'",
            id="credential of four elements",
        ),
        pytest.param(GOOD.replace(ACCESS_KEY_ID, f"a/{ACCESS_KEY_ID}"), "Credential must have exactly 5", id="of six elements"),
        pytest.param(GOOD.replace(ACCESS_KEY_ID, "a\0b"), "Access key id 'a\0b' is not of letters, digits and '_'.", id="NUL"),
        pytest.param(GOOD.replace(ACCESS_KEY_ID, ""), "Access key id '' is not of letters", id="no access key"),
        pytest.param(GOOD.replace(ACCESS_KEY_ID, "A" * 129), "Access key id 'AAA", id="long access key"),
        pytest.param(GOOD.replace("host;x", "x-a;host;x"), "SignedHeaders 'x-a;host;x-amz-date' are not", id="headers unsorted"),
        pytest.param(GOOD.replace("host", "Host"), "SignedHeaders 'Host;x-amz-date' are not in lower case", id="in upper case"),
        pytest.param(GOOD.replace("date,", "date;\u4e2d,"), "SignedHeaders 'host;x-amz-date;\u4e2d' are not", id="no header"),
        pytest.param(GOOD.replace("host", "host;host"), "SignedHeaders 'host;host;x-amz-date' are not", id="header twice"),
    ],
)
def test_an_unreadable_authorization_header_is_told_what_is_wrong(authorization: str, text: str) -> None:
    with pytest.raises(IncompleteSignature) as fault:
        parse_authorization(authorize(authorization), "")

    assert str(fault.value).startswith(text)


def test_two_authorization_headers_are_not_one() -> None:
    with pytest.raises(IncompleteSignature):
        parse_authorization(authorize(GOOD, ("authorization", GOOD)), "")


def test_a_signature_without_a_date_is_incomplete() -> None:
    with pytest.raises(
        IncompleteSignature, match=r"^Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.$"
    ):
        parse_authorization([*HEADERS, ("authorization", GOOD)], "")


@pytest.mark.parametrize(
    "date",
    [
        "2026-03-04T12:00:00Z",
        "20260304T120000.5Z",
        "20260304T120000",
        "20261304T120000Z",
        "20260304T126000Z",
        "20260304",
        "٢٠٢٦0304T120000Z",
        "Wed, 04 Mar 2026 12:00:00 +0000",
        "20260304T120000Z,20260304T120000Z",
    ],
)
def test_a_date_of_another_form_is_refused(date: str) -> None:
    with pytest.raises(IncompleteSignature, match=r"^Date must be in ISO-8601 'basic format'. Got '"):
        parse_authorization([*HEADERS, ("authorization", GOOD), ("x-amz-date", date)], "")


@pytest.mark.parametrize("name", ["Credential", "Date", "SignedHeaders"])
def test_a_presigned_request_must_have_its_parameters(name: str) -> None:
    request = presign(a_request(), at=NOW, **{name: ""})

    with pytest.raises(IncompleteSignature, match=f"^AWS query-string parameters must include 'X-Amz-{name}'. Re-examine"):
        parse_authorization(request.headers, request.query)


def test_a_presigned_request_must_have_a_signature() -> None:
    query = presign(a_request()).query.partition("&X-Amz-Signature")[0]

    with pytest.raises(IncompleteSignature, match="must include 'X-Amz-Signature'"):
        parse_authorization(HEADERS, query)


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "60.0", "sixty", "1" * 5000])
def test_a_presigned_request_expires_within_a_week(expires: str) -> None:
    with pytest.raises(IncompleteSignature, match=r"^X-Amz-Expires must be a number of seconds from 1 to 604800.$"):
        check(presign(a_request(), Expires=expires))


def test_a_presigned_request_has_each_parameter_once() -> None:
    request = presign(a_request())

    with pytest.raises(IncompleteSignature, match="'Credential' occurs twice"):
        parse_authorization(request.headers, f"X-Amz-Credential=another&{request.query}")


def test_a_presigned_request_of_another_algorithm_is_refused() -> None:
    with pytest.raises(IncompleteSignature, match="Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'"):
        check(presign(a_request(), Algorithm="AWS4-HMAC-SHA1"))


# --- what can be read, and is no good


def test_a_signature_of_another_secret_is_told_what_should_have_been_signed() -> None:
    request = sign(a_request())
    canonical = canonical_request(request, parse_authorization(request.headers, "").signed_headers)

    with pytest.raises(InvalidSignature) as fault:
        check(request, secret="another")

    assert str(fault.value) == (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
        "signing method. Consult the service documentation for details.\n"
        "\n"
        "The Canonical String for this request should have been\n"
        f"'{canonical}'\n"
        "\n"
        "The String-to-Sign should have been\n"
        f"'{string_to_sign(NOW, SCOPE, canonical)}'\n"
    )


@pytest.mark.parametrize(
    "value", ["0" * 64, "", "ü", "F" * 64, "0" * 10_000], ids=["zeros", "empty", "no ASCII", "upper case", "long"]
)
def test_a_signature_of_any_other_form_is_refused(value: str) -> None:
    request = sign(a_request())
    signed = replace(parse_authorization(request.headers, request.query), signature=value)

    with pytest.raises(InvalidSignature, match=r"^The request signature we calculated does not match"):
        verify(signed, request, secret=SECRET, now=NOW, service="ecr", regions=["us-east-1"])


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(replace(sign(a_request()), method="PUT"), id="method"),
        pytest.param(replace(sign(a_request()), path="/other"), id="path"),
        pytest.param(replace(sign(a_request()), query="Action=Other"), id="query"),
        pytest.param(replace(sign(a_request()), body_sha256=hashlib.sha256(b"[]").hexdigest()), id="body"),
    ],
)
def test_a_changed_request_is_refused(request_: HttpRequest) -> None:
    with pytest.raises(InvalidSignature, match=r"^The request signature we calculated does not match"):
        check(request_)


def test_a_presigned_request_with_another_body_is_refused() -> None:
    with pytest.raises(InvalidSignature, match="does not match"):
        check(replace(presign(a_request()), body_sha256=hashlib.sha256(b"[]").hexdigest()))


def test_a_second_header_of_a_signed_name_is_refused() -> None:
    request = sign(a_request())

    with pytest.raises(InvalidSignature, match="does not match"):
        check(replace(request, headers=[*request.headers, ("x-amz-target", "Other")]))


@pytest.mark.parametrize(
    "scope, text",
    [
        (replace(SCOPE, region="eu-west-1"), "Credential should be scoped to a valid region, not 'eu-west-1'."),
        (replace(SCOPE, service="sts"), "Credential should be scoped to correct service: 'ecr'."),
        (
            replace(SCOPE, terminator="aws5_request"),
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.",
        ),
        (
            replace(SCOPE, day="20260303"),
            (
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                "'20260303' != '20260304', from '20260304T120000Z'."
            ),
        ),
        (
            replace(SCOPE, region="mars", service="s3"),
            "Credential should be scoped to a valid region, not 'mars'. Credential should be scoped to correct service: 'ecr'.",
        ),
    ],
    ids=["region", "service", "terminator", "day", "region and service"],
)
def test_a_signature_for_something_else_is_refused(scope: Scope, text: str) -> None:
    with pytest.raises(InvalidSignature) as fault:
        check(sign(a_request(), scope=scope))

    assert str(fault.value) == text


def test_any_of_several_regions_will_do() -> None:
    check(sign(a_request()), regions=("eu-west-1", "us-east-1"))


def test_an_old_signature_is_told_the_servers_time() -> None:
    with pytest.raises(InvalidSignature) as fault:
        check(sign(a_request(), at=NOW - timedelta(minutes=15, seconds=1)))

    assert str(fault.value) == (
        "Signature expired: 20260304T114459Z is now earlier than 20260304T114500Z (20260304T120000Z - 15 min.)"
    )


def test_a_signature_of_the_future_is_told_the_servers_time() -> None:
    with pytest.raises(InvalidSignature) as fault:
        check(presign(a_request(), at=NOW + timedelta(minutes=15, seconds=1)))

    assert str(fault.value) == (
        "Signature not yet current: 20260304T121501Z is still later than 20260304T121500Z (20260304T120000Z + 15 min.)"
    )


def test_the_host_must_be_signed() -> None:
    with pytest.raises(InvalidSignature, match=r"^'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.$"):
        check(sign(a_request(), leaving_out=("host",)))


@pytest.mark.parametrize("name", ["x-amz-target", "x-amz-date", "x-amz-security-token", "x-amz-anything"])
def test_every_header_of_aws_must_be_signed(name: str) -> None:
    with pytest.raises(InvalidSignature, match=f"^'{name}' must be a 'SignedHeader' in the AWS Authorization.$"):
        check(sign(a_request((name, "x") if name not in {"x-amz-target", "x-amz-date"} else ("x", "y")), leaving_out=(name,)))


@pytest.mark.parametrize(
    "stated",
    [hashlib.sha256(b"[]").hexdigest(), "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", ""],
    ids=["another body", "unsigned", "streaming", "empty"],
)
def test_a_stated_hash_must_be_that_of_the_body(stated: str) -> None:
    """``UNSIGNED-PAYLOAD`` is S3's; here it would let anybody change the body."""
    with pytest.raises(InvalidSignature, match=r"^'x-amz-content-sha256' must be the SHA-256 of the body, 44136fa355b3"):
        check(sign(a_request(("x-amz-content-sha256", stated))))
