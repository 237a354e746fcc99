"""Frames a second of detection: the bare model loop, and imageaiProcessor with the same model on the bus."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

from bench.broker import Broker
from bench.children import ROOT, children, cpu_s, tree, wait_for
from bench.model import choose_model
from bench.pictures import SIZES, mean_kb, prepare
from bench.play import play
from bench.report import Report, parser, ratio, spread
from imagebus import codec
from imagebus.topics import meta_of

LEAST = 0.9
SKIPPED = 10
"""First frames, which warm the model and the bus up."""


def run(options: argparse.Namespace, kafka: Broker, work: Path) -> Report:
    """Take both sides in turn."""
    pictures = prepare(options.video, work, options.size)
    sides = {"bare model loop": _bare, "imageaiProcessor on the bus": _on_bus}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(-1, options.rounds):  # the first, on a cold broker, counts for nobody
        for name, side in sides.items():
            one = side(options, kafka, pictures, work / f"{number} {name}")
            found[name] += [one] if number >= 0 else []
    return _report(options, found, mean_kb(pictures))


def _bare(options: argparse.Namespace, _kafka: Broker, pictures: Path, work: Path) -> dict[str, float]:
    with children(work) as family:
        choice = ("--model", choose_model(options.model), "--pictures", pictures, "--count", options.count)
        return _rate(family.start("-m", "bench.model_loop", *choice, "--skip", SKIPPED).line())


def _rate(line: dict[str, Any]) -> dict[str, float]:
    return {"fps": line["frames"] / line["seconds"], "cpu_ms": line["cpu_s"] / line["frames"] * 1000}


def _on_bus(options: argparse.Namespace, kafka: Broker, pictures: Path, work: Path) -> dict[str, float]:
    """Fill a topic, then let the service work it off; its own times are in the trails that it writes."""
    with kafka.topics("in", "out") as (read, write), children(work) as family:
        load = ("--pictures", pictures, "--burst", options.count)
        source = family.start(
            "-m", "bench.on_bus", "source", "--kafka", kafka.address, "--topic", read, *load
        )
        source.go()
        source.line()
        source.line()
        burst = source.line()
        source.ends()
        between = ("--kafka", kafka.address, "--input", read, "--topic", write, "-q")
        policy = ("--freshness", "all", "--start", "earliest", "--model", choose_model(options.model))
        service = family.start(ROOT / "imageai" / "imageaiProcessor.py", *between, *policy)
        count = burst["first"] + burst["count"]
        # To look costs the broker and this machine: seldom, or it would be measured too.
        wait_for(lambda: written(kafka, write) >= count or not service.alive, f"{count} frames", 300, 1.0)
        service.check()
        used = cpu_s(tree(service.pid))
        times = sorted(_published_ns(kafka, write))[SKIPPED:]
    fps = (len(times) - 1) / (times[-1] - times[0]) * 1e9
    return {"fps": fps, "cpu_ms": used / count * 1000}


def written(kafka: Broker, topic: str) -> int:
    """Return how many frames were ever written to a topic."""
    with kafka.bus.log(meta_of(topic)) as log:
        return sum(end for _, end in log.edges().values())


def _published_ns(kafka: Broker, topic: str) -> list[int]:
    with kafka.bus.log(meta_of(topic)) as log:
        records = list(log.read(log.edges()))
    return [codec.decode_meta(record.value or b"").trail[-1].published_ns for record in records]


def _report(options: argparse.Namespace, found: dict[str, list[dict[str, float]]], kb: float) -> Report:
    report = Report(
        "detector",
        f"{options.count} frames of {options.size}, {kb:.0f} KB: decode, letterbox, model "
        f"{Path(choose_model(options.model)).stem}, boxes, in one process; {options.rounds} pairs of runs, "
        "median (least to most). On the bus, the service works off a topic filled before; its start counts "
        "in its processor time only, the broker's beside it is not in it.",
        ("side", "frames/s", "CPU ms a frame", "frames/s to bare"),
    )
    (_, bare), (_, ours) = found.items()
    rates = {name: [one["fps"] for one in runs] for name, runs in found.items()}
    for name, runs in found.items():
        share = ratio(rates[name], [one["fps"] for one in bare])
        cpu = f"{median(one['cpu_ms'] for one in runs):.1f}"
        report.row(name, spread(rates[name]), cpu, f"{share:.2f}")
        report.raw += [{"side": name, **one} for one in runs]
    share = ratio([one["fps"] for one in ours], [one["fps"] for one in bare])
    report.at_least("frames/s of detection on the bus, share of the bare model loop's", share, LEAST)
    return report


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--size", choices=SIZES, default="720p")
    options.add_argument("--count", type=int, default=400, help="frames a run")
    options.add_argument("--model", help="model of imageaiProcessor")
    play(run, options.parse_args())


if __name__ == "__main__":
    main()
