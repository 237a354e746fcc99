"""Files: every common coding, at their own speed, thinned, looped."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagebus import jpeg
from tests.producer.cameras import capture, ffmpeg

VIDEOS = {
    "videos/hall-person-av1.mp4": (120, 768, 432),
    "videos/hall-person-hevc.mp4": (120, 768, 432),
    "videos/hall-person-mpeg2.ts": (120, 768, 432),
    "videos/hall-person-mpeg4.avi": (120, 768, 432),
    "videos/hall-person-vp9.webm": (120, 768, 432),
    "videos/car-4-frames-mpeg4.mp4": (4, 900, 600),
    "videos/motorway-1080p-20-frames.mp4": (20, 1920, 1080),
    "videos/street-traffic-mjpeg-a.avi": (180, 640, 360),
    "videos/woman-office-720p-raw.264": (19, 1280, 720),
    "videos/junction-cars-motorbikes.mp4": (362, 960, 540),
    "face-videos/office-A-yes.mkv": (None, 640, 480),
    "face-videos/talker-g01-bbaf2n.mpg": (75, 360, 288),
}


@pytest.mark.parametrize("name", VIDEOS)
def test_every_common_container_and_coding_comes_through_whole(name: str, assets: Path) -> None:
    count, width, height = VIDEOS[name]
    seen = capture(assets / name)
    assert (seen.end.exit_code, seen.warnings) == (0, [])
    assert len(seen.pictures) == count or (count is None and len(seen.pictures) > 20)
    for picture in (seen.pictures[0], seen.pictures[-1]):
        pixels = jpeg.decode(picture.jpeg)
        assert pixels.shape == (height, width, 3)
        assert pixels.std() > 10


def test_the_jpegs_of_a_motion_jpeg_file_are_passed_on_as_they_are(assets: Path) -> None:
    path = assets / "videos/street-traffic-mjpeg-a.avi"
    whole = path.read_bytes()
    for picture in capture(path).pictures[::30]:
        at = picture.jpeg.find(b"\xff\xda")
        assert picture.jpeg[at:] in whole


def test_a_file_is_played_at_its_own_speed(bars: Path) -> None:
    times = np.array([p.captured_ns for p in capture(bars, speed=1.0).pictures]) / 1e9
    assert len(times) == 50
    assert np.median(np.diff(times)) == pytest.approx(0.04, abs=0.001)


@pytest.mark.parametrize(("speed", "step_s"), [(2.0, 0.02), (0.5, 0.08)])
def test_speed_plays_a_file_faster_or_slower(speed: float, step_s: float, bars: Path) -> None:
    times = np.array([p.captured_ns for p in capture(bars, pictures=20, speed=speed).pictures]) / 1e9
    assert np.median(np.diff(times)) == pytest.approx(step_s, abs=0.001)


def test_pictures_are_not_sent_before_they_are_due(bars: Path) -> None:
    seen = capture(bars, speed=2.0)
    sent = [at for at, message in zip(seen.at, seen.messages, strict=True) if message in seen.pictures]
    early_s = [p.captured_ns / 1e9 - at for p, at in zip(seen.pictures, sent, strict=True)]
    assert max(early_s) <= 0


@pytest.mark.parametrize(("every", "expected"), [(1, 50), (7, 8), (30, 2), (1000, 1)])
def test_one_picture_in_every_so_many_is_sent_the_first_one_always(
    every: int, expected: int, bars: Path
) -> None:
    everything = capture(bars).pictures
    chosen = capture(bars, every=every).pictures
    assert [p.jpeg for p in chosen] == [p.jpeg for p in everything[::every]]
    assert len(chosen) == expected


def test_max_fps_limits_a_file_by_its_own_time(bars: Path) -> None:
    assert len(capture(bars, max_fps=5.0, speed=1.0).pictures) == 10


def test_a_looped_file_flows_on_with_the_same_step(bars: Path) -> None:
    pictures = capture(bars, pictures=120, loop=True, speed=4.0).pictures
    assert pictures[50].jpeg == pictures[0].jpeg
    times = np.array([p.captured_ns for p in pictures]) / 1e9
    assert np.median(np.diff(times)) == pytest.approx(0.01, abs=0.001)
    assert (np.diff(times) >= 0).all()


def test_counting_goes_on_when_a_short_file_begins_again(bars: Path) -> None:
    everything = capture(bars).pictures
    looped = capture(bars, pictures=4, loop=True, every=30).pictures
    assert [p.jpeg for p in looped] == [everything[i % 50].jpeg for i in (0, 30, 60, 90)]


def test_music_with_a_cover_picture_is_no_video(tmp_path: Path, assets: Path) -> None:
    cover = tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "color=size=64x64", "-frames:v", 1, cover)
    sound = ["-f", "lavfi", "-i", "sine=duration=1", "-i", cover, "-map", 0, "-map", 1]
    ffmpeg(*sound, "-c:v", "copy", "-c:a", "flac", "-disposition:v", "attached_pic", tmp_path / "song.flac")
    assert capture(tmp_path / "song.flac").end.exit_code == 2


def picture_stream(folder: Path, *pictures: bytes) -> Path:
    """JPEGs end to end, as FFmpeg's mjpeg format has them."""
    path = folder / "pictures.mjpeg"
    path.write_bytes(b"".join(pictures))
    return path


def photo(mode: str = "RGB", **options: object) -> bytes:
    data = io.BytesIO()
    Image.linear_gradient("L").convert(mode).save(data, "JPEG", **options)
    return data.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_kind_of_jpeg_reads_the_same_afterwards(mode: str, progressive: bool, tmp_path: Path) -> None:
    original = photo(mode, progressive=progressive)
    [picture] = capture(picture_stream(tmp_path, original)).pictures
    expected = np.asarray(Image.open(io.BytesIO(original)).convert("RGB")).astype(int)
    assert np.abs(jpeg.decode(picture.jpeg)[:, :, ::-1] - expected).max() <= 6
    assert jpeg.read_header(picture.jpeg).components in (1, 3)


def test_metadata_of_a_jpeg_stays_behind(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretMaker"
    [picture] = capture(picture_stream(tmp_path, photo(exif=exif.tobytes(), comment=b"SecretNote"))).pictures
    assert b"Secret" not in picture.jpeg


def test_a_jpeg_without_huffman_tables_gets_the_standard_ones(tmp_path: Path) -> None:
    whole = photo()
    bare = whole
    while (at := bare.find(b"\xff\xc4")) > 0:
        bare = bare[:at] + bare[at + 2 + int.from_bytes(bare[at + 2 : at + 4], "big") :]
    assert len(bare) < len(whole) - 400
    [picture] = capture(picture_stream(tmp_path, bare)).pictures
    assert b"\xff\xc4" in picture.jpeg
    assert (jpeg.decode(picture.jpeg) == jpeg.decode(whole)).all()
