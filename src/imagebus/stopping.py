"""A service that is told to stop does so, also where its filter does not come back."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from imagebus.log import warn

STOP_S = 12.0
"""Longer than a broker that is away delays a stop, and shorter than a supervisor waits before it kills."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def obey_signals(stop: Callable[[], None]) -> None:
    """Have SIGTERM and SIGINT call ``stop``, and end the process with 1 where that changes nothing in time.

    The handler itself runs only once Python does: a model that loads, or works on a frame, for a minute
    keeps it waiting. So a thread hears of the signal too. What is not committed is read again.
    """
    heard, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: stop())
    threading.Thread(target=_end_late, args=(heard, tell), name="stop", daemon=True).start()


def _end_late(heard: socket.socket, _tell: socket.socket) -> None:
    while not set(heard.recv(16)) & set(SIGNALS):
        pass
    time.sleep(STOP_S)
    warn(f"it did not stop within {STOP_S:.0f} s: ending it; what is not committed will be read again")
    os._exit(1)
