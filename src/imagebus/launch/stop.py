"""Stop all that run.sh started, and nothing else: ``python -m imagebus.launch.stop``, called by stop.sh.

Each process is known by its id together with its start time, noted when it started; so this also works where
the supervisor was killed, and never meets a process that got the id later.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from imagebus.kafka import state
from imagebus.kafka.process import Process
from imagebus.launch.environment import ROOT
from imagebus.launch.options import arguments, parse
from imagebus.launch.progress import SILENT_S, Talk
from imagebus.launch.supervisor import Supervisor
from imagebus.log import say
from imagebus.program import run

IN_ORDER_S = 80.0
"""The supervisor waits 15 s for each rank of services, then kills."""
ORPHANS_S = 15.0
GONE_S = 5.0


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
    _end(orphans, supervisor)
    supervisor.forget()
    return bool(began or orphans)


def _java(data: Path, supervisor: Supervisor) -> Process | None:
    """Return the broker's own process if a service of ours started it: a broker started by hand stays."""
    parent = supervisor.noted().get("broker")
    noted = state.read(_broker_folder(data))
    ours = parent and noted and noted.process.started >= parent.started
    return noted.process if ours and noted and noted.process.alive() else None


def _broker_folder(data: Path) -> Path:
    from imagebus.kafka.options import FolderOptions  # its default reads $IMAGEBUS_DATA

    return FolderOptions.parse([]).folder


def _end(processes: dict[str, Process], supervisor: Supervisor) -> None:
    """End processes that have no supervisor (any more), in order if they will."""
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


def main() -> None:
    """Stop and say so."""
    wishes = parse("stop", arguments(), ROOT)
    Talk.last = time.monotonic()
    stopped = stop(wishes.data)
    say("stopped" if stopped else f"nothing runs from {wishes.data}")


if __name__ == "__main__":
    sys.argv[0] = "stop.sh"
    run(main)
