"""Fixtures of the producer's tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "producer"), str(ROOT)]

from tests.producer.cameras import RtspCamera, ffmpeg  # noqa: E402


@pytest.fixture(scope="module")
def rtsp() -> Iterator[RtspCamera]:
    camera = RtspCamera()
    yield camera
    camera.kill()


@pytest.fixture
def new_rtsp() -> Iterator[Callable[..., RtspCamera]]:
    """Make cameras that a test may kill: ``new_rtsp("user", "password")``."""
    made: list[RtspCamera] = []

    def make(*credentials: str) -> RtspCamera:
        made.append(RtspCamera(*credentials))
        return made[-1]

    yield make
    for camera in made:
        camera.kill()


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a test picture, 25 frames/s, H.264."""
    path = tmp_path_factory.mktemp("clips") / "bars.mp4"
    source = "testsrc=size=320x240:rate=25:duration=2"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-g", 25, "-bf", 0, "-pix_fmt", "yuv420p", path)
    return path
