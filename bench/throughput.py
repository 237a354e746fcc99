"""MB/s at 120 KB a record: the bus beside its client and Kafka's own performance tools."""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from statistics import median

from bench import java_tools
from bench.broker import Broker
from bench.children import children
from bench.play import play
from bench.report import Report, parser, ratio, spread

LEAST = 0.8
CLIENT, BUS, JAVA = "confluent-kafka", "imagebus.bus", "Kafka's Java tools"
MODULES = {CLIENT: "bench.bare", BUS: "bench.on_bus"}
WAYS = ("produce", "consume")
Found = dict[str, float]
"""``mb_s`` and, where it is known, ``cpu_ms`` a record."""


def run(options: argparse.Namespace, kafka: Broker, work: Path) -> Report:
    """Take the sides in turn, each on a topic of its own: it writes, then it reads what it wrote."""
    value = work / "value"
    value.write_bytes(random.Random(1).randbytes(options.bytes))
    sides = [CLIENT, BUS] if options.no_java else [CLIENT, BUS, JAVA]
    rates: dict[str, dict[str, list[Found]]] = {side: {way: [] for way in WAYS} for side in sides}
    for number in range(-1, options.rounds):  # the first, on a cold broker, counts for nobody
        for side in sides:
            with kafka.topics("flow") as (topic,):
                found = _flow(side, kafka.address, topic, value, options.count, work / f"{number} {side}")
            for way, one in zip(WAYS, found, strict=True):
                rates[side][way] += [one] if number >= 0 else []
    return _report(options, rates)


def _flow(side: str, kafka: str, topic: str, value: Path, count: int, work: Path) -> list[Found]:
    """Return what each way showed."""
    if side == JAVA:
        written = java_tools.produce_mb_s(kafka, topic, value, count)
        return [{"mb_s": written}, {"mb_s": java_tools.consume_mb_s(kafka, topic, count)}]
    found = []
    for way in WAYS:
        with children(work / way) as family:
            options = ("--kafka", kafka, "--topic", topic, "--value", value, "--count", count)
            found.append(family.start("-m", MODULES[side], way, *options).line())
    return found


def _report(options: argparse.Namespace, found: dict[str, dict[str, list[Found]]]) -> Report:
    report = Report(
        "throughput",
        f"{options.count} records of {options.bytes / 1000:g} KB into one topic of four partitions with all "
        f"acknowledgements, then out of it, in MB/s (10^6 bytes); {options.rounds} rounds, median (least to "
        "most). The Java tools start a JVM for each run, and their producer's warm-up counts.",
        ("side", "way", "MB/s", "CPU ms a record", "MB/s to client"),
    )
    for way in WAYS:
        rates = {side: [one["mb_s"] for one in ways[way]] for side, ways in found.items()}
        for side, ours in rates.items():
            cpu = [one["cpu_ms"] for one in found[side][way] if "cpu_ms" in one]
            share = f"{ratio(ours, rates[CLIENT]):.2f}"
            report.row(side, way, spread(ours, ".0f"), f"{median(cpu):.3f}" if cpu else "", share)
            report.raw += [{"side": side, "way": way, **one} for one in found[side][way]]
        share_of_bus = ratio(rates[BUS], rates[CLIENT])
        report.at_least(f"MB/s of the bus, {way}, share of its client's", share_of_bus, LEAST)
    return report


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__, video=False)
    options.add_argument("--bytes", type=int, default=120_000, help="of a record")
    options.add_argument("--count", type=int, default=4000, help="records a run")
    options.add_argument("--no-java", action="store_true", help="leave Kafka's own tools out")
    play(run, options.parse_args())


if __name__ == "__main__":
    main()
