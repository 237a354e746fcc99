"""Put the broker's jars in place: fetched once, each checked, and all of them or none."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebus.errors import ConfigurationError, ImagebusError
from imagebus.kafka import jars
from imagebus.kafka.jars import Jar
from imagebus.kafka.lock import locked
from imagebus.log import warn

TRIES = 3
STALL_S = 20

Fetch = Callable[[Jar], Path]


def ensure_jars(repository: str = "") -> Path:
    """Return the folder of the jars, after fetching what is missing; a cut-off fetch goes on where it was.

    Args:
        repository: address of a Maven repository; empty means Maven's usual one.

    Raises:
        ImagebusError: a jar can't be fetched, or is not the pinned one.
    """
    target = jars.folder()
    if jars.installed():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.parent / ".lock"):
        if not jars.installed():
            _install(target, repository)
    return target


def fetch_jar(jar: Jar, folder: Path, repository: str = "") -> Path:
    """Return one more jar, such as a tool of Kafka's, in a folder of its own; fetched where it is missing.

    Raises:
        ImagebusError: it can't be fetched, or is not the pinned one.
    """
    place = folder / jar.filename
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f".{jar.filename}.lock"):
        if not jar.is_whole(place):
            downloads, part = folder / "downloads", place.with_suffix(".part")
            _copy(_checked(jar, _fetcher(downloads, repository, Progress(jar.size))), part)
            part.replace(place)
            shutil.rmtree(downloads, ignore_errors=True)
    return place


def _install(target: Path, repository: str) -> None:
    wanted = jars.pinned()
    downloads = target.with_name("downloads")
    progress = Progress(sum(jar.size for jar in wanted))
    fetch = _fetcher(downloads, repository, progress)
    staging = target.with_name(f"{target.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    for jar in wanted:
        _copy(_checked(jar, fetch), staging / jar.filename)
        progress.arrived(jar)
    shutil.rmtree(target, ignore_errors=True)  # one that somebody took jars out of
    staging.rename(target)
    shutil.rmtree(downloads, ignore_errors=True)


def _copy(source: Path, place: Path) -> None:
    """Copy down to the disk: after a power cut, the folder must not have its name but not its bytes."""
    shutil.copyfile(source, place)
    with place.open("rb") as file:
        os.fsync(file.fileno())


def _checked(jar: Jar, fetch: Fetch) -> Path:
    """Fetch until the bytes are the pinned ones, a few times at most."""
    for attempt in range(1, TRIES + 1):
        try:
            path = fetch(jar)
            if jar.is_whole(path):
                return path
            path.unlink()
            fault = "what came is not the pinned file"
        except (
            OSError,
            RuntimeError,
        ) as error:  # requests' errors are OSErrors; jgo's "not found" is the other
            fault = str(error)
        if attempt < TRIES:
            warn(f"{jar.filename}: {fault}; trying again")
            time.sleep(attempt)
    raise ImagebusError(
        f"can't fetch {jar.coordinate} for the broker: {fault}. Check the network (proxies are read from "
        "HTTPS_PROXY) and start again: what has arrived is kept"
    )


def _fetcher(cache: Path, repository: str, progress: Progress) -> Fetch:
    """Make the function that fetches one jar by jgo into ``cache``."""
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        raise ConfigurationError(
            "the local broker needs the extra 'broker': pip install 'imagebus[broker]'"
        ) from error
    resolver = PythonResolver(progress_callback=progress.file)
    remotes = {"mirror": repository.rstrip("/")} if repository else None
    context = MavenContext(resolver, repo_cache=cache, remote_repos=remotes, timeout=STALL_S)

    def fetch(jar: Jar) -> Path:
        artifact = context.create_dependency(jar.coordinate).artifact
        arrived = artifact.cached_path
        if arrived and not jar.is_whole(arrived):
            arrived.unlink(missing_ok=True)  # cut off in the middle by the run before
        return artifact.resolve()

    return fetch


class Progress:
    """Say every two seconds how much has arrived."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.said = 0.0

    @contextmanager
    def file(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """Follow one file: what is yielded takes the count of bytes of each piece."""
        here = 0

        def arrived(count: int) -> None:
            nonlocal here
            here += count
            self._say(self.done + here, name)

        yield arrived

    def arrived(self, jar: Jar) -> None:
        """Count one whole jar."""
        self.done += jar.size
        self._say(self.done, jar.filename)

    def _say(self, count: int, name: str) -> None:
        now = time.monotonic()
        if now - self.said >= 2 or count == self.total:
            self.said = now
            percent = 100 * count // self.total
            size = f"{self.total / 1e6:.0f} MB"
            warn(f"fetching Apache Kafka {jars.VERSION}: {percent:3d} % of {size}, {name}")
