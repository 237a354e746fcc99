"""Whatever goes away and comes back, the page says so and goes on by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Expect, Page, expect

from .conftest import Camera, PageServer

pytestmark = pytest.mark.browser

Start = Callable[..., PageServer]


def test_from_an_empty_bus_over_a_killed_broker_to_live_again(
    new_broker: Callable[[], Any], page_server: Start, page: Page
) -> None:
    broker = new_broker()
    page.set_default_timeout(40_000)
    in_time = Expect()
    in_time.set_options(timeout=40_000)
    status, notice = page.locator("#status"), page.locator("#notice")
    page.goto(page_server(broker.address).url)

    in_time(status).to_have_attribute("data-state", "empty")
    in_time(page.locator("#empty")).to_contain_text("python producer/producer.py")
    camera = Camera(broker.address, "outage", "cam0")
    with camera.playing():
        in_time(status).to_have_attribute("data-state", "live")
        in_time(page.locator("#empty")).to_be_hidden()

    broker.kill()
    in_time(status).to_have_attribute("data-state", "no-broker")
    in_time(notice).to_contain_text(f"No broker at {broker.address}")
    tile = page.locator(".tile[data-topic=outage]")
    in_time(tile).to_have_attribute("data-state", "stale")
    in_time(tile.locator(".state")).to_contain_text("no broker")

    broker.start()
    with camera.playing():
        in_time(tile).to_have_attribute("data-state", "live")
        in_time(status).to_have_attribute("data-state", "live")
        in_time(notice).to_contain_text("is back")


def test_without_a_broker_the_page_is_there_and_says_so(page_server: Start, page: Page) -> None:
    page.goto(page_server("127.0.0.1:1").url)
    expect(page.locator("#status")).to_have_attribute("data-state", "no-broker", timeout=15_000)
    expect(page.locator("#notice")).to_contain_text("imagebus kafka start")


def test_a_server_that_is_started_again_is_found_and_told(kafka: str, page_server: Start, page: Page) -> None:
    first = page_server(kafka)
    page.goto(first.url)
    camera = Camera(kafka, "outage.server", "cam0")
    tile = page.locator(".tile[data-topic='outage.server']")
    status, notice = page.locator("#status"), page.locator("#notice")
    with camera.playing():
        expect(tile).to_have_attribute("data-state", "live", timeout=15_000)
        assert first.stop() == 0
        expect(status).to_have_attribute("data-state", "offline")
        expect(notice).to_contain_text("server has been gone for")
        expect(tile).to_have_attribute("data-state", "stale")
        expect(tile.locator(".state")).to_contain_text("server gone")
        page_server(kafka, port=first.port)
        expect(status).to_have_attribute("data-state", "live", timeout=15_000)
        expect(tile).to_have_attribute("data-state", "live")
        expect(notice).to_contain_text("it was started again")
