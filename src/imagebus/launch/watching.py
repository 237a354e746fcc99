"""Watch services while they start: a service that can't run ends the start, with the end of its log."""

from __future__ import annotations

import time
from collections.abc import Sequence

from imagebus.errors import ConfigurationError, ImagebusError
from imagebus.launch.logs import Log
from imagebus.launch.progress import Talk
from imagebus.launch.services import Service
from imagebus.launch.supervisor import LOG, Supervisor
from imagebus.launch.wanted import Wanted

SHOWN_LINES = 12
MOST_RESTARTS = 4
QUIET_S = 15.0
"""How long nothing may be said."""
OF_THE_BROKER = "the broker at "
"""It is starting too; what goes wrong with it, is told by whoever waits for it."""
CONFIGURATION = ConfigurationError.exit_code


class Watching:
    """Sees each service's state and what it logs from now on."""

    def __init__(
        self, supervisor: Supervisor, services: Sequence[Service], wanted: Wanted | None = None
    ) -> None:
        self._supervisor = supervisor
        self._wanted = wanted
        self._services = {service.name: service for service in services}
        self._logs = {name: Log(supervisor.log_of(name)) for name in self._services}
        self._pids: dict[str, set[int]] = {name: set() for name in self._services}
        self._ended: set[str] = set()
        self._began = Talk.last = time.monotonic()

    def look(self, progress: str) -> None:
        """Look once, pass on what the cameras' programs say, and say how it goes when it was still for long.

        Raises:
            ConfigurationError: a service refuses its settings.
            ImagebusError: a service can't run, or the supervisor doesn't.
            StoppedError: stop.sh was called.
        """
        states = self._supervisor.states()
        if self._wanted:
            self._wanted.check()  # first: what a stop brings about is no fault of a service
        if not self._supervisor.process:
            raise ImagebusError(f"the supervisor ended; see {self._supervisor.folder / LOG}")
        for name, state in states.items():
            if name in self._services:
                self._judge(name, state["statename"], state["exitstatus"], state["pid"])
        for name, service in self._services.items():
            for line in self._logs[name].new() if name.startswith("producer") else ():
                if not line.startswith(OF_THE_BROKER):
                    Talk.say(f"  {service.name}: {line}")
        if time.monotonic() - Talk.last > QUIET_S:
            Talk.say(f"  {progress} ({time.monotonic() - self._began:.0f} s)")

    def _judge(self, name: str, state: str, exit_status: int, pid: int) -> None:
        if pid:
            self._pids[name].add(pid)
        if state not in ("EXITED", "FATAL"):
            self._ended.discard(name)
        else:
            self._ended.add(name)
        if name in self._ended and exit_status == CONFIGURATION:
            raise ConfigurationError(self.blame(name, f"ended with exit status {exit_status}"))
        if state == "FATAL" or len(self._pids[name]) > MOST_RESTARTS:
            how = self._supervisor.last_end(name)
            raise ImagebusError(self.blame(name, f"ends again and again, last: {how}"))

    def restarted(self) -> list[str]:
        """Return the services that ended and were started again, or wait for that."""
        return [name for name, pids in self._pids.items() if len(pids) > 1]

    def has_ended(self, name: str) -> bool:
        """Say whether a service came to its end and is left alone."""
        return name in self._ended

    def log_of(self, name: str) -> str:
        """Name the file of what a service says."""
        return str(self._supervisor.log_of(name))

    def shown(self, name: str) -> str:
        """Name a service for people."""
        return self._services[name].shown

    def blame(self, name: str, what: str) -> str:
        """Show the end of a service's log, and return one line that says what it did."""
        log = self._logs[name]
        lines = log.rest()[-SHOWN_LINES:]  # a camera's own were passed on already
        if not log.since_the_beginning():
            lines = ["(it said nothing)"]
        for line in lines:
            Talk.say(f"  | {line}")
        return f"{self.shown(name)} {what}; above is the end of its log, {self.log_of(name)}"
