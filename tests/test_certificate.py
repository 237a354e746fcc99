from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from imagebus import certificate
from imagebus.certificate import local_certificate
from imagebus.errors import ConfigurationError


def loaded(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_it_names_localhost_and_both_of_its_addresses(tmp_path: Path) -> None:
    path = local_certificate(tmp_path / "certificate")
    names = loaded(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {"localhost", "127.0.0.1", "::1"}


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = local_certificate(tmp_path / "certificate")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_it_is_kept(tmp_path: Path) -> None:
    first = local_certificate(tmp_path).read_bytes()
    assert local_certificate(tmp_path).read_bytes() == first


def test_it_is_made_anew_before_it_expires(tmp_path: Path) -> None:
    short = local_certificate(tmp_path, lasts=timedelta(days=3)).read_bytes()
    path = local_certificate(tmp_path)
    assert path.read_bytes() != short
    assert loaded(path).not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)


def test_it_is_made_anew_when_it_lacks_a_name(tmp_path: Path) -> None:
    first = local_certificate(tmp_path).read_bytes()
    path = local_certificate(tmp_path, [*certificate.LOCAL, "camera-host"])
    assert path.read_bytes() != first


@pytest.mark.parametrize("damage", [b"", b"\0garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    path = local_certificate(tmp_path)
    path.write_bytes(damage)
    assert b"PRIVATE KEY" in local_certificate(tmp_path).read_bytes()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"localhost\.pem"):
        local_certificate(tmp_path / "file" / "certificate")


def test_a_client_that_trusts_it_connects_to_localhost(tmp_path: Path) -> None:
    path = local_certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    trusting = ssl.create_default_context(cafile=str(path))
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=lambda: serving.wrap_socket(theirs, server_side=True).close())
    server.start()
    with trusting.wrap_socket(ours, server_hostname="localhost") as tls:
        assert tls.version() == "TLSv1.3"
    server.join()
