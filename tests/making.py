"""Documents and blobs for tests: valid unless you say otherwise, and the same bytes each time."""

import gzip
import io
import json
import tarfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from ecru.oci.descriptor import Descriptor, Platform
from ecru.oci.digest import Algorithm, digest_of
from ecru.oci.media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)

_CONFIG_TYPES = {OCI_MANIFEST: OCI_CONFIG, DOCKER_MANIFEST: DOCKER_CONFIG}
_LAYER_TYPES = {OCI_MANIFEST: OCI_LAYER, DOCKER_MANIFEST: DOCKER_LAYER}
_CHILD_TYPES = {OCI_INDEX: OCI_MANIFEST, DOCKER_LIST: DOCKER_MANIFEST}


def a_layer(text: str = "hello") -> bytes:
    """A gzipped tar with one file; another text makes another layer."""
    content = text.encode()
    entry = tarfile.TarInfo("greeting.txt")
    entry.size = len(content)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=0)


def a_config(*, labels: Mapping[str, object] | None = None, architecture: str = "amd64", **members: object) -> bytes:
    """The config of an image that runs on Linux; ``members`` are added at its top level or replace what is there."""
    config: dict[str, object] = {
        "architecture": architecture,
        "os": "linux",
        "config": {} if labels is None else {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    return as_json(config | members)


def a_descriptor(content: bytes = b"{}", *, media_type: str = OCI_LAYER, algorithm: Algorithm = "sha256") -> Descriptor:
    """A descriptor of the content; for its other fields there is ``dataclasses.replace``."""
    return Descriptor(media_type, digest_of(content, algorithm), len(content))


def a_manifest(
    *,
    config: bytes | Descriptor | None = None,
    layers: Sequence[bytes | Descriptor] | None = None,
    media_type: str = OCI_MANIFEST,
    subject: Descriptor | None = None,
    **members: object,
) -> bytes:
    """The manifest of an image: ``a_config()`` and one ``a_layer()`` unless you give others, as content or descriptor.

    ``members`` are added to the document, or replace what is there, in JSON's own spelling; None takes a member out.
    """
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _member(a_config() if config is None else config, _CONFIG_TYPES.get(media_type, OCI_CONFIG)),
        "layers": [
            _member(layer, _LAYER_TYPES.get(media_type, OCI_LAYER)) for layer in ([a_layer()] if layers is None else layers)
        ],
        "subject": None if subject is None else descriptor_members(subject),
    }
    return as_json(_without_none(document | members))


def an_index(
    *children: bytes | Descriptor,
    media_type: str = OCI_INDEX,
    subject: Descriptor | None = None,
    **members: object,
) -> bytes:
    """An index of the children, which are image manifests of its kind, or descriptors; without any, an empty index.

    ``members`` as for ``a_manifest``.
    """
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [_member(child, _CHILD_TYPES.get(media_type, OCI_MANIFEST)) for child in children],
        "subject": None if subject is None else descriptor_members(subject),
    }
    return as_json(_without_none(document | members))


def descriptor_members(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor as it stands in a document."""
    return _without_none(
        {
            "mediaType": descriptor.media_type,
            "digest": descriptor.digest,
            "size": descriptor.size,
            "artifactType": descriptor.artifact_type,
            "annotations": dict(descriptor.annotations) or None,
            "platform": None if descriptor.platform is None else _platform_members(descriptor.platform),
            "urls": list(descriptor.urls) or None,
            "data": None if descriptor.data is None else b64encode(descriptor.data).decode(),
        }
    )


def as_json(document: object) -> bytes:
    """The document in JSON without blanks."""
    return json.dumps(document, separators=(",", ":")).encode()


def _member(part: bytes | Descriptor, media_type: str) -> dict[str, Any]:
    return descriptor_members(part if isinstance(part, Descriptor) else a_descriptor(part, media_type=media_type))


def _platform_members(platform: Platform) -> dict[str, Any]:
    return _without_none(
        {
            "architecture": platform.architecture or None,
            "os": platform.os or None,
            "variant": platform.variant,
            "os.version": platform.os_version,
            "os.features": list(platform.os_features) or None,
        }
    )


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
