"""The capture process hangs, dies or is left alone: the producer goes on, and nothing stays behind."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.producer.cameras import Seen, capturing
from tests.producer.programs import NO_BROKER, Running, running

CAMERA = "lavfi:testsrc=size=320x240:rate=25,realtime"


def the_child() -> int:
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    [child] = [int(pid) for pid in own if b"capture.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return child


@pytest.mark.parametrize(
    ("video", "pictures"), [("park-man-ball.mp4", 300), ("car-4-frames-mpeg4.mp4", 1600)]
)
def test_memory_grows_neither_with_the_number_of_pictures_nor_with_that_of_rounds(
    assets: Path, video: str, pictures: int
) -> None:
    with capturing(assets / "videos" / video, loop=True) as read:
        read(lambda seen: len(seen.pictures) >= pictures)
        status = Path(f"/proc/{the_child()}/status").read_text()
    [peak_kb] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    assert int(peak_kb) < 200_000


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_capture_process_that_dies_is_replaced(signum: signal.Signals) -> None:
    with capturing(CAMERA) as read:
        before = len(read(lambda seen: len(seen.pictures) >= 5).pictures)
        os.kill(the_child(), signum)
        seen = read(lambda seen: bool(seen.lost))
        assert signum.name in seen.lost[0]
        read(lambda seen: len(seen.pictures) >= before + 20, within_s=10)


def test_a_capture_process_that_hangs_is_killed_and_replaced() -> None:
    with capturing(CAMERA, read_s=0.5) as read:
        read(lambda seen: len(seen.pictures) >= 5)
        hung = the_child()
        os.kill(hung, signal.SIGSTOP)
        seen = read(lambda seen: bool(seen.lost), within_s=8)
        assert "hung" in seen.lost[0]
        before = len(seen.pictures)
        read(lambda seen: len(seen.pictures) >= before + 5, within_s=10)
        assert not Path(f"/proc/{hung}").exists()


def test_a_slow_reader_is_not_taken_for_a_hang() -> None:
    with capturing(CAMERA, read_s=0.5) as read:
        read(lambda seen: len(seen.pictures) >= 5)
        child = the_child()
        time.sleep(6)  # more than any silence that is allowed
        before = len(read(lambda seen: True).pictures)
        seen = read(lambda seen: len(seen.pictures) >= before + 100)
        assert the_child() == child
    assert seen.lost == []


def test_a_file_whose_capture_dies_ends_with_one_and_says_so(bars: Path) -> None:
    with capturing(bars, speed=1.0) as read:
        read(lambda seen: len(seen.pictures) >= 5)
        os.kill(the_child(), signal.SIGKILL)
        seen = read()
    assert seen.end.exit_code == 1
    assert "SIGKILL" in seen.end.reason


def test_a_looped_file_whose_capture_dies_begins_again(bars: Path) -> None:
    def again(seen: Seen) -> bool:
        return len(seen.pictures) > 5 and seen.pictures[-1].jpeg == seen.pictures[0].jpeg

    with capturing(bars, speed=1.0, loop=True) as read:
        read(lambda seen: len(seen.pictures) >= 5)
        os.kill(the_child(), signal.SIGKILL)
        assert len(read(again).lost) == 1


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def started(program: Running) -> int:
    program.wait_for(lambda: "320x240" in program.told)
    [child] = program.children
    return child


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_capture_process_ends_with_the_producer_however_that_ends(
    signum: signal.Signals, tmp_path: Path
) -> None:
    with running(tmp_path, CAMERA, "--kafka", NO_BROKER) as program:
        child = started(program)
        program.ends(signum)
        deadline = time.monotonic() + 5
        while not gone(child):
            assert time.monotonic() < deadline, "the capture process outlived its producer"
            time.sleep(0.02)


def test_an_interrupt_from_the_terminal_reaches_only_the_producer(tmp_path: Path) -> None:
    with running(tmp_path, CAMERA, "--kafka", NO_BROKER) as program:
        child = started(program)
        assert os.getpgid(child) != os.getpgid(program.process.pid)
        assert program.ends(signal.SIGINT) == 130
        assert "Traceback" not in program.told
