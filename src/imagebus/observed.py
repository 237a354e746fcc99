"""What others see of a running service: its metrics, its health, and its word in ``imagebus.services``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from imagebus import probes
from imagebus.announcer import Announcer
from imagebus.connection import Connection
from imagebus.filter import Filter
from imagebus.log import warn
from imagebus.looks import CameraLook, FilterLook
from imagebus.options import BusOptions
from imagebus.pages import Page, PageServer
from imagebus.status import CameraStatus, Life, Status

if TYPE_CHECKING:
    from imagebus.metrics import LifeMetrics


@contextmanager
def filter_observed(filter: Filter, status: Status, bus: Connection, worker: int = 0) -> Iterator[None]:
    """Let others see a filter for as long as a block takes.

    Raises:
        ConfigurationError: metrics cannot be served where they were asked for.
    """
    options, look = filter.options, FilterLook(filter, status, worker)
    with ExitStack() as stack:
        if options.metrics_port is not None:
            from imagebus.metrics import FilterMetrics  # only who is asked for metrics pays for them

            labels = {"stage": options.name, "input": options.input, "topic": options.topic}
            metrics = FilterMetrics(status, filter.kind(), labels)
            look.metrics = stack.enter_context(
                _serving(metrics, status, options.metrics_host, options.metrics_port)
            )
        stack.enter_context(Announcer(bus, look))
        yield


@contextmanager
def camera_observed(
    options: BusOptions,
    status: CameraStatus,
    bus: Connection,
    *,
    kind: str,
    name: str,
    topic: str,
    metrics_host: str = "127.0.0.1",
    metrics_port: int | None = None,
) -> Iterator[None]:
    """Let others see a camera for as long as a block takes.

    Raises:
        ConfigurationError: metrics cannot be served where they were asked for.
    """
    look = CameraLook(options, status, kind=kind, name=name, topic=topic)
    with ExitStack() as stack:
        if metrics_port is not None:
            from imagebus.metrics import CameraMetrics

            metrics = CameraMetrics(status, kind, {"camera": name, "topic": topic})
            look.metrics = stack.enter_context(_serving(metrics, status, metrics_host, metrics_port))
        stack.enter_context(Announcer(bus, look))
        yield


@contextmanager
def _serving(metrics: LifeMetrics, life: Life, host: str, port: int) -> Iterator[str]:
    """Serve metrics and health, and yield the address of the metrics."""
    from imagebus.metrics import CONTENT_TYPE, Exposition

    exposition = Exposition(metrics)
    pages: dict[str, Callable[[], Page]] = {
        "/metrics": lambda: Page(exposition.text(), content_type=CONTENT_TYPE),
        "/healthz": partial(_health, life, probes.ill),
        "/readyz": partial(_health, life, probes.unready),
    }
    with PageServer(host, port, pages) as server:
        url = f"http://{server.address}/metrics"
        warn(f"metrics are served on {url}")
        yield url


def _health(life: Life, judge: Callable[[Life], str]) -> Page:
    if fault := judge(life):
        return Page(f"{fault}\n".encode(), HTTPStatus.SERVICE_UNAVAILABLE)
    return Page(b"ok\n")
