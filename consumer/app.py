"""The live page: every camera at every stage, in a browser.

    python consumer/app.py                 then open https://localhost:5000

Shows each topic that carries frames, with boxes drawn from its detections, as soon as it appears.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from feeds import Feeds
from memory import keep_little
from names import OwnHostOnly, OwnNames, is_loopback
from server import PageServer, listen
from tls import server_context
from viewers import Viewers
from watcher import Watcher
from web import application

from imagebus import program
from imagebus.bus import Bus
from imagebus.certificate import local_certificate
from imagebus.errors import ConfigurationError, ImagebusError
from imagebus.folders import data_folder
from imagebus.log import say
from imagebus.options import BusOptions, Field

PAGE = Path(__file__).resolve().parent / "page" / "dist"


class PageOptions(BusOptions):
    """The options of the page's server."""

    quiet: bool = Field(False, description="say nothing of the broker's coming and going")
    host: str = Field("localhost", description="address to serve on; localhost is this machine only")
    port: int = Field(5000, ge=0, le=65535, description="port of the page, https; 0 takes a free one")
    certificate: Path | None = Field(
        None, description="PEM file; without it one is made for localhost and kept"
    )
    key: Path | None = Field(
        None, description="PEM file of the certificate's key, if it is not in the same file"
    )
    trust_network: bool = Field(
        False, description="serve beyond this machine; whoever reaches the port sees every camera"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    options = PageOptions.parse(argv, "app.py", __doc__)
    check(options)
    keep_little()
    bus = Bus(options.kafka, options.kafka_config)
    context = server_context(*certificate_of(options))
    feeds = Feeds()
    viewers = Viewers(feeds, lambda: watcher.version)
    watcher = Watcher(bus, feeds, viewers.changed, quiet=options.quiet)
    app = application(PAGE, options.kafka, feeds, watcher, viewers)
    own = OwnNames(options.host)
    listening = listen(options.host, options.port)
    servers = [PageServer(opened, OwnHostOnly(app, own), own, context) for opened in listening]
    ended = stop_signals()
    watcher.start()
    for server in servers:
        server.thread.start()
    say(f"open https://{shown_host(options.host)}:{servers[0].port}")
    while not ended.wait(0.5):
        if watcher.failed.is_set():
            raise ImagebusError("the reader of the bus failed, its error is above; start the page again")
        viewers.relieve()
    for server in servers:
        server.shutdown()
    watcher.stop()


def check(options: PageOptions) -> None:
    """Refuse what cannot work or would surprise.

    Raises:
        ConfigurationError: says what to do.
    """
    if not (PAGE / "index.html").is_file():
        raise ConfigurationError("the page is not built yet; build it with: python consumer/build.py")
    if not is_loopback(options.host) and not options.trust_network:
        raise ConfigurationError(
            f"{options.host} is open to the network, and there are no accounts yet; add --trust-network if "
            "all who can reach this port may see every camera",
            "--host",
        )
    if options.key and not options.certificate:
        raise ConfigurationError("needs its certificate too: add --certificate", "--key")


def certificate_of(options: PageOptions) -> tuple[str, str | None]:
    """Return the files of certificate and key: those given, else our own."""
    if options.certificate:
        return str(options.certificate), str(options.key) if options.key else None
    return str(local_certificate(data_folder() / "certificate")), None


def stop_signals() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended


def shown_host(host: str) -> str:
    """Return the host as a person can open it."""
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    program.run(main)
