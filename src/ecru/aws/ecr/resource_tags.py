"""Resource tags of repositories."""

from collections.abc import Sequence

from ecru.aws.ecr.repositories import read_resource_tags
from ecru.aws.operation import given_arn, operation
from ecru.call import Call
from ecru.errors import InvalidTags, RepositoryNotFound, TooManyTags
from ecru.metadata import repositories
from ecru.metadata.database import Transaction
from ecru.metadata.repositories import Repository
from ecru.policy.arn import parse_repository_arn
from ecru.rules.resource_tags import InvalidResourceTags, TooManyResourceTags, check_count, check_tag_key


def _repository(db: Transaction, resource_arn: str, *, lock: str | None = None) -> Repository:
    registry, name = parse_repository_arn(resource_arn)
    return repositories.get(db, registry, name, lock=lock)


@operation("TagResource", writes=True, resource=given_arn, raises=[RepositoryNotFound, InvalidTags, TooManyTags])
def tag_resource(
    db: Transaction,
    call: Call,  # noqa: ARG001 - one signature for all
    *,
    resource_arn: str,
    tags: Sequence[dict[str, str]],
) -> dict[str, object]:
    """Add resource tags; one with the same key gets the new value.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_TagResource.html
    """
    added = read_resource_tags(tags)
    repository = _repository(db, resource_arn, lock="change")
    try:
        check_count(len(repositories.list_resource_tags(db, repository) | added))
    except TooManyResourceTags as fault:
        raise TooManyTags(fault.count, fault.limit) from None
    repositories.put_resource_tags(db, repository, added)
    return {}


@operation("UntagResource", writes=True, resource=given_arn, raises=[RepositoryNotFound, InvalidTags])
def untag_resource(
    db: Transaction,
    call: Call,  # noqa: ARG001 - one signature for all
    *,
    resource_arn: str,
    tag_keys: Sequence[str],
) -> dict[str, object]:
    """Remove resource tags; unknown keys are ignored.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UntagResource.html
    """
    try:
        for key in tag_keys:
            check_tag_key(key)
    except InvalidResourceTags as fault:
        raise InvalidTags(str(fault)) from None
    repository = _repository(db, resource_arn, lock="change")
    repositories.remove_resource_tags(db, repository, tag_keys)
    return {}


@operation("ListTagsForResource", resource=given_arn, raises=[RepositoryNotFound])
def list_tags_for_resource(
    db: Transaction,
    call: Call,  # noqa: ARG001 - one signature for all
    *,
    resource_arn: str,
) -> dict[str, object]:
    """List the resource tags of a repository, by key.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListTagsForResource.html
    """
    tags = repositories.list_resource_tags(db, _repository(db, resource_arn))
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
