"""Start everything and wait for the first pictures: ``python -m imagebus.launch.start``, called by run.sh."""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebus.errors import ConfigurationError
from imagebus.kafka import state
from imagebus.kafka.local import LocalBroker
from imagebus.kafka.options import StartOptions
from imagebus.kafka.probe import why_not_bindable
from imagebus.launch import rehearsal, samples, stop_request
from imagebus.launch.cameras import Camera
from imagebus.launch.environment import ROOT
from imagebus.launch.first_pictures import wait
from imagebus.launch.options import Wishes, arguments, parse
from imagebus.launch.prepare import everything
from imagebus.launch.progress import Talk, interruptible
from imagebus.launch.services import planned
from imagebus.launch.stop import stop
from imagebus.launch.supervisor import Supervisor
from imagebus.launch.wanted import StoppedError, Wanted
from imagebus.launch.watching import Watching
from imagebus.log import say, warn
from imagebus.program import run
from imagebus.text import printable

ANY_CAMERA = (Camera("camera", "", loop=False),)


def main() -> None:
    """Prepare, start, wait, print the address."""
    before = os.environ.pop(stop_request.BEFORE, None)  # popped: no service needs it
    wishes = parse("run", arguments(), ROOT)
    interruptible()
    with _alone(wishes.data):
        wanted = Wanted(wishes.data, before)
        wanted.check()
        supervisor = Supervisor(wishes.data)
        if supervisor.process:
            _already_running(supervisor, wishes, wanted)
        else:
            _start(supervisor, wishes, wanted)
        warn(f"stop it with {_stop_command(wishes.data)}")
        say(f"https://localhost:{wishes.port}")


def _start(supervisor: Supervisor, wishes: Wishes, wanted: Wanted) -> None:
    if stop(wishes.data):
        warn("stopped what was left of a run whose supervisor is gone")
    own_broker = _needs_broker(wishes)
    _check_ports(wishes, own_broker)
    Talk.say("Looking after what the services need")
    rehearsal.check(planned(wishes, wishes.cameras[:1] or ANY_CAMERA, own_broker=False))
    everything(wishes.data, with_samples=not wishes.cameras, look=wanted.check)
    cameras = wishes.cameras or tuple(sample.camera for sample in samples.present())
    services = planned(wishes, cameras, own_broker)
    watching = Watching(supervisor, services, wanted)
    Talk.say(f"Starting {', '.join(printable(service.shown) for service in services)}")
    began_ms = time.time_ns() // 1_000_000
    try:
        wanted.check()
        supervisor.start(services)
        wait(watching, wishes, cameras, began_ms)
        wanted.check()
    except BaseException as error:
        if not isinstance(error, StoppedError):
            Talk.say("stopping what was started")
        stop(wishes.data)
        wanted.check()  # what failed may have failed because of the stop
        raise


def _already_running(supervisor: Supervisor, wishes: Wishes, wanted: Wanted) -> None:
    """Say so; refuse where something else is asked for than what runs.

    Raises:
        ConfigurationError: says how to get what was asked for.
    """
    running = supervisor.services()
    cameras = wishes.cameras or tuple(sample.camera for sample in samples.present())
    own_broker = any(service.name == "broker" for service in running)
    if running != planned(wishes, cameras, own_broker):
        raise ConfigurationError(
            "already running, with other cameras or options: stop it first (./stop.sh), or run a second one "
            "with its own --data, --port and --kafka-port"
        )
    warn("already running")
    wait(Watching(supervisor, running, wanted), wishes, cameras, time.time_ns() // 1_000_000)


def _needs_broker(wishes: Wishes) -> bool:
    """Return whether a broker must be started: one that runs in this folder on this port is used as it is."""
    folder = StartOptions.parse([]).folder
    answers, line = LocalBroker(folder).status()
    noted = state.read(folder)
    if answers and noted and noted.port == wishes.kafka_port:
        warn(f"using the broker that runs already, and will not stop it: {line}")
        return False
    return True


def _check_ports(wishes: Wishes, own_broker: bool) -> None:
    wanted = [("--port", wishes.port), *[("--kafka-port", wishes.kafka_port)] * own_broker]
    faults = [(flag, port, why_not_bindable(port)) for flag, port in wanted]
    said = [f"{flag}: {port} {fault}; choose another" for flag, port, fault in faults if fault]
    if said:
        raise ConfigurationError(". ".join(said))


def _stop_command(data: Path) -> str:
    """Return what to type, here, to stop it."""
    program = "./stop.sh" if Path.cwd() == ROOT else shlex.quote(str(ROOT / "stop.sh"))
    return program if data == ROOT / ".imagebus" else f"{program} --data {shlex.quote(str(data))}"


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Keep a second start in this folder waiting."""
    try:
        (data / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"{data} can't be written: {error.strerror}", "--data") from error
    handle = os.open(data / "run", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.argv[0] = "run.sh"
    run(main)
