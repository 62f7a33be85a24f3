"""The media types a registry knows. All others are legal for layers, configs and artifacts, and mean nothing to it.

https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md
https://distribution.github.io/distribution/spec/manifest-v2-2/#media-types
"""

from typing import Final

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"

DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"

BUILDKIT_CACHE_CONFIG: Final = "application/vnd.buildkit.cacheconfig.v0"

MANIFEST_TYPES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
"""Documents with a config and layers."""

INDEX_TYPES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
"""Documents that list other documents."""

CONFIG_TYPES: Final = frozenset({OCI_CONFIG, DOCKER_CONFIG})
"""Configs of images that run: their labels mean something. Any other config belongs to an artifact."""

DOCKER_TYPES: Final = frozenset({DOCKER_MANIFEST, DOCKER_LIST})

STORED_TYPES: Final = MANIFEST_TYPES | INDEX_TYPES
"""All that may be pushed as a manifest."""

SCHEMA_1_TYPES: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)

FOREIGN_LAYER_TYPES: Final = frozenset(
    {
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
)

_LAYER_PREFIXES: Final = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")


def is_foreign_layer(media_type: str) -> bool:
    """Whether a layer of this type is fetched from its ``urls``, so that the registry need not hold it."""
    return media_type in FOREIGN_LAYER_TYPES


def is_layer(media_type: str) -> bool:
    """Whether the type is one of the known layer types: certainly no manifest."""
    return media_type.startswith(_LAYER_PREFIXES)


def without_parameters(content_type: str) -> str:
    """The bare type of a ``Content-Type``, in lowercase (RFC 9110, section 8.3.1); empty if there is none."""
    return content_type.partition(";")[0].strip().lower()
