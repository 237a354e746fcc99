"""Kafka's own ProducerPerformance and ConsumerPerformance."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from imagebus.kafka.install import ensure_jars, fetch_jar
from imagebus.kafka.jars import Jar, folder
from imagebus.kafka.java import find_java

TOOLS = Jar(
    "org.apache.kafka:kafka-tools:4.3.1",
    698_668,
    "62f3c5dd7aa3442d4c5bc6a95f86e2502178ea09de8e27f74d9563bf955e253c",
)
LARGE = 21 * 1024 * 1024


def produce_mb_s(kafka: str, topic: str, value: Path, count: int) -> float:
    """Return MB/s (10^6 bytes) of ProducerPerformance, its start and warm-up included."""
    size = value.stat().st_size
    config = (f"bootstrap.servers={kafka}", "acks=all", "linger.ms=5", f"max.request.size={LARGE}")
    said = _run(
        "ProducerPerformance",
        *("--topic", topic, "--num-records", str(count), "--record-size", str(size)),
        *("--throughput", "-1", "--command-property", *config),
    )
    # "5000 records sent, 1234.5 records/sec (123.4 MB/sec), ..."
    rate = next(line for line in reversed(said.splitlines()) if "records/sec" in line)
    return float(rate.split("records sent,")[1].split("records/sec")[0]) * size / 1e6


def consume_mb_s(kafka: str, topic: str, count: int) -> float:
    """Return MB/s (10^6 bytes) of ConsumerPerformance from its first fetch on."""
    said = _run(
        "ConsumerPerformance",
        *("--bootstrap-server", kafka, "--topic", topic, "--num-records", str(count)),
        *("--fetch-size", str(LARGE), "--timeout", "30000"),
    )
    lines = [[cell.strip() for cell in line.split(",")] for line in said.splitlines() if "," in line]
    head = next(line for line in lines if "fetch.MB.sec" in line)
    return float(lines[-1][head.index("fetch.MB.sec")]) * 1024**2 / 1e6


def _run(tool: str, *arguments: str) -> str:
    jars = ensure_jars()
    classes = os.pathsep.join((f"{jars}/*", str(fetch_jar(TOOLS, folder().parent / "tools"))))
    command = [find_java(), "-Xmx512m", "-cp", classes, f"org.apache.kafka.tools.{tool}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{tool}: {done.stdout}{done.stderr}")
    return done.stdout
