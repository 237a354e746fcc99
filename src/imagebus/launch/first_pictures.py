"""Wait until the cameras show, and judge what it means where they don't."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Sequence

from imagebus.bus import Bus
from imagebus.errors import ImagebusError
from imagebus.kafka.probe import cluster_at
from imagebus.launch.cameras import Camera
from imagebus.launch.chain import Chain
from imagebus.launch.options import Wishes
from imagebus.launch.watching import Watching
from imagebus.log import warn

BROKER_S = 90.0
FIRST_PICTURES_S = 120.0
SOME_PICTURES_S = 40.0
"""How long a camera is waited for that shows nothing."""
STAGES = ("producer-1", "imageaiProcessor", "redaction")


def wait(watching: Watching, wishes: Wishes, cameras: Sequence[Camera], since_ms: int) -> None:
    """Wait for a picture of each camera; go on without those that do not answer, and say so.

    Raises:
        ImagebusError: a service failed, or pictures got stuck; says where.
    """
    _wait_for_broker(watching, wishes.kafka_port)
    topics = (wishes.source_topic, wishes.imageai_topic, wishes.redaction_topic)
    names = [camera.name for camera in cameras]
    chain = Chain(Bus(f"127.0.0.1:{wishes.kafka_port}"), topics, names, since_ms)
    patience = time.monotonic() + SOME_PICTURES_S

    def go_on() -> bool:
        watching.look(chain.progress())
        under_way = chain.reached() > 0 and len(chain.missing()) == len(names)
        return under_way or time.monotonic() < patience

    chain.wait(FIRST_PICTURES_S, go_on)
    _check_page(wishes.port)
    _check_chain(watching, chain, names)
    _tell(watching, chain, names)


def _check_chain(watching: Watching, chain: Chain, names: Sequence[str]) -> None:
    """Accept that no camera shows anything if that is due to the cameras alone.

    Raises:
        ImagebusError: says which service is at fault.
    """
    if len(chain.missing()) < len(names):
        return
    if chain.reached():
        culprit = STAGES[chain.reached()]
        raise ImagebusError(watching.blame(culprit, f"passed no picture on in {FIRST_PICTURES_S:.0f} s"))
    for name in watching.restarted():
        raise ImagebusError(watching.blame(name, "was ended and had to be started again"))
    producers = [f"producer-{number}" for number in range(1, len(names) + 1)]
    if all(map(watching.has_ended, producers)):
        raise ImagebusError(watching.blame(producers[0], "has ended without a picture"))


def _tell(watching: Watching, chain: Chain, names: Sequence[str]) -> None:
    """Say which cameras show, and what becomes of the others."""
    missing = chain.missing()
    for name in missing:
        producer = f"producer-{names.index(name) + 1}"
        ended = watching.has_ended(producer)
        then = "and has ended" if ended else "and is still being tried"
        warn(f"{watching.shown(producer)} shows nothing yet, {then}; its log is {watching.log_of(producer)}")
    found = f"; objects are found by {', '.join(sorted(chain.models))}" if chain.models else ""
    warn(f"{len(names) - len(missing)} of {len(names)} cameras show{found}")


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
