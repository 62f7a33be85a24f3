"""The command line: every setting has its flag, and what people are shown leads to this server."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ecru.access.bootstrap import Credentials
from ecru.cli import commands
from ecru.cli.flags import rendered_default, section_of
from ecru.cli.messages import public_endpoint, render_exports, render_first_start
from ecru.prepare import Preparation
from ecru.settings import Settings, is_secret

ROOT = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder without a settings file."""
    monkeypatch.chdir(tmp_path)


def settings_of(**given: object) -> Settings:
    return Settings.model_validate(given)


def test_serve_has_a_flag_for_every_setting_that_is_no_secret() -> None:
    flags = set(inspect.signature(commands.serve).parameters)

    assert flags == {name for name, field in Settings.model_fields.items() if not is_secret(field)}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_in_a_section(name: str) -> None:
    description = Settings.model_fields[name].description

    assert description
    assert not description.endswith(".")
    assert section_of(name) in Settings.SECTIONS.values()


@pytest.mark.parametrize(
    "name, default",
    [
        ("port", "5050"),
        ("domain", None),
        ("trusted_proxies", None),
        ("database", None),
        ("upload_expiry", "24h"),
        ("maximum_layer_bytes", "52000MiB"),
        ("metrics", "loopback"),
        ("access_log", "true"),
        ("data", "data"),
    ],
)
def test_a_default_is_shown_as_it_would_be_set(name: str, default: str | None) -> None:
    assert rendered_default(name) == default


@pytest.mark.parametrize(
    "given, endpoint",
    [
        ({}, "http://127.0.0.1:5050"),
        ({"host": "::", "port": 80}, "http://[::1]:80"),
        ({"tls_certificate": "a.pem", "tls_key": "a.key"}, "https://127.0.0.1:5050"),
        ({"domain": "registry.test:8080"}, "http://registry.test:8080"),
        ({"domain": "registry.test", "trusted_proxies": "10.0.0.1"}, "https://registry.test"),
        ({"domain": "registry.test", "tls_certificate": "a.pem", "tls_key": "a.key"}, "https://registry.test"),
    ],
)
def test_clients_are_sent_where_they_reach_the_server(given: dict[str, Any], endpoint: str) -> None:
    assert public_endpoint(settings_of(**given)) == endpoint
    assert f"export AWS_ENDPOINT_URL={endpoint}\n" in render_exports(settings_of(**given), ROOT)


def test_with_a_domain_the_first_start_logs_in_at_the_registrys_own_name() -> None:
    settings = settings_of(domain="registry.test", trusted_proxies="10.0.0.1", region="eu-west-1")

    shown = render_first_start(settings, Preparation(ROOT, Path("root-credentials")), ROOT)

    assert "docker login --username AWS --password-stdin 000000000000.dkr.ecr.eu-west-1.registry.test\n" in shown
    assert "--tls-verify=false" not in shown


def test_the_lines_for_a_shell_are_what_a_shell_understands() -> None:
    names = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION", "DEFAULT_REGION", "ENDPOINT_URL")
    # A variable that is not set is a fault for this shell.
    ask = f"echo {' '.join(f'$AWS_{name}' for name in names)} ${{AWS_SESSION_TOKEN-none}}"

    told = subprocess.run(
        ["sh", "-euc", f"{render_exports(settings_of(), ROOT)}\n{ask}"],
        env={"AWS_SESSION_TOKEN": "of something else", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.split() == [
        ROOT.access_key_id,
        ROOT.secret_access_key,
        "us-east-1",
        "us-east-1",
        "http://127.0.0.1:5050",
        "none",
    ]


def test_help_and_version_do_not_wait_for_the_program() -> None:
    heavy = {"sqlalchemy", "granian", "botocore", "obstore", "cryptography", "starlette", "alembic"}
    imports = f"import sys, ecru.cli; print(*sorted({heavy!r} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", imports], capture_output=True, text=True, check=True)

    assert found.stdout == "\n"
