"""The server keys: what seals secrets at rest and signs tokens and URLs.

A key ring is a list of keys. The first one seals and signs, all of them open and verify, so that a new key is put in front
and an old one is taken out when nothing is sealed with it any more. A key is 32 random bytes in base64; its fingerprint
tells keys apart without telling anything about them. Where the ring lies: docs/adr/0003.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

_KEY_BYTES = 32
_NONCE_BYTES = 12


class InvalidServerKey(ValueError):
    """A server key that cannot be read, or that does not open what was sealed."""


@dataclass(frozen=True)
class ServerKey:
    """One key, from which those of each purpose are derived."""

    secret: bytes

    @override
    def __repr__(self) -> str:
        return f"ServerKey({self.fingerprint})"

    @cached_property
    def fingerprint(self) -> str:
        """Tells keys apart: 16 hex digits."""
        return self.derive("fingerprint").hex()[:16]

    @cached_property
    def token_key(self) -> bytes:
        """Signs registry tokens."""
        return self.derive("registry token")

    @cached_property
    def url_key(self) -> bytes:
        """Signs download URLs that the server itself answers."""
        return self.derive("download url")

    @cached_property
    def cipher(self) -> AESGCM:
        """Seals secrets at rest."""
        return AESGCM(self.derive("seal"))

    def derive(self, purpose: str) -> bytes:
        """Make the key of one purpose: HKDF-Expand of RFC 5869 with one block, since the key is uniformly random."""
        return hmac.digest(self.secret, f"ecru {purpose}".encode() + b"\x01", hashlib.sha256)


@dataclass(frozen=True)
class KeyRing:
    """The keys of a deployment, newest first; never empty."""

    keys: tuple[ServerKey, ...]

    @property
    def newest(self) -> ServerKey:
        """The key that seals and signs."""
        return self.keys[0]

    @cached_property
    def by_fingerprint(self) -> dict[str, ServerKey]:
        """All keys by fingerprint."""
        return {key.fingerprint: key for key in self.keys}

    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt a secret; it opens only with the same context, which names what it belongs to."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self.newest.cipher.encrypt(nonce, secret, context.encode())
        return self.newest.fingerprint.encode() + nonce + sealed

    def is_sealed_with_newest(self, sealed: bytes) -> bool:
        """Whether the newest key sealed a secret."""
        return sealed[:16] == self.newest.fingerprint.encode()

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt a secret.

        Raises:
            InvalidServerKey: the key that sealed it is not on the ring, or the bytes or the context are others.
        """
        fingerprint, nonce, rest = sealed[:16].decode("ascii", "replace"), sealed[16:28], sealed[28:]
        key = self.by_fingerprint.get(fingerprint)
        if key is None:
            raise InvalidServerKey(f"the server key {fingerprint} that sealed {context} is not on the key ring")
        try:
            return key.cipher.decrypt(nonce, rest, context.encode())
        except InvalidTag:
            raise InvalidServerKey(f"{context} does not open with the server key {fingerprint}") from None


def new_server_key() -> str:
    """Make a server key as text."""
    return base64.b64encode(os.urandom(_KEY_BYTES)).decode()


def parse_key_ring(text: str) -> KeyRing:
    """Read server keys, newest first, one to a line or separated by commas; lines that begin with ``#`` are comments.

    Raises:
        InvalidServerKey: there is none, or one is not 32 bytes in base64.
    """
    lines: Sequence[str] = [line for line in text.replace(",", "\n").splitlines() if not line.lstrip().startswith("#")]
    keys = []
    for number, line in enumerate((line.strip() for line in lines if line.strip()), 1):
        try:
            secret = base64.b64decode(line, validate=True)
        except binascii.Error:
            secret = b""
        if len(secret) != _KEY_BYTES:
            raise InvalidServerKey(f"server key {number} is not {_KEY_BYTES} bytes in base64")
        keys.append(ServerKey(secret))
    if not keys:
        raise InvalidServerKey("there is no server key")
    return KeyRing(tuple(keys))
