"""Live sources over real servers: RTSP, RTMP, HTTP Motion JPEG, HLS; gone and back again."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from imagebus import jpeg
from imagebus.kafka.probe import free_port
from imagebus.kafka.process import die_with_parent
from tests.producer.cameras import RtspCamera, Seen, capturing
from tests.producer.mjpeg_server import serving
from tests.programs import wait_for

GREY = jpeg.encode(np.full((48, 64, 3), 90, np.uint8))


def at_least(pictures: int) -> Callable[[Seen], bool]:
    return lambda seen: len(seen.pictures) >= pictures


@pytest.mark.rtsp
def test_rtsp_brings_live_pictures(rtsp: RtspCamera) -> None:
    with capturing(rtsp.address()) as read:
        seen = read(at_least(50))
    header = jpeg.read_header(seen.pictures[0].jpeg)
    assert (header.width, header.height) == (640, 360)
    times = np.array([p.captured_ns for p in seen.pictures]) / 1e9
    assert (np.diff(times) > 0).all()
    assert abs(time.monotonic() - times[-1]) < 30


@pytest.mark.rtsp
def test_max_fps_limits_a_live_source(rtsp: RtspCamera) -> None:
    with capturing(rtsp.address(), max_fps=5.0) as read:
        times = np.array([p.captured_ns for p in read(at_least(10)).pictures]) / 1e9
    assert times[-1] - times[0] > 1.5


@pytest.mark.rtsp
def test_a_killed_rtsp_server_that_returns_brings_pictures_again(new_rtsp: Callable[..., RtspCamera]) -> None:
    camera = new_rtsp()
    with capturing(camera.address()) as read:
        read(at_least(10))
        camera.kill()
        seen = read(lambda seen: len(seen.lost) >= 4)
        before = len(seen.pictures)
        camera.start()
        read(at_least(before + 1))


def test_a_camera_that_is_away_is_tried_again_and_again() -> None:
    with capturing(f"rtsp://127.0.0.1:{free_port()}/camera") as read:
        seen = read(lambda seen: len(seen.lost) >= 6)
    assert set(seen.lost) == {"nothing listens there"}


@pytest.mark.rtsp
def test_a_wrong_password_is_told_at_once_and_tried_again(new_rtsp: Callable[..., RtspCamera]) -> None:
    camera = new_rtsp("bob", "hunter22")
    with capturing(camera.address("bob:wrong77@")) as read:
        seen = read(lambda seen: len(seen.lost) >= 2)
    assert "401" in seen.lost[0]
    assert "wrong77" not in repr(seen.messages)
    with capturing(camera.address("bob:hunter22@")) as read:
        assert len(read(at_least(3)).pictures) == 3


@pytest.mark.rtsp
def test_a_wrong_path_is_told_at_once_and_tried_again(rtsp: RtspCamera) -> None:
    with capturing(rtsp.address(path="nothing")) as read:
        assert "404" in read(lambda seen: len(seen.lost) >= 2).lost[1]


def test_motion_jpeg_over_http_is_passed_on_as_it_is(tmp_path: Path) -> None:
    with serving([GREY], tmp_path) as server, capturing(f"http://{server.address}/camera") as read:
        seen = read(at_least(20))
    assert {picture.jpeg for picture in seen.pictures} == {GREY}


def test_an_http_camera_gets_the_password_it_asks_for(tmp_path: Path) -> None:
    with serving([GREY], tmp_path) as server:
        server.credentials = "bob:hunter22"
        with capturing(f"http://bob:hunter22@{server.address}/camera") as read:
            read(at_least(1))
        with capturing(f"http://bob:wrong77@{server.address}/camera") as read:
            assert "401" in read(lambda seen: bool(seen.lost)).lost[0]


@pytest.mark.parametrize(("status", "word"), [(401, "401"), (403, "403"), (404, "404"), (503, "error")])
def test_a_camera_that_answers_with_an_error_is_tried_again(status: int, word: str, tmp_path: Path) -> None:
    with serving([GREY], tmp_path) as server, capturing(f"http://{server.address}/door") as read:
        server.errors["/door"] = status
        assert word in read(lambda seen: bool(seen.lost)).lost[0]
        server.errors.clear()
        (tmp_path / "door").write_bytes(GREY)
        read(lambda seen: bool(seen.pictures))


def test_a_camera_that_falls_silent_is_left_and_tried_again(tmp_path: Path) -> None:
    with serving([GREY], tmp_path) as server, capturing(f"rtsp://{server.address}/camera") as read:
        read(lambda seen: bool(seen.lost), within_s=15)  # speaks HTTP, no RTSP
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with capturing(f"rtsp://127.0.0.1:{port}/camera") as read:
            seen = read(lambda seen: bool(seen.lost), within_s=15)
    assert "capture process" not in seen.lost[0]


def test_a_file_on_a_web_server_is_played_at_its_own_speed_and_ends(bars: Path) -> None:
    with serving([], bars.parent) as server, capturing(f"http://{server.address}/{bars.name}") as read:
        seen = read()
    assert seen.end.exit_code == 0
    times = np.array([p.captured_ns for p in seen.pictures]) / 1e9
    assert len(times) == 50
    assert np.median(np.diff(times)) == pytest.approx(0.04, abs=0.001)


@contextmanager
def ffmpeg_process(*arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


LIVE = ["-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", 25, "-bf", 0, "-pix_fmt", "yuv420p"]


def test_rtmp_brings_pictures() -> None:
    where = f"rtmp://127.0.0.1:{free_port()}/live/camera"
    with ffmpeg_process(*LIVE, *H264, "-f", "flv", "-listen", 1, where), capturing(where) as read:
        assert jpeg.read_header(read(at_least(30)).pictures[0].jpeg).width == 320


def test_hls_flows_evenly_though_it_comes_in_segments(tmp_path: Path) -> None:
    hls = ["-f", "hls", "-hls_time", 1, "-hls_list_size", 5, tmp_path / "live.m3u8"]
    with ffmpeg_process(*LIVE, *H264, *hls), serving([], tmp_path) as server:
        wait_for((tmp_path / "live.m3u8").exists, "a playlist")
        with capturing(f"http://{server.address}/live.m3u8") as read:
            seen = read(at_least(100))
    assert seen.lost == []
    times = np.array([p.captured_ns for p in seen.pictures]) / 1e9
    assert np.median(np.diff(times)) > 0.02, "a segment's pictures do not come all at once"


def test_a_made_up_camera_runs_where_there_is_no_webcam() -> None:
    with capturing("lavfi:testsrc=size=640x480:rate=25,realtime") as read:
        seen = read(at_least(10))
    assert jpeg.read_header(seen.pictures[0].jpeg).width == 640
