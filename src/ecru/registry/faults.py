"""What the edges can fail with, as the errors of the doors."""

from ecru.blobs.store import BlobMissing, StoreFull, StoreUnavailable
from ecru.errors import ApiError, ServerFault, StorageFull, Unavailable
from ecru.metadata.errors import DatabaseFull, DatabaseUnavailable


def as_api_error(fault: BaseException) -> ApiError:
    """Tell a client about a fault of an edge; anything unknown is a bug, and its words stay in the log."""
    match fault:
        case ApiError():
            return fault
        case StoreFull() | DatabaseFull():
            return StorageFull()
        case StoreUnavailable() | BlobMissing():
            return Unavailable("blob store")
        case DatabaseUnavailable():
            return Unavailable("database")
        case _:
            return ServerFault()
