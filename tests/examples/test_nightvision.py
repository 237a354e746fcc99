"""The example that brightens dark pictures, by itself and as a program between two topics."""

import sys
from pathlib import Path

import numpy as np
import pytest

from imagebus import codec, jpeg
from imagebus.testing import make_frame, run_filter
from tests.broker import frame_put, fresh, make_topic, plain_frame, put, read_all
from tests.programs import ROOT, running, wait_for

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


@pytest.mark.kafka
def test_it_runs_as_a_program_between_two_topics(kafka: str, tmp_path: Path) -> None:
    topic, out = make_topic(kafka, fresh("DARK")), fresh("BRIGHT")
    dark = plain_frame(image=grey(20))
    put(kafka, topic, [frame_put(dark)])
    flags = ("-i", topic, "-t", out, "--kafka", kafka, "--start", "earliest", "--freshness", "all")
    with running(tmp_path, ROOT / "examples" / "nightvision.py", *flags):
        wait_for(lambda: read_all(kafka, out), "a brightened frame")
    [record] = read_all(kafka, out)
    frame = codec.decode(record.value or b"")
    assert frame.pixels().mean() >= 55
    assert frame.identity == (dark["source"], dark["epoch"], dark["sequence"])
    assert [hop.stage for hop in frame.trail] == ["nightvision"]
