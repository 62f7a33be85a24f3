"""The quotas of a registry; the defaults are ECR's (reference: quotas, private, per region and account)."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a thing there may be."""

    repositories_per_registry: int = 100_000
    images_per_repository: int = 100_000
    tags_per_image: int = 1_000
    layer_bytes: int = 52_000 * MEBIBYTE
    parts_per_upload: int = 4_200
    """Parts of one upload through the ECR API."""
    segments_per_upload: int = 60_000
    """Chunks of one upload through ``/v2/``, where clients choose the size of a chunk."""
