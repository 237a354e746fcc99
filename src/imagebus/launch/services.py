"""What runs: each service's program, flags and environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imagebus.launch.cameras import Camera
from imagebus.launch.environment import ROOT
from imagebus.launch.options import PREFIX, Wishes

KEPT_FROM_SERVICES = {
    *(
        "CAMERAS",
        "PORT",
        "KAFKA_PORT",
        "FRAME",
        "MAX_FPS",
        "SOURCE_TOPIC",
        "IMAGEAI_TOPIC",
        "REDACTION_TOPIC",
    ),
    *("ADDRESS", "NAME", "TOPIC", "INPUT", "GROUP", "LOOP", "KAFKA", "KAFKA_CONFIG", "FROM", "UNTIL", "RUN"),
}
FOREIGN_BROKERS = tuple(f"{PREFIX}KAFKA_{kind}_" for kind in ("SASL", "SSL", "SECURITY"))


@dataclass(frozen=True)
class Service:
    """One program. ``rank`` orders the start, and backwards the stop; of one rank stop all at once."""

    name: str
    rank: int
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    title: str = ""

    @property
    def shown(self) -> str:
        """Name it for people."""
        return f"{self.name} ({self.title})" if self.title else self.name


def planned(wishes: Wishes, cameras: Iterable[Camera], own_broker: bool) -> list[Service]:
    """Return all services, in the order of their start."""
    kafka = f"127.0.0.1:{wishes.kafka_port}"
    source, found, redacted = wishes.source_topic, wishes.imageai_topic, wishes.redaction_topic
    stage = ["--kafka", kafka, "--quiet"]
    services = [
        _python("page", 1, "consumer/app.py", ["--kafka", kafka, "--port", str(wishes.port)]),
        _python("redaction", 2, "imageai/redaction.py", ["-i", found, "-t", redacted, *stage]),
        _python("imageaiProcessor", 3, "imageai/imageaiProcessor.py", ["-i", source, "-t", found, *stage]),
    ]
    services += [_producer(number, camera, wishes, stage) for number, camera in enumerate(cameras, 1)]
    if own_broker:
        imagebus = str(Path(sys.executable).with_name("imagebus"))
        start = ["kafka", "start", "--foreground", "--port", str(wishes.kafka_port)]
        services.insert(0, Service("broker", 0, [imagebus, *start]))
    return [_surrounded(service) for service in services]


def _python(name: str, rank: int, program: str, flags: Sequence[str]) -> Service:
    return Service(name, rank, [sys.executable, str(ROOT / program), *flags])


def _producer(number: int, camera: Camera, wishes: Wishes, stage: Sequence[str]) -> Service:
    """Start a camera; its address may hold a password, so it goes by the environment and not by a flag."""
    flags = [f"--name={camera.name}", "-t", wishes.source_topic, "-f", str(wishes.frame)]
    flags += ["--max-fps", f"{wishes.max_fps:g}", *stage, *["--loop"] * camera.loop]
    service = _python(f"producer-{number}", 4, "producer/producer.py", flags)
    return Service(
        service.name, service.rank, service.command, {"IMAGEBUS_ADDRESS": camera.address}, camera.name
    )


def _surrounded(service: Service) -> Service:
    """Add the user's own settings, but none that would make services the same or unfit for each other."""
    settings = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PREFIX)
        and name.removeprefix(PREFIX) not in KEPT_FROM_SERVICES
        and not name.startswith(FOREIGN_BROKERS)
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {"PATH": path, "PYTHONUNBUFFERED": "1", **settings, **service.environment}
    return Service(service.name, service.rank, service.command, environment, service.title)
