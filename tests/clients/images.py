"""Images made from scratch, in memory and as layouts on disk, which clients copy from and to.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ecru.oci.descriptor import Descriptor, Platform
from ecru.oci.digest import Digest, digest_of
from ecru.oci.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from tests.making import a_config, a_descriptor, a_manifest, an_index, as_json, descriptor_members

_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True)
class Made:
    """A manifest or an index with all that it needs; two are equal when all their bytes are."""

    content: bytes
    media_type: str
    blobs: frozenset[bytes] = frozenset()
    children: tuple["Made", ...] = ()

    @property
    def digest(self) -> Digest:
        """The digest of the manifest."""
        return digest_of(self.content)

    @property
    def descriptor(self) -> Descriptor:
        """What an index or a referrer says of it."""
        return a_descriptor(self.content, media_type=self.media_type)

    @property
    def layers(self) -> list[Digest]:
        """The digests of the layers, the lowest first."""
        return [layer["digest"] for layer in json.loads(self.content)["layers"]]

    def everything(self) -> Iterator[bytes]:
        """All contents, what is needed first."""
        yield from chain.from_iterable(child.everything() for child in self.children)
        yield from self.blobs
        yield self.content


def an_image(*files: str | bytes, architecture: str = "amd64", media_type: str = OCI_MANIFEST) -> Made:
    """An image with one layer for each file, which unpacks and runs nowhere: there is no program in it."""
    tars = [_a_tar(f"file-{number}", content) for number, content in enumerate(files or ["hello"])]
    layers = [gzip.compress(tar, compresslevel=1, mtime=0) for tar in tars]
    config = a_config(
        architecture=architecture,
        rootfs={"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]},
        history=[{"created_by": "the tests"}] * len(tars),
        created="2026-01-02T03:04:05Z",
    )
    return Made(a_manifest(config=config, layers=layers, media_type=media_type), media_type, frozenset({config, *layers}))


def _a_tar(name: str, content: str | bytes) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def an_image_for(*architectures: str, text: str = "hello") -> Made:
    """An index with an image for each architecture."""
    children = [an_image(f"{text} {architecture}", architecture=architecture) for architecture in architectures]
    described = [
        Descriptor(child.media_type, child.digest, len(child.content), platform=Platform(architecture, "linux"))
        for child, architecture in zip(children, architectures, strict=True)
    ]
    return Made(an_index(*described), OCI_INDEX, children=tuple(children))


def write_layout(folder: Path, image: Made, name: str = "latest") -> Path:
    """Write an image into a layout under a name; what lies there under other names stays."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for content in image.everything():
        (blobs / digest_of(content).removeprefix("sha256:")).write_bytes(content)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    index = folder / "index.json"
    entries = json.loads(index.read_bytes())["manifests"] if index.exists() else []
    entries.append(descriptor_members(image.descriptor) | {"annotations": {_NAME: name}})
    index.write_bytes(as_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}))
    return folder


def read_layout(folder: Path, name: str | None = None) -> Made:
    """Read the image of that name, or the only one, out of a layout; each digest in it is held against its bytes."""
    entries = json.loads((folder / "index.json").read_bytes())["manifests"]
    found = [entry for entry in entries if name is None or entry.get("annotations", {}).get(_NAME) == name]
    assert len(found) == 1, entries
    return _read(folder / "blobs" / "sha256", found[0]["digest"], found[0]["mediaType"])


def _read(blobs: Path, digest: str, media_type: str) -> Made:
    content = _read_blob(blobs, digest)
    document = json.loads(content)
    if "manifests" in document:
        children = tuple(_read(blobs, child["digest"], child["mediaType"]) for child in document["manifests"])
        return Made(content, media_type, children=children)
    needed = [document["config"], *document["layers"]]
    return Made(content, media_type, frozenset(_read_blob(blobs, part["digest"]) for part in needed))


def _read_blob(blobs: Path, digest: str) -> bytes:
    content = (blobs / digest.removeprefix("sha256:")).read_bytes()
    assert digest_of(content) == digest
    return content


def an_artifact(text: str, *, artifact_type: str = "application/vnd.example.note", subject: Made | None = None) -> Made:
    """An artifact with one blob, perhaps of another image."""
    blob = text.encode()
    empty = Descriptor("application/vnd.oci.empty.v1+json", digest_of(b"{}"), 2)
    content = a_manifest(
        config=empty,
        layers=[Descriptor("text/plain", digest_of(blob), len(blob))],
        subject=None if subject is None else subject.descriptor,
        artifactType=artifact_type,
    )
    return Made(content, OCI_MANIFEST, frozenset({b"{}", blob}))


def with_layers(layers: Sequence[bytes], *, config: bytes | None = None) -> Made:
    """An image of layers that need not be archives."""
    config = a_config() if config is None else config
    described = [a_descriptor(layer, media_type=OCI_LAYER) for layer in layers]
    content = a_manifest(config=a_descriptor(config, media_type=OCI_CONFIG), layers=described)
    return Made(content, OCI_MANIFEST, frozenset({config, *layers}))


def noise(seed: str, size_bytes: int) -> bytes:
    """Bytes that do not compress, the same for the same seed."""
    return random.Random(seed).randbytes(size_bytes)  # noqa: S311 - nobody's secret
