"""Referrers: the images that name another one as their subject."""

import base64
import json
from urllib.parse import quote, urlencode

from ecru.call import Call
from ecru.distribution.blobs import read_digest
from ecru.distribution.declare import route
from ecru.distribution.exchange import Answer, Request
from ecru.errors import InvalidParameter
from ecru.metadata import images, repositories
from ecru.metadata.database import Transaction
from ecru.metadata.images import Referrer
from ecru.oci.media_types import OCI_INDEX
from ecru.policy.arn import Registry

_PAGE_ENTRIES = 1_000
"""A page stays below the limit of a manifest too, which clients hold lists of referrers to."""


@route("GET", "/v2/{name}/referrers/{digest}", actions=["ecr:BatchGetImage"])
async def list_referrers(request: Request, call: Call, *, name: str, digest: str) -> Answer:
    """List referrers as an image index, in pages; a digest that nothing is known of has an empty list.

    ``end-12``. https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
    """
    subject, artifact_type = read_digest(digest), request.first("artifactType")
    after = _position(request.first("after"))

    def load(db: Transaction, registry: Registry) -> tuple[list[Referrer], bool]:
        repository = repositories.get(db, registry, name)
        return images.list_referrers(
            db,
            repository.id,
            subject,
            artifact_types=[] if artifact_type is None else [artifact_type],
            statuses=[images.ACTIVE],
            after=after,
            limit=_PAGE_ENTRIES,
        )

    page, more = await call.deployment.database.read_long(load, call.registry)
    headers = {"Content-Type": OCI_INDEX}
    if artifact_type is not None:
        headers["OCI-Filters-Applied"] = "artifactType"
    if more:
        query = {} if artifact_type is None else {"artifactType": artifact_type}
        query["after"] = base64.urlsafe_b64encode(str(page[-1].id).encode()).decode()
        headers["Link"] = f'<{quote(f"/v2/{name}/referrers/{digest}")}?{urlencode(query)}>; rel="next"'
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_descriptor(each) for each in page]}
    return Answer(200, headers, json.dumps(document).encode())


def _descriptor(referrer: Referrer) -> dict[str, object]:
    described: dict[str, object] = {
        "mediaType": referrer.media_type,
        "digest": referrer.digest,
        "size": referrer.manifest_bytes,
    }
    if referrer.artifact_type is not None:
        described["artifactType"] = referrer.artifact_type
    if referrer.annotations:
        described["annotations"] = dict(referrer.annotations)
    return described


def _position(text: str | None) -> int:
    """Read where a page begins.

    Raises:
        InvalidParameter: the value is not one that a ``Link`` gave.
    """
    if text is None:
        return 0
    try:
        position = int(base64.urlsafe_b64decode(text))
    except ValueError:
        position = -1
    if not 0 <= position < 2**63:  # what an id can be
        raise InvalidParameter("after", "must be taken from the Link of the page before")
    return position
