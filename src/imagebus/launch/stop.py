"""Stop all that run.sh started, and nothing else: ``python -m imagebus.launch.stop``, called by stop.sh.

Each process is known by its id together with its start time, noted when it started; so this also works where
the supervisor was killed, and never meets a process that got the id later.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import groupby
from math import inf
from pathlib import Path

from imagebus.errors import ImagebusError
from imagebus.kafka import state
from imagebus.kafka.process import Process
from imagebus.launch import stop_request
from imagebus.launch.environment import ROOT
from imagebus.launch.options import arguments, parse
from imagebus.launch.progress import SILENT_S, Talk
from imagebus.launch.supervisor import Supervisor
from imagebus.log import say, warn
from imagebus.program import run

IN_ORDER_S = 80.0
"""The supervisor waits 15 s for each rank of services, then kills."""
ORPHANS_S = 15.0
GONE_S = 5.0
START_GIVES_UP_S = 30.0
LAST_STARTED = 1000
"""Ranks above all others, for producers where what was started is not known any more."""


def stop(data: Path) -> bool:
    """Stop what runs from this data folder; return whether anything did."""
    supervisor = Supervisor(data)
    began = supervisor.process
    leftover = _java(data, supervisor)
    if began:
        supervisor.ask_to_stop()
        _wait({"supervisor": began}, IN_ORDER_S, supervisor)
    orphans = supervisor.running()
    if leftover and leftover.alive():
        orphans["broker (Java)"] = leftover
    if began and began.alive():
        orphans["supervisor"] = began
    for rank in _ranked(orphans, supervisor):
        _end(rank, supervisor)
    supervisor.forget()
    return bool(began or orphans)


def _java(data: Path, supervisor: Supervisor) -> Process | None:
    """Return the broker's own process if a service of ours started it: a broker started by hand stays."""
    parent = supervisor.noted().get("broker")
    try:
        noted = state.read(_broker_folder(data))
    except ImagebusError as error:
        warn(str(error))  # all others are stopped nevertheless
        return None
    ours = parent and noted and noted.process.started >= parent.started
    return noted.process if ours and noted and noted.process.alive() else None


def _broker_folder(data: Path) -> Path:
    from imagebus.kafka.options import FolderOptions  # its default reads $IMAGEBUS_DATA

    return FolderOptions.parse([]).folder


def _ranked(orphans: Mapping[str, Process], supervisor: Supervisor) -> list[dict[str, Process]]:
    """Sort as the supervisor would stop them: producers first, which need the others, the broker last."""
    ranks = {service.name: service.rank for service in supervisor.services()}

    def rank(name: str) -> float:
        if name == "supervisor":
            return inf  # it would start again what ends
        if name.startswith("broker"):
            return -inf
        return ranks.get(name, LAST_STARTED if name.startswith("producer") else 0)

    return [
        dict(group)
        for _, group in groupby(
            sorted(orphans.items(), key=lambda one: rank(one[0]), reverse=True), key=lambda one: rank(one[0])
        )
    ]


def _end(processes: dict[str, Process], supervisor: Supervisor) -> None:
    """End processes that have no supervisor (any more), all at once; kill what does not end."""
    for process in processes.values():
        process.send(signal.SIGTERM)
    _wait(processes, ORPHANS_S, supervisor)
    for name, process in processes.items():
        if process.alive():
            Talk.say(f"  {name} (process {process.pid}) does not end: killing it")
            process.send(signal.SIGKILL)
    _wait(processes, GONE_S, supervisor)


def _wait(processes: dict[str, Process], timeout_s: float, supervisor: Supervisor) -> None:
    """Wait until all are gone, and say every few seconds what is still there."""
    end = time.monotonic() + timeout_s
    while any(process.alive() for process in processes.values()) and time.monotonic() < end:
        time.sleep(0.05)
        if time.monotonic() - Talk.last > SILENT_S:
            names = {*supervisor.running(), *(name for name, p in processes.items() if p.alive())}
            Talk.say(f"  stopping: {', '.join(sorted(names))}")


def _leave_request(data: Path) -> None:
    try:
        stop_request.leave(data)
    except OSError as error:
        warn(f"a start under way, if there is one, can't be told to give up: {error}")


def _wait_for_start(data: Path) -> bool:
    """Wait until no start is under way, which has read the request and gives up; False where one still is."""
    if not (data / "run").is_dir():
        return True
    try:
        handle = os.open(data / "run", os.O_RDONLY)
    except OSError as error:
        raise ImagebusError(f"can't look into {data / 'run'}: {error.strerror}; whose run is it?") from error
    end, told = time.monotonic() + START_GIVES_UP_S, False
    try:
        while time.monotonic() < end:
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if not told:
                Talk.say("a start is under way; waiting until it gives up")
            told = True
            time.sleep(0.1)
        return False
    finally:
        os.close(handle)


def main() -> None:
    """Stop and say so."""
    wishes = parse("stop", arguments(), ROOT)
    Talk.last = time.monotonic()
    _leave_request(wishes.data)
    stopped = stop(wishes.data)
    if _wait_for_start(wishes.data):
        stopped = stop(wishes.data) or stopped
    else:
        warn("a start is still under way; it will give up by itself")
    say("stopped" if stopped else f"nothing runs from {wishes.data}")


if __name__ == "__main__":
    sys.argv[0] = "stop.sh"
    run(main)
