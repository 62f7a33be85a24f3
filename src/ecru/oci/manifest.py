"""Manifests and indexes: bytes from a stranger → a ``Manifest`` that can be trusted.

How it works: the bytes are read as strict JSON, their media type decides the form, and each form takes the fields it
knows. All other fields, and all types of artifacts, configs and layers, are legal and left alone. The first fault ends
the reading, since manifests are written by programs. What is stored and served is the bytes; a ``Manifest`` is never
rendered back.

A document must mean the same to every client, whichever parser it has. So what parsers disagree about is refused: fields
of both an index and an image (CVE-2021-41190), a member that occurs twice, a member that only a parser blind to case
(Go's) would take for a known one.

https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
https://distribution.github.io/distribution/spec/manifest-v2-2/
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ecru.oci.descriptor import Descriptor, Platform
from ecru.oci.digest import ALGORITHMS, Digest, InvalidDigest, algorithm_of, digest_of, parse_any_digest, parse_digest
from ecru.oci.media_types import (
    BUILDKIT_CACHE_CONFIG,
    DOCKER_TYPES,
    INDEX_TYPES,
    SCHEMA_1_TYPES,
    STORED_TYPES,
    is_foreign_layer,
    is_layer,
    without_parameters,
)

MANIFEST_SIZE_LIMIT: Final = 4_194_304
"""Bytes; the distribution spec asks for a limit of at least 4 MB, ECR's is 4 MiB."""

DEEPEST_NESTING: Final = 64
MOST_CONTAINERS: Final = 100_000
"""Arrays and objects. A million of them in 4 MiB, which mean nothing, would take half a second of everybody's time."""
MOST_DESCRIPTORS: Final = 10_000
"""In one list. No specification has a bound, but each of them is a row; images have some hundred layers at most."""

LONGEST_MEDIA_TYPE: Final = 255
"""Characters: RFC 6838, section 4.2, has 127 on either side of the slash."""

LARGEST_SIZE: Final = 2**63 - 1
"""Bytes; what clients, and the database, keep a size in."""


class InvalidManifest(ValueError):
    """The bytes are no manifest; the text names the place and the value."""


class UnsupportedManifest(InvalidManifest):
    """The bytes may be a manifest, but of a kind that is not stored here."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an image manifest or an index says, as far as the registry acts on it.

    ``config`` and ``layers`` belong to image manifests, ``children`` to indexes. Docker's types know no ``artifactType``,
    ``subject`` and ``annotations``: there these fields of the document are like any unknown one.
    """

    media_type: str
    artifact_type: str | None
    config_media_type: str | None
    subject: Descriptor | None = None
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_index(self) -> bool:
        """Whether this lists other manifests rather than a config and layers."""
        return self.media_type in INDEX_TYPES

    @property
    def needed_blobs(self) -> tuple[Digest, ...]:
        """The blobs that must be in the repository: config, then layers, foreign ones left out; each once."""
        own_layers = (layer for layer in self.layers if not is_foreign_layer(layer.media_type))
        return tuple(dict.fromkeys(part.digest for part in (*self._config, *own_layers)))

    @property
    def needed_images(self) -> tuple[Digest, ...]:
        """The manifests that must be in the repository: the children of an index, in order; each once."""
        return tuple(dict.fromkeys(child.digest for child in self.children))

    @property
    def size_bytes_of_content(self) -> int:
        """Config and layers together, as the document states them: ECR's ``imageSizeInBytes``; zero for an index."""
        return sum(part.size for part in (*self._config, *self.layers))

    @property
    def _config(self) -> tuple[Descriptor, ...]:
        return () if self.config is None else (self.config,)


def parse_manifest(content: bytes, declared_type: str | None) -> Manifest:
    """Read a manifest or index.

    Its type is the ``mediaType`` in the document, else the declared one: a ``Content-Type``, whose parameters do not
    count; None or empty if there is none. Whether blobs and children exist is not looked at. Two rules of the image spec
    are not checked, since clients in use break them and nothing here depends on them: an ``artifactType`` beside an empty
    config, and media types of descriptors in the grammar of RFC 6838.

    Raises:
        UnsupportedManifest: schema 1, an unknown type, or BuildKit's old cache index.
        InvalidManifest: anything else that is wrong with it.
    """
    document = _Object("", _read_json(content))
    media_type = _media_type(document, declared_type)
    if media_type in INDEX_TYPES:
        return _index(document, media_type)
    return _image(document, media_type)


def parse_config_labels(content: bytes) -> Mapping[str, str]:
    """The labels in the config of a Docker or OCI image; empty where the content is no such config.

    A config is opaque to the registry, so nothing in it is an error; one larger than a manifest may be is not read.
    https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
    """
    try:
        config = _read_json(content).get("config")
    except InvalidManifest:
        return {}
    labels = config.get("Labels") if isinstance(config, dict) else None
    if not isinstance(labels, dict):
        return {}
    return {name: value for name, value in labels.items() if isinstance(value, str) and _is_storable(name) and _is_storable(value)}


def _media_type(document: _Object, declared_type: str | None) -> str:
    stated = document.text("mediaType")
    declared = without_parameters(declared_type or "") or None
    if stated is not None and declared is not None and stated != declared:
        raise InvalidManifest(f"mediaType {_shown(stated)} is not the declared type {_shown(declared)}")
    media_type = stated or declared
    schema_version = document.whole_number("schemaVersion")
    if media_type in SCHEMA_1_TYPES or (schema_version == 1 and not stated):
        raise UnsupportedManifest("schema 1 manifests are not supported: push the image with a current client")
    if media_type is None:
        raise InvalidManifest("mediaType is missing, and no type was declared beside the manifest")
    if media_type not in STORED_TYPES:
        raise UnsupportedManifest(f"media type {_shown(media_type)} is not one of {', '.join(sorted(STORED_TYPES))}")
    if media_type in DOCKER_TYPES and stated is None:
        raise InvalidManifest(f"mediaType is missing, which {media_type} must have")
    if schema_version != 2:  # noqa: PLR2004 - the number is the rule
        raise InvalidManifest(f"schemaVersion {_shown(schema_version)} is not 2")
    return media_type


def _image(document: _Object, media_type: str) -> Manifest:
    document.refuse("manifests", "fsLayers")
    config = _descriptor(document.get_object("config"), parse_digest)
    layers = tuple(_layer(layer) for layer in document.objects("layers"))
    if config.size + sum(layer.size for layer in layers) > LARGEST_SIZE:
        raise InvalidManifest(f"the sizes of config and layers are together more than {LARGEST_SIZE} bytes")
    extensions = _extensions(document, media_type)
    return Manifest(
        media_type=media_type,
        # "If the artifactType is empty or missing in the image manifest, the value of artifactType MUST be set to the
        # config descriptor mediaType value" (distribution spec, listing referrers).
        artifact_type=extensions.artifact_type or config.media_type,
        config_media_type=config.media_type,
        subject=extensions.subject,
        config=config,
        layers=layers,
        annotations=extensions.annotations,
    )


def _index(document: _Object, media_type: str) -> Manifest:
    document.refuse("config", "layers", "fsLayers")
    extensions = _extensions(document, media_type)
    return Manifest(
        media_type=media_type,
        artifact_type=extensions.artifact_type,
        config_media_type=None,
        subject=extensions.subject,
        children=tuple(_child(child) for child in document.objects("manifests")),
        annotations=extensions.annotations,
    )


@dataclass(frozen=True, slots=True)
class _Extensions:
    """What OCI's documents may have and Docker's do not."""

    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


def _extensions(document: _Object, media_type: str) -> _Extensions:
    if media_type in DOCKER_TYPES:
        return _Extensions()
    subject = document.find_object("subject")
    return _Extensions(
        artifact_type=document.media_type("artifactType"),
        subject=None if subject is None else _descriptor(subject, parse_any_digest),
        annotations=document.texts_by_name("annotations"),
    )


def _layer(layer: _Object) -> Descriptor:
    """A foreign layer is fetched from elsewhere, so its digest may be one we cannot store."""
    foreign = is_foreign_layer(layer.media_type("mediaType") or "")
    return _descriptor(layer, parse_any_digest if foreign else parse_digest)


def _child(child: _Object) -> Descriptor:
    """A child of any type but one known to be no image.

    "An encountered mediaType that is unknown to the implementation MUST NOT generate an error" (image spec, image index).
    """
    descriptor = _descriptor(child, parse_digest)
    if is_layer(descriptor.media_type) or descriptor.media_type == BUILDKIT_CACHE_CONFIG:
        raise UnsupportedManifest(
            f"{child.place}.mediaType {_shown(descriptor.media_type)} is no image: "
            "export the build cache with image-manifest=true,oci-mediatypes=true"
        )
    return descriptor


def _descriptor(source: _Object, parse: Callable[[str], Digest]) -> Descriptor:
    media_type = source.media_type("mediaType")
    if media_type is None:
        raise InvalidManifest(f"{source.place}.mediaType is missing")
    digest, size = _digest(source, parse), source.whole_number("size")
    if size is None:
        raise InvalidManifest(f"{source.place}.size is missing")
    platform = source.find_object("platform")
    return Descriptor(
        media_type=media_type,
        digest=digest,
        size=size,
        artifact_type=source.media_type("artifactType"),
        annotations=source.texts_by_name("annotations"),
        platform=None if platform is None else _platform(platform),
        urls=source.texts("urls"),
        data=_data(source, digest, size),
    )


def _digest(source: _Object, parse: Callable[[str], Digest]) -> Digest:
    text = source.text("digest")
    if text is None:
        raise InvalidManifest(f"{source.place}.digest is missing")
    try:
        return parse(text)
    except InvalidDigest as fault:
        raise InvalidManifest(f"{source.place}.digest: {fault}") from fault


def _platform(source: _Object) -> Platform:
    """Never interpreted here, so that what the image spec requires of it may be missing, as in the wild."""
    return Platform(
        architecture=source.text("architecture") or "",
        os=source.text("os") or "",
        variant=source.text("variant"),
        os_version=source.text("os.version"),
        os_features=source.texts("os.features"),
    )


def _data(source: _Object, digest: Digest, size: int) -> bytes | None:
    """The content embedded in a descriptor, which "MUST be identical to the referenced content"."""
    encoded = source.text("data")
    if encoded is None:
        return None
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError as fault:
        raise InvalidManifest(f"{source.place}.data is not base64") from fault
    if len(data) != size:
        raise InvalidManifest(f"{source.place}.data has {len(data)} bytes, and size is {size}")
    if digest.partition(":")[0] in ALGORITHMS and digest_of(data, algorithm_of(digest)) != digest:
        raise InvalidManifest(f"{source.place}.data is not the content of {digest}")
    return data


@dataclass(frozen=True, slots=True)
class _Object:
    """An object in the document and its place, with which every fault's text begins.

    For an optional member null is as good as none: Go writes it for an empty list or map.
    """

    place: str
    members: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name in self.members:
            if name not in _KNOWN and name.casefold() in _KNOWN_TO_GO:
                raise InvalidManifest(f"{self._at(_shown(name))} is a known member in another case: clients would disagree")

    def refuse(self, *names: str) -> None:
        """See that these members of the other form are not there, whatever their value."""
        for name in names:
            if name in self.members:
                raise InvalidManifest(f"{self._at(name)} does not belong here: clients would disagree what the document is")

    def text(self, name: str) -> str | None:
        """A string; None also if it is empty."""
        value = self.members.get(name)
        if value is None or value == "":
            return None
        return self._storable(name, value)

    def media_type(self, name: str) -> str | None:
        """A string that may be a media type; parameters are legal, whoever wrote them meant something by them."""
        value = self.text(name)
        if value is not None and (len(value) > LONGEST_MEDIA_TYPE or not value.isprintable() or not value.isascii()):
            raise InvalidManifest(f"{self._at(name)} {_shown(value)} is not a media type")
        return value

    def whole_number(self, name: str) -> int | None:
        """An integer from 0 to ``LARGEST_SIZE``."""
        value = self.members.get(name)
        if value is None:
            return None
        if type(value) is not int or not 0 <= value <= LARGEST_SIZE:
            raise InvalidManifest(f"{self._at(name)} {_shown(value)} is not a whole number from 0 to {LARGEST_SIZE}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; empty if it is missing."""
        values = self.members.get(name)
        if values is None:
            return ()
        if not isinstance(values, list):
            raise InvalidManifest(f"{self._at(name)} {_shown(values)} is not an array of strings")
        return tuple(self._storable(f"{name}[{position}]", value) for position, value in enumerate(values))

    def texts_by_name(self, name: str) -> Mapping[str, str]:
        """A map of strings; empty if it is missing."""
        values = self.members.get(name)
        if values is None:
            return {}
        if not isinstance(values, dict):
            raise InvalidManifest(f"{self._at(name)} {_shown(values)} is not an object of strings")
        return {self._storable(name, key): self._storable(f"{name}[{_shown(key)}]", value) for key, value in values.items()}

    def find_object(self, name: str) -> _Object | None:
        """An object; None if it is missing."""
        value = self.members.get(name)
        return None if value is None else self._as_object(name, value)

    def get_object(self, name: str) -> _Object:
        """An object that must be there."""
        return self._as_object(name, self.members.get(name))

    def objects(self, name: str) -> list[_Object]:
        """A list of objects that must be there, and may be empty."""
        if name not in self.members:
            raise InvalidManifest(f"{self._at(name)} is missing")
        values = self.members[name]
        if values is None:
            return []
        if not isinstance(values, list):
            raise InvalidManifest(f"{self._at(name)} {_shown(values)} is not an array")
        if len(values) > MOST_DESCRIPTORS:
            raise InvalidManifest(f"{self._at(name)} has {len(values)} descriptors, and at most {MOST_DESCRIPTORS} are taken")
        return [self._as_object(f"{name}[{position}]", value) for position, value in enumerate(values)]

    def _as_object(self, name: str, value: object) -> _Object:
        if not isinstance(value, dict):
            raise InvalidManifest(f"{self._at(name)} {'is missing' if value is None else _shown(value) + ' is not an object'}")
        return _Object(self._at(name), value)

    def _storable(self, name: str, value: object) -> str:
        if not isinstance(value, str) or not _is_storable(value):
            raise InvalidManifest(f"{self._at(name)} {_shown(value)} is not a string of Unicode characters other than U+0000")
        return value

    def _at(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name


_KNOWN: Final = frozenset(
    {"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations", "fsLayers"}
    | {"digest", "size", "urls", "data", "platform", "architecture", "os", "variant", "os.version", "os.features"}
)
_KNOWN_TO_GO: Final = frozenset(name.casefold() for name in _KNOWN)

# What JSON can escape into a string and no database keeps as text: U+0000 and half a surrogate pair.
_NOT_STORABLE: Final = re.compile("[\0\ud800-\udfff]")

# A string, or a bracket outside of one. Each text matches in one way only, so that the time is linear.
_STRING_OR_BRACKET: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def _read_json(content: bytes) -> dict[str, Any]:
    """Read one object from UTF-8, without what JSON readers disagree about: byte order marks, NaN, members that occur twice."""
    if len(content) > MANIFEST_SIZE_LIMIT:
        raise InvalidManifest(f"{len(content)} bytes are more than {MANIFEST_SIZE_LIMIT}")
    try:
        text = content.decode()
        _check_structure(text)
        document = json.loads(text, object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
    except ValueError as fault:
        raise InvalidManifest(f"not a JSON document: {fault}") from fault
    if not isinstance(document, dict):
        raise InvalidManifest(f"the document {_shown(document)} is not an object")
    return document


def _check_structure(text: str) -> None:
    """Keep the parser, which recurses and lets nobody else run, away from what is deeper or larger than any honest document."""
    depth = count = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        character = text[match.start()]
        if character in "[{":
            depth += 1
            count += 1
            if depth > DEEPEST_NESTING:
                raise ValueError(f"nested deeper than {DEEPEST_NESTING} levels")
            if count > MOST_CONTAINERS:
                raise ValueError(f"more than {MOST_CONTAINERS} arrays and objects")
        elif character in "]}":
            depth -= 1


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"member {_shown(name)} occurs twice")
        members[name] = value
    return members


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _is_storable(text: str) -> bool:
    return _NOT_STORABLE.search(text) is None


def _shown(value: object) -> str:
    """A value as errors quote it: short, in ASCII."""
    if isinstance(value, list | dict):
        return "(an array)" if isinstance(value, list) else "(an object)"
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


_LONGEST_SHOWN: Final = 100
