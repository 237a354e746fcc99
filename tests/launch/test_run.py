"""One command from a clean clone to boxes on real video in a browser: a new user, nothing installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from imagebus.kafka.probe import free_port
from imagebus.launch.supervisor import Supervisor
from tests.launch.clone import Clone
from tests.programs import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]

TOPICS = ("SOURCE_FRAME", "IMAGEAI_FRAME", "REDACTION_FRAME")
TILE = '.tile[data-topic="{}"][data-source="{}"]'
STROKES = """tile => {
    const canvas = tile.querySelector("canvas.boxes");
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.filter((value, at) => at % 4 == 3 && value > 0).length;
}"""


@pytest.fixture(scope="module")
def clone() -> Iterator[Clone]:
    """A clean clone."""
    made = Clone()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def installed(clone: Clone) -> Clone:
    """The clone with everything installed."""
    assert clone.run("install.sh").returncode == 0
    return clone


@pytest.fixture
def stopped(installed: Clone) -> Iterator[Clone]:
    """The installed clone; nothing runs before and after."""
    yield installed
    installed.run("stop.sh", timeout_s=120)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1400, "height": 1000})
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    yield tab
    context.close()


def check_pictures(page: Page, address: str, sources: list[str]) -> None:
    """See each camera advance on all three topics, and boxes on the canvas where something was found."""
    page.goto(address)
    for source in sources:
        for topic in TOPICS:
            tile = page.locator(TILE.format(topic, source))
            first = int(tile.get_attribute("data-sequence") or -1) if tile.count() else -1
            advanced = "([css, first]) => +document.querySelector(css)?.dataset.sequence > first + 3"
            page.wait_for_function(advanced, arg=[TILE.format(topic, source), first])
        drawn = (
            f"css => {{ const tile = document.querySelector(css); return tile && ({STROKES})(tile) > 50; }}"
        )
        page.wait_for_function(drawn, arg=TILE.format("IMAGEAI_FRAME", source))


def address_of(said: str) -> str:
    """The last line is the address."""
    return said.strip().splitlines()[-1]


def is_free(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) != 0


def test_a_clean_clone_shows_boxes_on_real_video_and_stop_leaves_nothing(clone: Clone, page: Page) -> None:
    done = clone.run("run.sh")
    assert done.returncode == 0
    assert address_of(done.stdout) == f"https://localhost:{clone.ports[0]}"
    sources = [service.title for service in clone.supervisor.services() if service.title]
    assert len(sources) == 2
    check_pictures(page, address_of(done.stdout), sources)

    again = clone.run("run.sh", timeout_s=60)
    assert again.returncode == 0
    assert "already running" in again.stdout
    assert address_of(again.stdout) == address_of(done.stdout)

    assert clone.run("stop.sh", timeout_s=120).returncode == 0
    assert clone.processes() == {}
    assert all(is_free(port) for port in clone.ports)
    assert clone.run("stop.sh", timeout_s=30).returncode == 0
    caches = [cache for cache in (".npm", ".cache/pip") if (clone.home / cache).exists()]
    outside = [path.name for path in clone.home.iterdir() if not path.name.startswith(".")]
    assert caches == [], "what was fetched lies below the data folder"
    assert outside == [], "nothing is left in the user's home"


def test_the_next_start_needs_no_network(stopped: Clone) -> None:
    if os.geteuid():
        pytest.skip("only root can take the network away")
    assert stopped.run("run.sh", offline=True, timeout_s=120).returncode == 0
    assert stopped.run("stop.sh", timeout_s=120).returncode == 0
    assert stopped.processes() == {}


def test_two_run_side_by_side_and_each_is_stopped_alone(stopped: Clone, tmp_path: Path) -> None:
    ports = free_port(), free_port()
    other_data = str(stopped.folder / ".other")
    other = ["--port", ports[0], "--kafka-port", ports[1]]
    assert stopped.run("run.sh", timeout_s=120).returncode == 0
    second = stopped.run("run.sh", *other, "--data", other_data, timeout_s=120)
    try:
        assert second.returncode == 0
        assert address_of(second.stdout) == f"https://localhost:{ports[0]}"
        assert stopped.run("stop.sh", timeout_s=120).returncode == 0
        assert is_free(stopped.ports[0])
        still = Supervisor(Path(other_data))
        assert still.process, "the other one goes on"
        assert set(still.running()) >= {"broker", "page", "redaction", "imageaiProcessor"}
    finally:
        stopped.run("stop.sh", "--data", other_data, timeout_s=120)
    assert stopped.processes() == {}
    assert all(map(is_free, ports))


@pytest.mark.parametrize("service", ["imageaiProcessor", "producer-1", "page", "broker"])
def test_a_service_that_crashes_is_restarted_and_pictures_flow_again(
    stopped: Clone, page: Page, service: str
) -> None:
    done = stopped.run("run.sh", timeout_s=120)
    killed = stopped.supervisor.running()[service]
    killed.send(signal.SIGKILL)
    wait_for(lambda: stopped.supervisor.running().get(service, killed) != killed, f"a new {service}")
    assert stopped.run("run.sh", timeout_s=120).returncode == 0, "a picture of each camera passes again"
    sources = [service.title for service in stopped.supervisor.services() if service.title]
    check_pictures(page, address_of(done.stdout), sources)


def test_stop_ends_everything_after_the_supervisor_was_killed(stopped: Clone) -> None:
    stopped.run("run.sh", timeout_s=120)
    supervisor = stopped.supervisor.process
    assert supervisor
    supervisor.send(signal.SIGKILL)
    supervisor.wait_gone(5)
    assert stopped.run("stop.sh", timeout_s=120).returncode == 0
    assert stopped.processes() == {}
    assert all(is_free(port) for port in stopped.ports)


def test_a_start_that_fails_shows_the_log_of_the_service_and_leaves_nothing(
    stopped: Clone, tmp_path: Path
) -> None:
    broken = stopped.home / "broken.mp4"
    broken.write_text("this is no video")
    done = stopped.run("run.sh", broken, timeout_s=120)
    broken.unlink()
    assert done.returncode == 2
    assert "producer-1 (broken) ended with exit status 2" in done.stdout
    assert done.stdout.count("broken.mp4") == 1
    assert not (stopped.folder / ".imagebus" / "run" / "services.json").exists()
    assert stopped.processes() == {}


def test_a_camera_that_does_not_answer_is_said_why_and_still_tried(stopped: Clone) -> None:
    done = stopped.run("run.sh", "rtsp://user:geheim@127.0.0.1:1/stream", timeout_s=120)
    assert done.returncode == 0
    assert "nothing listens there" in done.stdout
    assert "producer-1 (127.0.0.1:1) shows nothing yet, and is still being tried" in done.stdout
    assert "geheim" not in done.stdout
    assert done.stdout.splitlines()[-2].startswith("stop it with ")
    assert address_of(done.stdout) == f"https://localhost:{stopped.ports[0]}"
    assert "producer-1" in stopped.supervisor.running()


def test_a_start_that_is_interrupted_leaves_nothing(stopped: Clone) -> None:
    command = stopped.command(stopped.folder / "run.sh")
    starting = subprocess.Popen(command, cwd=stopped.home, start_new_session=True)
    wait_for(lambda: "broker" in stopped.supervisor.running(), "the broker starts")
    os.killpg(starting.pid, signal.SIGINT)
    assert starting.wait(120) == 130
    assert stopped.processes() == {}


def test_a_port_that_is_taken_is_said_before_anything_starts(stopped: Clone) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = stopped.run("run.sh", "--port", port, timeout_s=60)
    assert done.returncode == 2
    assert f"--port: {port} is taken by another program" in done.stdout
    assert stopped.processes() == {}


def test_the_users_own_clip_and_a_camera_with_a_password_are_shown_and_the_password_is_not(
    stopped: Clone, page: Page, assets: Path
) -> None:
    clip = stopped.home / "own clip.mp4"
    shutil.copyfile(assets / "videos" / "hall-people-one-by-one.mp4", clip)
    clip.chmod(0o644)
    done = stopped.run("run.sh", clip, "rtsp://user:geheim@127.0.0.1:1/stream", timeout_s=180)
    assert done.returncode == 0, "one of two shows: go on and say what is missing"
    assert "producer-2 (127.0.0.1:1) shows nothing yet" in done.stdout
    assert "geheim" not in done.stdout
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "geheim" not in lines
    for file in (stopped.folder / ".imagebus").rglob("*"):
        if file.is_file() and file.stat().st_size < 1e6 and b"geheim" in file.read_bytes():
            assert file.name == "services.json"
            assert file.stat().st_mode & 0o077 == 0
    page.goto(address_of(done.stdout))
    page.wait_for_selector(TILE.format("REDACTION_FRAME", "own clip"))
    clip.unlink()
