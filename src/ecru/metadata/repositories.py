"""Repositories of a registry, and their resource tags."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, select, update

from ecru.errors import LimitExceeded, RepositoryAlreadyExists, RepositoryNotFound
from ecru.metadata.database import Transaction
from ecru.metadata.tables import repository, resource_tag
from ecru.oci.names import RepositoryName
from ecru.policy.arn import Arn, Registry, repository_arn
from ecru.rules.mutability import ExclusionFilter, Mutability


@dataclass(frozen=True, slots=True)
class Repository:
    """A living repository and its settings."""

    id: int
    registry: Registry
    name: RepositoryName
    mutability: Mutability
    exclusion_filters: tuple[ExclusionFilter, ...]
    scan_on_push: bool
    store: str
    key_id: str
    images: int
    """How many living images it has; right as long as the repository is locked."""
    created_at: datetime

    @property
    def arn(self) -> Arn:
        """The repository's ARN."""
        return repository_arn(self.registry, self.name)


_COLUMNS = (
    repository.c.id,
    repository.c.account_id,
    repository.c.region,
    repository.c.name,
    repository.c.mutability,
    repository.c.exclusion_filters,
    repository.c.scan_on_push,
    repository.c.store,
    repository.c.key_id,
    repository.c.images,
    repository.c.created_at,
)
_FIND = select(*_COLUMNS).where(
    repository.c.account_id == bindparam("account_id"),
    repository.c.region == bindparam("region"),
    repository.c.name == bindparam("name"),
    repository.c.deleted_at.is_(None),
)
_FIND_TO_CHANGE = _FIND.with_for_update(key_share=True)
_FIND_TO_ADD = _FIND.with_for_update(read=True)


def _read(row: Sequence[Any]) -> Repository:
    key, account_id, region, name, mutability, filters, scan_on_push, store, key_id, images, created_at = row
    return Repository(
        id=key,
        registry=Registry(account_id, region),
        name=name,
        mutability=Mutability(mutability),
        exclusion_filters=tuple(ExclusionFilter(each) for each in json.loads(filters)) if filters != "[]" else (),
        scan_on_push=scan_on_push,
        store=store,
        key_id=key_id,
        images=images,
        created_at=created_at,
    )


def find(db: Transaction, registry: Registry, name: str) -> Repository | None:
    """Look a living repository up; a name that breaks the grammar finds nothing."""
    values = {"account_id": registry.account_id, "region": registry.region, "name": name}
    row = db.execute(_FIND, values).first()
    return None if row is None else _read(row)


def get(db: Transaction, registry: Registry, name: str, *, lock: str | None = None) -> Repository:
    """Load a living repository.

    Args:
        db: the transaction.
        registry: where it is.
        name: its name.
        lock: ``"change"`` keeps everyone else from changing it or its contents until the end of the transaction;
            ``"add"`` keeps it from being changed or deleted while something is added to it; None locks nothing.

    Raises:
        RepositoryNotFound: there is none of that name.
    """
    statement = _FIND if lock is None else _FIND_TO_CHANGE if lock == "change" else _FIND_TO_ADD
    values = {"account_id": registry.account_id, "region": registry.region, "name": name}
    row = db.execute(statement, values).first()
    if row is None:
        raise RepositoryNotFound(name, registry.id)
    return _read(row)


def _alive_in(registry: Registry) -> ColumnElement[bool]:
    return and_(
        repository.c.account_id == registry.account_id,
        repository.c.region == registry.region,
        repository.c.deleted_at.is_(None),
    )


def list_page(db: Transaction, registry: Registry, *, after: str | None, limit: int) -> list[Repository]:
    """List repositories by name, in byte order, from after a name on."""
    statement = select(*_COLUMNS).where(_alive_in(registry)).order_by(repository.c.name).limit(limit)
    if after is not None:
        statement = statement.where(repository.c.name > after)
    return [_read(row) for row in db.execute(statement)]


def create(
    db: Transaction,
    registry: Registry,
    name: RepositoryName,
    *,
    mutability: Mutability,
    exclusion_filters: Sequence[ExclusionFilter],
    scan_on_push: bool,
    store: str,
    key_id: str,
    now: datetime,
    limit: int,
) -> Repository:
    """Make an empty repository.

    Raises:
        RepositoryAlreadyExists: the name is taken.
        LimitExceeded: the registry has its ``limit`` of repositories.
    """
    if find(db, registry, name) is not None:
        raise RepositoryAlreadyExists(name, registry.id)
    count = db.execute(select(func.count()).select_from(repository).where(_alive_in(registry))).scalar_one()
    if count >= limit:
        raise LimitExceeded("repositories per registry", limit)
    db.execute(
        insert(repository).values(
            account_id=registry.account_id,
            region=registry.region,
            name=name,
            mutability=mutability,
            exclusion_filters=json.dumps([each.filter for each in exclusion_filters]),
            scan_on_push=scan_on_push,
            store=store,
            key_id=key_id,
            images=0,
            created_at=now,
        )
    )
    return get(db, registry, name)


def set_mutability(
    db: Transaction, target: Repository, mutability: Mutability, exclusion_filters: Sequence[ExclusionFilter]
) -> None:
    """Replace the tag mutability and its filters; tags that exist are not touched."""
    db.execute(
        update(repository)
        .where(repository.c.id == target.id)
        .values(mutability=mutability, exclusion_filters=json.dumps([each.filter for each in exclusion_filters]))
    )


def delete_row(db: Transaction, target: Repository, *, by: str, now: datetime) -> None:
    """Make a repository a tombstone; its resource tags go for good, its images are the caller's business."""
    db.execute(delete(resource_tag).where(resource_tag.c.repository_id == target.id))
    db.execute(update(repository).where(repository.c.id == target.id).values(deleted_at=now, deleted_by=by))


def list_resource_tags(db: Transaction, target: Repository) -> dict[str, str]:
    """All resource tags of a repository, by key."""
    statement = (
        select(resource_tag.c.key, resource_tag.c.value)
        .where(resource_tag.c.repository_id == target.id)
        .order_by(resource_tag.c.key)
    )
    return {row[0]: row[1] for row in db.execute(statement)}


def put_resource_tags(db: Transaction, target: Repository, tags: Mapping[str, str]) -> None:
    """Set resource tags; a key that exists gets the new value, others stay. The repository must be locked."""
    remove_resource_tags(db, target, tags)
    if tags:
        db.execute(insert(resource_tag), [{"repository_id": target.id, "key": k, "value": v} for k, v in tags.items()])


def remove_resource_tags(db: Transaction, target: Repository, keys: Iterable[str]) -> None:
    """Remove resource tags; unknown keys are ignored."""
    db.execute(delete(resource_tag).where(resource_tag.c.repository_id == target.id, resource_tag.c.key.in_(list(keys))))
