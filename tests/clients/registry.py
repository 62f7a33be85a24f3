"""A registry on a port, and the clients' programs, each run with a home of its own."""

import base64
import itertools
import json
import os
import re
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import boto3
import httpx
from botocore.config import Config

from tests import programs
from tests.clients.images import Made
from tests.peers import peer
from tests.programs import Program
from tests.servers import wait_for

Api: TypeAlias = Any
"""A client of boto3, which makes its classes at run time."""

REGION = "us-east-1"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Seen:
    """A request as the server's log has it."""

    method: str
    path: str
    """Below the repository's."""
    status: int


@dataclass
class Registry:
    """A server that runs, with the key of its root."""

    program: Program
    certificate_authority: Path | None = None
    """PEM file with who signed the server's certificate; None for a server without TLS."""

    @property
    def url(self) -> str:
        """Where its API is."""
        return self.program.url

    @property
    def host(self) -> str:
        """What the names of images begin with: address and port."""
        return self.url.split("://")[1]

    @cached_property
    def credentials(self) -> Mapping[str, str]:
        """The key of the root, as the first start has kept it: variables for AWS's programs."""
        kept = (self.program.folder / "data" / "root-credentials").read_text()
        return dict(re.findall(r"^(AWS_\w+)=(\S+)$", kept, re.MULTILINE))

    @property
    def environment(self) -> dict[str, str]:
        """What `ecru env` has a shell export."""
        trust = {} if self.certificate_authority is None else {"AWS_CA_BUNDLE": str(self.certificate_authority)}
        return {**self.credentials, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.url, **trust}

    def api(self, service: str = "ecr") -> Api:
        """A client of one of AWS's services."""
        session = boto3.Session(
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )
        verify = None if self.certificate_authority is None else str(self.certificate_authority)
        once = Config(retries={"total_max_attempts": 1}, max_pool_connections=4)
        return session.client(service, endpoint_url=self.url, verify=verify, config=once)

    @cached_property
    def ecr(self) -> Api:
        """A client of the ECR API, for what a test needs beside the client it is about."""
        return self.api()

    @cached_property
    def password(self) -> str:
        """A token as `aws ecr get-login-password` prints it."""
        given = self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        return base64.b64decode(given).decode().removeprefix("AWS:")

    @property
    def authorization(self) -> str:
        """The header that a client sends after its login."""
        return "Basic " + base64.b64encode(f"AWS:{self.password}".encode()).decode()

    def http(self, **options: Any) -> httpx.Client:  # noqa: ANN401  what httpx takes
        """A client for requests of one's own, logged in."""
        headers = {"Authorization": self.authorization, **options.pop("headers", {})}
        return httpx.Client(base_url=self.url, headers=headers, verify=self.program.verify, trust_env=False, timeout=60, **options)

    def create_repository(self, name: str | None = None, **options: object) -> str:
        """Make a repository, of a name of its own unless one is given; answers the name."""
        name = name or f"team/app-{next(_numbers)}"
        self.ecr.create_repository(repositoryName=name, **options)
        return name

    def describe(self, repository: str, reference: str = "latest") -> dict[str, Any]:
        """What the API says about one image, by tag or by digest."""
        key = "imageDigest" if ":" in reference else "imageTag"
        found = self.ecr.describe_images(repositoryName=repository, imageIds=[{key: reference}])["imageDetails"]
        assert len(found) == 1
        details: dict[str, Any] = found[0]
        return details

    def tags(self, repository: str) -> dict[str, str]:
        """Digests by tag, as the API lists them."""
        pages = self.ecr.get_paginator("list_images").paginate(repositoryName=repository)
        listed = [image for page in pages for image in page["imageIds"]]
        return {image["imageTag"]: image["imageDigest"] for image in listed if "imageTag" in image}

    def push(self, repository: str, image: Made, *tags: str) -> None:
        """Push an image, and what it needs, with plain requests; without tags, by its digest."""
        with self.http() as http:
            push(http, repository, image, *tags)

    def push_all(self, repository: str, manifests: Sequence[Made]) -> None:
        """Push manifests by digest, several at once; what they need is there."""

        def push_share(share: Sequence[Made]) -> None:
            with self.http() as http:
                for made in share:
                    put_manifest(http, repository, made.digest, made)

        clients = 8
        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(push_share, [manifests[number::clients] for number in range(clients)]))

    def seen(self, repository: str) -> list[Seen]:
        """The requests so far for a repository; each worker writes its lines a little after its answers."""
        below = f"/v2/{repository}/"
        begun = f'"path": "{below}'
        lines = [json.loads(line) for line in self.program.log.splitlines() if begun in line and '"event": "request"' in line]
        return [Seen(line["method"], line["path"].removeprefix(below), line["status"]) for line in lines]

    def wait_to_see(self, repository: str, method: str, path: str, status: int) -> None:
        """Wait until such a request for a path below the repository has had that answer."""
        wait_for(
            lambda: any((each.method, each.path, each.status) == (method, path, status) for each in self.seen(repository)),
            f"{method} {path} with {status}",
        )

    def wait_for_statuses(self, repository: str, **expected: list[int]) -> None:
        """Wait until requests for a repository of one test's own have ended so: statuses by method, the lowest first."""

        def statuses() -> dict[str, list[int]]:
            seen = self.seen(repository)
            return {method: sorted(each.status for each in seen if each.method == method) for method in expected}

        try:
            wait_for(lambda: statuses() == expected, "the requests")
        except TimeoutError:
            assert statuses() == expected


def push(http: httpx.Client, repository: str, image: Made, *tags: str) -> None:
    """Push an image, and what it needs, with plain requests; without tags, by its digest."""
    for child in image.children:
        push(http, repository, child)
    for blob in image.blobs:
        push_blob(http, repository, blob)
    for reference in tags or [image.digest]:
        put_manifest(http, repository, reference, image)


def push_blob(http: httpx.Client, repository: str, content: bytes) -> str:
    """Push a blob in one request; answers its digest."""
    digest = Made(content, "").digest
    answer = http.post(f"/v2/{repository}/blobs/uploads/", params={"digest": digest}, content=content)
    assert answer.status_code == 201, answer.text
    return digest


def put_manifest(http: httpx.Client, repository: str, reference: str, image: Made) -> httpx.Response:
    """Push a manifest whose blobs and children are there."""
    path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
    answer = http.put(path, content=image.content, headers={"Content-Type": image.media_type})
    assert answer.status_code == 201, answer.text
    assert answer.headers["docker-content-digest"] == image.digest
    return answer


@contextmanager
def running_registry(
    folder: Path,
    *arguments: object,
    certificate_authority: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Registry]:
    """Start a registry; when it has stopped, nothing may have failed in it that it did not expect."""
    trust = None if certificate_authority is None else ssl.create_default_context(cafile=certificate_authority)
    registry = Registry(programs.start(folder, *arguments, environment=environment, verify=trust), certificate_authority)
    try:
        yield registry
        assert registry.program.stop() == 0
        assert_nothing_failed(registry.program)
    finally:
        registry.program.kill()


def assert_nothing_failed(program: Program) -> None:
    """See that the server has written no line about a failure of its own."""
    faults = [line for line in program.log.splitlines() if "Traceback" in line or '"level": "error"' in line]
    assert not faults, "\n".join(faults)


@dataclass
class Home:
    """Where clients keep what they know: in a folder of the tests, and nothing of whoever runs them."""

    folder: Path
    registry: Registry
    more: Mapping[str, str] = field(default_factory=dict)
    """Further variables."""

    @cached_property
    def environment(self) -> dict[str, str]:
        """The whole environment of the programs."""
        folders = {
            name: self._folder(path)
            for name, path in {
                "HOME": ".",
                "DOCKER_CONFIG": "docker",
                "TMPDIR": "tmp",
                "XDG_CACHE_HOME": ".cache",
                "XDG_CONFIG_HOME": ".config",
                "XDG_DATA_HOME": ".local/share",
                "XDG_RUNTIME_DIR": "run",
            }.items()
        }
        files = {
            "REGISTRY_AUTH_FILE": self._file("auth.json", "{}"),
            "CONTAINERS_CONF": self._file("containers.conf", '[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n'),
            "CONTAINERS_STORAGE_CONF": self._file("storage.conf", self._storage()),
        }
        trust = self.registry.certificate_authority
        system = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "SSL_CERT_FILE": str(trust) if trust else os.devnull}
        self._file(".config/containers/registries.conf", self._registries())
        self._file(".config/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
        return {**system, **folders, **files, "BUILDAH_ISOLATION": "chroot", **self.registry.environment, **self.more}

    def _registries(self) -> str:
        insecure = "false" if self.registry.certificate_authority else "true"
        return f'[[registry]]\nlocation = "{self.registry.host}"\ninsecure = {insecure}\n'

    def _storage(self) -> str:
        return f'[storage]\ndriver = "vfs"\ngraphroot = "{self.folder}/storage"\nrunroot = "{self.folder}/storage-run"\n'

    def _folder(self, path: str) -> str:
        folder = self.folder / path
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(folder)

    def _file(self, path: str, text: str) -> str:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file)

    def command(self, name: str, *first: object) -> "Command":
        """A client's program; ``first`` are arguments that go before all others."""
        return Command(self, [str(peer(name)), *map(str, first)])


@dataclass(frozen=True)
class Command:
    """A program of a client, called like a function."""

    home: Home
    command: list[str]

    def __call__(self, *arguments: object, stdin: str | bytes = b"") -> str:
        """Run it, which must succeed; answers what it printed."""
        ended = self._run(arguments, stdin)
        assert ended.returncode == 0, f"{self._shown(arguments)}\n{_text(ended.stdout)}\n{_text(ended.stderr)}"
        return _text(ended.stdout)

    def fails(self, *arguments: object, stdin: str | bytes = b"") -> str:
        """Run it, which must fail; answers what it printed."""
        ended = self._run(arguments, stdin)
        assert ended.returncode != 0, f"{self._shown(arguments)}\n{_text(ended.stdout)}\n{_text(ended.stderr)}"
        return _text(ended.stdout) + _text(ended.stderr)

    def json(self, *arguments: object, stdin: str | bytes = b"") -> Any:  # noqa: ANN401  JSON
        """Run it, which must succeed and print JSON; answers the document."""
        return json.loads(self(*arguments, stdin=stdin))

    def _run(self, arguments: tuple[object, ...], stdin: str | bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.command, *map(str, arguments)],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            env=self.home.environment,
            cwd=self.home.folder,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def _shown(self, arguments: tuple[object, ...]) -> str:
        return " ".join([*self.command, *map(str, arguments)])


def _text(printed: bytes) -> str:
    return printed.decode(errors="replace")
