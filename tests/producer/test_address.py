from __future__ import annotations

import os
import socket
from pathlib import Path

import address
import pytest

from imagebus.errors import ConfigurationError
from tests.producer.cameras import capture, ffmpeg


@pytest.mark.parametrize("word", ["WEBCAM", "webcam", "WebCam"])
def test_webcam_in_any_case_is_the_first_camera_device(word: str, tmp_path: Path) -> None:
    device = tmp_path / "video0"
    with pytest.raises(ConfigurationError, match="no camera at"):
        address.parse(word, str(device))
    device.touch()
    found = address.parse(word, str(device))
    assert (found.url, found.format, found.live) == (str(device), "v4l2", True)


def test_rtsp_goes_over_tcp_and_its_password_is_not_shown() -> None:
    found = address.parse("rtsp://bob:hunter22@camera/path")
    assert dict(found.options)["rtsp_transport"] == "tcp"
    assert found.live is True
    assert "hunter22" not in found.shown


def test_whether_http_is_live_is_left_open_until_it_is_opened() -> None:
    assert address.parse("http://camera/x").live is None
    assert address.parse("rtmp://camera/x").live is True


@pytest.mark.parametrize("name", ["a:b 100%03d.mp4", "füße ☃.mp4", "-f.mp4", "a\nb.mp4", "rtsp:x.mp4"])
def test_a_file_may_have_any_name(
    name: str, bars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(bars.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(capture(name).pictures) == 50


def test_a_file_may_have_a_name_that_is_no_text(bars: Path, tmp_path: Path) -> None:
    path = tmp_path / b"\xff\xfe.mp4".decode(errors="surrogateescape")
    path.write_bytes(bars.read_bytes())
    assert len(capture(path).pictures) == 50


def test_a_picture_with_a_percent_sign_is_one_file_and_no_pattern(tmp_path: Path) -> None:
    path = tmp_path / "p%03d.png"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x48", "-frames:v", 1, "-update", 1, tmp_path / "x.png")
    (tmp_path / "x.png").rename(path)
    assert len(capture(path).pictures) == 1


def test_a_pipe_and_a_socket_are_refused_without_waiting_for_who_writes_into_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.mp4"))
        for name in ("pipe.mp4", "socket.mp4"):
            with pytest.raises(ConfigurationError, match="no regular file"):
                address.parse(str(tmp_path / name))


@pytest.mark.parametrize("text", ["", "/no/such/file.mp4", "/tmp", "nul\0byte"])
def test_what_is_no_file_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigurationError):
        address.parse(text)
