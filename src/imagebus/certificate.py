"""The certificate of this machine's own pages: made once, kept, and made anew before it expires."""

from __future__ import annotations

import ipaddress
import os
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from imagebus.errors import ConfigurationError

LOCAL = ("localhost", "127.0.0.1", "::1")
LASTS = timedelta(days=365)
RENEWED_BEFORE = timedelta(days=14)


def local_certificate(folder: Path, names: Iterable[str] = LOCAL, lasts: timedelta = LASTS) -> Path:
    """Return a PEM file with a self-signed certificate for ``names`` and its key; only its owner may read it.

    Both are in one file, so that two processes that make it at once never leave an unfitting pair behind.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    path = folder / "localhost.pem"
    wanted = sorted(set(names))
    if not _still_good(path, wanted):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(path, _self_signed(wanted, lasts))
        except OSError as error:
            raise ConfigurationError(f"cannot keep a certificate at {path}: {error.strerror}") from error
    return path


def _still_good(path: Path, names: list[str]) -> bool:
    try:
        data = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(data)
        serialization.load_pem_private_key(data, password=None)
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    covered = {str(name.value) for name in held}
    return certificate.not_valid_after_utc - RENEWED_BEFORE > datetime.now(UTC) and covered >= set(names)


def _self_signed(names: list[str], lasts: timedelta) -> bytes:
    """Return key and certificate, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imagebus on this machine")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, data: bytes) -> None:
    """Put the file in place in one step; it was never readable by others."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise
