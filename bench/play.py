"""A benchmark's run: on a broker and in a folder of its own, both thrown away after it."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.broker import Broker, broker
from bench.report import Report


def play(run: Callable[[argparse.Namespace, Broker, Path], Report], options: argparse.Namespace) -> None:
    """Run a benchmark and publish its report."""
    with tempfile.TemporaryDirectory(prefix="imagebus-bench-") as work, broker() as kafka:
        run(options, kafka, Path(work)).publish(options)
