"""A full disk is told to clients in so many words, loses nothing that was acknowledged, and is over when there is room again."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from ecru.oci.digest import Digest, digest_of
from ecru.oci.media_types import OCI_MANIFEST
from tests.durability.deployment import REPOSITORY, Deployment, create_repository, ecr_client, log_in
from tests.making import a_config, a_manifest
from tests.programs import Program
from tests.servers import wait_for

MEBIBYTE = 1024 * 1024
DISK_BYTES, FILLER_BYTES = 24 * MEBIBYTE, 8 * MEBIBYTE
FULL = "no storage space left"
UPLOADS = f"/v2/{REPOSITORY}/blobs/uploads/"
CONFIG = a_config()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk, a third of which somebody else fills."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"this root may not mount a small disk: {mounted.stderr}")
    try:
        (folder / "filler").write_bytes(bytes(FILLER_BYTES))
        yield folder
    finally:
        # A killed process lets go of its files a moment after it is gone.
        wait_for(lambda: subprocess.run(["umount", folder], check=False, capture_output=True).returncode == 0, "umount")


@dataclass
class Registry:
    """A running server, and what it has acknowledged."""

    deployment: Deployment
    program: Program
    http: httpx.Client
    authorization: str
    blobs: set[Digest] = field(default_factory=set)
    images: dict[str, bytes] = field(default_factory=dict)

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:  # noqa: ANN401 - what httpx takes
        """Ask, logged in."""
        return self.http.request(
            method, f"{self.program.url}{path}", headers={"Authorization": self.authorization, **how.pop("headers", {})}, **how
        )

    def start_again(self) -> None:
        """Kill the server and start it."""
        self.program.kill()
        self.program = self.deployment.start()

    def in_one_post(self, content: bytes) -> httpx.Response:
        """Push a blob."""
        return self.noted(content, self.ask("POST", UPLOADS, params={"digest": digest_of(content)}, content=content))

    def in_post_and_put(self, content: bytes) -> httpx.Response:
        """Push a blob."""
        opened = self.ask("POST", UPLOADS)
        if opened.status_code != httpx.codes.ACCEPTED:
            return opened
        return self.noted(
            content, self.ask("PUT", opened.headers["location"], params={"digest": digest_of(content)}, content=content)
        )

    def in_chunks(self, content: bytes) -> httpx.Response:
        """Push a blob."""
        opened = answer = self.ask("POST", UPLOADS)
        for chunk in (content[: len(content) // 2], content[len(content) // 2 :]):
            if answer.status_code == httpx.codes.ACCEPTED:
                answer = self.ask("PATCH", opened.headers["location"], content=chunk)
        if answer.status_code != httpx.codes.ACCEPTED:
            return answer
        return self.noted(content, self.ask("PUT", opened.headers["location"], params={"digest": digest_of(content)}))

    def noted(self, content: bytes, answer: httpx.Response) -> httpx.Response:
        """Remember what was acknowledged."""
        if answer.status_code == httpx.codes.CREATED:
            self.blobs.add(digest_of(content))
        return answer

    def push_image(self, tag: str, annotation: str = "") -> httpx.Response:
        """Push a manifest that takes some room in the database."""
        manifest = a_manifest(config=CONFIG, layers=[], annotations={"tag": tag, "text": annotation})
        answer = self.ask("PUT", f"/v2/{REPOSITORY}/manifests/{tag}", content=manifest, headers={"Content-Type": OCI_MANIFEST})
        if answer.status_code == httpx.codes.CREATED:
            self.images[tag] = manifest
        return answer

    def lost(self) -> list[str]:
        """What was acknowledged and is not there, through either door."""
        found = []
        for digest in self.blobs:
            answer = self.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest}")
            if not answer.is_success or digest_of(answer.content) != digest:
                found.append(f"{digest}: {answer.status_code}")
        for tag, manifest in self.images.items():
            if self.ask("GET", f"/v2/{REPOSITORY}/manifests/{tag}").content != manifest:
                found.append(tag)
        pages = ecr_client(self.program).get_paginator("describe_images").paginate(repositoryName=REPOSITORY)
        described = {tag for page in pages for image in page["imageDetails"] for tag in image["imageTags"]}
        return found + sorted(self.images.keys() - described)


@contextmanager
def running(deployment: Deployment) -> Iterator[Registry]:
    """A registry with a repository and the config of its images."""
    program = deployment.start()
    with httpx.Client(trust_env=False, timeout=60) as http:
        create_repository(program)
        registry = Registry(deployment, program, http, log_in(program))
        try:
            assert registry.in_one_post(CONFIG).status_code == httpx.codes.CREATED
            yield registry
        finally:
            registry.program.kill()


def push_until_refused(push: Callable[[int], httpx.Response]) -> httpx.Response:
    """Push again and again, and answer the refusal."""
    for number in range(1_000):
        answer = push(number)
        if answer.status_code != httpx.codes.CREATED:
            return answer
    raise AssertionError("a small disk takes no thousand pushes")


def says_that_it_is_full(answer: httpx.Response) -> bool:
    [error] = answer.json()["errors"]
    return answer.status_code == httpx.codes.INSUFFICIENT_STORAGE and error["code"] == "UNAVAILABLE" and FULL in error["message"]


def some_bytes(number: int, size_bytes: int = MEBIBYTE) -> bytes:
    return number.to_bytes(8) * (size_bytes // 8)


def upload_through_the_api(ecr: Any, content: bytes) -> None:  # noqa: ANN401 - boto3 makes its classes at run time
    upload = ecr.initiate_layer_upload(repositoryName=REPOSITORY)["uploadId"]
    part = {"partFirstByte": 0, "partLastByte": len(content) - 1, "layerPartBlob": content}
    ecr.upload_layer_part(repositoryName=REPOSITORY, uploadId=upload, **part)
    ecr.complete_layer_upload(repositoryName=REPOSITORY, uploadId=upload, layerDigests=[digest_of(content)])


def test_a_disk_full_of_blobs_is_told_loses_nothing_and_is_over_with_the_space(disk: Path, tmp_path: Path) -> None:
    with running(Deployment(tmp_path, ["--blobs", f"file://{disk}/blobs"])) as registry:
        ecr = ecr_client(registry.program)
        workers = registry.program.children()

        refusals = [push_until_refused(lambda number: registry.in_one_post(some_bytes(number)))]
        refusals += [push_until_refused(lambda number: registry.in_one_post(some_bytes(10_000 + number, 4096)))]
        refusals += [push(some_bytes(2_000)) for push in (registry.in_post_and_put, registry.in_chunks)]
        assert all(map(says_that_it_is_full, refusals)), [refusal.text for refusal in refusals]
        with pytest.raises(ClientError, match=FULL) as refused:
            upload_through_the_api(ecr, some_bytes(3_000, 5 * MEBIBYTE))
        assert refused.value.response["Error"]["Code"] == "ServerException"

        assert registry.push_image("beside").status_code == httpx.codes.CREATED  # the database has room
        assert registry.lost() == []
        assert registry.program.get("/readyz").is_success
        assert registry.program.children() == workers

        registry.start_again()
        assert registry.lost() == []
        assert says_that_it_is_full(registry.in_one_post(some_bytes(4_000)))

        (disk / "filler").unlink()
        ecr = ecr_client(registry.program)
        for push in (registry.in_one_post, registry.in_post_and_put, registry.in_chunks):
            assert push(some_bytes(5_000)).status_code == httpx.codes.CREATED
        upload_through_the_api(ecr, some_bytes(6_000))
        assert registry.lost() == []


def test_a_disk_full_of_rows_is_told_loses_nothing_and_is_over_with_the_space(disk: Path, tmp_path: Path) -> None:
    """A statement that finds the disk full can end the transaction of its neighbours too: ADR 2."""
    long = "x" * 300_000
    with running(Deployment(tmp_path, database=f"sqlite:///{disk}/ecru.db")) as registry:
        ecr = ecr_client(registry.program)
        workers = registry.program.children()

        refusals = [push_until_refused(lambda number: registry.push_image(f"{number}", long))]
        refusals += [push_until_refused(lambda number: registry.push_image(f"small-{number}"))]
        assert all(map(says_that_it_is_full, refusals)), [refusal.text for refusal in refusals]
        manifest = a_manifest(config=CONFIG, layers=[], annotations={"text": long})
        with pytest.raises(ClientError, match=FULL) as through_the_api:
            ecr.put_image(repositoryName=REPOSITORY, imageManifest=manifest.decode(), imageTag="api")
        assert through_the_api.value.response["Error"]["Code"] == "ServerException"

        assert registry.lost() == []
        assert registry.program.get("/readyz").is_success
        assert registry.program.children() == workers

        registry.start_again()
        assert registry.lost() == []
        assert says_that_it_is_full(push_until_refused(lambda number: registry.push_image(f"again-{number}", long)))

        (disk / "filler").unlink()
        assert registry.push_image("room", long).status_code == httpx.codes.CREATED
        ecr_client(registry.program).put_image(repositoryName=REPOSITORY, imageManifest=manifest.decode(), imageTag="api")
        assert registry.lost() == []


def test_of_many_pushes_to_a_full_database_each_is_kept_or_told(disk: Path, tmp_path: Path) -> None:
    """They share transactions, and one that finds no room must not take its neighbours along."""
    with running(Deployment(tmp_path, database=f"sqlite:///{disk}/ecru.db")) as registry, ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda number: registry.push_image(f"{number}", "x" * 100_000), range(400)))

        created = [answer for answer in answers if answer.status_code == httpx.codes.CREATED]
        refused = [answer for answer in answers if answer.status_code != httpx.codes.CREATED]
        assert created
        assert refused
        assert all(map(says_that_it_is_full, refused)), {refusal.text for refusal in refused}
        assert registry.lost() == []

        registry.start_again()
        assert registry.lost() == []


def test_a_disk_full_of_everything_leaves_the_server_answering(disk: Path) -> None:
    """Blobs, rows, logs of the database and the counters of the metrics, which lie in mapped files."""
    with running(Deployment(disk)) as registry:
        workers = registry.program.children()

        refused = push_until_refused(lambda number: registry.in_one_post(some_bytes(number)))
        smaller = push_until_refused(lambda number: registry.in_one_post(some_bytes(10_000 + number, 4096)))
        smallest = push_until_refused(lambda number: registry.push_image(f"{number}", "x" * 1000))
        assert all(map(says_that_it_is_full, (refused, smaller, smallest))), (refused.text, smaller.text, smallest.text)
        # Each of these is counted under another route, method or status.
        for path in ("tags/list", "blobs/uploads/none", "blobs/none", "manifests/none", f"referrers/{digest_of(CONFIG)}", "none"):
            for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"):
                assert registry.ask(method, f"/v2/{REPOSITORY}/{path}").status_code != httpx.codes.INTERNAL_SERVER_ERROR

        assert registry.lost() == []
        assert registry.program.children() == workers

        (disk / "filler").unlink()
        assert registry.in_chunks(some_bytes(20_000)).status_code == httpx.codes.CREATED
        assert registry.push_image("room").status_code == httpx.codes.CREATED
        assert registry.lost() == []
