"""Where the time of a frame goes: the one thread of a filter that passes frames on, and of the detector."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.broker import Broker
from bench.children import children
from bench.model import choose_model
from bench.on_bus import Relay
from bench.phases import say
from bench.pictures import mean_kb, prepare
from bench.play import play
from bench.report import Report, parser
from imagebus import Filter, service
from imagebus.delivery import Delivery
from imagebus.processing import Processing
from imagebus.runner import Runner

PARTS: dict[str, tuple[type, str]] = {
    "read": (Runner, "_read"),
    "decode and check the record": (Processing, "_taken_up"),
    "the filter itself": (Processing, "_processed"),
    "encode the records": (Processing, "_sealed"),
    "hand them to the client": (Delivery, "publish"),
    "take acknowledgements in, commit": (Runner, "_keep_up"),
}
FILTERS = ("relay", "imageaiProcessor")
SKIPPED = 50
"""First frames, which wait for the group and warm the model up."""


class Clock:
    """Sums up the time that each part takes, from one frame until another."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        self._frames = 0
        self._began, self._ended = 0.0, 0.0
        self._sums: defaultdict[str, float] = defaultdict(float)

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts its time."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                if self._first <= self._frames < self._last:
                    self._sums[part] += time.perf_counter() - began

        return timed

    def frame(self) -> None:
        """Count a frame."""
        self._frames += 1
        if self._frames == self._first:
            self._began = time.perf_counter()
        if self._frames == self._last:
            self._ended = time.perf_counter()

    def shares(self) -> dict[str, float]:
        """Return ms a frame of each part, and of all together."""
        count = self._last - self._first
        parts = {part: seconds / count * 1000 for part, seconds in self._sums.items()}
        return {**parts, "all": (self._ended - self._began) / count * 1000}


def measured(name: str, count: int, flags: list[str]) -> None:
    """Run a filter in this process on a topic that was filled before, and say what took how long."""
    kind: type[Filter] = Relay
    if name != "relay":
        from imageaiProcessor import ImageaiProcessor

        kind = ImageaiProcessor
    clock = Clock(SKIPPED, count)
    for part, (owner, method) in PARTS.items():
        setattr(owner, method, clock.wrap(part, getattr(owner, method)))
    tell = Runner._tell

    def told(runner: Runner, *rest: Any) -> None:
        clock.frame()
        tell(runner, *rest)

    setattr(Runner, "_tell", told)  # noqa: B010  mypy minds a plain assignment
    service.run(kind, flags)
    say(**clock.shares())


def run(options: argparse.Namespace, kafka: Broker, work: Path) -> Report:
    """Take each filter in turn, on the same frames."""
    pictures = prepare(options.video, work, "720p")
    found = {name: _shares(options, kafka, pictures, work / name, name) for name in FILTERS}
    report = Report(
        "breakdown",
        f"{options.count - SKIPPED} frames of 720p, {mean_kb(pictures):.0f} KB, that lie in the topic: "
        "ms a frame in the one thread of a filter, to read is to wait. Beside it work the client's threads "
        "and the broker, on the same cores.",
        ("part", *(f"{name}, ms a frame" for name in found)),
    )
    for part in [*PARTS, "all"]:
        report.row(part, *(f"{shares.get(part, 0.0):.2f}" for shares in found.values()))
    report.raw = [{"filter": name, **shares} for name, shares in found.items()]
    return report


def _shares(
    options: argparse.Namespace, kafka: Broker, pictures: Path, work: Path, name: str
) -> dict[str, float]:
    with kafka.topics("in", "out") as (read, write), children(work) as family:
        load = ("--kafka", kafka.address, "--topic", read, "--pictures", pictures, "--burst", options.count)
        source = family.start("-m", "bench.on_bus", "source", *load)
        source.go()
        for _ in range(3):
            source.line()
        source.ends()
        flags = ["--kafka", kafka.address, "--input", read, "--topic", write, "-q", "--from", "-1h"]
        flags += ["--run", "breakdown", "--name", name, *["--model", choose_model(None)] * (name != "relay")]
        return family.start("-m", "bench.breakdown", "child", name, options.count, *flags).line()


def main() -> None:
    """Run the benchmark, or a filter of it."""
    if sys.argv[1:2] == ["child"]:
        measured(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
        return
    options = parser(__doc__, rounds=0)
    options.add_argument("--count", type=int, default=600, help="frames")
    play(run, options.parse_args())


if __name__ == "__main__":
    main()
