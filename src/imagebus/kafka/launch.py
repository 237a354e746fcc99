"""The command line of the broker, and what its log says of a start that failed."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebus.kafka.install import ensure_jars
from imagebus.kafka.java import find_java
from imagebus.kafka.options import StartOptions
from imagebus.kafka.process import Process, die_with_parent
from imagebus.kafka.settings import write_settings
from imagebus.kafka.state import State
from imagebus.kafka.storage import ensure_formatted
from imagebus.log import warn

LOG = "logs/broker.log"
OUTPUT = "logs/output.log"
"""What Java itself says; begun anew at each start."""

TOLD_LINES = 12
SERVING = ("-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-XX:ErrorFile=logs/java_error.log")
ONCE = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def launch(folder: Path, options: StartOptions, port: int, controller_port: int) -> subprocess.Popen[bytes]:
    """Fetch, set up and format what is missing, start the broker and note its process; it is not ready."""
    java = find_java()
    classes = f"{ensure_jars(options.repository)}/*"
    write_settings(folder, port, controller_port)
    ensure_formatted(folder, [java, *ONCE, "-cp", classes])
    console = "warn" if options.foreground else "off"
    command = [
        *(java, f"-Xmx{options.heap}", *SERVING, "-XX:-UsePerfData", *shlex.split(options.java_options)),
        *("-Dlog4j2.configurationFile=log4j2.properties", f"-Dimagebus.console={console}"),
        *("-cp", classes, "kafka.Kafka", "server.properties"),
    ]
    child = _attached(command, folder) if options.foreground else _detached(command, folder)
    try:
        State(Process.of(child.pid), port).write(folder)
    except BaseException:
        child.kill()  # nothing would ever find it again
        raise
    return child


def _attached(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    (folder / OUTPUT).write_bytes(b"")
    return subprocess.Popen(
        command, cwd=folder, env=_environment(), stdin=subprocess.DEVNULL, preexec_fn=die_with_parent
    )


def _detached(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / OUTPUT).open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _environment() -> dict[str, str]:
    """Make Java take file names for UTF-8: in the C locale it can't open a folder whose name has accents."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


@contextmanager
def log_told_on_failure(folder: Path) -> Iterator[None]:
    """Print the end of what the broker wrote in the meantime, if the block fails."""
    before = _size(folder / LOG)
    try:
        yield
    except Exception:
        for line in _written(folder / OUTPUT, 0) + _written(folder / LOG, before):
            warn(f"  | {line}")
        raise


def _written(log: Path, start: int) -> list[str]:
    """Return the last lines after ``start`` bytes, without the frames of Java's stack traces."""
    size = _size(log)
    if not size:
        return []
    with log.open("rb") as file:
        file.seek(max(start if start <= size else 0, size - 64 * 1024))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("\t")][-TOLD_LINES:]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
