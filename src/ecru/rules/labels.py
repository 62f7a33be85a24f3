"""Which annotations and labels of an image are indexed, so that images can be found by them.

Both come from strangers and may be as large as a manifest. The index takes the short ones, and not without end; all of
them are stored with the manifest in any case.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

LABELS_PER_IMAGE = 1_000
NAME_LIMIT_BYTES = 256
VALUE_LIMIT_BYTES = 512
"""With the name well below what PostgreSQL takes into an index row, 2,704 bytes."""


@dataclass(frozen=True, slots=True)
class Label:
    """An annotation of a manifest, or a label of an image's config."""

    source: Literal["annotation", "label"]
    name: str
    value: str


def select_indexed(annotations: Mapping[str, str], labels: Mapping[str, str]) -> tuple[list[Label], int]:
    """Choose what the index takes, annotations first, and tell how many it leaves out."""
    everything = [
        *(Label("annotation", name, value) for name, value in annotations.items()),
        *(Label("label", name, value) for name, value in labels.items()),
    ]
    chosen = [
        label
        for label in everything
        if len(label.name.encode()) <= NAME_LIMIT_BYTES and len(label.value.encode()) <= VALUE_LIMIT_BYTES
    ][:LABELS_PER_IMAGE]
    return chosen, len(everything) - len(chosen)
