"""Processor time of services that get no frames."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from bench.broker import Broker
from bench.children import ROOT, children, cpu_s, tree, wait_for
from bench.model import choose_model
from bench.play import play
from bench.report import Report, parser

MOST_PERCENT = 1.0
SETTLE_S = 8.0


def run(options: argparse.Namespace, kafka: Broker, work: Path) -> Report:
    """Start the services on empty topics, let them settle, and measure."""
    report = Report(
        "idle",
        f"Processor time of services that get no frames, over {options.seconds:g} s, all at once, "
        f"{SETTLE_S:g} s after their start.",
        ("service", "% of a core"),
    )
    with kafka.topics("frames", "found", "redacted") as topics, children(work) as family:
        pids = {"broker": kafka.pid}
        for name, (program, *more) in _services(options, topics).items():
            pids[name] = family.start(ROOT / str(program), "--kafka", kafka.address, "-q", *more).pid
        wait_for(lambda: len(kafka.bus.groups()) >= len(pids) - 2, "every filter in its group")
        time.sleep(SETTLE_S)
        before = {name: cpu_s(tree(pid)) for name, pid in pids.items()}
        time.sleep(options.seconds)
        family.check()
        for name, pid in pids.items():
            percent = (cpu_s(tree(pid)) - before[name]) / options.seconds * 100
            report.row(name, f"{percent:.2f}")
            report.raw.append({"service": name, "percent": percent})
            if name != "broker":
                report.at_most(f"% of a core of an idle {name}", percent, MOST_PERCENT)
    return report


def _services(options: argparse.Namespace, topics: list[str]) -> dict[str, tuple[object, ...]]:
    frames, found, redacted = topics
    model = ("--model", choose_model(options.model))
    return {
        "imageaiProcessor": ("imageai/imageaiProcessor.py", "-i", frames, "-t", found, *model),
        "redaction": ("imageai/redaction.py", "person", "-i", found, "-t", redacted),
        "page, nobody looks": ("consumer/app.py", "--port", 0),
    }


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__, rounds=0, video=False)
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--model", help="model of imageaiProcessor")
    os.environ.pop("IMAGEBUS_METRICS_PORT", None)
    play(run, options.parse_args())


if __name__ == "__main__":
    main()
