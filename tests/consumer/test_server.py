"""The page's server without a bus: TLS, headers, names, signals. Nothing here needs Kafka."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from .conftest import CONSUMER, NO_KAFKA, PageServer

Start = Callable[..., PageServer]
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"


@pytest.fixture(scope="module")
def server(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """One server for all who only ask."""
    started = PageServer(NO_KAFKA, tmp_path_factory.mktemp("data"))
    yield started
    assert started.stop() == 0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_page_comes_over_https_with_a_certificate_that_was_made_for_it(server: PageServer) -> None:
    assert server.url == f"https://localhost:{server.port}"
    assert b"<title>imagebus</title>" in server.get().body
    kept = server.data / "certificate" / "localhost.pem"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_only_this_machine_reaches_it(server: PageServer) -> None:
    bound = subprocess.run(
        ["ss", "-Hltn", f"sport = :{server.port}"], capture_output=True, text=True, check=True
    )
    addresses = {line.split()[3].rpartition(":")[0] for line in bound.stdout.splitlines()}
    assert addresses
    assert addresses <= {"127.0.0.1", "[::1]"}


def test_every_answer_carries_the_rules_that_protect_the_page(server: PageServer) -> None:
    for path in ("/", "/healthz", "/favicon.svg", "/no-such-page", "/assets/../app.py"):
        headers = server.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Access-Control-Allow-Origin"] is None


def test_health_says_how_the_bus_is(server: PageServer) -> None:
    health = json.loads(server.get("/healthz").body)
    assert health["status"] == "ok"
    assert health["bus"] in ("connecting", "away")
    assert health["feeds"] == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:5000", 200),
        ("[::1]:5000", 200),
        ("localhost.", 200),
        ("evil.example", 403),
        ("localhost.evil.example:5000", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.0.2.7", 403),
        ("127.0.0.1:15000@evil", 403),
        ("localhost:1/evil", 403),
        ("localhost:", 403),
        ("", 403),
    ],
)
def test_it_answers_only_to_its_own_names(server: PageServer, host: str, status: int) -> None:
    assert server.get(Host=host).status == status


def test_a_page_from_elsewhere_cannot_open_the_live_connection(server: PageServer) -> None:
    for origin in ("https://evil.example", "http://localhost:1", "null"):
        assert server.get(SOCKET_IO, Origin=origin, **UPGRADE).status == 400
    assert server.get(SOCKET_IO, Host="evil.example", **UPGRADE).status == 403
    assert server.get("/socket.io/?EIO=4&transport=polling").status == 400


def test_what_a_proxy_is_said_to_have_been_asked_for_opens_nothing(server: PageServer) -> None:
    own = f"localhost:{server.port}"
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert server.get(SOCKET_IO, Origin="https://evil.example", **forwarded, **UPGRADE).status == 400
    assert server.get(SOCKET_IO, Origin=f"http://{own}", X_Forwarded_Proto="http", **UPGRADE).status == 400
    assert server.get(SOCKET_IO, Origin=f"https://{own}.evil.example", **UPGRADE).status == 400


def test_the_page_itself_can_open_the_live_connection(server: PageServer) -> None:
    connection = HTTPSConnection("localhost", server.port, timeout=10, context=server.trusting())
    connection.request("GET", SOCKET_IO, headers={**UPGRADE, "Origin": f"https://localhost:{server.port}"})
    assert connection.getresponse().status == 101
    connection.close()


def test_clients_that_say_nothing_or_stop_amid_their_words_hold_up_nobody(server: PageServer) -> None:
    context = server.trusting()
    with ExitStack() as stack:
        for number in range(300):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 5))
            if number % 3 == 1:  # half a ClientHello
                client.sendall(bytes.fromhex("16030100f8010000f40303"))
            if number % 3 == 2 and number < 60:  # a whole handshake, half a request
                secured = stack.enter_context(context.wrap_socket(client, server_hostname="localhost"))
                secured.sendall(b"GET / HTTP/1.1\r\nHost: local")
        assert server.get().status == 200
        assert server.threads() < 150


def test_a_garbled_handshake_ends_that_connection_alone(server: PageServer) -> None:
    for words in (b"\x16\x03\x01\x00\x05hello", b"\x16" + b"\xff" * 600, b"\x00" * 100, b"GET"):
        with socket.create_connection(("127.0.0.1", server.port), 5) as client:
            client.sendall(words)
    assert server.get().status == 200
    assert server.child.poll() is None


def test_who_forgets_the_s_of_https_is_sent_on(server: PageServer) -> None:
    with socket.create_connection(("localhost", server.port), 5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost:7\r\n\r\n")
        answer = client.recv(1000)
    assert answer.startswith(b"HTTP/1.1 301")
    assert b"\r\nLocation: https://localhost:7/\r\n" in answer


@pytest.mark.parametrize("host", ["evil.example", "localhost@evil.example", "localhost:1@evil", "", "h\xe9"])
def test_who_forgets_the_s_of_https_is_sent_to_no_foreign_name(server: PageServer, host: str) -> None:
    with socket.create_connection(("localhost", server.port), 5) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
        answer = client.recv(1000)
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"Location" not in answer


def test_sigterm_ends_it_with_zero_and_the_certificate_is_kept(page_server: Start, data: Path) -> None:
    first = page_server(NO_KAFKA)
    kept = (data / "certificate" / "localhost.pem").read_bytes()
    assert first.stop() == 0
    second = page_server(NO_KAFKA, port=first.port)
    assert second.get().status == 200
    assert (data / "certificate" / "localhost.pem").read_bytes() == kept


def test_a_certificate_of_ones_own_is_used(page_server: Start, data: Path) -> None:
    page_server(NO_KAFKA)
    own = data.parent / "own.pem"
    own.write_bytes((data / "certificate" / "localhost.pem").read_bytes())
    (data / "certificate" / "localhost.pem").unlink()
    with_own = page_server(NO_KAFKA, "--certificate", str(own))
    assert not (data / "certificate" / "localhost.pem").exists()
    (data / "certificate" / "localhost.pem").write_bytes(own.read_bytes())
    assert with_own.get().status == 200


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--host", "0.0.0.0"], "--trust-network"),
        (["--host", "no.such.host.invalid", "--trust-network"], "--host"),
        (["--certificate", "/no/such/file.pem"], "--certificate"),
        (["--key", "/no/such/file.pem"], "--key"),
        (["--port", "70000"], "--port"),
    ],
)
def test_a_wrong_flag_ends_with_two_and_one_line(
    built_page: None, data: Path, flags: list[str], words: str
) -> None:
    status, said = run_app(flags, data)
    assert (status, len(said.splitlines())) == (2, 1), said
    assert words in said


def test_a_port_that_is_taken_is_named(server: PageServer, data: Path) -> None:
    status, said = run_app(["--port", str(server.port)], data)
    assert (status, len(said.splitlines())) == (2, 1), said
    assert f"--port: {server.port}" in said


def test_a_port_that_another_program_has_on_ipv6_alone_is_named_too(built_page: None, data: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        status, said = run_app(["--port", str(port)], data)
    assert (status, len(said.splitlines())) == (2, 1), said
    assert f"--port: {port}" in said


def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    for module in CONSUMER.glob("*.py"):
        (tmp_path / module.name).write_text(module.read_text())
    run = subprocess.run(
        [sys.executable, str(tmp_path / "app.py")], capture_output=True, text=True, check=False
    )
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1), run.stderr
    assert "python consumer/build.py" in run.stderr


def run_app(flags: list[str], data: Path) -> tuple[int, str]:
    """Run the program to its end; return its status and all it said."""
    command = [sys.executable, str(CONSUMER / "app.py"), "--kafka", NO_KAFKA, *flags]
    run = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=20,
        env={"IMAGEBUS_DATA": str(data), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    return run.returncode, run.stdout
