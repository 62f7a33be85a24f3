"""What an operator can set, declared once: variable, key in ``ecru.toml``, flag and page of the reference are derived from it.

A value comes from the first of: a flag of the command, a variable ``ECRU_…``, the settings file, the default. A faulty or unknown
setting stops the start, and all faults are told at once: an operator corrects a file once, not once for each line.
"""

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PlainValidator,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from ecru.policy.arn import AccountId, Region, parse_account_id, parse_region
from ecru.rules.limits import MEBIBYTE, Limits

PREFIX: Final = "ECRU_"
USUAL_FILE: Final = Path("ecru.toml")
SHORTEST_SECRET: Final = 16

_QUOTAS: Final = Limits()


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the settings.

    Attributes:
        name: the setting's name, or the unknown name as it was written.
        text: what is wrong, to be read after the name.
    """

    name: str
    text: str

    @override
    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class InvalidSettings(Exception):
    """Settings that cannot be worked with; not a ``ValueError``, since pydantic would take those for its own.

    Attributes:
        faults: all of them, so that one correction is enough.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


# --- kinds of values ------------------------------------------------------------------------------------------------

_SPAN: Final = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", re.ASCII)
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.ASCII | re.IGNORECASE)
_DOMAIN: Final = re.compile(r"(?=.{1,200}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*(:[0-9]{1,5})?", re.ASCII)
_LARGEST_DAYS: Final = 36_500


def parse_span(value: object) -> timedelta:
    """Read ``30s``, ``24h``, ``7d``, ``1h30m``, a number of seconds, or ISO 8601 (``PT24H``).

    Raises:
        ValueError: the value is something else, or longer than a century.
    """
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if text and (found := _SPAN.fullmatch(text)):
        weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
        whole_days = weeks * 7 + days + hours / 24 + minutes / 1440 + seconds / 86_400
        if whole_days > _LARGEST_DAYS:
            raise ValueError("is longer than a century")
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    if text.startswith("P"):
        try:
            return TypeAdapter(timedelta).validate_python(text)
        except ValidationError:
            pass
    raise ValueError("must be a span of time such as '30s', '24h', '7d', '1h30m' or 'PT24H'")


def render_span(span: timedelta) -> str:
    """Write a span the way it is set: ``24h``, ``7d``."""
    seconds = span.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        # A day is said as 24 h, and so is a day and a half: only whole days from two on are days.
        if seconds and seconds % length == 0 and (unit != "d" or seconds >= 2 * length):
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def parse_size(value: object) -> int:
    """Read ``20MiB``, ``1.5 GB`` or a number of bytes into bytes.

    Raises:
        ValueError: the value is something else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not (found := _SIZE.fullmatch(str(value).strip())):
        raise ValueError("must be a size such as '20MiB', '5GB' or a number of bytes")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index(unit.lower() or " "))


def render_size(size_bytes: int) -> str:
    """Write a size the way it is set: ``52000MiB``."""
    return f"{size_bytes // MEBIBYTE}MiB" if size_bytes % MEBIBYTE == 0 else f"{size_bytes}"


class Url(str):
    """An address that may hold a password, which its ``repr`` and ``shown`` leave out."""

    __slots__ = ()

    @property
    def parts(self) -> SplitResult:
        """The address, split."""
        return urlsplit(self)

    @property
    def shown(self) -> str:
        """The address for logs and messages: without the password and the query, which may hold keys."""
        parts = self.parts
        user, at, host = parts.netloc.rpartition("@")
        return f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}"

    @override
    def __repr__(self) -> str:
        return f"Url({self.shown!r})"


def _url_of(*schemes: str) -> PlainValidator:
    def parse(value: object) -> Url:
        url = Url(value)
        try:
            scheme = url.parts.scheme
        except ValueError as invalid:
            raise ValueError(f"must be a URL; this one cannot be read: {invalid}") from None
        if scheme not in schemes:
            raise ValueError(f"must be a URL that begins with {_one_of([f'{scheme}://' for scheme in schemes])}")
        return url

    return PlainValidator(parse)


def _split_list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _parse_domain(text: str) -> str:
    domain = text.lower().rstrip(".")
    if not _DOMAIN.fullmatch(domain):
        raise ValueError("must be a domain name such as 'registry.example.com', perhaps with a port, without 'https://'")
    return domain


def _parse_host(text: str) -> str:
    host = text.removeprefix("[").removesuffix("]")
    if not host or "/" in host or any(letter.isspace() for letter in host):
        raise ValueError("must be an address or a host name, such as '127.0.0.1', '::1' or 'localhost'")
    return host


def _one_of(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _check_length(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"must have at least {SHORTEST_SECRET} characters, since whoever guesses it owns the registry")
    return secret


Span = Annotated[timedelta, BeforeValidator(parse_span)]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
File = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
Folder = File
Domain = Annotated[str, AfterValidator(_parse_domain)]
Host = Annotated[str, AfterValidator(_parse_host)]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(ip_network)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split_list)]
DatabaseUrl = Annotated[Url, _url_of("sqlite", "postgresql", "postgres")]
BlobsUrl = Annotated[Url, _url_of("file", "s3", "gs", "az")]
AccountIdSetting = Annotated[AccountId, AfterValidator(parse_account_id)]
RegionSetting = Annotated[Region, AfterValidator(parse_region)]
Regions = Annotated[tuple[RegionSetting, ...], NoDecode, BeforeValidator(_split_list)]
# IAM's bounds for the id. https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html
AccessKeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{16,128}$")]
SecretAccessKey = Annotated[SecretStr, AfterValidator(_check_length)]


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    """For people on a terminal, else JSON."""
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The least severe lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class BlobDelivery(StrEnum):
    """How a blob in an object store reaches a client."""

    REDIRECT = "redirect"
    """The client is sent to a signed URL of the store."""
    PROXY = "proxy"
    """We pass the bytes on, for networks that cannot reach the store."""


class MetricsAccess(StrEnum):
    """Who may read ``/metrics``, which needs no credentials."""

    OFF = "off"
    LOOPBACK = "loopback"
    """Only a direct connection from this machine, not one that a proxy made for somebody."""
    OPEN = "open"


# --- the settings ---------------------------------------------------------------------------------------------------


class Settings(BaseSettings):
    """Everything an operator can set.

    Raises:
        InvalidSettings: anything is faulty or unknown, in any of the sources.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", validate_default=False)

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "host": "Listening",
        "data": "Storage",
        "account": "Account and keys",
        "upload_expiry": "Keeping and deleting",
        "maximum_layer_bytes": "Limits",
        "log_format": "Logs and metrics",
    }
    """Sections of the help and of the reference page, by the first setting of each."""

    host: Host = Field("127.0.0.1", description="address to listen on, IPv4 or IPv6; '::' and '0.0.0.0' are every address")
    port: int = Field(5050, ge=1, le=65_535, description="TCP port to listen on")
    workers: int = Field(2, ge=1, le=256, description="processes that answer requests; one more runs the jobs")
    tls_certificate: File | None = Field(
        None, description="PEM file with the certificate and its chain, which turns TLS on; SIGHUP reads it again"
    )
    tls_key: File | None = Field(None, description="PEM file with the certificate's private key")
    domain: Domain | None = Field(
        None,
        description="domain, perhaps with a port, under which registries are named ACCOUNT.dkr.ecr.REGION.DOMAIN; "
        "without it they are named by the host of the request",
    )
    trusted_proxies: Networks = Field(
        (), description="addresses and networks whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host headers count"
    )
    shutdown_timeout: Span = Field(
        timedelta(seconds=30), gt=timedelta(0), description="how long accepted requests may take to finish when the server stops"
    )

    data: Folder = Field(Path("data"), validate_default=True, description="folder for what the server keeps on this machine")
    database: DatabaseUrl = Field(
        default_factory=lambda known: Url(f"sqlite:///{known['data'] / 'ecru.db'}"),
        description="where the metadata lives: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; without it, DATA/ecru.db",
    )
    blobs: BlobsUrl = Field(
        default_factory=lambda known: Url((known["data"] / "blobs").as_uri()),
        description="where the bytes live: file:///FOLDER, s3://BUCKET/PREFIX?endpoint=URL, gs://BUCKET/PREFIX or "
        "az://CONTAINER/PREFIX; without it, the folder DATA/blobs",
    )
    blobs_access_key_id: str | None = Field(
        None, description="access key for an S3 bucket; without it, the keys of the environment or the machine"
    )
    blobs_secret_access_key: SecretStr | None = Field(None, description="secret that belongs to blobs_access_key_id")
    blob_delivery: BlobDelivery = Field(
        BlobDelivery.REDIRECT,
        description="whether clients fetch blobs from an object store themselves (redirect) or through this server (proxy)",
    )
    blob_url_lifetime: Span = Field(
        timedelta(hours=1),
        gt=timedelta(0),
        le=timedelta(days=7),
        description="how long a signed download URL works, ours and the object store's",
    )

    account: AccountIdSetting = Field(AccountId("000000000000"), description="account that answers where a request names none")
    region: RegionSetting = Field(Region("us-east-1"), description="region that answers where a request names none")
    regions: Regions = Field(
        (), validate_default=True, description="regions that requests may name; the default one is always among them"
    )
    root_access_key_id: AccessKeyId | None = Field(
        None, description="access key of the root principal, for starts without a person; without it, the first start makes one"
    )
    root_secret_access_key: SecretAccessKey | None = Field(None, description="secret that belongs to root_access_key_id")
    server_key: SecretStr | None = Field(
        None,
        description="keys that seal other secrets and sign tokens, the newest first, the same on all nodes of a deployment: "
        "each is 32 bytes in base64",
    )
    server_key_file: File | None = Field(
        None, description="file that holds the server keys; without either, DATA/server.key, which the first start makes"
    )

    upload_expiry: Span = Field(timedelta(hours=24), gt=timedelta(0), description="how long an unfinished layer upload is kept")
    collection_grace: Span = Field(timedelta(hours=24), description="how long bytes stay that nothing refers to any more")
    deleted_image_retention: Span = Field(timedelta(days=7), description="how long a deleted image can be restored")

    maximum_layer_bytes: Size = Field(_QUOTAS.layer_bytes, description="largest layer or other blob")
    maximum_tags_per_image: int = Field(_QUOTAS.tags_per_image, ge=1, description="tags that one image may have")
    maximum_images_per_repository: int = Field(
        _QUOTAS.images_per_repository, ge=1, description="images that one repository may hold"
    )
    maximum_repositories: int = Field(
        _QUOTAS.repositories_per_registry, ge=1, description="repositories that one registry may hold"
    )

    log_format: LogFormat = Field(LogFormat.AUTO, description="json, console, or auto: console on a terminal, else json")
    log_level: LogLevel = Field(LogLevel.INFO, description="least severe lines to write: debug, info, warning or error")
    access_log: bool = Field(default=True, description="whether each request is logged")
    metrics: MetricsAccess = Field(
        MetricsAccess.LOOPBACK, description="who may read /metrics: nobody (off), this machine (loopback) or everybody (open)"
    )

    config: File | None = Field(None, description="file to read settings from; without it, ecru.toml in the working folder")

    @property
    def tls(self) -> bool:
        """Whether the server speaks TLS itself."""
        return self.tls_certificate is not None

    @property
    def address(self) -> str:
        """Host and port under which this machine reaches the server."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not listened on
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def endpoint(self) -> str:
        """URL under which this machine reaches the server."""
        return f"{'https' if self.tls else 'http'}://{self.address}"

    @property
    def json_lines(self) -> bool:
        """Whether log lines, which go to standard error, are JSON."""
        return self.log_format is LogFormat.JSON or (self.log_format is LogFormat.AUTO and not sys.stderr.isatty())

    @field_validator("regions")
    @classmethod
    def _hold_the_default_region(cls, regions: tuple[Region, ...], info: ValidationInfo) -> tuple[Region, ...]:
        default = info.data.get("region")
        return tuple(dict.fromkeys((default, *regions))) if default else regions

    @model_validator(mode="wrap")
    @classmethod
    def _tell_all_faults_at_once(cls, values: dict[str, Any], check: ModelWrapValidatorHandler[Self]) -> Self:
        faults = [*_unknown_variables(os.environ, cls.model_fields), *_unfit_together(values)]
        try:
            settings = check(values)
        except ValidationError as invalid:
            raise InvalidSettings([*(_fault(error, cls.model_fields) for error in _root_causes(invalid)), *faults]) from None
        if faults:
            raise InvalidSettings(faults)
        return settings

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, variables, the settings file; the others that pydantic offers are left out."""
        named = init_settings().get("config") or env_settings().get("config")
        return init_settings, env_settings, InitSettingsSource(settings_cls, _read_file(Path(named) if named else None))


# --- faults ---------------------------------------------------------------------------------------------------------


def _read_file(named: Path | None) -> dict[str, Any]:
    path = named or USUAL_FILE
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if named is None:
            return {}
        raise InvalidSettings([Fault("config", f"names a file that does not exist: {path}")]) from None
    except (OSError, ValueError) as failed:
        raise InvalidSettings([Fault("config", f"cannot be read from {path}: {failed}")]) from None


def _unknown_variables(environment: Mapping[str, str], known: Mapping[str, FieldInfo]) -> list[Fault]:
    names = [name for name in environment if name.upper().startswith(PREFIX)]
    return [
        Fault(name, _unknown(name.upper().removeprefix(PREFIX).lower(), known, PREFIX))
        for name in sorted(names)
        if name.upper().removeprefix(PREFIX).lower() not in known
    ]


def _unknown(name: str, known: Mapping[str, FieldInfo], prefix: str = "") -> str:
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    suggestion = (prefix + (near[0].upper() if prefix else near[0])) if near else ""
    return f"is not a setting; did you mean {suggestion}?" if near else "is not a setting"


_PAIRS: Final = (
    ("tls_certificate", "tls_key"),
    ("blobs_access_key_id", "blobs_secret_access_key"),
    ("root_access_key_id", "root_secret_access_key"),
)


def _unfit_together(values: Mapping[str, object]) -> list[Fault]:
    """Find settings that need each other or exclude each other."""
    faults = []
    for one, other in _PAIRS:
        if (values.get(one) is None) != (values.get(other) is None):
            missing, given = (one, other) if values.get(one) is None else (other, one)
            faults.append(Fault(missing, f"must be set, since {given} is"))
    if values.get("server_key") is not None and values.get("server_key_file") is not None:
        faults.append(Fault("server_key", "and server_key_file cannot both be set"))
    return faults


def _root_causes(invalid: ValidationError) -> list[ErrorDetails]:
    # A default that is made from a faulty setting is not a second fault.
    return [error for error in invalid.errors() if error["type"] != "default_factory_not_called"]


def _fault(error: ErrorDetails, known: Mapping[str, FieldInfo]) -> Fault:
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return Fault(name, _unknown(name, known))
    text = error["msg"].removeprefix("Value error, ").replace("Input should", "must").replace("String should", "must")
    given = repr(error["input"])
    # An address may hold a password.
    hidden = is_secret(known[name]) or "://" in given
    return Fault(name, text if hidden or given in text else f"{text}, not {given}")


def is_secret(setting: FieldInfo) -> bool:
    """Whether a setting's value is not to be shown; such a setting has no flag, which every user of the machine could read."""
    return SecretStr in _parts(setting.annotation)


def _parts(annotation: object) -> set[object]:
    return {annotation}.union(*map(_parts, get_args(annotation)))
