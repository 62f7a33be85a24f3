"""A certificate authority of the tests."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.programs import LOOPBACK

_AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the authority of the tests")])
_SERVER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the server of the tests")])


def issue_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """Write the certificate of an authority, and that of a server on 127.0.0.1 with its key, which the authority has signed."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    authority = _certificate(_AUTHORITY, authority_key.public_key()).add_extension(constraints, critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK), x509.DNSName("localhost")])
    server = _certificate(_SERVER, server_key.public_key()).add_extension(names, critical=False)
    files = folder / "authority.pem", folder / "server.pem", folder / "server.key"
    for file, builder in zip(files, (authority, server), strict=False):
        file.write_bytes(builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    files[2].write_bytes(
        server_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _certificate(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_AUTHORITY)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
    )
