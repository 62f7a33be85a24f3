"""Descriptors: what a document says about content that lies elsewhere.

https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ecru.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image in an index runs on; texts are empty where the index says nothing."""

    architecture: str = ""
    os: str = ""
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content by digest, with its type and its size in bytes.

    The digest's algorithm is one that content can be stored under, except where the content is never looked for: a
    ``subject`` and a foreign layer may have any. ``data`` is the content itself, held against digest and size.
    """

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    data: bytes | None = None
