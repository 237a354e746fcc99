"""Names of cameras: unique, and without a secret whatever the address looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagebus.launch.cameras import named

SECRET = "geheim"


def test_a_file_is_named_after_itself_and_played_in_a_loop(tmp_path: Path) -> None:
    clip = tmp_path / "front door.mp4"
    clip.touch()
    [camera] = named([str(clip)])
    assert (camera.name, camera.address, camera.loop) == ("front door", str(clip), True)


def test_a_file_is_found_from_any_folder_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip.mp4").touch()
    monkeypatch.chdir(tmp_path)
    assert named(["clip.mp4"])[0].address == str(tmp_path / "clip.mp4")


def test_a_stream_is_named_after_its_host_and_has_no_end() -> None:
    [camera] = named(["rtsp://user:pass@Cam.example:554/h264/main"])
    assert (camera.name, camera.loop) == ("cam.example:554", False)
    assert camera.address == "rtsp://user:pass@Cam.example:554/h264/main"


@pytest.mark.parametrize(
    "address",
    [
        f"rtsp://user:{SECRET}@host/path",
        f"rtsp://user:{SECRET}/@host/path",
        f"rtsp://user:p@{SECRET}@host/path",
        f"rtsp://{SECRET}?x@host/path",
        f"rtsp://user:a/b@{SECRET}/c@host/path",
        f"rtsp://host/user=admin_password={SECRET}_channel=1",
        f"rtmp://host/live/{SECRET}",
        f"http://host/video?token={SECRET}&x=a@{SECRET}",
        f"http://host/video#{SECRET}@{SECRET}",
        f"rtsp://[{SECRET}@host/path",
    ],
)
def test_no_secret_of_an_address_gets_into_the_name(address: str) -> None:
    [camera] = named([address])
    assert SECRET not in camera.name
    assert camera.name in ("host", "camera")
    assert camera.address == address


def test_names_are_unique() -> None:
    addresses = ["rtsp://nvr/1", "rtsp://nvr/2", "rtsp://nvr-2/1", "rtsp://nvr/3"]
    names = [camera.name for camera in named(addresses)]
    assert len(set(names)) == 4
    assert names[0] == "nvr"


@pytest.mark.parametrize("missing", ["nothing.mp4", "/dev/video77", "a\0b"])
def test_what_is_not_there_is_refused_by_name(missing: str) -> None:
    with pytest.raises(ValueError, match=r"nothing\.mp4|/dev/video77|null"):
        named([missing])


def test_a_folder_is_no_camera(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder"):
        named([str(tmp_path)])
