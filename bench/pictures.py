"""JPEGs of a named size, as a camera would take them: from a video, else from one made here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np

from imagebus import jpeg

SIZES = {"480p": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
QUALITY = 85
FAVOURITE = "videos/street-traffic-mjpeg-a.avi"
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def choose_video(asked: Path | None, made: Path) -> Path:
    """Return the video asked for, else that of $IMAGEBUS_ASSETS, else one that is made at ``made``."""
    if asked:
        return asked
    assets = os.environ.get("IMAGEBUS_ASSETS", "")
    favourite = Path(assets) / FAVOURITE
    if assets and favourite.is_file():
        return favourite
    make_video(made)
    return made


def prepare(video: Path | None, work: Path, size: str) -> Path:
    """Write JPEGs of a size, of the video asked for or another; return their folder."""
    return write_pictures(choose_video(video, work / "street.mp4"), work / size, size)


def write_pictures(video: Path, folder: Path, size: str, count: int = 40) -> Path:
    """Write so many JPEGs of a video, scaled to a size of ``SIZES``; return their folder."""
    width, height = SIZES[size]
    folder.mkdir(parents=True)
    written = 0
    while written < count:
        for frame in _frames(video):
            scaled = frame.reformat(width, height, "bgr24").to_ndarray()
            (folder / f"{written:04}.jpg").write_bytes(jpeg.encode(scaled, QUALITY))
            written += 1
            if written == count:
                break
    return folder


def read_pictures(folder: Path) -> list[bytes]:
    """Return the JPEGs of a folder, in order."""
    return [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]


def mean_kb(folder: Path) -> float:
    """Return the mean size of the JPEGs of a folder, KB."""
    sizes = [path.stat().st_size for path in folder.glob("*.jpg")]
    return sum(sizes) / len(sizes) / 1000


def make_video(path: Path, size: str = "720p", frames: int = 50) -> None:
    """Write a video of a textured street with things that move, noise as of a sensor and all."""
    width, height = SIZES[size]
    random = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 20_000_000
        ground = _ground(width, height, random)
        for number in range(frames):
            noise = random.normal(0, 6, ground.shape)
            pixels = np.clip(_with_cars(ground, number) + noise, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgr24")))
        container.mux(stream.encode(None))


def _frames(video: Path) -> Any:
    with av.open(str(video)) as container:
        yield from container.decode(video=0)


def _ground(width: int, height: int, random: np.random.Generator) -> Pixels:
    rows, columns = np.mgrid[:height, :width]
    light = 90 + 60 * rows / height + 30 * np.sin(columns / 37) * np.cos(rows / 23)
    coarse = random.normal(0, 25, (height // 4 + 1, width // 4 + 1)).repeat(4, 0).repeat(4, 1)
    grey = np.clip(light + coarse[:height, :width], 0, 255)
    return np.stack((grey * 0.9, grey, grey * 0.95), axis=-1).astype(np.uint8)


def _with_cars(ground: Pixels, number: int) -> Pixels:
    pixels = ground.copy()
    height, width, _ = pixels.shape
    for lane, colour in enumerate(((40, 40, 200), (200, 180, 60), (230, 230, 230))):
        left = (number * (8 + 5 * lane) + lane * 300) % (width - 200)
        top = height // 4 + lane * height // 5
        pixels[top : top + height // 10, left : left + 180] = colour
    return pixels
