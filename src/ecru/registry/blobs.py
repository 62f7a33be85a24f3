"""Blobs of a repository: who may have them, from where, and when they go."""

from ecru.blobs.store import BlobStore
from ecru.call import Call, Deployment
from ecru.errors import BlobInUse, BlobNotFound
from ecru.metadata import accounts, blobs, repositories
from ecru.metadata.blobs import Blob
from ecru.metadata.database import Transaction
from ecru.metadata.repositories import Repository
from ecru.oci.digest import Digest
from ecru.policy.arn import Registry

MOUNTING_SETTING = "BLOB_MOUNTING"
ENABLED = "ENABLED"
DISABLED = "DISABLED"


def find(db: Transaction, registry: Registry, name: str, digest: Digest) -> tuple[Repository, Blob]:
    """Load a blob that a repository may serve.

    Raises:
        RepositoryNotFound, BlobNotFound: it is not there.
    """
    repository = repositories.get(db, registry, name)
    blob = blobs.find(db, repository.id, digest)
    if blob is None:
        raise BlobNotFound(digest, name, registry.id)
    return repository, blob


async def find_whole(deployment: Deployment, registry: Registry, name: str, digest: Digest) -> tuple[Blob, BlobStore]:
    """Load a blob and look that its bytes are there: a row alone must not tell a client to skip its upload.

    Bytes that are gone or cut off count as missing, so that a push brings them back.

    Raises:
        RepositoryNotFound, BlobNotFound: it is not there, or its bytes are not.
    """
    repository, blob = await deployment.database.read(find, registry, name, digest)
    store = deployment.stores[repository.store]
    if await store.size(blob.location) != blob.size_bytes:
        raise BlobNotFound(digest, name, registry.id)
    return blob, store


def mount(db: Transaction, call: Call, registry: Registry, *, target: str, source: str, digest: Digest) -> bool:
    """Let a repository serve a blob of another one in the same registry, if the account setting is on.

    The caller has asked for the right on both. False says that the client has to upload the bytes; nothing tells why.
    Only repositories with the same store and encryption key share blobs.

    Raises:
        RepositoryNotFound: there is no target.
    """
    into = repositories.get(db, registry, target, lock="add")
    if accounts.find_setting(db, registry, MOUNTING_SETTING) != ENABLED:
        return False
    origin = repositories.find(db, registry, source)
    if origin is None or (origin.store, origin.key_id) != (into.store, into.key_id):
        return False
    blob = blobs.find_all(db, origin.id, [digest], lock=True).get(digest)
    if blob is None:
        return False
    due_at = call.now + call.deployment.collection_grace
    blobs.link(db, into.id, blob.id, now=call.now, due_at=due_at)
    return True


def delete(db: Transaction, call: Call, registry: Registry, name: str, digest: Digest) -> None:
    """Serve a blob of a repository no longer; its bytes go after the grace period, when nothing else needs them.

    Raises:
        RepositoryNotFound, BlobNotFound: it is not there.
        BlobInUse: a living image of the repository needs it.
    """
    repository = repositories.get(db, registry, name, lock="change")
    blob = blobs.find_all(db, repository.id, [digest], lock=True).get(digest)
    if blob is None:
        raise BlobNotFound(digest, name, registry.id)
    if blobs.is_needed(db, repository.id, blob.id):
        raise BlobInUse(digest, name)
    blobs.hide(db, repository.id, blob.id, now=call.now)
    blobs.reconsider(db, repository.id, [blob.id], due_at=call.now + call.deployment.collection_grace)
