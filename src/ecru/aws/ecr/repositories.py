"""Repositories: make, describe, delete, and their tag mutability."""

from collections.abc import Sequence
from typing import Any

from ecru.aws.operation import named_repositories, named_repository, operation
from ecru.aws.paging import parse_token, render_token
from ecru.blobs import layout
from ecru.call import Call
from ecru.errors import (
    InvalidParameter,
    InvalidTags,
    LimitExceeded,
    NotBuilt,
    RepositoryAlreadyExists,
    RepositoryNotEmpty,
    RepositoryNotFound,
    TooManyTags,
)
from ecru.metadata import blobs, images, repositories, uploads
from ecru.metadata.database import Transaction
from ecru.metadata.repositories import Repository
from ecru.oci.names import RepositoryName
from ecru.registry.uploads import LONGEST_BODY
from ecru.rules.mutability import ExclusionFilter, InvalidExclusionFilters, Mutability, check_filters
from ecru.rules.resource_tags import InvalidResourceTags, TooManyResourceTags, check_resource_tags

_PAGE = 100
_DEFAULT_STORE = "default"


@operation(
    "CreateRepository",
    writes=True,
    resource=named_repository,
    raises=[RepositoryAlreadyExists, LimitExceeded, InvalidTags, TooManyTags, NotBuilt],
)
def create_repository(
    db: Transaction,
    call: Call,
    *,
    repository_name: str,
    registry_id: str | None = None,
    tags: Sequence[dict[str, str]] = (),
    image_tag_mutability: str = Mutability.MUTABLE,
    image_tag_mutability_exclusion_filters: Sequence[dict[str, str]] = (),
    image_scanning_configuration: dict[str, Any] | None = None,
    encryption_configuration: dict[str, Any] | None = None,
) -> dict[str, object]:
    """Make an empty repository, with its resource tags or not at all.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
    """
    _refuse_encryption_keys(encryption_configuration or {})
    if (image_scanning_configuration or {}).get("scan_on_push"):
        raise NotBuilt("Scanning on push", "Create the repository without scanOnPush.")
    mutability, filters = read_mutability(image_tag_mutability, image_tag_mutability_exclusion_filters)
    checked_tags = read_resource_tags(tags)
    repository = repositories.create(
        db,
        call.in_registry(registry_id),
        RepositoryName(repository_name),
        mutability=mutability,
        exclusion_filters=filters,
        scan_on_push=False,
        store=_DEFAULT_STORE,
        key_id="",
        now=call.now,
        limit=call.deployment.limits.repositories_per_registry,
    )
    repositories.put_resource_tags(db, repository, checked_tags)
    return {"repository": describe(call, repository)}


def _refuse_encryption_keys(configuration: dict[str, Any]) -> None:
    """Refuse encryption keys rather than store and ignore them."""
    kind = configuration.get("encryption_type", "AES256")
    if kind == "AES256" and configuration.get("kms_key"):
        rule = "Invalid encryption configuration: Encryption key should not be set for AES256 encryption."
        raise InvalidParameter("encryptionConfiguration", rule)
    if kind != "AES256":
        raise NotBuilt(f"Encryption with '{kind}'", "Create the repository with encryptionType AES256.")


def read_mutability(text: str, filters: Sequence[dict[str, str]]) -> tuple[Mutability, list[ExclusionFilter]]:
    """Read a tag mutability with its filters.

    Raises:
        InvalidParameter: they do not fit each other.
    """
    mutability, exclusions = Mutability(text), [ExclusionFilter(each["filter"]) for each in filters]
    try:
        check_filters(mutability, exclusions)
    except InvalidExclusionFilters as fault:
        raise InvalidParameter("imageTagMutabilityExclusionFilters", str(fault)) from None
    return mutability, exclusions


def read_resource_tags(tags: Sequence[dict[str, str]]) -> dict[str, str]:
    """Read resource tags of a request.

    Raises:
        InvalidTags, TooManyTags: they break a rule.
    """
    try:
        return check_resource_tags([(each["key"], each["value"]) for each in tags])
    except InvalidResourceTags as fault:
        raise InvalidTags(str(fault)) from None
    except TooManyResourceTags as fault:
        raise TooManyTags(fault.count, fault.limit) from None


def describe(call: Call, repository: Repository) -> dict[str, object]:
    """A repository as the API shows it."""
    described: dict[str, object] = {
        "repository_arn": repository.arn,
        "registry_id": repository.registry.id,
        "repository_name": repository.name,
        "repository_uri": f"{call.registry_host(repository.registry)}/{repository.name}",
        "created_at": repository.created_at,
        "image_tag_mutability": repository.mutability,
        "image_scanning_configuration": {"scan_on_push": repository.scan_on_push},
        "encryption_configuration": {"encryption_type": "AES256"},
    }
    if repository.exclusion_filters:
        described["image_tag_mutability_exclusion_filters"] = describe_filters(repository.exclusion_filters)
    return described


def describe_filters(filters: Sequence[ExclusionFilter]) -> list[dict[str, str]]:
    """Exclusion filters as the API shows them."""
    return [{"filter_type": "WILDCARD", "filter": each.filter} for each in filters]


@operation("DescribeRepositories", long=True, resource=named_repositories, raises=[RepositoryNotFound])
def describe_repositories(
    db: Transaction,
    call: Call,
    *,
    registry_id: str | None = None,
    repository_names: Sequence[str] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> dict[str, object]:
    """Describe the named repositories, all of them or an error; without names, a page of all.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeRepositories.html
    """
    registry = call.in_registry(registry_id)
    if repository_names is not None:
        refuse_paging("repositoryNames", next_token, max_results)
        found = [repositories.get(db, registry, name) for name in dict.fromkeys(repository_names)]
        return {"repositories": [describe(call, each) for each in found]}
    question = ["repositories", registry.account_id, registry.region]
    position = parse_token(next_token, question, (str,))
    limit = max_results or _PAGE
    after = None if position is None else str(position[0])
    page = repositories.list_page(db, registry, after=after, limit=limit + 1)
    answer: dict[str, object] = {"repositories": [describe(call, each) for each in page[:limit]]}
    if len(page) > limit:
        answer["next_token"] = render_token([page[limit - 1].name], question)
    return answer


def refuse_paging(member: str, next_token: str | None, max_results: int | None) -> None:
    """A list of names or ids is answered whole.

    Raises:
        InvalidParameter: the request asks for pages of it.
    """
    if next_token is not None or max_results is not None:
        raise InvalidParameter("maxResults" if next_token is None else "nextToken", f"cannot be used together with {member}")


@operation("DeleteRepository", writes=True, resource=named_repository, raises=[RepositoryNotFound, RepositoryNotEmpty])
def delete_repository(
    db: Transaction, call: Call, *, repository_name: str, registry_id: str | None = None, force: bool = False
) -> dict[str, object]:
    """Delete a repository; with ``force``, its images too.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DeleteRepository.html
    """
    repository = repositories.get(db, call.in_registry(registry_id), repository_name, lock="change")
    if repository.images and not force:
        raise RepositoryNotEmpty(repository.name, repository.registry.id)
    described = describe(call, repository)
    by, now, deployment = call.principal.arn, call.now, call.deployment
    images.bury_all(db, repository.id, by=by, now=now, purge_at=now + deployment.deleted_image_retention)
    blobs.reconsider_all(db, repository.id, due_at=now + deployment.collection_grace)
    for upload_id in uploads.close_all(db, repository.id):
        prefix = layout.prefix(upload_id)
        blobs.discard(db, repository.store, [prefix], due_at=now + LONGEST_BODY)
    repositories.delete_row(db, repository, by=by, now=now)
    return {"repository": described}


@operation("PutImageTagMutability", writes=True, resource=named_repository, raises=[RepositoryNotFound])
def put_image_tag_mutability(
    db: Transaction,
    call: Call,
    *,
    repository_name: str,
    image_tag_mutability: str,
    registry_id: str | None = None,
    image_tag_mutability_exclusion_filters: Sequence[dict[str, str]] = (),
) -> dict[str, object]:
    """Replace the tag mutability of a repository and its filters; it acts on pushes to come.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImageTagMutability.html
    """
    mutability, filters = read_mutability(image_tag_mutability, image_tag_mutability_exclusion_filters)
    repository = repositories.get(db, call.in_registry(registry_id), repository_name, lock="change")
    repositories.set_mutability(db, repository, mutability, filters)
    answer: dict[str, object] = {
        "registry_id": repository.registry.id,
        "repository_name": repository.name,
        "image_tag_mutability": mutability,
    }
    if filters:
        answer["image_tag_mutability_exclusion_filters"] = describe_filters(filters)
    return answer
