"""Prometheus metrics of a running service; ``docs/metrics.md`` names them all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from imagebus.commit import OUTCOMES
from imagebus.status import SECONDS, CameraStatus, Histogram, Life, Status
from imagebus.version import VERSION

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BOUNDS = [*map(str, SECONDS), "+Inf"]


class Exposition:
    """What one service has to show, and its process. No global registry: several may live in one process."""

    def __init__(self, collector: Collector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class LifeMetrics(Collector):
    """The numbers that every service has.

    Args:
        kind: the program.
        labels: names and values, on every sample.
    """

    def __init__(self, status: Life, kind: str, labels: dict[str, str]) -> None:
        self._life = status
        self._kind = kind
        self._names, self._values = list(labels), list(labels.values())

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        yield self._info("build", "The program and its version.", version=VERSION, kind=self._kind)
        life = self._life
        began_s = life.began_ns / 1e9
        yield self._gauge("start_time_seconds", "When the service began, Unix time.", began_s)
        yield self._gauge("ready", "Whether the service has begun to read (1) or not (0).", life.ready)
        yield self._gauge("broker_away", "Whether the broker does not answer (1) or does (0).", life.away)
        newest_s = life.newest_ms / 1000 or None
        yield self._gauge(
            "newest_frame_timestamp_seconds",
            "Capture time of the newest frame finished, Unix time; no sample before the first.",
            newest_s,
        )
        yield self._gauge(
            "newest_frame_age_seconds",
            "Age of the newest frame finished, since its capture; no sample before the first.",
            None if newest_s is None else max(0.0, time.time() - newest_s),
        )

    def _info(self, name: str, text: str, **values: str) -> Metric:
        found = InfoMetricFamily(f"imagebus_{name}", text, labels=self._names)
        found.add_metric(self._values, values)
        return found

    def _gauge(self, name: str, text: str, value: float | None) -> Metric:
        found = GaugeMetricFamily(f"imagebus_{name}", text, labels=self._names)
        if value is not None:
            found.add_metric(self._values, float(value))
        return found

    def _counter(self, name: str, text: str, value: int) -> Metric:
        found = CounterMetricFamily(f"imagebus_{name}", text, labels=self._names)
        found.add_metric(self._values, value)
        return found

    def _histogram(self, name: str, text: str, histogram: Histogram) -> Metric:
        counts: Sequence[int] = list(accumulate(list(histogram.counts)))
        found = HistogramMetricFamily(f"imagebus_{name}", text, labels=self._names)
        buckets = list(zip(BOUNDS, counts, strict=True))
        found.add_metric(self._values, buckets, histogram.total_s)
        return found


class FilterMetrics(LifeMetrics):
    """The numbers of a filter, labelled by stage, input and topic."""

    def __init__(self, status: Status, kind: str, labels: dict[str, str]) -> None:
        super().__init__(status, kind, labels)
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        yield from super().collect()
        yield self._outcomes()
        status, counter, gauge = self._status, self._counter, self._gauge
        yield counter("received_records", "Records read.", status.received)
        yield counter("received_bytes", "Bytes of the values of records read.", status.received_bytes)
        sent = "sent and acknowledged, META, dead letters and notes included."
        yield counter("published_records", f"Records {sent}", status.published)
        yield counter("published_bytes", f"Bytes of the values of records {sent}", status.published_bytes)
        yield gauge("waiting_records", "Records read, but not begun.", status.waiting)
        yield gauge("held_records", "Records that the filter holds back.", status.held)
        yield gauge("unacknowledged_records", "Records sent, not known to be safe.", status.unacknowledged)
        yield gauge("lag_records", "Records between what is finished and the end of the log.", status.lag)
        yield gauge("partitions", "Partitions of the input that are this process's.", len(status.partitions))
        yield self._histogram("processing_seconds", "Time in the filter a frame.", status.processing)
        yield self._histogram(
            "frame_age_seconds",
            "Age of a frame, since its capture, when its result is handed to the broker.",
            status.age,
        )

    def _outcomes(self) -> Metric:
        text = "Records that ended so, here and now: what is repeated after a fault counts again."
        found = CounterMetricFamily("imagebus_records", text, labels=[*self._names, "outcome"])
        for outcome in OUTCOMES:
            found.add_metric([*self._values, outcome], self._status.finished.get(outcome, 0))
        return found


class CameraMetrics(LifeMetrics):
    """The numbers of a camera, labelled by camera and topic."""

    def __init__(self, status: CameraStatus, kind: str, labels: dict[str, str]) -> None:
        super().__init__(status, kind, labels)
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        yield from super().collect()
        status, counter = self._status, self._counter
        yield counter("camera_published_frames", "Frames that the broker acknowledged.", status.published)
        yield counter("camera_published_bytes", "Bytes of these frames' records.", status.published_bytes)
        yield counter("camera_dropped_frames", "Pictures dropped, the queue being full.", status.dropped)
        yield counter("camera_refused_frames", "Frames that the broker would not take.", status.refused)
        yield self._gauge("camera_waiting_frames", "Pictures that wait to be sent.", status.waiting)
