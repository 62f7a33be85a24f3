"""What has to be there before a server answers: its keys, the schema, the account and root's access key.

How a root key is made: first into the file, durable, then into the database, then it is shown. Whatever is interrupted in
between, the next start goes on with the key of the file; no key is ever shown that a restart does not know.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ecru.access.bootstrap import Credentials, ensure_root, new_credentials, reseal
from ecru.access.keys import InvalidServerKey, new_server_key
from ecru.app import check_store, open_store, own_server_key_file, read_key_ring
from ecru.blobs.opening import InvalidStoreUrl
from ecru.blobs.store import StoreUnavailable
from ecru.metadata import schema
from ecru.metadata.database import DatabaseFull, DatabaseUnavailable, SchemaTooNew, SchemaTooOld, open_database
from ecru.private_files import ReadableByOthers, make_private_folder, read_private, write_private
from ecru.settings import Settings


class InvalidCredentialsFile(Exception):
    """The file with root's access key does not hold one."""


FAULTS: Final = (
    DatabaseFull,
    DatabaseUnavailable,
    InvalidCredentialsFile,
    InvalidServerKey,
    InvalidStoreUrl,
    OSError,
    ReadableByOthers,
    SchemaTooNew,
    SchemaTooOld,
    StoreUnavailable,
)
"""What an operator can put right."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a start found and made."""

    made: Credentials | None
    """Root's access key when this start made it: to be shown once."""
    file: Path
    """Where it is kept; of a key that the settings give there is no file."""


async def prepare(settings: Settings, *, now: datetime) -> Preparation:
    """Bring the schema up to date and see that there are keys and a store; a second run changes nothing.

    Raises:
        FAULTS: what is in the way, in words for the operator.
    """
    make_private_folder(settings.data)
    await schema.upgrade(settings.database)
    _make_server_key(settings)
    keys = read_key_ring(settings)
    file = credentials_file(settings.data)
    given = given_credentials(settings)
    async with AsyncExitStack() as stack:
        store = open_store(settings)
        stack.push_async_callback(store.close)
        await check_store(store)
        database = open_database(settings.database)
        stack.push_async_callback(database.close)
        made = await database.write(ensure_root, keys, settings.account, given=given, make=lambda: _kept_credentials(file), now=now)
        await database.write(reseal, keys, now=now)
    return Preparation(None if given else made, file)


def _make_server_key(settings: Settings) -> None:
    file = own_server_key_file(settings)
    if settings.server_key is None and settings.server_key_file is None and not file.exists():
        write_private(file, f"{new_server_key()}\n")


def given_credentials(settings: Settings) -> Credentials | None:
    """Root's access key as the settings give it."""
    if settings.root_access_key_id is None or settings.root_secret_access_key is None:
        return None
    return Credentials(settings.root_access_key_id, settings.root_secret_access_key.get_secret_value())


def credentials_file(data: Path) -> Path:
    """Where root's access key is kept: two lines, as the environment of the aws CLI spells them."""
    return data / "root-credentials"


def read_credentials(file: Path) -> Credentials:
    """Read root's access key.

    Raises:
        FileNotFoundError: there is no such file.
        ReadableByOthers: others can read it too.
        InvalidCredentialsFile: it holds something else.
    """
    values = dict(line.split("=", 1) for line in read_private(file).splitlines() if "=" in line)
    try:
        return Credentials(values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"])
    except KeyError as missing:
        raise InvalidCredentialsFile(f"{file} has no line {missing.args[0]}=…") from None


def _kept_credentials(file: Path) -> Credentials:
    if not file.exists():
        made = new_credentials()
        write_private(file, f"AWS_ACCESS_KEY_ID={made.access_key_id}\nAWS_SECRET_ACCESS_KEY={made.secret_access_key}\n")
    return read_credentials(file)
