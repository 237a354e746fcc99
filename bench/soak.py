"""Memory over time: four cameras through producer, imageaiProcessor and redaction, for as long as asked."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.broker import Broker
from bench.children import ROOT, Children, children, cpu_s, rss_mb, tree
from bench.model import choose_model
from bench.pictures import choose_video
from bench.play import play
from bench.report import Report, parser
from imagebus.log import warn
from imagebus.topics import IMAGEAI, REDACTION, SOURCE, meta_of

MOST_MB_AN_HOUR = 20.0
TELLING_MINUTES = 20.0
"""A shorter run shows the warm-up only."""
SAY_EACH_S = 60.0
Samples = list[tuple[float, float]]


def run(options: argparse.Namespace, kafka: Broker, work: Path) -> Report:
    """Run the chain, sample it, and return what grew."""
    video = choose_video(options.video, work / "street.mp4")
    with children(work / "services") as family:
        services = _start(family, kafka.address, video, options)
        pids = {name: child.pid for name, child in services.items()} | {"broker": kafka.pid}
        samples = _sample(family, pids, options)
        hours = options.minutes / 60
        cpu = {name: cpu_s(tree(pid)) / (hours * 3600) for name, pid in pids.items()}
    return _report(options, samples, cpu, _frames(kafka))


def _start(family: Children, kafka: str, video: Path, options: argparse.Namespace) -> dict[str, Any]:
    common = ("--kafka", kafka, "-q")
    model = choose_model(options.model)
    services = {
        "redaction": family.start(ROOT / "imageai" / "redaction.py", "person", "car", *common),
        "imageaiProcessor": family.start(ROOT / "imageai" / "imageaiProcessor.py", *common, "--model", model),
    }
    for number in range(options.cameras):
        services[f"producer {number}"] = family.start(
            ROOT / "producer" / "producer.py", video, "--loop", "--frame", 1, "--max-fps", options.fps,
            "--name", f"cam{number}", *common,
        )  # fmt: skip
    return services


def _sample(family: Children, pids: dict[str, int], options: argparse.Namespace) -> dict[str, Samples]:
    """Return (seconds, MB) of each service and all below it, taken every few seconds."""
    samples: dict[str, Samples] = {name: [] for name in pids}
    began = said = time.monotonic()
    while (now := time.monotonic()) < began + options.minutes * 60:
        family.check()
        for name, pid in pids.items():
            samples[name].append((now - began, rss_mb(tree(pid))))
        if now > said + SAY_EACH_S:
            said = now
            sizes = ", ".join(f"{name} {found[-1][1]:.0f}" for name, found in samples.items())
            warn(f"{(now - began) / 60:.0f} minutes, MB: {sizes}")
        time.sleep(options.every)
    return samples


def growth(samples: Samples, warm_up_s: float) -> tuple[float, float]:
    """Return MB an hour after the warm-up, by a straight line of least squares, and its standard error."""
    kept = np.array([sample for sample in samples if sample[0] >= warm_up_s])
    hours, sizes = kept[:, 0] / 3600, kept[:, 1]
    apart = hours - hours.mean()
    slope = float((apart * sizes).sum() / (apart**2).sum())
    rest = sizes - sizes.mean() - slope * apart
    error = float(np.sqrt((rest**2).sum() / max(1, len(kept) - 2) / (apart**2).sum()))
    return slope, error


def _frames(kafka: Broker) -> dict[str, int]:
    """Count the frames that went through each topic, by the ends of its META."""
    ends = {}
    for topic in (SOURCE, IMAGEAI, REDACTION):
        with kafka.bus.log(meta_of(topic)) as log:
            ends[topic] = sum(end for _, end in log.edges().values())
    return ends


def _report(
    options: argparse.Namespace, samples: dict[str, Samples], cpu: dict[str, float], frames: dict[str, int]
) -> Report:
    warm_up_s = options.warm_up * 60
    went = ", ".join(f"{name} {count} frames" for name, count in frames.items())
    report = Report(
        "soak",
        f"{options.cameras} cameras at {options.fps:g} frames/s for {options.minutes:g} minutes through "
        f"producer, imageaiProcessor and redaction: {went}. Memory is the RSS of a service and all its "
        f"processes; growth is a straight line through the samples after {warm_up_s / 60:g} minutes.",
        ("service", "MB after warm-up", "MB at the end", "most MB", "growth MB/h", "+-", "CPU % of a core"),
    )
    for name, found in samples.items():
        slope, error = growth(found, warm_up_s)
        after = next(size for at, size in found if at >= warm_up_s)
        most = max(size for _, size in found)
        cells = (f"{after:.1f}", f"{found[-1][1]:.1f}", f"{most:.1f}", f"{slope:+.1f}", f"{error:.1f}")
        report.row(name, *cells, f"{cpu[name] * 100:.1f}")
        if name != "broker" and options.minutes >= TELLING_MINUTES:
            report.at_most(f"growth of {name}, MB an hour", slope, MOST_MB_AN_HOUR)
    report.raw = [{"service": name, "samples": found} for name, found in samples.items()]
    return report


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__, rounds=0)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--warm-up", type=float, help="minutes that do not count (default a sixth)")
    options.add_argument("--cameras", type=int, default=4)
    options.add_argument("--fps", type=float, default=2.5, help="frames a second of each camera")
    options.add_argument("--every", type=float, default=5.0, help="seconds between samples")
    options.add_argument("--model", help="model of imageaiProcessor")
    asked = options.parse_args()
    if asked.warm_up is None:
        asked.warm_up = asked.minutes / 6
    play(run, asked)


if __name__ == "__main__":
    main()
