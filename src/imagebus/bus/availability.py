"""Whether the broker answers, told once each way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imagebus.bus.client import (
    REFUSED_FOR_GOOD,
    KafkaError,
    KafkaException,
)
from imagebus.errors import BusError
from imagebus.log import warn

LATE_NEWS_S = 2.0


class Availability:
    """Tells, once each way, that the broker went away and that it is back; keeps what is fatal."""

    def __init__(self, kafka: str, *, has_group: bool = True, quiet: bool = False) -> None:
        self._kafka = kafka
        self._harmless = set() if has_group else {KafkaError.GROUP_AUTHORIZATION_FAILED}
        self._say: Callable[[str], None] = (lambda _line: None) if quiet else warn
        self._fatal: BusError | None = None
        self._changed = 0.0
        self.away = False

    def error(self, error: KafkaError) -> None:
        """Take librdkafka's word on the connection."""
        if error.code() in self._harmless:
            return  # the client asks for the group that it must name, also where nothing is done with it
        if error.fatal() or error.code() in REFUSED_FOR_GOOD:
            self._fatal = BusError(f"the broker at {self._kafka} refuses: {error.str()}")
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and not self.away and self._is_news():
            self.away, self._changed = True, time.monotonic()
            self._say(f"the broker at {self._kafka} is away; waiting for it")

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Take note of what is fatal and comes as an exception of the client, not as its word."""
        try:
            yield
        except (KafkaException, SystemError) as error:
            why = error if isinstance(error, KafkaException) else error.__cause__
            if not isinstance(why, KafkaException):
                raise
            self._fatal = self._fatal or BusError(f"the broker at {self._kafka} refuses: {why.args[0].str()}")

    def answered(self) -> None:
        """Note that the broker did something for us."""
        if self.away and self._is_news():
            self.away, self._changed = False, time.monotonic()
            self._say(f"the broker at {self._kafka} is back")

    def _is_news(self) -> bool:
        """Whether this is no late word of the last change: each of our clients learns of it by itself."""
        return time.monotonic() > self._changed + LATE_NEWS_S

    def check(self) -> None:
        """Raise what will not mend by waiting."""
        if self._fatal:
            raise self._fatal
