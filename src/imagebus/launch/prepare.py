"""Fetch and build what the services need, side by side: ``install.sh``, and the first half of ``run.sh``.

``python -m imagebus.launch.prepare PART`` makes one part ready.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from imagebus.errors import ConfigurationError, ImagebusError
from imagebus.kafka.install import ensure_jars
from imagebus.kafka.java import find_java
from imagebus.launch import environment, samples, seed
from imagebus.launch.environment import NETWORK, ROOT
from imagebus.launch.options import arguments, parse
from imagebus.launch.progress import Step, StepError, interruptible, run, tell
from imagebus.log import warn
from imagebus.program import run as run_program

BUILD = ROOT / "consumer" / "build.py"
WEIGHTS = ROOT / "imageai" / "model_weights.py"
NO_NODE = 2
"""What build.py ends with where there is no Node that it could use."""


def broker() -> None:
    """Have a Java and Kafka's jars."""
    try:
        find_java()
    except ConfigurationError:
        warn("this machine has no Java 17 or later; installing one in the Python environment")
        environment.ensure(("requirements.txt", "requirements-java.txt"))
    ensure_jars()


def page() -> None:
    """Have the page built."""
    status = subprocess.run([sys.executable, str(BUILD)], check=False).returncode
    if status == NO_NODE:
        warn("installing a Node in the Python environment")
        environment.ensure(("requirements.txt", "requirements-node.txt"))
        status = subprocess.run([sys.executable, str(BUILD)], check=False).returncode
    if status:
        raise ImagebusError("the page could not be built; the reason is above")


def videos() -> None:
    """Have the sample feeds."""
    samples.ensure()


PARTS = {"broker": broker, "page": page, "videos": videos}


def everything(data: Path, with_samples: bool = True, look: Callable[[], None] = lambda: None) -> None:
    """Make all parts ready; needs no network where they are. ``look`` may raise to give up.

    Raises:
        ImagebusError: one could not be made ready; says which and why.
    """
    seed.from_checkout(ROOT / ".imagebus", data)
    module = [sys.executable, "-m", "imagebus.launch.prepare"]
    weights = [sys.executable, str(WEIGHTS), os.environ.get("IMAGEBUS_MODEL") or "auto"]
    steps = [
        Step("broker", [*module, "broker"], advice=NETWORK),
        Step("detector", weights, advice=NETWORK),
        Step("page", [*module, "page"], advice=NETWORK),
    ]
    if with_samples:
        steps.append(Step("videos", [*module, "videos"], advice=NETWORK))
    try:
        run(steps, look)
    except StepError as error:
        raise ImagebusError(str(error)) from error


def main() -> None:
    """Make one part ready, or all of them."""
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]]()
        return
    interruptible()
    wishes = parse("install", arguments(), ROOT)
    tell("Fetching and building what the services need")
    everything(wishes.data)
    tell("Everything is installed; ./run.sh starts it")


if __name__ == "__main__":
    sys.argv[0] = "install.sh"
    run_program(main)
