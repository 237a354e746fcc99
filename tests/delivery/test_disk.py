"""The broker's disk fills up: nothing is acknowledged that is not safe, it is said, and room mends it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import Reader, committed, fresh, identities, make_topic
from tests.conftest import IMAGEBUS, Broker
from tests.delivery.cameras import cameras, noise
from tests.delivery.conftest import Run
from tests.programs import wait_for

pytestmark = pytest.mark.kafka
SIZE_MB = 340
LEFT_BYTES = 12_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for one broker."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk needs root: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, left_bytes: int) -> Path:
    """Leave so many bytes free; return the file to remove for more room."""
    disk = os.statvfs(folder)
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - left_bytes)
    return ballast


def test_a_full_disk_loses_nothing_that_was_acknowledged_and_room_mends_it(
    small_disk: Path, tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    (small_disk / "broker").mkdir()
    (small_disk / "broker" / "start.txt").symlink_to(tmp_path / "start.txt")  # where there is room to write
    broker = Broker(small_disk / "broker")
    topic, out = (make_topic(broker.address, fresh(name)) for name in ("in", "out"))
    arguments = ("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--start", "earliest", "--quiet")
    try:
        program = run(*arguments, kafka=broker.address)
        wait_for(lambda: committed(broker.address, f"imagebus.f.{topic}.{out}", topic), "the start")
        with cameras(broker.address, topic, ["cam"], 20, [noise(320, 240)]) as shooting:
            wait_for(lambda: shooting.published >= 10, "frames")
            ballast = fill(small_disk, LEFT_BYTES)
            broker.child.wait(60)
            assert broker.child.returncode == 1
            safe = shooting.published

            said = (broker.folder / "start.txt").read_text()
            assert "the broker ended, for the disk is full: only 0 MB are free" in said
            look = [str(IMAGEBUS), "kafka", "status", "--data", str(broker.folder)]
            status = subprocess.run(look, capture_output=True, text=True, timeout=60, check=False)
            assert status.returncode == 1
            assert "make room, then start it" in status.stdout
            again = [str(IMAGEBUS), "kafka", "start", "--data", str(broker.folder), "--port", "0"]
            start = subprocess.run(again, capture_output=True, text=True, timeout=60, check=False)
            assert start.returncode == 1
            assert "make room" in start.stderr
            program.says("is away; waiting for it")
            time.sleep(2)
            assert shooting.published == safe, "nothing is acknowledged where nothing is kept"
            assert program.alive

            ballast.unlink()
            broker.start()
            wait_for(lambda: shooting.published > safe + 40, "the camera to go on", within_s=60)
            assert shooting.stop() == 0
        assert shooting.published == len(shooting.sent["cam"])
        sent = {frame.identity for frame in shooting.sent["cam"]}
        for name in (topic, out):
            reader = Reader(broker.address, name)
            wait_for(lambda reader=reader: sent <= set(identities(reader.read())), f"all on {name}", 60)  # type: ignore[misc]
            reader.close()
        assert program.ends(signal.SIGTERM) == 0
        assert b"Traceback" not in program.err
    finally:
        broker.stop()
    assert "is away" in capfd.readouterr().err, "the camera said so"
