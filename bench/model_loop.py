"""The bare model loop: decode, letterbox, model, boxes, and nothing around it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import simplejpeg
from model_choice import open_detector

from bench.phases import say
from bench.pictures import read_pictures


def main() -> None:
    """Run so many frames and say how long those after the first few took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="auto")
    options.add_argument("--pictures", type=Path, required=True)
    options.add_argument("--count", type=int, default=100)
    options.add_argument("--skip", type=int, default=10)
    asked = options.parse_args()
    pictures = read_pictures(asked.pictures)
    detector = open_detector(asked.model, 0.25)
    began = used = 0.0
    for number in range(-asked.skip, asked.count):
        if number == 0:
            began, used = time.perf_counter(), time.process_time()
        picture = pictures[number % len(pictures)]
        height, width, _, _ = simplejpeg.decode_jpeg_header(picture)
        least = detector.useful_size(width, height)
        pixels = simplejpeg.decode_jpeg(picture, "BGR", **_half(width, height, *least))
        detector.detect([pixels])
    say(frames=asked.count, seconds=time.perf_counter() - began, cpu_s=time.process_time() - used)


def _half(width: int, height: int, least_width: int, least_height: int) -> dict[str, int]:
    """Tell the decoder how small the picture may come out, by halving."""
    for factor in (8, 4, 2):
        if width // factor >= least_width and height // factor >= least_height:
            return {"min_width": width // factor, "min_height": height // factor}
    return {}


if __name__ == "__main__":
    main()
