"""What all tests may ask for: a real broker, and the pictures, videos and models kept elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from imagebus.folders import checkout
from imagebus.kafka.local import LocalBroker
from imagebus.kafka.process import Process, die_with_parent
from imagebus.kafka.state import State, read
from tests.broker import begin

# Where tests run in the background of a script, SIGINT is ignored, and so it would be in all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine takes its time over an example; speed is no test.
settings.register_profile("imagebus", deadline=None)
settings.load_profile("imagebus")

IMAGEBUS = Path(sys.executable).with_name("imagebus")
START_S = 120.0


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark whoever asks for the broker."""
    if {"kafka", "new_broker"} & set(getattr(item, "fixturenames", ())):
        item.add_marker("kafka")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that the others fill the time beside them."""
    minutes = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in minutes)


class Broker:
    """A real Kafka in a folder of its own; it ends when the test run does, however that ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0  # any that is free, and from then on the same
        self.start()
        self.address = f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers; after a kill, with the same records."""
        command = [str(IMAGEBUS), *f"kafka start --foreground --port {self.port} --data".split()]
        quick = "--java-options=-XX:TieredStopAtLevel=1"  # half the processor time, for a short life
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "start.txt").open("ab") as said:
            self.child = subprocess.Popen(
                [*command, str(self.folder), quick], stdout=said, stderr=said, preexec_fn=die_with_parent
            )
        deadline = time.monotonic() + START_S
        while not LocalBroker(self.folder).status()[0]:
            if self.child.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the broker did not start:\n{(self.folder / 'start.txt').read_text()}")
            time.sleep(0.05)
        self.port = self._state.port

    @property
    def _state(self) -> State:
        state = read(self.folder)
        assert state is not None
        return state

    @property
    def process(self) -> Process:
        """The Java process itself."""
        return self._state.process

    def kill(self) -> None:
        """Kill it as a power cut would, without a word."""
        self.process.send(signal.SIGKILL)
        self.child.wait(30)

    def stop(self) -> None:
        """Stop it in order."""
        self.child.terminate()
        self.child.wait(60)


@pytest.fixture(autouse=True)
def _fresh_frames() -> None:
    """Have the frames of a test be as old as the test, however long the whole run takes."""
    begin()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the one broker that the test run shares: take topics and groups of your own names."""
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    yield broker.address
    broker.stop()


@pytest.fixture
def new_broker(tmp_path: Path) -> Iterator[Callable[[], Broker]]:
    """Make brokers that a test may kill: ``new_broker().kill()``."""
    made: list[Broker] = []

    def make() -> Broker:
        made.append(Broker(tmp_path / f"broker{len(made)}"))
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("IMAGEBUS_CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of the test pictures and videos: $IMAGEBUS_ASSETS, else beside the checkout."""
    root = checkout()
    assert root is not None
    return _existing(Path(os.environ.get("IMAGEBUS_ASSETS") or root.parent / "shared" / "assets"))


@pytest.fixture(scope="session")
def models(assets: Path) -> Path:
    """Folder of the test models, beside the assets."""
    return _existing(assets.parent / "models")


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.fail(f"no folder {folder}: set IMAGEBUS_ASSETS to the folder of the test assets")
    return folder.absolute()
