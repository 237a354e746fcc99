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
from imagebus.record import Outgoing


class Publisher:
    """Sends records and tells of each whether it is safe.

    Args:
        make_singly: makes a client that sends each record in a request of its own.

    Attributes:
        producer: the client.
    """

    def __init__(self, producer: Any, state: Availability, make_singly: Callable[[], Any]) -> None:
        self.producer = producer
        self._state = state
        self._make_singly = make_singly
        self._singly: Any = None

    def send(self, record: Outgoing, acknowledged: Acknowledged) -> None:
        """Hand a record over; ``acknowledged`` is called from a later ``poll`` or ``flush``."""
        _Sending(self, record, acknowledged).hand_over(self.producer)

    def singly(self) -> Any:
        """Return the client that lets no records share a request."""
        self._singly = self._singly or self._make_singly()
        return self._singly

    def answered(self) -> None:
        """Note that the broker has answered."""
        self._state.answered()

    def poll(self, timeout_s: float = 0.0) -> None:
        """Serve acknowledgements, waiting for the first at most that long.

        Raises:
            BusError: the broker refuses for good.
        """
        with self._state.serving():
            self.producer.poll(timeout_s)
            if self._singly:
                self._singly.poll(0)
        self._state.check()

    def flush(self, timeout_s: float) -> int:
        """Wait until all is acknowledged or the time is over; return how many records are not."""
        give_up = time.monotonic() + timeout_s
        with self._state.serving():
            self.producer.flush(timeout_s)
            if self._singly:
                self._singly.flush(max(0.0, give_up - time.monotonic()))
        return self.pending

    @property
    def pending(self) -> int:
        """Return how many records wait for their acknowledgement to be served."""
        return len(self.producer) + (len(self._singly) if self._singly else 0)


class _Sending:
    """One record on its way.

    The client holds it by its method until the record is delivered, and it holds nothing that leads back to
    itself: else its bytes would stay until the garbage collector comes round, in a quiet process for hours.
    """

    def __init__(self, publisher: Publisher, record: Outgoing, acknowledged: Acknowledged) -> None:
        self._publisher = publisher
        self._record = record
        self._acknowledged = acknowledged
        self._shares = record.size < SHARED_BYTES

    def hand_over(self, producer: Any) -> None:
        """Give it to the client; wait while the client's own buffer is full."""
        record = self._record
        while True:
            try:
                producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    timestamp=record.timestamp_ms,
                    headers=list(record.headers),
                    on_delivery=self._report,
                )
            except BufferError:  # the broker is slow or away
                self._publisher.poll(0.1)
            except KafkaException as error:
                self._acknowledged(delivery_error(error.args[0], record.topic))
                return
            else:
                return

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if error is None and message.offset() is None:
            # The broker called it a duplicate. On a new partition that is no proof: when the first of
            # several requests comes too early, the later ones are taken and its repetition is not.
            self.hand_over(self._publisher.producer)
            return
        if error is None or error.code() > 0:  # below are the client's own words
            self._publisher.answered()
        if self._shares and error is not None and error.code() in REFUSED_RECORD:
            # The broker takes all of a batch or none, and does not say which record is at fault.
            self._shares = False
            self.hand_over(self._publisher.singly())
            return
        self._acknowledged(delivery_error(error, self._record.topic))
