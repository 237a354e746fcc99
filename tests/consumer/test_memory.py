"""A crowd that takes large pictures and never says that it has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing

import numpy as np

from .conftest import Camera, PageServer
from .test_pacing import TOPIC, Client

CROWD = 60
KEPT_MB = 300
"""At most: room for 128 MiB, twice, as a frame is copied into its message; and the broker's own queues."""


def test_a_crowd_that_stalls_on_large_frames_takes_bounded_memory_and_stops_nobody(
    kafka: str, page_server: Callable[..., PageServer]
) -> None:
    server = page_server(kafka)
    camera = Camera(kafka, TOPIC, "cam0")
    picture = camera.frame(np.random.default_rng(1).integers(0, 255, (2300, 2800, 3), np.uint8))
    assert len(picture.image) > 7_000_000
    with ExitStack() as stack, camera.playing(lambda: picture, fps=2):
        lively = stack.enter_context(closing(Client(server)))
        lively.watch()
        assert lively.frames(30, acknowledge=True, enough=3), "the topic is followed"
        before = server.memory_mb()
        crowd = [stack.enter_context(closing(Client(server))) for _ in range(CROWD)]
        for client in crowd:  # these do not even read
            client.watch()
        most = before
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            assert lively.frames(10, acknowledge=True, enough=1), "the others go on"
            most = max(most, server.memory_mb())
        assert most - before < KEPT_MB, f"{before:.0f} MB became {most:.0f}"
        for client in crowd:
            client.close()
        deadline = time.monotonic() + 20
        while (after := server.memory_mb()) > before + 80:
            assert time.monotonic() < deadline, f"{before:.0f} MB became {most:.0f}, {after:.0f} are left"
            assert lively.frames(5, acknowledge=True, enough=1)
    print(f"{before:.0f} MB, {most:.0f} at most, {after:.0f} after")
    assert server.stop() == 0
