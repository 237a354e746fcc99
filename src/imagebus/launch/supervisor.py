"""The supervisor (supervisord) of one data folder: its settings, its start, what it says of its services.

Everything it needs lies in the folder `run` below the data folder and is named relative to it: so no path,
however long or odd, has to survive supervisord's own quoting and the 107 bytes of a socket's name.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from imagebus.kafka.process import Process
from imagebus.launch import service as service_program
from imagebus.launch.note import Notes
from imagebus.launch.options import PREFIX
from imagebus.launch.services import Service

SOCKET = "supervisor.sock"
LOG = "supervisord.log"
SETTINGS = """\
[supervisord]
nodaemon=true
silent=true
logfile={log}
logfile_maxbytes=1MB
logfile_backups=1
pidfile=supervisord.pid
umask=077

[unix_http_server]
file=/proc/self/cwd/{socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
# startsecs=0 keeps the exit status of one that ends at once; `service` makes the pauses between restarts.
PROGRAM = """
[program:{name}]
command=./service {name}
priority={rank}
startsecs=0
autorestart={autorestart}
exitcodes={exitcodes}
stopwaitsecs=15
killasgroup=true
redirect_stderr=true
stdout_logfile=../logs/{name}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=2
"""


class Supervisor:
    """The supervisor of one data folder."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "run"
        self.logs = data / "logs"
        self._notes = Notes()

    def start(self, services: Sequence[Service]) -> None:
        """Start it and with it the services."""
        for folder in (self.folder, self.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        (self.folder / SOCKET).unlink(missing_ok=True)
        self._write("services.json", json.dumps({s.name: asdict(s) for s in services}))
        self._write("supervisord.conf", settings(services))
        words = shlex.join([sys.executable, "-I", "-S", service_program.__file__])
        self._write("service", f'#!/bin/sh\nexec {words} . "$1"\n', 0o700)
        with (self.folder / "supervisord.out").open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-c", "supervisord.conf"],
                cwd=self.folder,
                env={k: v for k, v in os.environ.items() if not k.startswith(PREFIX)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._write("supervisor.json", json.dumps(asdict(Process.of(child.pid))))
        except BaseException:
            child.terminate()  # nothing would ever find it again
            raise
        child.returncode = 0  # it outlives this program, which does not wait for it

    def _write(self, name: str, text: str, mode: int = 0o600) -> None:
        """Write a file that only its owner may read, in one step."""
        part = self.folder / f"{name}.part"
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave an empty file under the final name
        part.rename(self.folder / name)

    @property
    def process(self) -> Process | None:
        """Return the supervisor's process where it runs."""
        note = self.folder / "supervisor.json"
        found = self._notes.process(note)
        if not found and note.exists():  # a spoilt one
            found = self._answering()
        return found if found and found.alive() else None

    def _answering(self) -> Process | None:
        """Return the process that answers as the supervisor."""
        pid = self._ask("getPID")
        try:
            return Process.of(pid) if isinstance(pid, int) else None
        except ProcessLookupError:
            return None

    def noted(self) -> dict[str, Process]:
        """Return the process that each service was last, alive or not."""
        files = sorted((self.folder / "processes").glob("[!.]*"))
        found = {file.name: self._notes.process(file) for file in files}
        return {name: process for name, process in found.items() if process}

    def running(self) -> dict[str, Process]:
        """Return the processes of services that run, with or without their supervisor."""
        return {name: process for name, process in self.noted().items() if process.alive()}

    def services(self) -> list[Service]:
        """Return what was started last."""
        return self._notes.services(self.folder / "services.json")

    def states(self) -> Mapping[str, Mapping[str, Any]]:
        """Ask the supervisor about each service; empty while it does not answer yet, or no more."""
        found: Any = self._ask("getAllProcessInfo") or []
        return {state["name"]: state for state in found}

    def _ask(self, method: str) -> object:
        """Return the supervisor's answer; None while it does not answer yet, or no more."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            transport = SupervisorTransport(serverurl=f"unix:///proc/self/fd/{handle}/{SOCKET}")
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)()
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):  # a Fault says that it shuts down
            return None
        finally:
            os.close(handle)

    def forget(self) -> None:
        """Remove what was started, with the addresses of cameras, once nothing of it runs.

        A broker that is started by hand later would else be taken for one of ours.
        """
        if not self.process and not self.running():
            for note in (self.folder / "processes").glob("[!.]*"):
                note.unlink(missing_ok=True)
            for name in ("services.json", "services.json.part"):
                (self.folder / name).unlink(missing_ok=True)

    def log_of(self, name: str) -> Path:
        """Name the file of what a service says."""
        return self.logs / f"{name}.log"

    def last_end(self, name: str) -> str:
        """Say how a service last ended, as the supervisor noted it: its state forgets that at the restart."""
        noted = (self.folder / LOG).read_text("utf-8", "replace")
        ends = re.findall(rf"exited: {re.escape(name)} \((.+?);", noted)
        return ends[-1] if ends else f"not noted in {self.folder / LOG}"

    def ask_to_stop(self) -> bool:
        """Ask the supervisor to stop everything and itself; return whether there is one."""
        process = self.process
        if process:
            process.send(signal.SIGTERM)
        return process is not None


def settings(services: Iterable[Service]) -> str:
    """Return the supervisor's settings for these services."""
    text = SETTINGS.format(socket=SOCKET, log=LOG)
    for one in services:
        autorestart, exitcodes = _restarts(one.name)
        text += PROGRAM.format(name=one.name, rank=one.rank, autorestart=autorestart, exitcodes=exitcodes)
    producers = [one.name for one in services if one.name.startswith("producer")]
    if producers:
        text += f"\n[group:producers]\nprograms={','.join(producers)}\npriority=4\n"
    return text


def _restarts(name: str) -> tuple[str, str]:
    """Return whether and after which exit status a service stays down.

    With 2 it refuses its settings, and would again. The broker may mean a port that its predecessor still
    holds. A camera that is a file may come to its end; all others have none.
    """
    if name == "broker":
        return "true", "0"
    return "unexpected", "0,2" if name.startswith("producer") else "2"
