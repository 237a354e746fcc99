"""The broker's folder before Kafka first runs in it, and the room on its disk."""

from __future__ import annotations

import base64
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from imagebus.errors import ImagebusError
from imagebus.kafka.settings import GIB, RECORDS
from imagebus.log import warn

LITTLE_BYTES = 10 * GIB
TOO_LITTLE_BYTES = GIB // 4


def prepare_folder(folder: Path) -> None:
    """Make the folder, closed to other users, for it holds pictures of people; look at the disk's room.

    Raises:
        ImagebusError: it can't be made, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "logs").mkdir(exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ImagebusError(
            f"can't use the broker's folder: {error}; choose another with --data (IMAGEBUS_KAFKA_DATA)"
        ) from error
    if full := why_full(folder):
        raise ImagebusError(f"{full}, or choose another --data")
    if free < LITTLE_BYTES:
        warn(
            f"only {free / 1e9:.1f} GB are free for {folder}: frames may go before their 10 minutes are over"
        )


def why_full(folder: Path) -> str:
    """Say that there is too little room on the disk for a broker to run; empty where there is enough."""
    free = shutil.disk_usage(folder).free
    return f"only {free / 1e6:.0f} MB are free for {folder}: make room" if free < TOO_LITTLE_BYTES else ""


def ensure_formatted(folder: Path, java: Sequence[str]) -> None:
    """Let Kafka format its log folder, once; a format that was cut off counts for nothing.

    Args:
        folder: the broker's.
        java: the command to run one of Kafka's classes with.
    """
    if (folder / RECORDS / "meta.properties").is_file():
        return
    if (folder / RECORDS).exists():
        raise ImagebusError(
            f"{folder / RECORDS} has no meta.properties, so Kafka would refuse it: move it away"
        )
    fresh = folder / f"{RECORDS}.part"
    shutil.rmtree(fresh, ignore_errors=True)
    settings = folder / "format.properties"
    text = (folder / "server.properties").read_text()
    settings.write_text(text.replace(f"log.dirs={RECORDS}\n", f"log.dirs={fresh.name}\n"))
    command = [*java, "kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", settings.name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines()
        said = [line for line in lines if line.strip() and not line.startswith("\t")]  # no stack traces
        raise ImagebusError(f"Kafka can't format {folder / RECORDS}: {' '.join(said[-3:])}")
    settings.unlink()
    fresh.rename(folder / RECORDS)


def cluster_id(folder: Path) -> str:
    """Return the id under which this folder's broker answers."""
    lines = (folder / RECORDS / "meta.properties").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("cluster.id="))


def new_cluster_id() -> str:
    """Make an id: a UUID in base64; Kafka's tool takes one that begins with - for an option."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not made.startswith("-"):
            return made
