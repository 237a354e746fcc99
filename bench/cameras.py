"""Processor time a frame with few cameras and with many, at the same frames a second in all."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.broker import Broker
from bench.children import children, cpu_s, tree, wait_for
from bench.detector import written
from bench.pictures import SIZES, mean_kb, prepare
from bench.play import play
from bench.report import Report, parser, ratio, spread

MOST = 1.1


def run(options: argparse.Namespace, kafka: Broker, work: Path) -> Report:
    """Take few and many cameras in turn."""
    pictures = prepare(options.video, work, options.size)
    found: dict[int, list[dict[str, float]]] = {cameras: [] for cameras in (options.few, options.many)}
    for number in range(-1, options.rounds):  # the first, on a cold broker, counts for nobody
        for cameras, runs in found.items():
            one = _measure(options, kafka, pictures, cameras, work / f"{number} {cameras}")
            if number >= 0:
                runs.append(one)
    return _report(options, found, mean_kb(pictures))


def _measure(
    options: argparse.Namespace, kafka: Broker, pictures: Path, cameras: int, work: Path
) -> dict[str, float]:
    """Return the processor time of a frame, ms, in a filter that passes frames on, and in the broker."""
    steady = int(options.fps * options.seconds)
    with kafka.topics("in", "out") as (read, write), children(work) as family:
        between = ("--kafka", kafka.address, "--input", read, "--topic", write, "-q")
        service = family.start("-m", "bench.on_bus", "relay", "--name", "relay", *between)
        load = ("--pictures", pictures, "--cameras", cameras, "--steady", steady, "--fps", options.fps)
        source = family.start(
            "-m", "bench.on_bus", "cameras", "--kafka", kafka.address, "--topic", read, *load
        )
        wait_for(lambda: written(kafka, write) or not service.alive, "a first frame")
        family.check()
        source.go()
        source.line()
        before = {pid: cpu_s([pid]) for pid in (*tree(service.pid), kafka.pid)}
        source.line()
        used = {pid: cpu_s([pid]) - before[pid] for pid in before}
    served = sum(seconds for pid, seconds in used.items() if pid != kafka.pid)
    return {"filter_ms": served / steady * 1000, "broker_ms": used[kafka.pid] / steady * 1000}


def _report(options: argparse.Namespace, found: dict[int, list[dict[str, float]]], kb: float) -> Report:
    report = Report(
        "cameras",
        f"{options.fps:g} frames/s in all, {options.size} ({kb:.0f} KB), for {options.seconds:g} s a run; "
        f"{options.rounds} pairs of runs, median (least to most). The filter passes frames on, so that all "
        "of its time is the library's.",
        ("cameras", "filter, CPU ms a frame", "broker, CPU ms a frame", "filter, to few"),
    )
    few = [one["filter_ms"] for one in found[options.few]]
    for cameras, runs in found.items():
        ours = [one["filter_ms"] for one in runs]
        broker_ms = spread([one["broker_ms"] for one in runs], ".2f")
        report.row(cameras, spread(ours, ".2f"), broker_ms, f"{ratio(ours, few):.2f}")
        report.raw += [{"cameras": cameras, **one} for one in runs]
    many = ratio([one["filter_ms"] for one in found[options.many]], few)
    what = f"processor time a frame with {options.many} cameras, times that with {options.few}"
    report.at_most(what, many, MOST)
    return report


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--few", type=int, default=4)
    options.add_argument("--many", type=int, default=64)
    options.add_argument("--size", choices=SIZES, default="720p")
    options.add_argument("--fps", type=float, default=64, help="frames a second of all cameras together")
    options.add_argument("--seconds", type=float, default=10)
    play(run, options.parse_args())


if __name__ == "__main__":
    main()
