"""Downloads from a real HTTP server: verified, atomic, resumed, one process at a time."""

from __future__ import annotations

import hashlib
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imagebus.errors import FetchError
from imagebus.fetch import Digest, fetch

CONTENT = random.Random(7).randbytes(700_000)
DIGEST = Digest(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Server(ThreadingHTTPServer):
    """Serves CONTENT at /whole (by ranges, too), and every way to fail beside it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str]] = []
        self.break_after: list[int] = []
        """How many bytes each next answer of /breaks sends before it breaks off."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that was killed."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def ranges(self) -> list[str]:
        return [range for _, range in self.requests]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.requests.append((self.path, asked))
        begin = int(found[1]) if (found := re.fullmatch(r"bytes=(\d+)-", asked)) else 0
        match self.path:
            case "/moved":
                self.answer(302, b"", Location="/whole")
            case "/whole" | "/breaks" if begin >= len(CONTENT):
                self.answer(416, b"")
            case "/whole" | "/slow":
                time.sleep(0.5 * (self.path == "/slow"))
                self.part_of(CONTENT, begin)
            case "/breaks":
                stop = self.server.break_after.pop(0) if self.server.break_after else len(CONTENT)
                self.part_of(CONTENT, begin, stop)
            case "/no-ranges":
                self.part_of(CONTENT, 0)
            case "/other":
                self.part_of(b"x" * len(CONTENT), begin)
            case "/longer":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(CONTENT + b"more")
            case "/shorter":
                self.part_of(CONTENT[:1000], 0)
            case "/busy":
                self.answer(503, b"")
            case _:
                self.answer(404, b"nothing here")

    def part_of(self, content: bytes, begin: int, length: int | None = None) -> None:
        rest = content[begin:]
        where = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
        self.answer(206 if begin else 200, rest, rest[:length], **where)

    def answer(self, status: int, announced: bytes, sent: bytes | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(announced)))
        self.end_headers()
        self.wfile.write(announced if sent is None else sent)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "file.bin"


Said = list[str]


@pytest.fixture
def said() -> Said:
    return []


def left_over(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()} - {"file.bin.lock"}


def test_a_file_comes_whole_and_nothing_else_is_left(server: Server, target: Path, said: Said) -> None:
    assert fetch(server.url("whole"), target, DIGEST, said.append) == target
    assert target.read_bytes() == CONTENT
    assert left_over(target) == {"file.bin"}
    assert said == [f"fetching {server.url('whole')} (0.7 MB)"]


def test_a_file_that_is_there_is_not_asked_for(server: Server, target: Path, said: Said) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    fetch(server.url("whole"), target, DIGEST, said.append)
    assert server.requests == []
    assert said == []


def test_a_damaged_file_is_fetched_again(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT[:-1] + b"?")
    fetch(server.url("whole"), target, DIGEST, print)
    assert target.read_bytes() == CONTENT


def test_a_redirection_is_followed(server: Server, target: Path) -> None:
    fetch(server.url("moved"), target, DIGEST, print)
    assert target.read_bytes() == CONTENT


def test_a_transfer_that_breaks_off_goes_on_where_it_was(server: Server, target: Path, said: Said) -> None:
    server.break_after = [300_000, 100_000]
    fetch(server.url("breaks"), target, DIGEST, said.append)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == ["", "bytes=300000-", "bytes=400000-"]
    assert "broke off" in said[1]


def test_the_next_start_goes_on_where_the_last_one_ended(server: Server, target: Path) -> None:
    server.break_after = [300_000, 0]
    with pytest.raises(FetchError, match="cut off after 300000 of 700000 bytes"):
        fetch(server.url("breaks"), target, DIGEST, print)
    assert left_over(target) == {"file.bin.part"}
    fetch(server.url("whole"), target, DIGEST, print)
    assert target.read_bytes() == CONTENT
    assert server.ranges()[-1] == "bytes=300000-"


def test_a_server_without_ranges_begins_again(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(CONTENT[:1000])
    fetch(server.url("no-ranges"), target, DIGEST, print)
    assert target.read_bytes() == CONTENT


def test_a_beginning_of_another_edition_is_thrown_away(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(b"?" * 1000)
    fetch(server.url("whole"), target, DIGEST, print)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == ["bytes=1000-", ""]


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_a_beginning_as_long_as_the_file_or_longer_is_no_trap(
    server: Server, target: Path, size: int
) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(b"?" * size)
    fetch(server.url("whole"), target, DIGEST, print)
    assert target.read_bytes() == CONTENT


def test_the_wrong_file_is_refused_and_nothing_is_left(server: Server, target: Path) -> None:
    with pytest.raises(FetchError, match=f"SHA-256 [0-9a-f]{{64}} instead of {DIGEST.sha256}"):
        fetch(server.url("other"), target, DIGEST, print)
    assert left_over(target) == set()


def test_the_wrong_file_does_not_replace_what_was_there(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"older")
    with pytest.raises(FetchError):
        fetch(server.url("other"), target, DIGEST, print)
    assert target.read_bytes() == b"older"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nothing", "404 Not Found"),
        ("busy", "503 Service Unavailable"),
        ("shorter", "1000 bytes are offered instead of 700000"),
        ("longer", "more than the 700000 bytes"),
    ],
)
def test_an_answer_that_cannot_be_the_file_is_an_error_at_once(
    server: Server, target: Path, path: str, why: str
) -> None:
    with pytest.raises(FetchError, match=why):
        fetch(server.url(path), target, DIGEST, print)
    assert len(server.requests) == 1
    assert not target.exists()


def test_a_server_that_is_not_there_is_an_error_at_once(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(FetchError, match="Connection refused"):
        fetch(f"http://127.0.0.1:{port}/whole", target, DIGEST, print)


def test_a_silent_server_is_given_up(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(FetchError, match="timed out"):
        fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/", target, DIGEST, print, timeout_s=0.2)


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(FetchError, match=r"cannot write to .*taken"):
        fetch(server.url("whole"), tmp_path / "taken" / "file.bin", DIGEST, print)


PROGRAM = """
import sys
from pathlib import Path
from imagebus.fetch import Digest, fetch
url, target, size, sha256 = sys.argv[1:]
fetch(url, Path(target), Digest(int(size), sha256))
"""


def test_of_several_processes_one_fetches_and_the_others_wait(server: Server, target: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, server.url("slow"), str(target)]
    command += [str(DIGEST.size_bytes), DIGEST.sha256]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_killed_fetch_leaves_nothing_in_place_and_does_not_block_the_next(
    server: Server, target: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, server.url("slow"), str(target)]
    with subprocess.Popen([*command, str(DIGEST.size_bytes), DIGEST.sha256]) as process:
        until(lambda: bool(server.requests))
        process.kill()
    assert not target.exists()
    fetch(server.url("whole"), target, DIGEST, print)
    assert target.read_bytes() == CONTENT


def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
