"""Start everything and wait for the first pictures: ``python -m imagebus.launch.start``, called by run.sh."""

from __future__ import annotations

import fcntl
import http.client
import os
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imagebus.bus import Bus
from imagebus.errors import ConfigurationError, ImagebusError
from imagebus.kafka import state
from imagebus.kafka.local import LocalBroker
from imagebus.kafka.options import FolderOptions
from imagebus.kafka.probe import cluster_at, why_not_bindable
from imagebus.launch import samples
from imagebus.launch.cameras import Camera
from imagebus.launch.chain import Chain
from imagebus.launch.environment import ROOT
from imagebus.launch.options import Wishes, arguments, parse
from imagebus.launch.prepare import everything
from imagebus.launch.progress import Talk, interruptible
from imagebus.launch.services import Service, planned
from imagebus.launch.stop import stop
from imagebus.launch.supervisor import Supervisor
from imagebus.launch.watching import Watching
from imagebus.log import say, warn
from imagebus.program import run
from imagebus.text import printable

BROKER_S = 90.0
FIRST_PICTURES_S = 120.0
SOME_PICTURES_S = 40.0
"""How long a camera is waited for when others show already."""
STAGES = ("producer-1", "imageaiProcessor", "redaction")


def main() -> None:
    """Prepare, start, wait, print the address."""
    wishes = parse("run", arguments(), ROOT)
    interruptible()
    with _alone(wishes.data):
        supervisor = Supervisor(wishes.data)
        if supervisor.process:
            _already_running(supervisor, wishes)
        else:
            _start(supervisor, wishes)
        say(f"https://localhost:{wishes.port}")


def _start(supervisor: Supervisor, wishes: Wishes) -> None:
    Talk.say("Looking after what the services need")
    everything(wishes.data, with_samples=not wishes.cameras)
    cameras = wishes.cameras or tuple(sample.camera for sample in samples.present())
    if stop(wishes.data):
        warn("stopped what was left of a run whose supervisor is gone")
    services = planned(wishes, cameras, own_broker=_needs_broker(wishes))
    _check_ports(services, wishes)
    watching = Watching(supervisor, services)
    Talk.say(f"Starting {', '.join(printable(service.shown) for service in services)}")
    began_ms = time.time_ns() // 1_000_000
    supervisor.start(services)
    try:
        _wait(watching, wishes, cameras, began_ms)
    except BaseException:
        Talk.say("stopping what was started")
        stop(wishes.data)
        raise


def _already_running(supervisor: Supervisor, wishes: Wishes) -> None:
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
    _wait(Watching(supervisor, running), wishes, cameras, time.time_ns() // 1_000_000)


def _needs_broker(wishes: Wishes) -> bool:
    """Return whether a broker must be started: one that runs in this folder on this port is used as it is."""
    folder = FolderOptions.parse([]).folder
    answers, line = LocalBroker(folder).status()
    noted = state.read(folder)
    if answers and noted and noted.port == wishes.kafka_port:
        warn(f"using the broker that runs already, and will not stop it: {line}")
        return False
    return True


def _check_ports(services: Sequence[Service], wishes: Wishes) -> None:
    wanted = [("--port", wishes.port)]
    wanted += [("--kafka-port", wishes.kafka_port)] * any(service.name == "broker" for service in services)
    for flag, port in wanted:
        if fault := why_not_bindable(port):
            raise ConfigurationError(f"{port} {fault}; choose another", flag)


def _wait(watching: Watching, wishes: Wishes, cameras: Sequence[Camera], since_ms: int) -> None:
    """Wait for a picture of each camera; where some show and others don't, say so and go on.

    Raises:
        ImagebusError: nothing is to be seen; says where the pictures got stuck.
    """
    _wait_for_broker(watching, wishes.kafka_port)
    topics = (wishes.source_topic, wishes.imageai_topic, wishes.redaction_topic)
    names = [camera.name for camera in cameras]
    chain = Chain(Bus(f"127.0.0.1:{wishes.kafka_port}"), topics, names, since_ms)
    patience = time.monotonic() + SOME_PICTURES_S

    def go_on() -> bool:
        watching.look(chain.progress())
        return len(chain.missing()) == len(names) or time.monotonic() < patience

    chain.wait(FIRST_PICTURES_S, go_on)
    missing = chain.missing()
    if len(missing) == len(names):
        culprit = STAGES[chain.stuck_at()]
        raise ImagebusError(watching.blame(culprit, f"passed no picture on in {FIRST_PICTURES_S:.0f} s"))
    _check_page(wishes.port)
    for name in missing:
        warn(watching.blame(f"producer-{names.index(name) + 1}", "shows nothing yet, and is tried on"))
    shown = len(names) - len(missing)
    warn(f"{shown} of {len(names)} cameras show; objects are found by {', '.join(chain.models)}")


def _wait_for_broker(watching: Watching, port: int) -> None:
    end = time.monotonic() + BROKER_S
    while not cluster_at(port):
        watching.look("waiting for the broker")
        if time.monotonic() > end:
            raise ImagebusError(watching.blame("broker", f"does not answer after {BROKER_S:.0f} s"))
        time.sleep(0.3)


def _check_page(port: int) -> None:
    """Ask for the page; its certificate is our own, and it is on this machine."""
    context = ssl._create_unverified_context()
    end = time.monotonic() + 20
    while True:
        try:
            link = http.client.HTTPSConnection("localhost", port, timeout=5, context=context)
            link.request("GET", "/")
            status = link.getresponse().status
            link.close()
        except OSError as error:
            if time.monotonic() > end:
                raise ImagebusError(f"the page does not answer on port {port}: {error}") from error
            time.sleep(0.2)
        else:
            if status != http.HTTPStatus.OK:
                raise ImagebusError(f"the page on port {port} answers with {status}")
            return


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
