"""What a person sees: a real browser, a real broker, and cameras whose pictures are known."""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
import math
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, WebSocket, expect

from imagebus import codec
from imagebus.frame import Box, Detection, Frame, Hop
from imagebus.record import Outgoing

from .conftest import Camera, PageServer

pytestmark = pytest.mark.browser

MARKS = itertools.count()
GREY, RED = 90, (0, 0, 200)  # BGR
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '"><script>alert(document.domain)</script>',
    "../../x",
    "a/b\\c?d#e&amp;f",
    "cam\u202egnp.exe",
    "\u2066\u2067cam",
    "\x1b[31mred\x07\r\n\0",
    "__proto__",
    "constructor",
    " two  spaces ",
    "カメラ１ 🎥",
    "é" * 128,
    "W" * 256,
    "a" + "\u0301" * 120,
]


@pytest.fixture(scope="module")
def server(kafka: str, built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    started = PageServer(kafka, tmp_path_factory.mktemp("data"))
    yield started
    assert started.stop() == 0


@pytest.fixture
def camera(kafka: str, request: pytest.FixtureRequest) -> Camera:
    """A camera on a topic of this test's own."""
    return Camera(kafka, "page." + request.node.originalname[5:60], "cam0")


def tile_of(page: Page, topic: str, source: str) -> Locator:
    """The tile of a feed by its own words; it gets a mark, because selectors cannot quote every name."""
    find = """([topic, source, mark]) => {
        const is = tile => tile.dataset.topic === topic && tile.dataset.source === source;
        const tile = [...document.querySelectorAll(".tile")].find(is);
        return tile && (tile.id = tile.id || mark);
    }"""
    mark = page.wait_for_function(find, arg=[topic, source, f"tested-{next(MARKS)}"]).json_value()
    return page.locator(f"#{mark}")


def live_tile(page: Page, camera: Camera) -> Locator:
    """The tile of a camera that has played until it was seen."""
    with camera.playing():
        tile = tile_of(page, camera.topic, camera.source)
        expect(tile).to_have_attribute("data-state", "live")
    return tile


def screen(of: Locator) -> np.ndarray[Any, np.dtype[np.int16]]:
    """What is on the screen there: (height, width, 3), RGB."""
    picture = Image.open(io.BytesIO(of.screenshot())).convert("RGB")
    pixels: np.ndarray[Any, np.dtype[np.int16]] = np.array(picture, dtype=np.int16)
    return pixels


def live_screen(tile: Locator) -> np.ndarray[Any, np.dtype[np.int16]]:
    """What is on the screen while the tile is live: a busy machine may take it for stale in between."""
    for _ in range(10):
        expect(tile).to_have_attribute("data-state", "live")
        seen = screen(tile.locator(".stage"))
        if tile.get_attribute("data-state") == "live":
            return seen
    pytest.fail("the tile does not stay live")


def test_a_camera_appears_with_its_first_frame(server: PageServer, camera: Camera, page: Page) -> None:
    page.goto(server.url)
    expect(page.locator("#status")).not_to_have_attribute("data-state", "connecting")
    camera.show()
    page.wait_for_selector(f".tile[data-topic='{camera.topic}'][data-sequence='0']")


def test_a_tile_tells_what_it_shows(server: PageServer, camera: Camera, page: Page) -> None:
    page.goto(server.url)
    found = (Detection("person", 0.87, (4, 4, 30, 40)), Detection("dog", 0.5, (1, 1, 9, 9)))

    with camera.playing(lambda: camera.frame(detections=found)):
        tile = tile_of(page, camera.topic, "cam0")
        expect(tile).to_have_attribute("data-state", "live")
        expect(tile.locator(".source")).to_have_text("cam0")
        expect(tile.locator(".topic")).to_have_text(camera.topic)
        expect(tile.locator(".size")).to_have_text("64×48")
        expect(tile.locator(".model")).to_contain_text("yolo-test")
        expect(tile.locator(".found")).to_have_text("1 × person, 1 × dog")
        expect(tile.locator(".rate")).to_contain_text("fps")
        expect(tile.locator(".age")).to_contain_text("ms")


@pytest.mark.parametrize("size", [(640, 360), (500, 480), (300, 700)])
def test_strokes_lie_where_the_boxes_of_that_sequence_are(
    server: PageServer, camera: Camera, page: Page, size: tuple[int, int]
) -> None:
    width, height = size
    boxes = [
        (width // 2, height // 3, width // 2 + 120, height // 3 + 90),
        (width // 3, height // 8, width // 3 + 100, height // 8 + 80),
    ]

    def make(box: Box) -> Frame:
        pixels = np.full((height, width, 3), GREY, np.uint8)
        pixels[box[1] : box[3], box[0] : box[2]] = RED
        return camera.frame(pixels, (Detection("person", 0.9, box),))

    page.goto(server.url)
    camera.source = f"{width}x{height}"
    for box in boxes:
        with camera.playing(functools.partial(make, box)):
            tile = tile_of(page, camera.topic, camera.source)
            expect(tile).to_have_attribute("data-state", "live")
            tile.scroll_into_view_if_needed()
            now = int(tile.get_attribute("data-sequence") or 0)
            page.wait_for_function(
                "([tile, n]) => +tile.dataset.sequence > n", arg=[tile.element_handle(), now + 1]
            )
            check_strokes(live_screen(tile), size, box)


def check_strokes(seen: np.ndarray[Any, np.dtype[np.int16]], size: tuple[int, int], box: Box) -> None:
    """The red rectangle of the picture is framed by a line just inside its edge; around it all is grey."""
    stage_height, stage_width = seen.shape[:2]
    fit = min(stage_width / size[0], stage_height / size[1])
    left, right = (stage_width / 2 + (x - size[0] / 2) * fit for x in (box[0], box[2]))
    top, bottom = (stage_height / 2 + (y - size[1] / 2) * fit for y in (box[1], box[3]))
    middle_x, middle_y = round((left + right) / 2), round((top + bottom) / 2)

    def at(x: float, y: float) -> np.ndarray[Any, np.dtype[np.int16]]:
        colour: np.ndarray[Any, np.dtype[np.int16]] = seen[round(y), round(x)]
        return colour

    def is_line(colour: np.ndarray[Any, np.dtype[np.int16]]) -> bool:
        red, green, blue = (int(part) for part in colour)
        return (
            not (red > 150 and green < 60 and blue < 60)
            and max(red, green, blue) - min(red, green, blue) > 40
        )

    for x, y in (
        (left + 1, middle_y),
        (right - 1.5, middle_y),
        (middle_x, top + 1),
        (middle_x, bottom - 1.5),
    ):
        assert any(is_line(at(x + dx, y + dy)) for dx in (-0.5, 0, 0.5) for dy in (-0.5, 0, 0.5)), (x, y)
    for x, y in ((left + 6, middle_y), (right - 6, middle_y), (middle_x, bottom - 6)):
        assert at(x, y)[0] > 150 > 100 > at(x, y)[1], "inside the box the picture itself is seen"
    for x, y in ((left - 4, middle_y), (right + 4, middle_y), (middle_x, bottom + 4)):
        assert abs(at(x, y) - GREY).max() < 25, "outside the box the picture itself is seen"


def test_a_redacted_detection_is_drawn_as_such(server: PageServer, camera: Camera, page: Page) -> None:
    page.goto(server.url)
    black = np.full((360, 640, 3), GREY, np.uint8)
    black[100:300, 100:300] = 0
    detections = (Detection("person", 0.9, (100, 100, 300, 300), redacted=True),)
    with camera.playing(lambda: camera.frame(black, detections)):
        tile = tile_of(page, camera.topic, "cam0")
        seen = live_screen(tile)
    fit = seen.shape[1] / 640
    inside = math.ceil(100 * fit)
    edge = seen[round(120 * fit) : round(280 * fit), inside : inside + 2].max(axis=(1, 2))
    assert edge.max() - edge.min() > 100, "a bright line with gaps"


def test_ten_sequences_in_a_row_advance(server: PageServer, camera: Camera, page: Page) -> None:
    page.goto(server.url)
    with camera.playing(fps=5):
        tile = tile_of(page, camera.topic, "cam0")
        tile.evaluate(
            """tile => {
                window.shown = [];
                const take = () => window.shown.push(Number(tile.dataset.sequence));
                new MutationObserver(take).observe(tile, {attributeFilter: ["data-sequence"]});
            }"""
        )
        page.wait_for_function("() => window.shown.length >= 12")
    shown = page.evaluate("() => window.shown")
    assert all(after > before for before, after in itertools.pairwise(shown))


def test_what_reaches_the_browser_equals_the_bytes_of_the_record(
    server: PageServer, camera: Camera, page: Page
) -> None:
    received: list[bytes | str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda data: received.append(data))

    page.on("websocket", listen)
    page.goto(server.url + "/?sha256")
    for _ in range(5):
        published = camera.show(
            camera.frame(np.random.default_rng().integers(0, 255, (90, 120, 3), np.uint8))
        )
        tile = tile_of(page, camera.topic, "cam0")
        expect(tile).to_have_attribute("data-sha256", hashlib.sha256(published).hexdigest())
        assert published in received


def test_a_capture_time_keeps_its_last_nanosecond(server: PageServer, camera: Camera, page: Page) -> None:
    page.goto(server.url)
    captured_ns = time.time_ns() // 1000 * 1000 + 789
    camera.show(camera.frame(captured_ns=captured_ns))
    tile = tile_of(page, camera.topic, "cam0")
    expect(tile).to_have_attribute("data-captured-ns", str(captured_ns))


def test_a_picture_that_stays_away_makes_the_tile_stale(
    server: PageServer, camera: Camera, page: Page
) -> None:
    page.goto(server.url)
    tile = live_tile(page, camera)
    camera.show(camera.frame(np.full((360, 640, 3), RED, np.uint8)))
    expect(tile).to_have_attribute("data-state", "stale")
    expect(tile.locator(".state")).to_contain_text("Stale for")
    page.wait_for_timeout(400)
    red, green, _ = screen(tile.locator(".stage"))[20, 20]
    assert red - green < 30, "its colours are gone"
    camera.show()
    expect(tile).to_have_attribute("data-state", "live")


def test_a_picture_that_was_there_long_before_is_never_called_live(
    kafka: str, camera: Camera, page: Page, page_server: Callable[..., PageServer]
) -> None:
    camera.show(camera.frame(captured_ns=time.time_ns() - 90_000_000_000))
    page.goto(page_server(kafka).url)
    tile = tile_of(page, camera.topic, "cam0")
    tile.evaluate(
        """tile => {
            window.states = [tile.dataset.state];
            const take = () => window.states.push(tile.dataset.state);
            new MutationObserver(take).observe(tile, {attributeFilter: ["data-state"]});
        }"""
    )
    expect(tile).to_have_attribute("data-state", "stale")
    assert "live" not in page.evaluate("() => window.states")
    expect(tile.locator(".age")).to_contain_text("9")


def test_an_old_picture_that_comes_late_is_called_delayed(
    server: PageServer, camera: Camera, page: Page
) -> None:
    page.goto(server.url)
    tile = live_tile(page, camera)
    with camera.playing(lambda: camera.frame(captured_ns=time.time_ns() - 60_000_000_000)):
        expect(tile).to_have_attribute("data-state", "delayed")
        expect(tile.locator(".state")).to_contain_text("Delayed")


def test_hostile_names_are_shown_unchanged_and_do_nothing(
    server: PageServer, camera: Camera, page: Page
) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    label = "<b onmouseover=alert(1)>\u202ex</b>"
    names = itertools.cycle(HOSTILE)

    def make() -> Frame:
        camera.source = next(names)
        return camera.frame(detections=(Detection(label, 0.9, (1, 1, 30, 30)),))

    with camera.playing(make, fps=30):
        for name in HOSTILE:
            tile = tile_of(page, camera.topic, name)
            expect(tile).to_have_attribute("data-width", "64")
            assert tile.evaluate("tile => tile.querySelector('.source').textContent") == name
            assert tile.evaluate("tile => tile.children.length") == 2
            assert tile.evaluate("tile => tile.scrollWidth <= tile.clientWidth")
    assert page.evaluate("() => document.querySelectorAll('.tile img, .tile script, .tile b').length") == 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert dialogs == []
    assert all(url.startswith((server.url, server.url.replace("https", "wss"))) for url in asked)


def test_broken_records_are_counted_and_the_next_good_one_is_shown(
    server: PageServer, camera: Camera, page: Page
) -> None:
    page.goto(server.url)
    camera.show()
    tile = tile_of(page, camera.topic, "cam0")
    expect(tile).to_have_attribute("data-sequence", "0")
    for count, value in enumerate(broken_records(camera), 1):
        camera.put(b"cam0", value)
        expect(tile).to_have_attribute("data-broken", str(count))
        expect(tile).to_have_attribute("data-sequence", "0")
    expect(tile.locator(".broken")).to_be_visible()
    good = camera.frame()
    camera.show(good)
    expect(tile).to_have_attribute("data-sequence", str(good.sequence))
    expect(tile).to_have_attribute("data-state", "live")


def broken_records(camera: Camera) -> list[bytes]:
    """Records that are no frame, each in its own way; some would cost gigabytes if they were believed."""
    frame = camera.frame()
    whole = codec.encode(frame)
    fields = msgspec.msgpack.decode(whole)
    bomb = frame.image.replace(
        b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 48, 64),
        b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 65500, 65500),
    )
    assert bomb != frame.image
    changed: list[dict[str, Any]] = [
        {"v": 2},
        {"image": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"},
        {"image": b"\x89PNG\r\n\x1a\n" + bytes(100)},
        {"image": bomb, "width": 65500, "height": 65500},
        {"image": frame.image[:200]},
        {"source": "another"},
        {"detections": [{"label": "a", "confidence": 1e300, "box": [0, 0, 1, 1]}]},
        {"detections": [{"label": "a", "confidence": 0.5, "box": [0, 0, 65, 1]}]},
        {"width": 65},
    ]
    return [
        b"",
        b"no msgpack at all",
        b"\xc1",
        b"\x91" * 3_000_000,
        b"\xdd\xff\xff\xff\xff",
        whole[:-1],
        whole + b"\0",
        *(msgspec.msgpack.encode({**fields, **change}) for change in changed),
    ]


def test_a_record_without_a_source_is_counted_on_the_page(
    server: PageServer, camera: Camera, page: Page
) -> None:
    page.goto(server.url)
    camera.show()
    expect(tile_of(page, camera.topic, "cam0")).to_have_attribute("data-sequence", "0")
    camera.put(b"\xff\xfe not utf-8", b"x")
    expect(page.locator("#footnote")).to_contain_text("source cannot be told")


def test_tiles_of_a_camera_stand_together_in_the_order_of_its_way(
    kafka: str, server: PageServer, page: Page
) -> None:
    page.goto(server.url)
    early, late = Camera(kafka, "page.order.z", "order"), Camera(kafka, "page.order.a", "order")
    early.show()
    late.show(late.frame(detections=(Detection("person", 0.9, (1, 1, 9, 9)),)))  # one hop more
    for camera in (early, late):
        expect(tile_of(page, camera.topic, "order")).to_have_attribute("data-sequence", "0")
    topics = (
        "() => [...document.querySelectorAll('.tile[data-source=order]')].map(tile => tile.dataset.topic)"
    )
    assert page.evaluate(topics) == ["page.order.z", "page.order.a"]


def test_cameras_that_ended_are_folded_away_behind_the_live_ones_and_come_back(
    kafka: str, camera: Camera, page: Page, page_server: Callable[..., PageServer]
) -> None:
    long_ago = time.time_ns() - 90_000_000_000
    ended = Camera(kafka, camera.topic, "a camera before")
    ended.show(ended.frame(captured_ns=long_ago))
    camera.source = "z camera now"
    line = page.locator("#past summary")
    with camera.playing():
        page.goto(page_server(kafka).url)
        live, old = (tile_of(page, camera.topic, name) for name in (camera.source, ended.source))
        expect(live).to_have_attribute("data-state", "live")
        expect(line).to_contain_text("Not live: ")
        expect(old).to_be_hidden()
        line.press("Enter")
        expect(old).to_be_visible()
        below = (
            "([first, second]) => first.getBoundingClientRect().bottom <= second.getBoundingClientRect().top"
        )
        assert page.evaluate(below, [live.element_handle(), old.element_handle()])
        line.press("Enter")
        expect(old).to_be_hidden()
        ended.show()
        expect(old).to_be_visible()
        assert old.evaluate("tile => tile.closest('#past') === null")


@pytest.mark.parametrize("width", [1280, 360])
def test_each_camera_has_a_heading_and_a_block_of_its_own(
    server: PageServer, kafka: str, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(server.url)
    for source in ("group a", "group b"):
        for stage in range(2):
            Camera(kafka, f"page.group.{stage}", source).show()
            tile = tile_of(page, f"page.group.{stage}", source)
            expect(tile).to_have_attribute("data-sequence", "0")
    for source in ("group a", "group b"):
        group = page.locator(".camera", has=page.get_by_role("heading", name=source, exact=True))
        sources = "group => [...group.querySelectorAll('.tile')].map(tile => tile.dataset.source)"
        assert group.evaluate(sources) == [source, source]
    first, second = (page.locator(".camera", has_text=name).bounding_box() for name in ("group a", "group b"))
    assert first is not None
    assert second is not None
    assert first["y"] + first["height"] <= second["y"] or first["x"] + first["width"] <= second["x"]
    assert page.evaluate("() => document.documentElement.scrollWidth") == width


def test_a_picture_that_was_blacked_out_whole_says_why(
    server: PageServer, camera: Camera, page: Page
) -> None:
    page.goto(server.url)

    def redacted(searched: tuple[str, ...] | None, shade: int) -> Frame:
        frame = camera.frame(np.full((90, 160, 3), shade, np.uint8))
        hops = [Hop("hide", kind, "0", camera.topic, 0, 0) for kind in ("imageaiProcessor", "redaction")]
        hops[0] = msgspec.structs.replace(hops[0], searched=searched)
        return msgspec.structs.replace(frame, trail=(*frame.trail, *hops))

    camera.show(redacted(None, 0))
    tile = tile_of(page, camera.topic, "cam0")
    expect(tile.locator(".blackout")).to_have_text("blacked out whole: no detector looked")
    camera.show(redacted(("person",), GREY))
    expect(tile.locator(".found")).to_have_text("nothing found to black out")
    expect(tile.locator(".blackout")).to_be_hidden()
    camera.show(redacted(("person",), 0))
    expect(tile.locator(".blackout")).to_contain_text("all black")
    expect(tile.locator(".found")).to_be_empty()


def test_a_topic_that_carries_something_else_is_not_shown(
    kafka: str, server: PageServer, camera: Camera, page: Page
) -> None:
    other = Camera(kafka, "page.other", "cam0")
    record = Outgoing("page.other", b"cam0", b"{}", 0, (("content-type", b"application/json"),))
    other._publisher.send(record, lambda _: None)
    other._publisher.flush(5)
    page.goto(server.url)
    camera.show()
    expect(tile_of(page, camera.topic, "cam0")).to_have_attribute("data-sequence", "0")
    assert page.locator(".tile[data-topic='page.other']").count() == 0


def test_a_phone_shows_one_tile_beside_another_without_scrolling_sideways(
    server: PageServer, camera: Camera, browser: Browser
) -> None:
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(server.url)
    camera.show()
    box = tile_of(page, camera.topic, "cam0").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert 300 < box["width"] <= 360
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    context.close()


def test_a_tab_that_nobody_sees_asks_for_nothing(server: PageServer, camera: Camera, page: Page) -> None:
    page.goto(server.url)
    camera.show()
    tile = tile_of(page, camera.topic, "cam0")
    expect(tile).to_have_attribute("data-sequence", "0")
    page.evaluate(
        """() => {
            Object.defineProperty(document, "visibilityState", {value: "hidden", configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    page.wait_for_timeout(300)
    camera.show()
    page.wait_for_timeout(700)
    expect(tile).to_have_attribute("data-sequence", "0")
    page.evaluate(
        """() => {
            Object.defineProperty(document, "visibilityState", {value: "visible", configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    expect(tile).to_have_attribute("data-sequence", "1")
