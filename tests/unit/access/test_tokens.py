"""Registry tokens."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from ecru.access import tokens, urls
from ecru.access.keys import new_server_key, parse_key_ring
from ecru.access.principal import Principal
from ecru.oci.digest import digest_of
from ecru.policy.arn import AccountId, Region, Registry, root_arn

KEYS = parse_key_ring(new_server_key())
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ACCOUNT, REGION = AccountId("123456789012"), Region("eu-central-1")


def a_principal(*, ends_at: datetime | None = None) -> Principal:
    return Principal(root_arn(ACCOUNT), ACCOUNT, ACCOUNT, "AKIAIOSFODNN7EXAMPLE", ends_at)


def test_a_token_says_who_asked_where_and_until_when() -> None:
    text, expires_at = tokens.issue(KEYS, a_principal(), REGION, now=NOW)

    assert expires_at == NOW + timedelta(hours=12)
    assert tokens.parse_token(KEYS, text) == tokens.Token("AKIAIOSFODNN7EXAMPLE", ACCOUNT, REGION, expires_at)


def test_a_token_never_outlives_the_credentials_that_asked() -> None:
    ends_at = NOW + timedelta(minutes=15)

    assert tokens.issue(KEYS, a_principal(ends_at=ends_at), REGION, now=NOW)[1] == ends_at


def test_a_token_survives_the_rotation_of_the_server_key_and_dies_with_it() -> None:
    text, _ = tokens.issue(KEYS, a_principal(), REGION, now=NOW)
    other = parse_key_ring(new_server_key())

    assert tokens.parse_token(type(KEYS)((other.newest, KEYS.newest)), text).account_id == ACCOUNT
    with pytest.raises(tokens.InvalidToken):
        tokens.parse_token(other, text)


def test_every_changed_character_is_noticed() -> None:
    text, _ = tokens.issue(KEYS, a_principal(), REGION, now=NOW)
    for position, character in enumerate(text):
        changed = text[:position] + ("A" if character != "A" else "B") + text[position + 1 :]
        with pytest.raises(tokens.InvalidToken):
            tokens.parse_token(KEYS, changed)


@pytest.mark.parametrize(
    "header",
    ["Bearer x", "Basic", "Basic %%%", "Basic " + base64.b64encode(b"AWS").decode(), "Basic " + base64.b64encode(b"me:x").decode()],
)
def test_credentials_in_another_form_are_refused(header: str) -> None:
    with pytest.raises(tokens.InvalidToken):
        tokens.parse_basic_credentials(header)


def test_the_authorization_token_is_what_stands_after_basic() -> None:
    text, _ = tokens.issue(KEYS, a_principal(), REGION, now=NOW)

    assert tokens.parse_basic_credentials(f"Basic {tokens.basic_credentials(text)}") == text
    assert tokens.parse_basic_credentials(f"basic {tokens.basic_credentials(text)}") == text


# --- download URLs --------------------------------------------------------------------------------------------------

REGISTRY, DIGEST = Registry(ACCOUNT, REGION), digest_of(b"layer")


def split(url: str) -> tuple[str, dict[str, str]]:
    path, _, query = url.partition("?")
    return path, dict(part.split("=", 1) for part in query.split("&"))


def test_a_signed_url_names_one_layer_of_one_repository() -> None:
    path, query = split(urls.sign(KEYS, REGISTRY, "team/app", DIGEST, ends_at=NOW + timedelta(hours=1)))

    assert urls.parse(KEYS, path, query, now=NOW) == urls.Download(REGISTRY, "team/app", DIGEST)


@pytest.mark.parametrize(
    "change",
    [
        lambda path, query: (path.replace("team/app", "team/other"), query),
        lambda path, query: (path.replace(ACCOUNT, "000000000000"), query),
        lambda path, query: (path.replace(DIGEST, digest_of(b"other")), query),
        lambda path, query: (path, query | {"ends": str(int(query["ends"]) + 1)}),
        lambda path, query: (path, query | {"key": "0" * 16}),
        lambda path, _: (path, {}),
    ],
    ids=["repository", "account", "digest", "end", "key", "no signature"],
)
def test_a_changed_url_is_refused(change) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    path, query = change(*split(urls.sign(KEYS, REGISTRY, "team/app", DIGEST, ends_at=NOW + timedelta(hours=1))))

    with pytest.raises(urls.InvalidUrl):
        urls.parse(KEYS, path, query, now=NOW)


def test_a_url_ends() -> None:
    path, query = split(urls.sign(KEYS, REGISTRY, "team/app", DIGEST, ends_at=NOW))

    with pytest.raises(urls.InvalidUrl, match="expired"):
        urls.parse(KEYS, path, query, now=NOW)
