"""``ecru check``: looks at everything a server needs, as a doctor does, and changes nothing.

Each check is a function that answers a finding; what it raises is the finding of that check and stops no other.
"""

import asyncio
import ctypes
import os
import re
import shutil
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

import httpx
from cryptography import x509
from sqlalchemy import text

from ecru.access.bootstrap import check_server_keys
from ecru.app import open_store, own_server_key_file, read_key_ring
from ecru.metadata import schema
from ecru.metadata.database import SchemaTooNew, Transaction, open_database
from ecru.prepare import credentials_file, read_credentials
from ecru.settings import Settings

CHECK_SECONDS: Final = 15
_SKEW: Final = timedelta(seconds=30)
_EXPIRES_SOON: Final = timedelta(days=14)

# Those that know AWS_ENDPOINT_URL. https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-endpoints.html
_FIRST_WITH_ENDPOINT_URL: Final = {1: (1, 29, 0), 2: (2, 13, 0)}
# https://man7.org/linux/man-pages/man2/adjtimex.2.html
_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 512


class State(StrEnum):
    """How serious a finding is."""

    FINE = "fine"
    NOTE = "note"
    """Works, but somebody may be surprised."""
    WRONG = "wrong"
    """A server does not start, or not all of it works."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    state: State
    text: str


def fine(text: str) -> Finding:
    """All is well."""
    return Finding(State.FINE, text)


def note(text: str) -> Finding:
    """Worth knowing."""
    return Finding(State.NOTE, text)


def wrong(text: str) -> Finding:
    """Needs a remedy, which the text names."""
    return Finding(State.WRONG, text)


async def check_data(settings: Settings) -> Finding:
    """The data folder can be written, and nobody else can read its secrets."""
    data = settings.data
    if not data.exists():
        parent = next(folder for folder in data.parents if folder.exists())
        return note(f"{data} will be made") if os.access(parent, os.W_OK) else wrong(f"{data} cannot be made in {parent}")
    if not data.is_dir() or not os.access(data, os.W_OK | os.X_OK):
        return wrong(f"{data} is not a folder that this user can write")
    free = shutil.disk_usage(data).free
    return fine(f"{data}, {free / 1024**3:.1f} GiB free")


async def check_keys(settings: Settings) -> Finding:
    """The server key can be read, and is the one that this database was sealed with."""
    try:
        keys = read_key_ring(settings)
    except FileNotFoundError as missing:
        if missing.filename == str(own_server_key_file(settings)):
            return note("the first start makes the server key")
        return wrong(f"there is no file {missing.filename}")
    database = open_database(settings.database) if (await schema.status(settings.database)).current else None
    if database is not None:
        try:
            await database.read(check_server_keys, keys)
        finally:
            await database.close()
    file = credentials_file(settings.data)
    root = f"root's access key {read_credentials(file).access_key_id}" if file.exists() else "no access key of root is kept here"
    return fine(f"server key {keys.newest.fingerprint}; {root}")


async def check_database(settings: Settings) -> Finding:
    """The database answers, and its schema is one that this program knows."""
    try:
        await schema.require(settings.database)
    except SchemaTooNew:
        raise
    except Exception:  # noqa: BLE001 - an older schema, or none, is no fault: a start migrates it
        found = await schema.status(settings.database)
        return note(
            f"{settings.database.shown}, whose schema ({found.current or 'none'}) the next start migrates to {found.newest}"
        )
    return fine(f"{settings.database.shown}, schema {schema.newest_revision()}")


async def check_blobs(settings: Settings) -> Finding:
    """Bytes can be written to the blob store, read and deleted."""
    if settings.blobs.parts.scheme == "file" and not settings.data.exists():
        return note(f"{settings.blobs.shown} will be made")
    store = open_store(settings)
    try:
        await store.check()
    finally:
        await store.close()
    return fine(settings.blobs.shown)


async def check_clock(settings: Settings) -> Finding:
    """The clock is kept right: signatures are refused when client and server are minutes apart."""
    if settings.database.parts.scheme != "sqlite":
        database = open_database(settings.database)
        try:
            theirs = await database.read(_time_of_database)
        finally:
            await database.close()
        skew = datetime.now(UTC) - theirs
        if abs(skew) > _SKEW:
            return wrong(f"this machine and the database are {abs(skew).total_seconds():.0f} s apart; keep both right with NTP")
    if sys.platform == "linux":
        asked = ctypes.create_string_buffer(_TIMEX_BYTES)
        if ctypes.CDLL(None).adjtimex(asked) == _TIME_ERROR:
            return note("the kernel says that nothing keeps this clock right; clients whose clock differs by minutes are refused")
    return fine(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")


def _time_of_database(db: Transaction) -> datetime:
    found: datetime = db.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found


async def check_tls(settings: Settings) -> Finding:
    """Certificate and key belong together, and the certificate is valid for a while."""
    if settings.tls_certificate is None or settings.tls_key is None:
        if settings.trusted_proxies:
            return fine("left to the proxy")
        return note("off; docker and podman take plain HTTP only from this machine, unless they are told otherwise")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key)
    certificate = x509.load_pem_x509_certificates(settings.tls_certificate.read_bytes())[0]
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    until = f"{settings.tls_certificate} is valid until {certificate.not_valid_after_utc:%Y-%m-%d}"
    if left < timedelta(0):
        return wrong(f"{until}: it has ended")
    return note(f"{until}, which is soon") if left < _EXPIRES_SOON else fine(until)


async def check_server(settings: Settings) -> Finding:
    """Whether a server answers at the address."""
    # The certificate is for the domain, not for the address.
    async with httpx.AsyncClient(verify=False, trust_env=False, timeout=5) as client:  # noqa: S501
        try:
            answer = await client.get(f"{settings.endpoint}/readyz")
        except httpx.ConnectError:
            return fine(f"none runs at {settings.endpoint}")
        except httpx.HTTPError as failed:
            return wrong(f"something else is at {settings.endpoint}: {str(failed) or type(failed).__name__}")
    if answer.text not in {"ready\n", "not ready\n"}:
        return wrong(f"something else is at {settings.endpoint}; --port names another port")
    return fine(f"answers at {settings.endpoint}") if answer.is_success else wrong(f"runs at {settings.endpoint}, and is not ready")


async def check_aws_cli(_settings: Settings) -> Finding:
    """The aws CLI knows the variable that sends it here."""
    program = shutil.which("aws")
    if program is None:
        return note("not on PATH; any AWS SDK works too")
    process = await asyncio.create_subprocess_exec(
        program, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    found = re.search(rb"aws-cli/(\d+)\.(\d+)\.(\d+)", output)
    if found is None:
        return note(f"{program} does not tell its version")
    version = tuple(int(part) for part in found.groups())
    written = ".".join(map(str, version))
    if version < _FIRST_WITH_ENDPOINT_URL.get(version[0], version):
        return note(f"{written} ignores AWS_ENDPOINT_URL and would call the real AWS: give each command --endpoint-url")
    return fine(f"{written} at {Path(program)}")


CHECKS: Final[dict[str, Callable[[Settings], Awaitable[Finding]]]] = {
    "data folder": check_data,
    "keys": check_keys,
    "database": check_database,
    "blobs": check_blobs,
    "clock": check_clock,
    "TLS": check_tls,
    "server": check_server,
    "aws CLI": check_aws_cli,
}


async def run_checks(settings: Settings) -> dict[str, Finding]:
    """Run every check, side by side, in a bounded time."""
    findings = await asyncio.gather(*(_run(check, settings) for check in CHECKS.values()))
    return dict(zip(CHECKS, findings, strict=True))


async def _run(check: Callable[[Settings], Awaitable[Finding]], settings: Settings) -> Finding:
    try:
        return await asyncio.wait_for(check(settings), CHECK_SECONDS)
    except TimeoutError:
        return wrong(f"no answer within {CHECK_SECONDS} s")
    except Exception as failed:  # noqa: BLE001 - whatever it is, it is what this check has found
        return wrong(str(failed) or type(failed).__name__)
