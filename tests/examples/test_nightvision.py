"""The example of the README, tested as a reader of the README would."""

import sys
from pathlib import Path

import numpy as np

from imagebus import jpeg
from imagebus.testing import make_frame, run_filter

sys.path.append(str(Path(__file__).parents[2] / "examples"))
from nightvision import Nightvision


def grey(light: int) -> bytes:
    return jpeg.clean(jpeg.encode(np.full((48, 64, 3), light, np.uint8)))


def test_a_dark_picture_is_brightened_and_a_bright_one_passes_as_it_is() -> None:
    dark, bright = make_frame(image=grey(20)), make_frame(image=grey(120), sequence=1)
    first, second = run_filter(Nightvision, [dark, bright], "--darkness", "60")
    assert 55 <= first.pixels().mean() <= 65
    assert first.attributes == {"nightvision.gain": 3.0}
    assert second.image == bright.image
