"""The web application: the page's files, Socket.IO, and the rules that a browser keeps for us."""

from __future__ import annotations

import mimetypes
import secrets
import time
from pathlib import Path
from typing import Any

import flask
from feeds import MAX_FEEDS, Feed, Feeds, Newest
from flask_socketio import SocketIO
from names import is_same_origin
from viewers import Done, Viewers
from watcher import Watcher
from websocket import MAX_MESSAGE_BYTES, PageWebSocket

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
A_YEAR_S = 365 * 24 * 3600
mimetypes.add_type("text/javascript", ".js")  # a machine may say otherwise, and nosniff is strict


def application(page: Path, kafka: str, feeds: Feeds, watcher: Watcher, viewers: Viewers) -> flask.Flask:
    """Return the application; ``page`` is the folder of the built page."""
    app = flask.Flask("imagebus", static_folder=page / "assets", static_url_path="/assets")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = A_YEAR_S  # the names of assets hold their hash

    @app.get("/")
    def index() -> flask.Response:
        return flask.send_file(page / "index.html", max_age=0)

    @app.get("/favicon.svg")
    def icon() -> flask.Response:
        return flask.send_file(page / "favicon.svg", max_age=3600)

    @app.get("/healthz")
    def health() -> dict[str, Any]:
        return {"status": "ok", "bus": watcher.state.word, "feeds": len(feeds.all()), "viewers": len(viewers)}

    @app.after_request
    def protect(response: flask.Response) -> flask.Response:
        response.headers.update(HEADERS)
        return response

    _socket_io(app, kafka, feeds, watcher, viewers)
    return app


def _socket_io(app: flask.Flask, kafka: str, feeds: Feeds, watcher: Watcher, viewers: Viewers) -> None:
    """Add the live connection: ``watch`` comes in, ``state`` and ``frame`` go out, each acknowledged."""
    sockets = SocketIO(
        app,
        async_mode="threading",
        transports=["websocket"],
        async_handlers=False,
        cors_allowed_origins=is_same_origin,
        ping_interval=10,
        ping_timeout=10,
        max_http_buffer_size=MAX_MESSAGE_BYTES,
    )
    engine = sockets.server.eio
    engine._async = {**engine._async, "websocket": PageWebSocket}  # there is no option for it
    server = secrets.token_hex(8)

    def send_frame(who: str, newest: Newest, done: Done) -> None:
        sockets.server.emit("frame", (about(newest), newest.value), to=who, callback=done)

    def send_state(who: str, done: Done) -> None:
        state = {"server": server, "kafka": kafka, **state_of(feeds, watcher)}
        sockets.server.emit("state", state, to=who, callback=done)

    def drop(who: str) -> None:
        if environ := sockets.server.get_environ(who):
            sever(environ)

    viewers.send_frame, viewers.send_state, viewers.drop = send_frame, send_state, drop

    def connect(*_: object) -> bool:
        return viewers.add(_who())

    def disconnect(*_: object) -> None:
        sever(flask.request.environ)
        viewers.remove(_who())

    def watch(wanted: object = None, *_: object) -> None:
        viewers.watch(_who(), feeds_in(wanted))

    for handler in (connect, disconnect, watch):
        sockets.on_event(handler.__name__, handler)


def sever(environ: dict[str, Any]) -> None:
    """End a viewer's connection at once, whatever is being sent on it: a frame half sent takes its memory."""
    environ["werkzeug.socket"].close()


def _who() -> str:
    return str(flask.request.sid)  # type: ignore[attr-defined]  # Flask-SocketIO adds it


def about(newest: Newest) -> dict[str, Any]:
    """Return what goes beside a record's bytes; durations, because the browser's clock may differ."""
    record = newest.record
    return {
        "topic": newest.feed.topic,
        "source": newest.feed.source,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "now": time.time_ns() // 1_000_000,
        "silent": round(1000 * (time.monotonic() - newest.arrived)),
        "rate": round(newest.rate, 2),
    }


def state_of(feeds: Feeds, watcher: Watcher) -> dict[str, Any]:
    """Return the state of the bus and the list of feeds, as the page is told."""
    bus = watcher.state
    return {
        "bus": {
            "word": bus.word,
            "since": round(1000 * (time.monotonic() - bus.since)),
            "problem": bus.problem,
        },
        "topics": watcher.topics,
        "feeds": [list(feed) for feed in feeds.all()],
        "evicted": feeds.evicted,
        "nameless": feeds.nameless,
        "limit": MAX_FEEDS,
    }


def feeds_in(wanted: object) -> list[Feed]:
    """Read a viewer's wish: a list of [topic, source]; what is none of that is left out."""
    pairs = wanted[:MAX_FEEDS] if isinstance(wanted, list) else []
    return [
        Feed(*pair)
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)
    ]
