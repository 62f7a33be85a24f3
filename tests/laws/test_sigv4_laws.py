"""What botocore signs is accepted, and nothing else: two implementations that know nothing of each other."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from ecru.sigv4.canonical import HttpRequest, canonical_query
from ecru.sigv4.verify import MissingAuthenticationToken, SignatureFault, SignedRequest, parse_authorization, verify

ACCESS_KEY_ID, SECRET, REGION, SERVICE, HOST = "AKIDEXAMPLE", "wJalrXUtnFEMI", "us-east-1", "ecr", "localhost:5050"
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)

printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
latin_1 = st.text(st.characters(max_codepoint=0xFF), max_size=40)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE"])
paths = st.lists(st.text(max_size=5).map(lambda text: quote(text, safe="")), max_size=4).map(lambda parts: "/" + "/".join(parts))
queries = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=4).map(
    # An empty name and value is dropped here and signed by botocore; no client sends it.
    lambda pairs: urlencode([pair for pair in pairs if pair != ("", "")], quote_via=quote, safe="-_.~")
)
header_names = st.sampled_from(["x-amz-target", "x-amz-meta", "x-custom", "content-type", "accept"])
headers = st.lists(st.tuples(header_names, printable), max_size=5)
bodies = st.binary(max_size=50)
tokens = st.none() | st.text("abcABC012+/=", min_size=1, max_size=20)


@st.composite
def signed_requests(draw: st.DrawFn, *, presigned: bool | None = None) -> HttpRequest:
    """A request that botocore signed, as it comes over the wire."""
    if presigned is None:
        presigned = draw(st.booleans())
    body = b"" if presigned else draw(bodies)
    url = f"http://{HOST}{draw(paths)}"
    query = draw(queries)
    request = AWSRequest(method=draw(methods), url=f"{url}?{query}" if query else url, data=body)
    # botocore reads a presigned query into a dict, so that repeated names are lost; see the example below for those.
    for name, value in draw(headers):
        request.headers[name] = value
    credentials = Credentials(ACCESS_KEY_ID, SECRET, draw(tokens))
    signer = SigV4QueryAuth(credentials, SERVICE, REGION, expires=60) if presigned else SigV4Auth(credentials, SERVICE, REGION)
    signer.add_auth(request)
    sent = [("host", HOST), *((name.lower(), value) for name, value in request.headers.items())]
    wire = urlsplit(request.url)
    return HttpRequest(request.method, wire.path, wire.query, sent, hashlib.sha256(body).hexdigest())


def check(request: HttpRequest, now: datetime) -> SignedRequest:
    signed = parse_authorization(request.headers, request.query)
    verify(signed, request, secret=SECRET, now=now, service=SERVICE, regions=[REGION])
    return signed


def signed_at(request: HttpRequest) -> datetime:
    """Botocore asks the clock; the law does not."""
    return parse_authorization(request.headers, request.query).signed_at


def with_header(request: HttpRequest, position: int, value: str) -> HttpRequest:
    changed = list(request.headers)
    changed[position] = (changed[position][0], value)
    return replace(request, headers=changed)


def with_a_letter(text: str, position: int) -> str:
    """The text with a letter that was not there: none of our paths has ``..``, so this always means something else."""
    return f"{text[:position]}x{text[position:]}"


@given(signed_requests())
def test_what_botocore_signs_is_accepted(request: HttpRequest) -> None:
    signed = check(request, signed_at(request))

    assert signed.access_key_id == ACCESS_KEY_ID


@given(signed_requests(), st.data())
def test_a_changed_path_is_refused(request: HttpRequest, data: st.DataObject) -> None:
    path = with_a_letter(request.path, data.draw(st.integers(1, len(request.path))))

    with pytest.raises(SignatureFault):
        check(replace(request, path=path), signed_at(request))


@given(signed_requests(), st.data())
def test_a_changed_query_is_refused(request: HttpRequest, data: st.DataObject) -> None:
    query = with_a_letter(request.query, data.draw(st.integers(0, len(request.query))))

    with pytest.raises(SignatureFault):
        check(replace(request, query=query), signed_at(request))


@given(signed_requests(), st.data())
def test_a_changed_signed_header_is_refused(request: HttpRequest, data: st.DataObject) -> None:
    signed = parse_authorization(request.headers, request.query)
    names = [position for position, (name, _) in enumerate(request.headers) if name in signed.signed_headers]
    position = data.draw(st.sampled_from(names))
    value = request.headers[position][1]

    with pytest.raises(SignatureFault):
        check(with_header(request, position, with_a_letter(value, data.draw(st.integers(0, len(value))))), signed.signed_at)


@given(signed_requests(), st.data())
def test_a_missing_signed_header_is_refused(request: HttpRequest, data: st.DataObject) -> None:
    """But for an empty one, whose line reads the same."""
    signed = parse_authorization(request.headers, request.query)
    sent = [header for header in request.headers if header[0] in signed.signed_headers and header[1].strip()]
    gone = data.draw(st.sampled_from(sent))

    with pytest.raises(SignatureFault):
        check(replace(request, headers=[header for header in request.headers if header != gone]), signed.signed_at)


@given(signed_requests(presigned=False), st.data())
def test_a_changed_authorization_header_is_refused_or_anothers(request: HttpRequest, data: st.DataObject) -> None:
    """The access key's id is not signed; it decides whose secret the signature is held against."""
    position = [name for name, _ in request.headers].index("authorization")
    value = request.headers[position][1]
    changed = with_header(request, position, with_a_letter(value, data.draw(st.integers(0, len(value)))))

    try:
        signed = check(changed, signed_at(request))
    except SignatureFault:
        return
    assert signed.access_key_id != ACCESS_KEY_ID


@given(signed_requests(), bodies)
def test_a_changed_body_is_refused(request: HttpRequest, body: bytes) -> None:
    changed = hashlib.sha256(body + b"\0" * 51).hexdigest()

    with pytest.raises(SignatureFault):
        check(replace(request, body_sha256=changed), signed_at(request))


@given(signed_requests(), methods)
def test_a_changed_method_is_refused(request: HttpRequest, method: str) -> None:
    if method == request.method:
        method = "HEAD"

    with pytest.raises(SignatureFault):
        check(replace(request, method=method), signed_at(request))


@given(st.lists(st.tuples(header_names | st.sampled_from(["authorization", "x-amz-date", "date", "host"]), latin_1)), latin_1)
def test_whatever_comes_is_read_or_refused(sent: Sequence[tuple[str, str]], query: str) -> None:
    try:
        parse_authorization(sent, query)
    except SignatureFault:
        return


@given(
    st.dictionaries(
        st.sampled_from(["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"]),
        st.sampled_from(
            ["AWS4-HMAC-SHA256", f"{ACCESS_KEY_ID}/20260304/{REGION}/{SERVICE}/aws4_request", "20260304T120000Z", "60", "host"]
        )
        | st.text(max_size=10),
    )
)
def test_whatever_comes_presigned_is_refused_unless_signed(parameters: dict[str, str]) -> None:
    query = urlencode({f"X-Amz-{name}": value for name, value in parameters.items()})

    with pytest.raises(SignatureFault) as fault:
        check(HttpRequest("GET", "/", query, [("host", HOST)], hashlib.sha256().hexdigest()), NOW)

    assert isinstance(fault.value, MissingAuthenticationToken) is ("Algorithm" not in parameters)


@given(latin_1)
def test_a_canonical_query_is_its_own_canonical_form(query: str) -> None:
    canonical = canonical_query(query)

    assert canonical_query(canonical) == canonical
    assert canonical.isascii()


@given(st.lists(printable, max_size=6), st.data())
def test_the_order_of_a_query_means_nothing(parameters: list[str], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(parameters))

    assert canonical_query("&".join(shuffled)) == canonical_query("&".join(parameters))
