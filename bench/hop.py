"""One hop, and three: latency at a steady rate and the most frames a second, beside a bare loop.

One hop is from the picture in the camera's hands to the frame in the receiver's, over one topic; three hops
have two filters between them that pass frames on.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench.broker import Broker
from bench.journey import Bare, Found, Load, OnBus, Side, travel
from bench.pictures import SIZES, mean_kb, prepare
from bench.play import play
from bench.report import Report, parser, percentile, ratio, spread

JUDGED = ("720p", 1)
MOST_LATENCY, LEAST_RATE = 1.5, 0.8
SIDES: dict[str, Side] = {"bare": Bare(), "imagebus": OnBus()}


def run(options: argparse.Namespace, kafka: Broker, work: Path) -> Report:
    """Take both sides in turn, for each size and number of hops."""
    report = Report(
        "hop",
        f"Latency of {options.steady} frames at {options.fps:g} frames/s a run, then {options.burst} frames "
        f"as fast as they go; {options.rounds} pairs of runs, two less for the sizes that are not judged; "
        "median (least to most), p99 of all runs together. Ratios are imagebus to bare, the median pair by "
        "pair. Processor time is of all processes and the broker.",
        ("size", "hops", "side", "p50 ms", "p99 ms", "frames/s", "CPU ms a frame", "p50", "p99", "frames/s"),
    )
    for size in options.sizes:
        pictures = prepare(options.video, work, size)
        load = Load(pictures, options.steady, options.fps, options.burst)
        for hops in options.hops:
            _pairs(report, options, kafka, load, (size, hops), work)
    return report


def _pairs(
    report: Report, options: argparse.Namespace, kafka: Broker, load: Load, case: tuple[str, int], work: Path
) -> None:
    size, hops = case
    stages = [("relay",)] * (hops - 1)
    found: dict[str, list[Found]] = {name: [] for name in SIDES}
    if not report.rows:  # the broker's first frames are slow: they count for nobody
        for name, side in SIDES.items():
            travel(side, kafka, stages, load, work / f"warm {name}")
    rounds = options.rounds if size == JUDGED[0] else max(1, options.rounds - 2)
    for number in range(rounds):
        for name, side in SIDES.items():
            folder = work / f"{size} {hops} {number} {name}"
            found[name].append(travel(side, kafka, stages, load, folder))
    ours, theirs = found["imagebus"], found["bare"]
    ratios = [ratio([one.p50 for one in ours], [one.p50 for one in theirs])]
    ratios += [ratio([one.p99 for one in ours], [one.p99 for one in theirs])]
    ratios += [ratio([one.fps for one in ours], [one.fps for one in theirs])]
    for name, runs in found.items():
        every = [latency for one in runs for latency in one.latencies_ms]
        report.row(
            f"{size} ({mean_kb(load.pictures):.0f} KB)",
            hops,
            name,
            spread([one.p50 for one in runs], ".2f"),
            f"{percentile(every, 0.99):.2f}",
            spread([one.fps for one in runs], ".0f"),
            f"{median(one.cpu_ms for one in runs):.2f}",
            *([f"{one:.2f}" for one in ratios] if name == "imagebus" else ["", "", ""]),
        )
        report.raw += [{"size": size, "hops": hops, "side": name, **asdict(one)} for one in runs]
    if case == JUDGED:
        report.at_most("latency p50 of one hop of 720p, times the bare loop's", ratios[0], MOST_LATENCY)
        report.at_most("latency p99 of one hop of 720p, times the bare loop's", ratios[1], MOST_LATENCY)
        report.at_least("frames/s of one hop of 720p, share of the bare loop's", ratios[2], LEAST_RATE)


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__, rounds=5)
    options.add_argument("--sizes", nargs="+", choices=SIZES, default=["720p", "480p", "1080p"])
    options.add_argument("--hops", nargs="+", type=int, default=[1, 3])
    options.add_argument("--steady", type=int, default=120, help="frames at the steady rate a run")
    options.add_argument("--fps", type=float, default=30)
    options.add_argument("--burst", type=int, default=600, help="frames as fast as they go a run")
    play(run, options.parse_args())


if __name__ == "__main__":
    main()
