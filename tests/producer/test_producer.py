"""producer.py from its command line to a real broker."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from imagebus import jpeg
from imagebus.kafka.probe import free_port
from imagebus.kafka.process import die_with_parent
from tests.producer.cameras import RtspCamera
from tests.producer.mjpeg_server import serving
from tests.producer.programs import NO_BROKER, PROGRAM, Running, frames_on, records_on, run, running

CAMERA = "lavfi:testsrc=size=320x240:rate=25,realtime"


@pytest.fixture
def topic() -> str:
    return f"PRODUCER_{uuid4().hex}"


def test_a_file_ends_with_0_after_every_frame_is_on_the_topic(
    kafka: str, topic: str, bars: Path, tmp_path: Path
) -> None:
    status, out, err = run(tmp_path, bars, "-f", 1, "-n", "door", "-t", topic, "--kafka", kafka, "--speed", 4)
    assert (status, err.count("\n")) == (0, 1)
    frames = frames_on(kafka, topic, 50)
    assert [frame.sequence for frame in frames] == list(range(50))
    assert {frame.epoch for frame in frames} == {frames[0].epoch}
    assert {(frame.source, frame.width, frame.height) for frame in frames} == {("door", 320, 240)}
    assert [frame.trail[0].kind for frame in frames] == ["producer"] * 50
    steps = np.diff([frame.captured_ns for frame in frames]) / 1e9
    assert np.median(steps) == pytest.approx(0.01, abs=0.001)
    assert abs(time.time() - frames[-1].captured_ns / 1e9) < 60
    lines = out.splitlines()
    assert len(lines) == 50
    spent = r"sent \d+\.\d ms after capture, average \d+\.\d ms"
    assert re.fullmatch(rf"door 7: 320x240, \d+ bytes, {spent}", lines[7])


def test_by_default_one_frame_in_thirty_goes_to_source_frame_as_source(
    kafka: str, bars: Path, tmp_path: Path
) -> None:
    status, out, _ = run(tmp_path, bars, "--kafka", kafka, "--speed", 100)
    assert status == 0
    assert len(out.splitlines()) == 2
    assert [frame.source for frame in frames_on(kafka, "SOURCE_FRAME", 2)] == ["source"] * 2


def test_quiet_prints_no_line_a_frame(kafka: str, topic: str, bars: Path, tmp_path: Path) -> None:
    assert run(tmp_path, bars, "-q", "-t", topic, "--kafka", kafka, "--speed", 100)[:2] == (0, "")


def test_a_looped_file_goes_on_in_one_epoch(kafka: str, topic: str, bars: Path, tmp_path: Path) -> None:
    flags = ("-f", 1, "--loop", "--speed", 4, "-t", topic, "--kafka", kafka)
    with running(tmp_path, bars, *flags) as program:
        program.wait_for(lambda: program.printed.count("\n") > 120)
        assert program.ends(signal.SIGTERM) == 0
        printed = program.printed.count("\n")
    frames = frames_on(kafka, topic, printed)
    assert [frame.sequence for frame in frames] == list(range(printed))
    assert len({frame.epoch for frame in frames}) == 1
    assert frames[0].image == frames[50].image == frames[100].image


@pytest.mark.rtsp
def test_an_rtsp_camera_that_was_away_is_on_the_topic_again(
    kafka: str, topic: str, new_rtsp: Callable[..., RtspCamera], tmp_path: Path
) -> None:
    camera = new_rtsp()
    with running(tmp_path, camera.address(), "-f", 1, "-t", topic, "--kafka", kafka) as program:
        program.wait_for(lambda: program.printed.count("\n") > 10)
        camera.kill()
        program.wait_for(lambda: "trying again" in program.told)
        time.sleep(3)
        camera.start()
        before = program.printed.count("\n")
        program.wait_for(lambda: program.printed.count("\n") > before)
        assert program.ends(signal.SIGTERM) == 0
        printed = program.printed.count("\n")
    frames = frames_on(kafka, topic, printed)
    assert [frame.sequence for frame in frames] == list(range(printed))


def test_a_name_of_any_kind_is_unchanged_in_the_record_and_harmless_on_the_terminal(
    kafka: str, topic: str, bars: Path, tmp_path: Path
) -> None:
    name = "../../Tür <b>☃</b>\x1b[31m\nforged 1: line"
    status, out, err = run(tmp_path, bars, "-n", name, "-t", topic, "--kafka", kafka, "--speed", 100)
    assert status == 0
    assert {record.key for record in records_on(kafka, topic, 2)} == {name.encode()}
    assert "\x1b" not in out + err
    assert len(out.splitlines()) == 2
    assert "Tür <b>☃</b>" in out


def test_a_camera_s_jpegs_reach_the_topic_as_they_are(kafka: str, topic: str, tmp_path: Path) -> None:
    picture = jpeg.encode(np.full((48, 64, 3), 90, np.uint8))
    with (
        serving([picture], tmp_path) as server,
        running(
            tmp_path, f"http://{server.address}/camera", "-f", 1, "-t", topic, "--kafka", kafka
        ) as program,
    ):
        program.wait_for(lambda: program.printed.count("\n") >= 5)
        assert program.ends(signal.SIGTERM) == 0
    assert {frame.image for frame in frames_on(kafka, topic, 5)} == {picture}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["/no/such/clip.mp4"], "No such file"),
        ([__file__], "no video"),
        (["/"], "folder"),
        ([], "name a camera"),
        (["clip.mp4", "-f", "0"], "--frame"),
        ([CAMERA, "-t", "not/legal"], "--topic"),
        ([CAMERA, "-n", "x" * 257], "--name"),
        ([CAMERA, "--loop"], "--loop"),
        (["rtsp://camera/", "--speed", "2"], "--speed"),
        (["clip.mp4", "--quality", "101"], "--quality"),
        (["clip.mp4", "-f", "99999999999999999999999"], "--frame"),
        (["clip.mp4", "--max-fps", "1e-320"], "--max-fps"),
        (["clip.mp4", "--max-fps", "nan"], "--max-fps"),
        (["clip.mp4", "--speed", "1e9"], "--speed"),
        (["clip.mp4", "--speed", "1e-320"], "--speed"),
        (["/dev/zero"], "no regular file"),
        ([CAMERA, "--kafka-config", "/no/such/file"], "--kafka-config"),
    ],
)
def test_a_fault_of_the_user_ends_with_2_and_one_line_that_names_it(
    arguments: list[str], word: str, tmp_path: Path
) -> None:
    status, out, err = run(tmp_path, *arguments, "--kafka", NO_BROKER)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert word in err


def test_a_damaged_file_is_published_as_far_as_it_goes_and_ends_with_1(
    kafka: str, topic: str, assets: Path, tmp_path: Path
) -> None:
    file = assets / "bad" / "truncated-car.mp4"
    status, out, err = run(tmp_path, file, "-f", 1, "-t", topic, "--kafka", kafka, "--speed", 100)
    assert (status, len(out.splitlines())) == (1, 52)
    assert "damaged parts left out" in err


def test_a_camera_that_is_away_is_told_once_and_does_not_flood_the_log(tmp_path: Path) -> None:
    where = f"rtsp://127.0.0.1:{free_port()}/x"
    with running(tmp_path, where, "--kafka", NO_BROKER) as program:
        program.wait_for(lambda: "nothing listens there" in program.told, within_s=10)
        time.sleep(4)
        assert program.told.count("nothing listens there") == 1


def test_a_live_camera_drops_its_oldest_pictures_while_the_broker_is_away_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path, CAMERA, "-f", 1, "--kafka", NO_BROKER) as program:
        program.wait_for(lambda: "pictures dropped: the broker is slow or away" in program.told)


@pytest.mark.parametrize("source", ["camera", "file that waits"])
def test_a_signal_ends_it_though_the_broker_is_away(source: str, bars: Path, tmp_path: Path) -> None:
    command = [CAMERA] if source == "camera" else [bars, "--speed", 50]
    with running(tmp_path, *command, "-f", 1, "--kafka", NO_BROKER) as program:
        program.wait_for(lambda: "waiting for it" in program.told)
        time.sleep(2)  # a file's pictures fill the queue, and it waits
        assert program.ends(signal.SIGTERM) == 1
        assert "did not acknowledge" in program.told
        assert "Traceback" not in program.told


def test_a_reader_of_the_lines_who_has_enough_stops_the_producer_in_order(
    kafka: str, topic: str, tmp_path: Path
) -> None:
    command = [sys.executable, str(PROGRAM), CAMERA, "-f", "1", "-t", topic, "--kafka", kafka]
    with (
        (tmp_path / "err.txt").open("wb") as err,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, preexec_fn=die_with_parent) as program,
    ):
        try:
            assert program.stdout
            program.stdout.readline()
            program.stdout.close()
            assert program.wait(20) == 0
        finally:
            program.kill()
    assert b"Traceback" not in (tmp_path / "err.txt").read_bytes()


def test_the_readme_names_exactly_the_flags_that_there_are(tmp_path: Path) -> None:
    status, out, _ = run(tmp_path, "--help")
    flag = r"(?<![\w-])--?[a-z][a-z-]*"
    table = PROGRAM.with_name("README.md").read_text().partition("| option")[2].partition("\n\n")[0]
    options = out.partition("Each flag")[0]
    assert status == 0
    assert set(re.findall(flag, table)) == set(re.findall(flag, options)) - {"-h", "--help", "--version"}


SECRETS = ("bob77", "hunter22", "t0ken33")


def shown_by(program: Running) -> str:
    """Return everything that another user of the machine, or a reader of the logs, gets to see."""
    processes = [program.process.pid, *program.children]
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace") for pid in processes]
    return "\n".join([*lines, program.printed, program.told])


@pytest.mark.parametrize("password", ["hunter22", "wrong"])
@pytest.mark.parametrize("path", ["camera", "nothing"])
def test_the_password_is_nowhere_to_be_seen(path: str, password: str, tmp_path: Path) -> None:
    picture = jpeg.encode(np.full((48, 64, 3), 90, np.uint8))
    with serving([picture], tmp_path) as server:
        server.credentials = f"bob77:{password}"
        where = f"http://bob77:hunter22@{server.address}/{path}?token=t0ken33"
        with running(tmp_path, where, "-f", 1, "--kafka", NO_BROKER) as program:
            program.wait_for(lambda: "***" in program.told)
            assert program.children
            shown = shown_by(program)
            assert "http://***@" in Path(f"/proc/{program.process.pid}/cmdline").read_text()
        assert server.asked
        assert all(asked.endswith("?token=t0ken33") for asked in server.asked)
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.rtsp
def test_the_password_of_an_rtsp_camera_is_nowhere_to_be_seen_even_when_capture_crashes(
    new_rtsp: Callable[..., RtspCamera], tmp_path: Path
) -> None:
    camera = new_rtsp("bob77", "hunter22")
    with running(tmp_path, camera.address("bob77:hunter22@"), "--kafka", NO_BROKER) as program:
        program.wait_for(lambda: "640x360" in program.told)
        [child] = program.children
        subprocess.run(["kill", "-SEGV", str(child)], check=True)
        program.wait_for(lambda: "SIGSEGV" in program.told and program.told.count("640x360") == 2)
        shown = shown_by(program)
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("address", ["rtsp:/bob77:hunter22@a/", "bob77:hunter22@a"])
def test_the_password_of_a_mistyped_address_is_not_shown(address: str, tmp_path: Path) -> None:
    status, out, err = run(tmp_path, address)
    assert status == 2
    assert not [secret for secret in SECRETS if secret in out + err]


@pytest.mark.parametrize("flags", [["rtsp://bob77:hunter22@b/"], ["--nonsense"], ["-f", "x"], ["--loop"]])
def test_the_password_is_not_shown_when_the_command_is_wrong(flags: list[str], tmp_path: Path) -> None:
    status, out, err = run(tmp_path, "rtsp://bob77:hunter22@a/", *flags)
    assert status == 2
    assert not [secret for secret in SECRETS if secret in out + err]


def test_the_address_may_come_by_the_environment(tmp_path: Path) -> None:
    with running(tmp_path, IMAGEBUS_ADDRESS=CAMERA, IMAGEBUS_KAFKA=NO_BROKER) as program:
        program.wait_for(lambda: "320x240" in program.told)
