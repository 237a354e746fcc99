"""Sends records and tells of each whether it is safe."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from imagebus.bus.availability import Availability
from imagebus.bus.client import (
    REFUSED_RECORD,
    SHARED_BYTES,
    KafkaError,
    KafkaException,
    Message,
    delivery_error,
)
from imagebus.connection import Acknowledged
from imagebus.record import Headers


class Publisher:
    """Sends records and tells of each whether it is safe.

    Args:
        make_singly: makes a client that sends each record in a request of its own.
    """

    def __init__(self, producer: Any, state: Availability, make_singly: Callable[[], Any]) -> None:
        self._producer = producer
        self._state = state
        self._make_singly = make_singly
        self._singly: Any = None

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        timestamp_ms: int,
        headers: Headers,
        acknowledged: Acknowledged,
    ) -> None:
        """Hand a record over; ``acknowledged`` is called from a later ``poll`` or ``flush``."""
        shares = len(value or b"") < SHARED_BYTES

        def report(error: KafkaError | None, message: Message) -> None:
            nonlocal shares
            if error is None and message.offset() is None:
                # The broker called it a duplicate. On a new partition that is no proof: when the first of
                # several requests comes too early, the later ones are taken and its repetition is not.
                hand_over(self._producer)
                return
            if error is None or error.code() > 0:  # below are the client's own words
                self._state.answered()
            if shares and error is not None and error.code() in REFUSED_RECORD:
                # The broker takes all of a batch or none, and does not say which record is at fault.
                shares = False
                self._singly = self._singly or self._make_singly()
                hand_over(self._singly)
                return
            acknowledged(delivery_error(error, topic))

        def hand_over(producer: Any) -> None:
            while True:
                try:
                    producer.produce(
                        topic, value, key, timestamp=timestamp_ms, headers=list(headers), on_delivery=report
                    )
                except BufferError:  # the client's own buffer is full: the broker is slow or away
                    self.poll(0.1)
                except KafkaException as error:
                    acknowledged(delivery_error(error.args[0], topic))
                    return
                else:
                    return

        hand_over(self._producer)

    def poll(self, timeout_s: float = 0.0) -> None:
        """Serve acknowledgements, waiting for the first at most that long.

        Raises:
            BusError: the broker refuses for good.
        """
        with self._state.serving():
            self._producer.poll(timeout_s)
            if self._singly:
                self._singly.poll(0)
        self._state.check()

    def flush(self, timeout_s: float) -> int:
        """Wait until all is acknowledged or the time is over; return how many records are not."""
        give_up = time.monotonic() + timeout_s
        with self._state.serving():
            self._producer.flush(timeout_s)
            if self._singly:
                self._singly.flush(max(0.0, give_up - time.monotonic()))
        return self.pending

    @property
    def pending(self) -> int:
        """Return how many records wait for their acknowledgement to be served."""
        return len(self._producer) + (len(self._singly) if self._singly else 0)
