"""Watch services while they start: a service that can't run ends the start, with the end of its log."""

from __future__ import annotations

import time
from collections.abc import Sequence

from imagebus.errors import ImagebusError
from imagebus.launch.progress import SILENT_S, Talk
from imagebus.launch.services import Service
from imagebus.launch.supervisor import Supervisor
from imagebus.text import printable

SHOWN_LINES = 12
GRACE_S = 10.0
MOST_RESTARTS = 4


class Watching:
    """Sees each service's state and what it logs from now on."""

    def __init__(self, supervisor: Supervisor, services: Sequence[Service]) -> None:
        self._supervisor = supervisor
        self._services = {service.name: service for service in services}
        self._logged = {name: _size(supervisor, name) for name in self._services}
        self._pids: dict[str, set[int]] = {name: set() for name in self._services}
        self._began = time.monotonic()

    def look(self, progress: str) -> None:
        """Look once, and say how it goes when nothing was said for a while.

        Raises:
            ImagebusError: a service can't run, or the supervisor doesn't.
        """
        states = self._supervisor.states()
        if not self._supervisor.process:
            raise ImagebusError(f"the supervisor ended; see {self._supervisor.folder / 'supervisord.log'}")
        for name, state in states.items():
            if name in self._services:
                self._judge(name, state["statename"], state["exitstatus"], state["pid"])
        if time.monotonic() - Talk.last > SILENT_S:
            Talk.say(f"  {progress} ({time.monotonic() - self._began:.0f} s)")

    def _judge(self, name: str, state: str, exit_status: int, pid: int) -> None:
        if pid:
            self._pids[name].add(pid)
        down = state in ("BACKOFF", "EXITED", "FATAL")
        ended_well = state == "EXITED" and exit_status == 0
        hopeless = exit_status == 2 or state == "FATAL" or len(self._pids[name]) > MOST_RESTARTS
        if down and hopeless and not ended_well:
            raise ImagebusError(self.blame(name, f"ended with exit status {exit_status}"))

    def blame(self, name: str, what: str) -> str:
        """Show the end of a service's log, and return one line that says what it did."""
        for line in self._said(name) or ["(it said nothing)"]:
            Talk.say(f"  | {line}")
        log = self._supervisor.log_of(name)
        return f"{self._services[name].shown} {what}; above is the end of its log, {log}"

    def _said(self, name: str) -> list[str]:
        log, start = self._supervisor.log_of(name), self._logged[name]
        if not log.is_file():
            return []
        size = log.stat().st_size
        with log.open("rb") as file:
            file.seek(max(start if start <= size else 0, size - 16_384))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return [printable(line) for line in lines if line.strip()][-SHOWN_LINES:]


def _size(supervisor: Supervisor, name: str) -> int:
    log = supervisor.log_of(name)
    return log.stat().st_size if log.is_file() else 0
