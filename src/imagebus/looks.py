"""Looks at a running service: what it is, and how it does at this moment, in the words of ``announce``."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Mapping

import msgspec

from imagebus.announce import MAX_PARTITIONS, MAX_TEXT, MAX_WORD, Service, shown
from imagebus.commit import OUTCOMES
from imagebus.filter import Filter
from imagebus.options import Options
from imagebus.status import CameraStatus, Life, Status
from imagebus.version import VERSION

LOOKS = 6
"""Two seconds apart: rates are of the last ten."""


class Rates:
    """How fast counts rise, over the last looks at them."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Mapping[str, int]]] = deque([(time.monotonic(), {})], maxlen=LOOKS)

    def of(self, counts: Mapping[str, int]) -> dict[str, float]:
        """Return how much each rose, per second."""
        now = time.monotonic()
        self._looks.append((now, counts))
        then, before = self._looks[0]
        took_s = max(now - then, 0.001)
        return {name: round((count - before.get(name, 0)) / took_s, 2) for name, count in counts.items()}


class FilterLook:
    """Looks at a filter.

    Attributes:
        metrics: where its metrics are served.
    """

    def __init__(self, filter: Filter, status: Status, worker: int) -> None:
        self.metrics: str | None = None
        self._status = status
        self._rates = Rates()
        options = filter.options
        self._service = Service(
            role="filter",
            kind=_text(filter.kind(), MAX_WORD),
            version=_text(filter.version, MAX_WORD),
            name=options.name,
            host=_text(socket.gethostname(), MAX_WORD),
            pid=os.getpid(),
            input=options.input,
            topic=options.topic,
            group=_text(options.group_id, MAX_TEXT),
            run=options.run_name,
            worker=worker,
            workers=options.workers,
            options=shown(options),
            began_ms=status.began_ns // 1_000_000,
            at_ms=0,
        )

    def __call__(self) -> Service:
        """Return how it does now."""
        status = self._status
        counts = {outcome: count for outcome in OUTCOMES if (count := status.finished.get(outcome, 0))}
        flow = {"received": status.received, "published": status.published}
        return msgspec.structs.replace(
            _now(self._service, status, self.metrics),
            counts=counts,
            rates=self._rates.of(flow | counts),
            partitions=list(status.partitions[:MAX_PARTITIONS]),
            waiting=status.waiting,
            held=status.held,
            lag=status.lag,
            **flow,
        )


class CameraLook:
    """Looks at a camera of a producer.

    Attributes:
        metrics: where its metrics are served.
    """

    def __init__(self, options: Options, status: CameraStatus, *, kind: str, name: str, topic: str) -> None:
        self.metrics: str | None = None
        self._status = status
        self._rates = Rates()
        self._service = Service(
            role="camera",
            kind=kind,
            version=VERSION,
            name=name,
            host=_text(socket.gethostname(), MAX_WORD),
            pid=os.getpid(),
            topic=topic,
            options=shown(options),
            began_ms=status.began_ns // 1_000_000,
            at_ms=0,
        )

    def __call__(self) -> Service:
        """Return how it does now."""
        status = self._status
        counts = {"published": status.published, "dropped": status.dropped, "refused": status.refused}
        return msgspec.structs.replace(
            _now(self._service, status, self.metrics),
            counts=counts,
            rates=self._rates.of(counts),
            published=status.published,
            waiting=status.waiting,
        )


def _now(service: Service, life: Life, metrics: str | None) -> Service:
    at_ms = time.time_ns() // 1_000_000
    newest_ms = life.newest_ms or None
    age_s = None if newest_ms is None else max(0.0, (at_ms - newest_ms) / 1000)
    return msgspec.structs.replace(
        service, ready=life.ready, newest_ms=newest_ms, age_s=age_s, metrics=metrics, at_ms=at_ms
    )


def _text(text: str, most: int) -> str:
    return text.encode("utf-8", "replace").decode()[:most]
