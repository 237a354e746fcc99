"""What a figure was taken on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from imagebus.kafka.jars import VERSION as KAFKA
from imagebus.kafka.java import find_java

PACKAGES = ("confluent-kafka", "msgpack", "msgspec", "simplejpeg", "onnxruntime", "numpy")


def describe() -> dict[str, str]:
    """Return the machine and the versions, by name."""
    return {
        "CPU": f"{_after('/proc/cpuinfo', 'model name')}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{int(_after('/proc/meminfo', 'MemTotal').split()[0]) / 1024**2:.0f} GiB",
        "Python": platform.python_version(),
        "broker": f"Apache Kafka {KAFKA} on {_java()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "load": f"{os.getloadavg()[0]:.2f} (1 minute, with what the benchmark itself does)",
    }


def _after(path: str, key: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "unknown")


def _java() -> str:
    said = subprocess.run([find_java(), "-version"], capture_output=True, text=True, check=True).stderr
    return said.splitlines()[0]
