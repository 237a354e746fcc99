"""Notices that a topic was deleted and made anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from imagebus.bus.client import (
    KafkaException,
    id_of,
)

WATCH_EVERY_S = 2.0


class LogWatch:
    """Notices, without waiting, that a topic was deleted and made anew: by its id, asked for now and then.

    The client does not tell: where the new log is long enough, it reads on in its middle.

    Args:
        describe: asks for the topic's description.

    Attributes:
        first: the id of the log that was there first; empty where no broker told one.
    """

    def __init__(self, describe: Callable[[], Future[Any]]) -> None:
        self._describe = describe
        self._asked: Future[Any] | None = None
        self._due = 0.0
        self._known = self.first = ""

    def take(self, log: str) -> None:
        """Note the id of the log that is being read from now on."""
        self._known = log
        self.first = self.first or log
        self._asked = None  # that answer may be of the log before

    def is_another(self) -> bool:
        """Whether the topic is by now another than the one noted last."""
        if self._asked is None:
            if time.monotonic() >= self._due:
                self._asked, self._due = self._describe(), time.monotonic() + WATCH_EVERY_S
            return False
        if not self._asked.done():
            return False
        asked, self._asked = self._asked, None
        try:
            found = id_of(asked.result())
        except KafkaException:
            return False  # away, or gone for now
        self.first = self.first or found
        return bool(self._known and found and found != self._known)
