from pathlib import Path

import pytest

from ecru.blobs.folder import FolderStore
from ecru.blobs.memory import MemoryStore
from ecru.blobs.objects import ObjectStore
from ecru.blobs.opening import InvalidStoreUrl, Keys, open_blobs
from ecru.blobs.store import Location


def test_a_file_url_opens_and_makes_a_folder(tmp_path: Path) -> None:
    store = open_blobs(f"file://{tmp_path}/some%20where/blobs", name="here")

    assert isinstance(store, FolderStore)
    assert store.name == "here"
    assert store.local_path(Location("a/b")) == tmp_path / "some where" / "blobs" / "a" / "b"
    assert (tmp_path / "some where" / "blobs").is_dir()


@pytest.mark.parametrize(
    "url", ["s3://bucket", "s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=eu-west-1", "gs://bucket/prefix"]
)
def test_the_url_of_a_bucket_opens_an_object_store(url: str) -> None:
    assert isinstance(open_blobs(url), ObjectStore)


def test_an_azure_container_opens_an_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")

    assert isinstance(open_blobs("az://container/prefix?account=account"), ObjectStore)


def test_memory_is_for_tests() -> None:
    assert isinstance(open_blobs("memory:"), MemoryStore)


@pytest.mark.parametrize(
    "url,fault",
    [
        ("ftp://somewhere", '"ftp" is no kind of blob store; there are az, file, gs, s3'),
        ("/srv/blobs", '"" is no kind of blob store'),
        ("file://srv/blobs", "three slashes"),
        ("file:blobs", "three slashes"),
        ("s3:///prefix", "names no bucket"),
        (
            "s3://bucket?enpoint=http://127.0.0.1",
            "takes the parameters endpoint, profile, public_endpoint, region, and not enpoint",
        ),
        ("s3://bucket?access_key_id=AKIA", "not access_key_id"),
        ("gs://bucket?region=eu", "takes the parameters none, and not region"),
    ],
)
def test_a_url_that_cannot_be_opened_is_explained(url: str, fault: str) -> None:
    with pytest.raises(InvalidStoreUrl, match=fault):
        open_blobs(url)


def test_keys_do_not_print_their_secret() -> None:
    assert "hush" not in repr(Keys("AKIA", "hush"))
