"""Settings: what is read from where, what is understood, and what is refused."""

from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from ecru.settings import (
    BlobDelivery,
    InvalidSettings,
    Settings,
    Url,
    is_secret,
    parse_size,
    parse_span,
    render_size,
    render_span,
)

SECRETS = {"root_secret_access_key", "server_key", "blobs_secret_access_key"}


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a settings file, and no variables."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings_of(**flags: object) -> Settings:
    return Settings.model_validate(flags)


def faults_of(**flags: object) -> Mapping[str, str]:
    with pytest.raises(InvalidSettings) as refused:
        settings_of(**flags)
    return {fault.name: fault.text for fault in refused.value.faults}


# --- where values come from -----------------------------------------------------------------------------------------


def test_a_flag_comes_before_a_variable_before_the_file_before_the_default(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (working_folder / "ecru.toml").write_text('port = 1\nworkers = 1\nregion = "eu-west-1"\n')
    monkeypatch.setenv("ECRU_PORT", "2")
    monkeypatch.setenv("ECRU_WORKERS", "2")

    settings = settings_of(port=3)

    assert (settings.port, settings.workers, settings.region, settings.host) == (3, 2, "eu-west-1", "127.0.0.1")


@pytest.mark.parametrize("where", ["flag", "variable"])
def test_the_file_is_the_one_that_is_named(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ecru.toml").write_text("port = 1\n")
    named = tmp_path / "other.toml"
    named.write_text("port = 2\n")
    if where == "variable":
        monkeypatch.setenv("ECRU_CONFIG", str(named))

    settings = settings_of(config=named) if where == "flag" else settings_of()

    assert settings.port == 2


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    assert faults_of(config=tmp_path / "none.toml") == {"config": f"names a file that does not exist: {tmp_path / 'none.toml'}"}


def test_a_file_that_is_no_toml_is_refused_with_its_line(working_folder: Path) -> None:
    (working_folder / "ecru.toml").write_text("port = 1\nport: 2\n")

    assert "line 2" in faults_of()["config"]


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECRU_DOMAIN", "")
    monkeypatch.setenv("ECRU_PORT", "")

    assert (settings_of().domain, settings_of().port) == (None, 5050)


def test_what_is_stored_is_below_the_data_folder_unless_said_otherwise(tmp_path: Path) -> None:
    usual = settings_of(data=Path("kept"))

    assert usual.data == tmp_path / "kept"
    assert usual.database == f"sqlite:///{tmp_path}/kept/ecru.db"
    assert usual.blobs == f"file://{tmp_path}/kept/blobs"
    assert settings_of(blobs="s3://bucket/prefix").blobs == "s3://bucket/prefix"


def test_the_default_region_is_always_among_the_regions() -> None:
    assert settings_of().regions == ("us-east-1",)
    assert settings_of(regions="eu-west-1, us-east-1").regions == ("us-east-1", "eu-west-1")


@pytest.mark.parametrize("given", ["10.0.0.0/8, ::1", ["10.0.0.0/8", "::1"]], ids=["variable", "file"])
def test_lists_are_written_with_commas_or_as_lists(given: object) -> None:
    assert settings_of(trusted_proxies=given).trusted_proxies == (
        IPv4Network("10.0.0.0/8"),
        IPv6Network("::1/128"),
    )


def test_enumerations_are_read_by_name() -> None:
    assert settings_of(blob_delivery="proxy").blob_delivery is BlobDelivery.PROXY


@pytest.mark.parametrize(
    "host, address",
    [
        ("127.0.0.1", "127.0.0.1:5050"),
        ("0.0.0.0", "127.0.0.1:5050"),  # noqa: S104 - nobody listens
        ("::", "[::1]:5050"),
        ("[::1]", "[::1]:5050"),
        ("localhost", "localhost:5050"),
    ],
)
def test_the_address_is_one_that_this_machine_can_call(host: str, address: str) -> None:
    assert settings_of(host=host).address == address


# --- what is understood ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, span",
    [
        ("30", timedelta(seconds=30)),
        ("30s", timedelta(seconds=30)),
        ("0.5s", timedelta(seconds=0.5)),
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("1d12h", timedelta(hours=36)),
        ("PT24H", timedelta(hours=24)),
        ("P7D", timedelta(days=7)),
        (30, timedelta(seconds=30)),
        (0, timedelta(0)),
    ],
)
def test_spans_are_read(text: object, span: timedelta) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "soon", "h", "-1h", "1h-", "30 parsecs", "1m1h", "PT", "99999w", "9" * 400 + "w", "٣s"])
def test_other_spans_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"span|century"):
        parse_span(text)


@pytest.mark.parametrize("text", ["30s", "5m", "90m", "1h", "24h", "36h", "2d", "7d", "0s", "0.5s"])
def test_a_span_is_written_as_it_is_set(text: str) -> None:
    assert render_span(parse_span(text)) == text


@pytest.mark.parametrize(
    "text, size",
    [("1000", 1000), ("20MiB", 20 * 2**20), ("20 mib", 20 * 2**20), ("5GB", 5 * 10**9), ("1.5k", 1500), ("1TiB", 2**40), (7, 7)],
)
def test_sizes_are_read(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "20 apples", "1e6", True, "1KiBB"])
def test_other_sizes_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        parse_size(text)


def test_a_size_is_written_as_it_is_set() -> None:
    assert [render_size(52_000 * 2**20), render_size(1000)] == ["52000MiB", "1000"]


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("port", "0", "greater than or equal to 1"),
        ("port", "http", "valid integer"),
        ("workers", "0", "greater than or equal to 1"),
        ("host", "http://here", "must be an address or a host name"),
        ("domain", "https://registry.example.com", "without 'https://'"),
        ("domain", "registry..example.com", "must be a domain name"),
        ("trusted_proxies", "10.0.0.0/8,proxy", "'proxy' does not appear to be an IPv4 or IPv6 network"),
        ("trusted_proxies", "10.0.0.1/8", "has host bits set"),
        ("database", "mysql://db/ecru", "must be a URL that begins with sqlite://"),
        ("blobs", "ftp://bucket", "must be a URL that begins with file://"),
        ("blobs", "memory:", "must be a URL that begins with file://"),
        ("account", "12", "an account id has 12 digits, not '12'"),
        ("region", "US East", "a region has 2 to 25 lower-case letters"),
        ("regions", "eu-west-1,x", "a region has 2 to 25 lower-case letters"),
        ("shutdown_timeout", "0s", "greater than"),
        ("blob_url_lifetime", "8d", "less than or equal to"),
        ("maximum_layer_bytes", "0", "greater than 0"),
        ("metrics", "everybody", "'off', 'loopback' or 'open'"),
        ("access_log", "maybe", "valid boolean"),
        ("log_level", "loud", "'debug', 'info', 'warning' or 'error', not 'loud'"),
    ],
)
def test_a_faulty_value_is_refused_with_what_would_do(name: str, value: str, words: str) -> None:
    faults = faults_of(**{name: value})

    assert list(faults) == [name]
    assert words in faults[name]


@pytest.mark.parametrize(
    "given, fault",
    [
        ({"tls_certificate": "a.pem"}, "tls_key"),
        ({"tls_key": "a.key"}, "tls_certificate"),
        ({"root_access_key_id": "AKIAIOSFODNN7EXAMPLE"}, "root_secret_access_key"),
        ({"root_secret_access_key": "of-sixteen-at-least"}, "root_access_key_id"),
        ({"blobs_access_key_id": "AKIAIOSFODNN7EXAMPLE"}, "blobs_secret_access_key"),
        ({"server_key": "a", "server_key_file": "b"}, "server_key"),
    ],
    ids=lambda given: "+".join(given) if isinstance(given, dict) else "",
)
def test_settings_that_do_not_fit_together_are_refused(given: Mapping[str, str], fault: str) -> None:
    assert list(faults_of(**given)) == [fault]


def test_all_faults_are_told_at_once(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (working_folder / "ecru.toml").write_text('acount = "1"\n')
    monkeypatch.setenv("ECRU_PROT", "1")

    faults = faults_of(port="x", data="kept", account="1", tls_key="a.key", database="mysql://x")

    assert set(faults) == {"port", "account", "database", "acount", "ECRU_PROT", "tls_certificate"}


@pytest.mark.parametrize(
    "name, nearest",
    [
        ("prot", "port"),
        ("trusted-proxies", "trusted_proxies"),
        ("DATABASE_URL", "database"),
        ("loglevel", "log_level"),
        ("frobnicate", None),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(working_folder: Path, name: str, nearest: str | None) -> None:
    (working_folder / "ecru.toml").write_text(f"{name} = 1\n")

    assert faults_of() == {name: f"is not a setting; did you mean {nearest}?" if nearest else "is not a setting"}


def test_an_unknown_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECRU_TRUSTED_PROXY", "::1")

    assert faults_of() == {"ECRU_TRUSTED_PROXY": "is not a setting; did you mean ECRU_TRUSTED_PROXIES?"}


# --- secrets --------------------------------------------------------------------------------------------------------


def test_the_secrets_are_known_as_secrets() -> None:
    assert {name for name, field in Settings.model_fields.items() if is_secret(field)} == SECRETS


def test_no_secret_is_printed() -> None:
    hidden = "correct-horse-battery"
    settings = settings_of(
        root_access_key_id="AKIAIOSFODNN7EXAMPLE",
        root_secret_access_key=hidden,
        server_key=hidden,
        database=f"postgresql://ecru:{hidden}@db/ecru?password={hidden}",
    )

    assert hidden not in repr(settings) + str(settings)
    assert hidden in settings.database


def test_no_secret_is_in_a_fault() -> None:
    faults = faults_of(
        root_access_key_id="AKIAIOSFODNN7EXAMPLE",
        root_secret_access_key="short",
        database="mysql://ecru:short@db",
        server_key=["short"],
    )

    assert set(faults) == {"root_secret_access_key", "database", "server_key"}
    assert not any("short" in text.replace("shortest", "") for text in faults.values())


def test_a_url_is_shown_without_what_it_hides() -> None:
    assert Url("postgresql://ecru:secret@db:5432/ecru?password=secret").shown == "postgresql://ecru@db:5432/ecru"
    assert Url("sqlite:////srv/ecru.db").shown == "sqlite:////srv/ecru.db"
