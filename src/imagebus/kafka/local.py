"""The local broker: start it in its folder and wait until it answers; look at it; stop it."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from types import FrameType

from imagebus.errors import ConfigurationError, ImagebusError
from imagebus.kafka import state
from imagebus.kafka.jars import VERSION
from imagebus.kafka.launch import launch, log_told_on_failure
from imagebus.kafka.lock import locked
from imagebus.kafka.options import StartOptions
from imagebus.kafka.probe import HOST, cluster_at, free_port, why_not_bindable
from imagebus.kafka.state import State
from imagebus.kafka.storage import cluster_id, prepare_folder, why_full
from imagebus.log import warn

START_S = 120.0
STOP_S = 30.0
SAY_EACH_S = 4.0


class LocalBroker:
    """One Kafka broker of this machine, known by its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, options: StartOptions) -> str:
        """Start it apart from this program, unless it runs, and return one line once it answers.

        Raises:
            ConfigurationError: the port is taken, or the broker runs on another one; Java is missing.
            ImagebusError: it can't be fetched or does not start; the end of its log has been printed.
        """
        prepare_folder(self.folder)
        with locked(self.folder / "start.lock"):
            if found := self._running():
                self._check_same_port(found, options)
                self._wait_ready(found)
                return f"already running: {self._describe(found)}"
            child = self._launch(options)
            try:
                with log_told_on_failure(self.folder):
                    return self._describe(self._wait_ready())
            except BaseException:
                child.terminate()
                raise

    def run(self, options: StartOptions) -> int:
        """Run it as a child of this program, handing SIGTERM and SIGINT on; return its exit status."""
        prepare_folder(self.folder)
        with locked(self.folder / "start.lock"):
            if found := self._running():
                raise ImagebusError(f"already running: {self._describe(found)}")
            child = self._launch(options)
            asked_to_end = _hand_signals_on(child)
            try:
                with log_told_on_failure(self.folder):
                    warn(self._describe(self._wait_ready()))
            except ImagebusError:
                child.terminate()
                if not asked_to_end:
                    raise
        status = child.wait()
        if status not in (0, 128 + signal.SIGTERM) and (full := why_full(self.folder)):
            warn(f"the broker ended, for the disk is full: {full}, then start it again")
        return status if status >= 0 else 128 - status

    def stop(self) -> str:
        """Stop this folder's broker, and only it, and return one line once it is gone."""
        found = self._running()
        if found is None:
            state.forget(self.folder)
            return f"no broker runs in {self.folder}"
        found.process.send(signal.SIGTERM)
        if not found.process.wait_gone(STOP_S):
            warn(f"the broker (process {found.process.pid}) does not end after {STOP_S:.0f} s: killing it")
            found.process.send(signal.SIGKILL)
            found.process.wait_gone(STOP_S)
        state.forget(self.folder)
        return f"stopped the broker on {HOST}:{found.port} (process {found.process.pid})"

    def status(self) -> tuple[bool, str]:
        """Say whether it answers, and one line for people."""
        found = self._running()
        if found is None:
            full = why_full(self.folder) if self.folder.is_dir() else ""
            return False, f"no broker runs in {self.folder}" + (f"; {full}, then start it" if full else "")
        if not self._answers(found):
            return False, f"not answering yet: {self._describe(found)}"
        return True, self._describe(found)

    def _launch(self, options: StartOptions) -> subprocess.Popen[bytes]:
        port = options.port or free_port()
        for flag, wanted in (("--port", port), ("--controller-port", options.controller_port)):
            if wanted and (fault := why_not_bindable(wanted)):
                variable = f"IMAGEBUS_KAFKA_{flag[2:].replace('-', '_').upper()}"
                raise ConfigurationError(f"{wanted} {fault}; choose another with {flag} or {variable}", flag)
        return launch(self.folder, options, port, options.controller_port or free_port())

    def _wait_ready(self, found: State | None = None) -> State:
        found = found or self._running()
        began = said = time.monotonic()
        while found and found.process.alive():
            if self._answers(found):
                return found
            now = time.monotonic()
            if now - began > START_S:
                raise ImagebusError(
                    f"the broker does not answer on {HOST}:{found.port} after {START_S:.0f} s"
                )
            if now - said > SAY_EACH_S:
                said = now
                warn(f"the broker is starting, {now - began:.0f} s so far (its log: {self.folder / 'logs'})")
            time.sleep(0.05)
        raise ImagebusError(f"the broker ended while it started; its log is in {self.folder / 'logs'}")

    def _answers(self, found: State) -> bool:
        return cluster_at(found.port) == cluster_id(self.folder)

    def _running(self) -> State | None:
        found = state.read(self.folder)
        return found if found and found.process.alive() else None

    def _check_same_port(self, found: State, options: StartOptions) -> None:
        if "port" in options.model_fields_set and options.port not in (0, found.port):
            raise ConfigurationError(
                f"this folder's broker already runs, on port {found.port}, not {options.port}: stop it, or "
                "give another broker its own folder with --data",
                "--port",
            )

    def _describe(self, found: State) -> str:
        return f"Kafka {VERSION} on {HOST}:{found.port} (process {found.process.pid}, folder {self.folder})"


def _hand_signals_on(child: subprocess.Popen[bytes]) -> list[int]:
    """Give SIGTERM and SIGINT to the child; the list returned fills with those that came."""
    came: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        came.append(number)
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_on)
    return came
