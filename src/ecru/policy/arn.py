"""Names of registries, repositories and principals as IAM spells them."""

import re
from dataclasses import dataclass
from typing import NewType

Arn = NewType("Arn", str)
AccountId = NewType("AccountId", str)
Region = NewType("Region", str)

_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[0-9a-z-]{2,25}")
_REPOSITORY = re.compile(r"arn:(aws[a-z-]*):ecr:([0-9a-z-]{2,25}):([0-9]{12}):repository/(.{2,256})")


class InvalidArn(ValueError):
    """Text that is no name of the kind that was asked for."""


@dataclass(frozen=True, slots=True)
class Registry:
    """One account's registry in one region: the unit that holds repositories."""

    account_id: AccountId
    region: Region

    @property
    def id(self) -> AccountId:
        """The registry id of the API, which is the account's."""
        return self.account_id


def parse_account_id(text: str) -> AccountId:
    """Read a 12-digit account id.

    Raises:
        InvalidArn: the text is something else.
    """
    if not _ACCOUNT_ID.fullmatch(text):
        raise InvalidArn(f"an account id has 12 digits, not '{text}'")
    return AccountId(text)


def parse_region(text: str) -> Region:
    """Read a region name, as ``us-east-1``; whether it is configured is not checked.

    Raises:
        InvalidArn: the text is something else.
    """
    if not _REGION.fullmatch(text):
        raise InvalidArn(f"a region has 2 to 25 lower-case letters, digits and dashes, unlike '{text}'")
    return Region(text)


def partition_of(region: Region) -> str:
    """Tell the partition that AWS gives a region's ARNs."""
    for prefix, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc")):
        if region.startswith(prefix):
            return partition
    return "aws"


def repository_arn(registry: Registry, name: str) -> Arn:
    """Name a repository; it need not exist."""
    return Arn(f"arn:{partition_of(registry.region)}:ecr:{registry.region}:{registry.account_id}:repository/{name}")


def root_arn(account_id: AccountId) -> Arn:
    """Name the root principal of an account."""
    return Arn(f"arn:aws:iam::{account_id}:root")


def parse_repository_arn(text: str) -> tuple[Registry, str]:
    """Read a repository's ARN into its registry and name; the name's grammar is not checked.

    Raises:
        InvalidArn: the text is no ARN of an ECR repository.
    """
    found = _REPOSITORY.fullmatch(text)
    if found is None:
        raise InvalidArn(f"'{text}' is no ARN of a repository")
    partition, region, account, name = found.groups()
    if partition != partition_of(Region(region)):
        raise InvalidArn(f"'{text}' names the partition '{partition}', which does not hold the region '{region}'")
    return Registry(AccountId(account), Region(region)), name
