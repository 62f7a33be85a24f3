"""From a URL to a blob store.

    file:///folder
    s3://bucket/prefix?region=…&endpoint=…&public_endpoint=…&profile=…
    gs://bucket/prefix
    az://container/prefix?account=…&endpoint=…

An operator of ecru has ``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID`` and a region in the shell, for ecru. Taken for the bucket's,
they would send every blob back to the registry itself. So the endpoint and the region of an ``s3:`` store are what its URL
says, or AWS's, and never the environment's; the credentials are, in this order,

1. ``keys``, from settings of their own;
2. the profile that the URL names, of the files that the aws CLI shares, and no other: ``aws configure`` may have put ecru's
   keys into the default one;
3. ``AWS_ACCESS_KEY_ID`` and what goes with it, unless an ``AWS_ENDPOINT_URL`` stands beside it that is not the bucket's: then
   they are keys of whatever answers there;
4. what the machine is: web identity (EKS), container role (ECS), instance role (EC2).

``gs:`` and ``az:`` find theirs as Google's and Azure's programs do, which nothing here collides with.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import botocore.config
import botocore.exceptions
import botocore.session
from obstore.store import AzureStore, GCSStore, S3Store

from ecru.blobs.folder import FolderStore
from ecru.blobs.memory import MemoryStore
from ecru.blobs.objects import ObjectStore
from ecru.blobs.store import BlobStore

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, RetryConfig, S3Config, S3Credential

_PARAMETERS = {
    "s3": frozenset({"region", "endpoint", "public_endpoint", "profile"}),
    "gs": frozenset[str](),
    "az": frozenset({"account", "endpoint"}),
    "file": frozenset[str](),
    "memory": frozenset[str](),
}
# In botocore's names. The others read files, where ecru's own clients may have their keys.
_OF_THE_MACHINE = frozenset({"assume-role-with-web-identity", "container-role", "iam-role"})
_OF_THE_ENVIRONMENT = "env"
# When obstore is told that credentials end. It asks again 5 minutes before, and said to end in 5 or less they would be asked for
# with nearly every request; botocore renews them well before they really end.
_ASK_AGAIN = timedelta(minutes=10)
_RETRY: "RetryConfig" = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}


class InvalidStoreUrl(ValueError):
    """The URL names no blob store that we know how to open."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials of an S3 bucket that do not end."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


def open_blobs(url: str, *, keys: Keys | None = None, name: str = "default") -> BlobStore:
    """Open the blob store that the URL names; ``memory:`` serves tests.

    A folder is made if need be. Whether an object store answers is for its ``check`` to say.

    Raises:
        InvalidStoreUrl: with what is wrong about it.
        StoreUnavailable: the folder cannot be made.

    """
    parts = urlsplit(url)
    place, path = unquote(parts.netloc), unquote(parts.path)
    parameters = _parameters(parts.scheme, parts.query)
    match parts.scheme:
        case "file":
            if place not in {"", "localhost"} or not path.startswith("/"):
                raise InvalidStoreUrl(f'"{url}" names no folder: three slashes, and then its whole path, as file:///srv/blobs')
            return FolderStore(Path(path), name=name)
        case "memory":
            return MemoryStore(name)
        case scheme if not place:
            raise InvalidStoreUrl(f'"{url}" names no bucket: write {scheme}://BUCKET or {scheme}://BUCKET/PREFIX')
        case "s3":
            return _open_s3(place, path.strip("/"), parameters, keys, name)
        case "gs":
            bucket = GCSStore(place, prefix=path.strip("/") or None, client_options=_client(), retry_config=_RETRY)
            return ObjectStore(bucket, title=f"gs://{place}", name=name)
        case _:
            return _open_azure(place, path.strip("/"), parameters, name)


def _parameters(scheme: str, query: str) -> Mapping[str, str]:
    if scheme not in _PARAMETERS:
        known = ", ".join(sorted(_PARAMETERS.keys() - {"memory"}))
        raise InvalidStoreUrl(f'"{scheme}" is no kind of blob store; there are {known}')
    given = dict(parse_qsl(query, keep_blank_values=True))
    unknown = given.keys() - _PARAMETERS[scheme]
    if unknown:
        known = ", ".join(sorted(_PARAMETERS[scheme])) or "none"
        raise InvalidStoreUrl(f"a {scheme}: URL takes the parameters {known}, and not {', '.join(sorted(unknown))}")
    return given


def _open_s3(bucket: str, prefix: str, parameters: Mapping[str, str], keys: Keys | None, name: str) -> BlobStore:
    region = parameters.get("region", "us-east-1")
    endpoint = parameters.get("endpoint", f"https://s3.{region}.amazonaws.com")
    credentials = _Kept(keys) if keys else _Found(parameters.get("profile"), endpoint)

    def opened(at: str) -> S3Store:
        config: S3Config = {
            "region": region,
            "endpoint": at,
            # Every one of these is said because obstore would otherwise take it from an AWS_ variable meant for ecru.
            "aws_endpoint_url_s3": at,
            "virtual_hosted_style_request": False,
            "skip_signature": False,
        }
        return S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options=_client(at),
            retry_config=_RETRY,
            credential_provider=credentials,
        )

    public = parameters.get("public_endpoint")
    return ObjectStore(
        opened(endpoint), seen_as=opened(public) if public else None, title=f"s3://{bucket} at {endpoint}", name=name
    )


def _open_azure(container: str, prefix: str, parameters: Mapping[str, str], name: str) -> BlobStore:
    endpoint = parameters.get("endpoint")
    config: AzureConfig = {}
    if endpoint is not None:
        config["endpoint"] = endpoint
    if "account" in parameters:
        config["account_name"] = parameters["account"]
    bucket = AzureStore(container, prefix=prefix or None, config=config, client_options=_client(endpoint), retry_config=_RETRY)
    return ObjectStore(bucket, title=f"az://{container}", name=name)


def _client(endpoint: str | None = None) -> "ClientConfig":
    return {
        "allow_http": endpoint is not None and endpoint.startswith("http://"),
        # Of a whole request, and so of a blob on its way to a slow reader; a silent store is told by the other.
        "timeout": timedelta(days=1),
        "read_timeout": timedelta(seconds=60),
    }


class _Kept:
    """Gives obstore the keys of the settings."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def __call__(self) -> "S3Credential":
        return {
            "access_key_id": self._keys.access_key_id,
            "secret_access_key": self._keys.secret_access_key,
            "token": None,
            "expires_at": None,
        }


class _Found:
    """Gives obstore the credentials that botocore finds.

    Not a coroutine: obstore asks from threads of its own, and for the parts of an upload without the event loop at hand.
    """

    def __init__(self, profile: str | None, endpoint: str) -> None:
        self._profile = profile
        self._endpoint = endpoint
        self._session: botocore.session.Session | None = None

    def __call__(self) -> "S3Credential":
        if self._session is None:
            session = botocore.session.Session(profile=self._profile)
            # Roles are assumed at AWS's STS, and not at the one that AWS_ENDPOINT_URL names.
            session.set_default_client_config(botocore.config.Config(ignore_configured_endpoint_urls=True))
            if self._profile is None:
                wanted = _OF_THE_MACHINE
                if os.environ.get("AWS_ENDPOINT_URL", self._endpoint).rstrip("/") == self._endpoint.rstrip("/"):
                    wanted |= {_OF_THE_ENVIRONMENT}
                finders = session.get_component("credential_provider")
                for finder in [finder.METHOD for finder in finders.providers if finder.METHOD not in wanted]:
                    finders.remove(finder)
            self._session = session
        credentials = self._session.get_credentials()
        if credentials is None:
            raise botocore.exceptions.NoCredentialsError
        now = credentials.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + _ASK_AGAIN,
        }
