"""The chain source, detector without a model, redaction, receiver, beside the same chain written bare.

The detector decodes and reports ten fixed boxes; the redaction blacks two of them out and encodes anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench.broker import Broker
from bench.journey import Bare, Found, Load, OnBus, Side, Stage, travel
from bench.pictures import SIZES, mean_kb, prepare
from bench.play import play
from bench.report import Report, parser, percentile, ratio, spread

LEAST_RATE = 0.8
BOXES: Stage = ("boxes",)
SIDES: dict[str, tuple[Side, Sequence[Stage]]] = {
    "bare": (Bare(), (BOXES, ("redaction", "--colour", "444"))),
    "bare, half colour": (Bare(), (BOXES, ("redaction", "--colour", "420"))),
    "imagebus": (OnBus(), (BOXES, ("redaction", "person"))),
}


def run(options: argparse.Namespace, kafka: Broker, work: Path) -> Report:
    """Take the sides in turn."""
    pictures = prepare(options.video, work, options.size)
    load = Load(pictures, options.steady, options.fps, options.burst)
    found: dict[str, list[Found]] = {name: [] for name in SIDES}
    for number in range(-1, options.rounds):  # the first, on a cold broker, counts for nobody
        for name, (side, stages) in SIDES.items():
            one = travel(side, kafka, stages, load, work / f"{number} {name}")
            if number >= 0:
                found[name].append(one)
    return _report(options, found, mean_kb(pictures))


def _report(options: argparse.Namespace, found: dict[str, list[Found]], kb: float) -> Report:
    report = Report(
        "chain",
        f"{options.size}, {kb:.0f} KB; latency and processor time (all processes and the broker) at "
        f"{options.fps:g} frames/s, {options.steady} frames a run, then {options.burst} frames as fast as "
        f"they go; {options.rounds} rounds, median (least to most). imagebus keeps colour at full resolution "
        "where it blacks out, and so does the bare chain, unless it says half.",
        ("side", "p50 ms", "p95 ms", "frames/s", "CPU ms a frame", "frames/s to bare"),
    )
    bare = [one.fps for one in found["bare"]]
    for name, runs in found.items():
        every = [latency for one in runs for latency in one.latencies_ms]
        report.row(
            name,
            spread([one.p50 for one in runs]),
            f"{percentile(every, 0.95):.1f}",
            spread([one.fps for one in runs], ".0f"),
            f"{median(one.cpu_ms for one in runs):.1f}",
            f"{ratio([one.fps for one in runs], bare):.2f}",
        )
        report.raw += [{"side": name, **asdict(one)} for one in runs]
    ours = [one.fps for one in found["imagebus"]]
    report.at_least("frames/s of the chain, share of the bare chain's", ratio(ours, bare), LEAST_RATE)
    return report


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--size", choices=SIZES, default="720p")
    options.add_argument("--steady", type=int, default=60, help="frames at the steady rate a run")
    options.add_argument("--fps", type=float, default=10)
    options.add_argument("--burst", type=int, default=600, help="frames as fast as they go a run")
    play(run, options.parse_args())


if __name__ == "__main__":
    main()
