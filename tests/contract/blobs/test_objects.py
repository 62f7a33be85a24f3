"""What the object store promises beside the contract, against a real S3 server."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from ecru.blobs.opening import Keys, open_blobs
from ecru.blobs.store import BlobStore, StoreFull, StoreUnavailable
from tests.contract.blobs.content import MEBIBYTE, a_segment, arriving, everything, held, needs_root, some_bytes, written
from tests.servers import Bucket, free_port, s3_server, wait_for

pytestmark = pytest.mark.anyio


def opened(bucket: Bucket, parameters: str = "", keys: Keys | None = None) -> BlobStore:
    return open_blobs(bucket.url() + parameters, keys=keys or Keys(bucket.access_key_id, bucket.secret_access_key))


@pytest.fixture
async def objects(s3_bucket: Bucket) -> AsyncIterator[BlobStore]:
    store = opened(s3_bucket)
    yield store
    await store.close()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The shell of somebody who uses the registry: what is in it was made by ``ecru env``."""
    registry = f"http://127.0.0.1:{free_port()}"
    for name, value in {
        "AWS_ENDPOINT_URL": registry,
        "AWS_ENDPOINT_URL_S3": registry,
        "AWS_ENDPOINT_URL_STS": registry,
        "AWS_ACCESS_KEY_ID": "AKIAOFTHEREGISTRY",
        "AWS_SECRET_ACCESS_KEY": "secret of the registry",
        "AWS_SESSION_TOKEN": "token of the registry",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_BUCKET": "another",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


async def test_a_signed_url_gives_the_blob_and_its_ranges_to_anybody(objects: BlobStore) -> None:
    content = some_bytes(5 * MEBIBYTE)
    [segment] = await written(objects, content)

    url = await objects.signed_url(segment.location, timedelta(minutes=1))
    assert url is not None
    async with httpx.AsyncClient() as client:
        whole = await client.get(url)
        part = await client.get(url, headers={"Range": "bytes=1000-1999"})
        changed = await client.get(url.replace("X-Amz-Signature=", "X-Amz-Signature=0"))

    assert (whole.status_code, whole.content) == (200, content)
    assert (part.status_code, part.content) == (206, content[1000:2000])
    assert changed.status_code == 403


async def test_a_signed_url_ends(objects: BlobStore) -> None:
    [segment] = await written(objects, b"content")

    url = await objects.signed_url(segment.location, timedelta(seconds=1))
    assert url is not None
    wait_for(lambda: httpx.get(url).status_code == 403, "the URL has ended")


async def test_urls_are_signed_for_the_endpoint_that_clients_see(s3_bucket: Bucket) -> None:
    store = opened(s3_bucket, "&public_endpoint=https://blobs.example.com")
    [segment] = await written(store, b"content")

    url = await store.signed_url(segment.location, timedelta(minutes=1))

    assert url is not None
    assert url.startswith(f"https://blobs.example.com/{s3_bucket.name}/blobs/{segment.location}?")


async def test_several_stores_share_a_bucket_by_their_prefix(s3_bucket: Bucket) -> None:
    keys = Keys(s3_bucket.access_key_id, s3_bucket.secret_access_key)
    one, other = (open_blobs(s3_bucket.url(prefix), keys=keys) for prefix in ("one", "other/deeper"))

    [segment] = await written(one, b"content")

    assert await everything(one) == {segment}
    assert await everything(other) == set()


@pytest.mark.parametrize("size_bytes", [3 * MEBIBYTE, 30 * MEBIBYTE])
async def test_given_up_uploads_leave_no_parts_in_the_bucket(objects: BlobStore, s3_bucket: Bucket, size_bytes: int) -> None:
    """Nobody sees those parts, and they are paid for."""
    arrived, uploading = asyncio.Event(), 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal uploading
        async for piece in arriving(some_bytes(size_bytes)):
            yield piece
        uploading = len(_uploads(s3_bucket))
        arrived.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(objects.write(a_segment(), content()))
    await arrived.wait()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await objects.close()

    assert uploading == (size_bytes > 4 * MEBIBYTE)
    assert _uploads(s3_bucket) == []
    assert await everything(objects) == set()


async def test_an_upload_whose_parts_somebody_takes_away_fails(s3_bucket: Bucket) -> None:
    store = opened(s3_bucket)

    async def content() -> AsyncIterator[bytes]:
        async for piece in arriving(some_bytes(30 * MEBIBYTE)):
            yield piece
            if uploads := _uploads(s3_bucket):
                for upload in uploads:
                    s3_bucket.client().abort_multipart_upload(Bucket=s3_bucket.name, Key=upload["Key"], UploadId=upload["UploadId"])

    with pytest.raises(StoreUnavailable):
        await store.write(a_segment(), content())


async def test_the_shell_of_a_user_of_the_registry_does_not_lead_astray(s3_bucket: Bucket, environment: pytest.MonkeyPatch) -> None:
    store = opened(s3_bucket)

    await store.check()
    [segment] = await written(store, b"content")

    assert await held(store, segment.location) == b"content"
    url = await store.signed_url(segment.location, timedelta(minutes=1))
    assert url is not None
    assert url.startswith(s3_bucket.endpoint)
    assert "Security-Token" not in url


async def test_keys_of_another_endpoint_in_the_environment_are_not_sent(s3_bucket: Bucket, environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreUnavailable, match="Unable to locate credentials"):
        await open_blobs(s3_bucket.url()).check()


@pytest.mark.parametrize("endpoint", ["none", "the bucket's"])
async def test_keys_of_the_environment_serve_when_they_are_the_buckets(
    s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_bucket.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_bucket.secret_access_key)
    if endpoint != "none":
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3_bucket.endpoint + "/")

    await open_blobs(s3_bucket.url()).check()


async def test_keys_of_the_environment_serve_a_body_that_arrives_slowly(s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials of parts are asked for by obstore, from a task of its own, once those it remembers are 0.1 s old."""
    for name, value in s3_bucket.environment().items():
        monkeypatch.setenv(name, value)
    store = open_blobs(s3_bucket.url())
    content = some_bytes(14 * MEBIBYTE)

    async def slowly() -> AsyncIterator[bytes]:
        async for piece in arriving(content, MEBIBYTE):
            await asyncio.sleep(0.04)
            yield piece

    location = a_segment()
    await store.write(location, slowly())

    assert await held(store, location) == content
    await store.close()


async def test_a_profile_named_in_the_url_serves_whatever_the_environment_says(
    s3_bucket: Bucket, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(
        "[default]\naws_access_key_id = AKIAOFTHEREGISTRY\naws_secret_access_key = secret of the registry\n"
        f"[bucket]\naws_access_key_id = {s3_bucket.access_key_id}\naws_secret_access_key = {s3_bucket.secret_access_key}\n"
    )
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", os.fspath(credentials))

    await open_blobs(s3_bucket.url() + "&profile=bucket").check()
    with pytest.raises(StoreUnavailable, match="Unable to locate credentials"):
        await open_blobs(s3_bucket.url()).check()


async def test_a_check_says_what_is_wrong_with_the_keys(s3_bucket: Bucket) -> None:
    with pytest.raises(StoreUnavailable, match=r"SignatureDoesNotMatch: .*; check its credentials"):
        await opened(s3_bucket, keys=Keys(s3_bucket.access_key_id, "wrong")).check()


async def test_a_check_says_that_there_is_no_such_bucket(s3_bucket: Bucket) -> None:
    keys = Keys(s3_bucket.access_key_id, s3_bucket.secret_access_key)

    with pytest.raises(StoreUnavailable, match="there is no such bucket; make the bucket"):
        await open_blobs(f"s3://no-such-bucket?endpoint={s3_bucket.endpoint}", keys=keys).check()


async def test_a_check_says_that_nobody_answers(s3_bucket: Bucket) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(StoreUnavailable, match=f"at {nobody}: .*check its endpoint"):
        await open_blobs(f"s3://bucket?endpoint={nobody}", keys=Keys("key", "secret")).check()


@needs_root
async def test_a_full_bucket_is_said_to_be_full_and_nothing_is_left(small_disk: Path) -> None:
    with s3_server(small_disk) as bucket:
        store = opened(bucket)
        kept = set(await written(store, *[some_bytes(4 * MEBIBYTE)] * 3))

        for size_bytes in (4 * MEBIBYTE, 20 * MEBIBYTE):
            with pytest.raises(StoreFull):
                await store.write(a_segment(), arriving(some_bytes(size_bytes)))

        assert _uploads(bucket) == []
        assert await everything(store) == kept
        await store.delete([kept.pop().location])
        [segment] = await written(store, some_bytes(4 * MEBIBYTE))
        assert await held(store, segment.location) == some_bytes(4 * MEBIBYTE)
        await store.close()


async def test_a_process_ends_well_right_after_it_closed_its_store(s3_bucket: Bucket) -> None:
    program = """
import asyncio, sys
from ecru.blobs.opening import Keys, open_blobs

async def main(url, key, secret):
    store = open_blobs(url, keys=Keys(key, secret))
    await store.check()
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""
    command = [sys.executable, "-c", program, s3_bucket.url(), s3_bucket.access_key_id, s3_bucket.secret_access_key]

    ended = [await (await asyncio.create_subprocess_exec(*command)).wait() for _ in range(10)]

    assert ended == [0] * 10


def _uploads(bucket: Bucket) -> list[dict[str, str]]:
    uploads: list[dict[str, str]] = bucket.client().list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])
    return uploads
