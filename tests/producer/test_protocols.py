"""What a source sends or holds can be a list of further addresses: FFmpeg must not follow them anywhere."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imagebus.kafka.probe import free_port
from imagebus.kafka.process import die_with_parent
from tests.producer.cameras import capture, capturing, ffmpeg
from tests.producer.mjpeg_server import serving

SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
SDP += "a=rtpmap:96 H264/90000\n"
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{segment}\n#EXT-X-ENDLIST\n"


def listened_on(port: int) -> bool:
    """Return whether any program of this machine has the UDP port."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return port in {int(line.split()[1].rpartition(":")[2], 16) for line in lines}


@contextmanager
def looking_at(port: int) -> Iterator[list[bool]]:
    """Look all the while whether somebody listens on the UDP port; the list returned has each look."""
    looks: list[bool] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            looks.append(listened_on(port))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()


def test_an_sdp_from_a_web_server_opens_no_port(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "camera.sdp").write_text(SDP.format(port=port))
    with (
        serving([], tmp_path) as server,
        looking_at(port) as looks,
        capturing(f"http://{server.address}/camera.sdp") as read,
    ):
        read(lambda seen: bool(seen.lost))
        assert server.asked
    assert looks
    assert not any(looks)


def test_a_look_sees_a_program_that_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        assert listened_on(listener.getsockname()[1])


def test_a_playlist_from_a_web_server_does_not_read_files_of_this_machine(
    segment: Path, tmp_path: Path
) -> None:
    (tmp_path / "live.m3u8").write_text(PLAYLIST.format(segment=f"file://{segment}"))
    with serving([], tmp_path) as server, capturing(f"http://{server.address}/live.m3u8") as read:
        assert read(lambda seen: bool(seen.lost)).pictures == []


def test_a_playlist_in_a_file_plays_segments_beside_it_and_does_not_go_out_to_the_network(
    segment: Path, tmp_path: Path
) -> None:
    file = segment.with_name("clip.m3u8")
    file.write_text(PLAYLIST.format(segment=segment.name))
    assert len(capture(file).pictures) == 50
    with serving([], segment.parent) as server:
        file.write_text(PLAYLIST.format(segment=f"http://{server.address}/{segment.name}"))
        assert capture(file).end.exit_code == 2
        assert server.asked == []


def test_a_stream_over_udp_that_the_user_names_is_opened() -> None:
    where = f"udp://127.0.0.1:{free_port()}"
    stream = ["-re", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25", "-c:v", "mpeg2video", "-g", "5"]
    command = ["ffmpeg", "-v", "error", *stream, "-f", "mpegts", f"{where}?pkt_size=1316"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent) as sender:
        try:
            with capturing(where) as read:
                assert read(lambda seen: len(seen.pictures) >= 3).pictures
        finally:
            sender.kill()


@pytest.fixture
def segment(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("segments") / "one.ts"
    ffmpeg("-i", bars, "-c", "copy", "-f", "mpegts", path)
    return path
