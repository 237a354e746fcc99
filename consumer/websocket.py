"""The websocket of a viewer: passes on what our page says, and ends at the first message of another kind."""

from __future__ import annotations

import json
import re
from typing import Any

from engineio.async_drivers._websocket_wsgi import SimpleWebSocketWSGI  # type: ignore[import-untyped]

from imagebus.log import warn

MAX_MESSAGE_BYTES = 256 * 1024
HELLO = re.compile(r"40(\{\})?")
WORDS = re.compile(r'1|3|41|42(?P<watch>\["watch",.*\])|43[1-9][0-9]{0,15}\[\]', re.ASCII | re.DOTALL)
"""Close, pong, goodbye, ``watch``, and the acknowledgement of what was sent.

The library takes much more, such as ``connect`` and ``disconnect`` as a viewer's own events, or the number 0
in an acknowledgement, which breaks the counter of those to come.
"""


class PageWebSocket(SimpleWebSocketWSGI):  # type: ignore[misc]  # the library has no types
    """A websocket on which only our page's words pass."""

    def __init__(self, handler: Any, server: Any) -> None:
        super().__init__(handler, server, max_message_size=MAX_MESSAGE_BYTES)
        self._is_greeted = False

    def wait(self) -> str | None:
        """Return the next message; none when the viewer left, or said what our page does not."""
        message: str | None = super().wait()
        if message is None or self._is_ours(message):
            return message
        if message == "40":  # who was refused, as there are too many, asks again: on a new connection
            return None
        warn("a viewer was dropped: it sent what the page never sends")
        return None

    def _is_ours(self, message: object) -> bool:
        if not isinstance(message, str):
            return False
        if not self._is_greeted:
            self._is_greeted = HELLO.fullmatch(message) is not None
            return self._is_greeted or message in ("1", "3")
        words = WORDS.fullmatch(message)
        return words is not None and (words["watch"] is None or _is_plain(words["watch"]))


def _is_plain(text: str) -> bool:
    """Return whether the library's own parser will get through it."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
