"""Pictures come through with their colours, their size and the right way up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from picture import turned

from imagebus import jpeg
from tests.producer.cameras import capture, ffmpeg

COLOURS_RGB = [
    *[(255, 255, 255), (235, 235, 16), (16, 235, 235), (16, 200, 16)],
    *[(200, 16, 200), (220, 16, 16), (16, 16, 220), (0, 0, 0)],
]
TAGS = {"bt601": "smpte170m", "bt709": "bt709"}
RANGES = {"limited": "tv", "full": "pc"}


def bars_picture(path: Path, width: int, height: int) -> Path:
    """Eight upright bars as a PPM, which no library needs to write."""
    row = np.repeat(np.array(COLOURS_RGB, np.uint8), width // 8, axis=0)
    path.write_bytes(b"P6 %d %d 255\n" % (width, height) + np.tile(row, (height, 1, 1)).tobytes())
    return path


def bars_clip(folder: Path, matrix: str, colour_range: str, *, tagged: bool, lines: int, fmt: str) -> Path:
    picture = bars_picture(folder / "bars.ppm", lines * 16 // 9 // 8 * 8, lines)
    into = f"scale=out_color_matrix={matrix}:out_range={RANGES[colour_range]}:flags=accurate_rnd,format={fmt}"
    tags = ["-colorspace", TAGS[matrix], "-color_range", RANGES[colour_range]] if tagged else []
    clip = folder / "bars.mkv"
    ffmpeg("-loop", 1, "-i", picture, "-frames:v", 2, "-vf", into, "-c:v", "libx264", "-crf", 4, *tags, clip)
    return clip


def largest_error(data: bytes) -> int:
    pixels = jpeg.decode(data)
    height, width, _ = pixels.shape
    centres = [round((i + 0.5) * width / 8) for i in range(8)]
    seen = np.array([pixels[height // 2 - 4 : height // 2 + 4, x - 4 : x + 4].mean((0, 1)) for x in centres])
    return int(np.ceil(np.abs(seen[:, ::-1] - np.array(COLOURS_RGB)).max()))


@pytest.mark.parametrize("colour_range", RANGES)
@pytest.mark.parametrize("matrix", TAGS)
@pytest.mark.parametrize("fmt", ["yuv420p", "yuv422p10le"])
def test_colour_bars_keep_their_colours(matrix: str, colour_range: str, fmt: str, tmp_path: Path) -> None:
    clip = bars_clip(tmp_path, matrix, colour_range, tagged=True, lines=360, fmt=fmt)
    assert largest_error(capture(clip).pictures[0].jpeg) <= 4


@pytest.mark.parametrize(("lines", "matrix"), [(360, "bt601"), (720, "bt709")])
def test_unmarked_video_is_taken_for_what_players_take_it_for(
    lines: int, matrix: str, tmp_path: Path
) -> None:
    clip = bars_clip(tmp_path, matrix, "limited", tagged=False, lines=lines, fmt="yuv420p")
    assert largest_error(capture(clip).pictures[0].jpeg) <= 4


@pytest.mark.parametrize(
    ("coding", "name"),
    [
        (["-c:v", "png"], "x.png"),
        (["-c:v", "png", "-pix_fmt", "rgba64be"], "deep.png"),
        (["-c:v", "ffv1", "-pix_fmt", "yuva420p"], "alpha.mkv"),
        (["-c:v", "libx264rgb", "-crf", "4"], "rgb.mkv"),
        (["-c:v", "libx265", "-x265-params", "log-level=none:crf=4", "-pix_fmt", "yuv420p10le"], "ten.mp4"),
        (["-c:v", "qtrle"], "rle.mov"),
    ],
)
def test_rgb_deep_and_transparent_video_keeps_its_colours(
    coding: list[str], name: str, tmp_path: Path
) -> None:
    picture = bars_picture(tmp_path / "bars.ppm", 640, 360)
    ffmpeg("-i", picture, "-frames:v", 1, *coding, tmp_path / name)
    assert largest_error(capture(tmp_path / name).pictures[0].jpeg) <= 4


@pytest.mark.parametrize("coding", [["-c:v", "png"], ["-c:v", "ffv1"], ["-c:v", "mjpeg", "-pix_fmt", "gray"]])
def test_grey_stays_as_bright_as_it_was(coding: list[str], tmp_path: Path) -> None:
    (tmp_path / "grey.pgm").write_bytes(b"P5 64 48 255\n" + bytes([200]) * (64 * 48))
    ffmpeg("-i", tmp_path / "grey.pgm", *coding, "-frames:v", 1, "-update", 1, tmp_path / "grey.nut")
    pixels = jpeg.decode(capture(tmp_path / "grey.nut").pictures[0].jpeg)
    assert abs(int(pixels.mean()) - 200) <= 2


@pytest.mark.parametrize(("width", "height"), [(641, 361), (17, 3), (1, 1)])
@pytest.mark.parametrize("coding", [["-c:v", "libx264", "-pix_fmt", "yuv444p"], ["-c:v", "mjpeg"]])
def test_odd_sizes_stay_as_they_are(width: int, height: int, coding: list[str], tmp_path: Path) -> None:
    source = f"testsrc=size={width}x{height}:rate=5"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", 1, *coding, tmp_path / "odd.avi")
    header = jpeg.read_header(capture(tmp_path / "odd.avi").pictures[0].jpeg)
    assert (header.width, header.height) == (width, height)


@pytest.mark.parametrize("coding", ["libx264", "mjpeg"])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_a_video_of_a_turned_phone_stands_as_players_show_it(angle: int, coding: str, tmp_path: Path) -> None:
    lying, phone, shown = (tmp_path / name for name in ("lying.mov", "phone.mov", "shown.ppm"))
    source = "testsrc=size=160x96:rate=5"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", 2, "-c:v", coding, "-qmin", 1, "-q:v", 1, "-g", 1, lying)
    ffmpeg("-i", lying, "-c", "copy", "-metadata:s:v:0", f"rotate={angle}", phone)
    ffmpeg("-i", phone, "-frames:v", 1, shown)  # turns by itself, as every player does
    size = (96, 160, 3) if angle in (0, 180) else (160, 96, 3)
    expected = np.frombuffer(shown.read_bytes()[-96 * 160 * 3 :], np.uint8).reshape(size)[:, :, ::-1]
    pixels = jpeg.decode(capture(phone, quality=95).pictures[0].jpeg)
    assert pixels.shape == size
    assert np.abs(pixels.astype(int) - expected).mean() < 12
    assert np.abs(pixels[::-1].astype(int) - expected).mean() > 40
    assert np.abs(pixels[:, ::-1].astype(int) - expected).mean() > 40


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), [[1, 2], [3, 4]]),
        ((-1, 0, 0, 1), [[2, 1], [4, 3]]),
        ((1, 0, 0, -1), [[3, 4], [1, 2]]),
        ((0, 1, -1, 0), [[3, 1], [4, 2]]),
        ((0, -1, 1, 0), [[2, 4], [1, 3]]),
        ((0, 1, 1, 0), [[1, 3], [2, 4]]),
        ((1, 1, -1, 1), [[1, 2], [3, 4]]),
    ],
)
def test_a_display_matrix_moves_each_corner_where_it_says(
    matrix: tuple[int, int, int, int], expected: list[list[int]]
) -> None:
    pixels = np.array([[1, 2], [3, 4]], np.uint8)[:, :, None].repeat(3, 2)
    assert turned(pixels, matrix)[:, :, 0].tolist() == expected


@pytest.mark.parametrize("coding", [["png"], ["mjpeg"], ["libx264", "-preset", "ultrafast"]])
def test_pictures_beyond_40_megapixels_are_refused(coding: list[str], tmp_path: Path) -> None:
    path = tmp_path / "large.mkv"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "color=size=9000x5000:rate=5,format=yuv420p",
        "-frames:v",
        1,
        "-c:v",
        *coding,
        path,
    )
    end = capture(path).end
    assert end.exit_code == 2
    assert "40000000" in end.reason


def test_a_picture_may_change_its_size_amid_the_stream(tmp_path: Path) -> None:
    for name, size in (("a", "320x240"), ("b", "640x360")):
        path = tmp_path / f"{name}.264"
        ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}:rate=5", "-frames:v", 5, "-c:v", "libx264", path)
    both = tmp_path / "both.264"
    both.write_bytes((tmp_path / "a.264").read_bytes() + (tmp_path / "b.264").read_bytes())
    sizes = [jpeg.read_header(p.jpeg) for p in capture(both).pictures]
    assert [(s.width, s.height) for s in sizes] == [(320, 240)] * 5 + [(640, 360)] * 5


def test_quality_is_that_of_the_jpegs_made(bars: Path) -> None:
    sizes = [len(capture(bars, pictures=1, quality=quality).pictures[0].jpeg) for quality in (30, 95)]
    assert sizes[1] > 2 * sizes[0]
