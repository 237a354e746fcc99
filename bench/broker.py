"""A broker of the benchmark's own, in a folder that is thrown away."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from bench.children import wait_for
from imagebus.bus import Bus
from imagebus.kafka.local import LocalBroker
from imagebus.kafka.probe import free_port
from imagebus.kafka.process import die_with_parent
from imagebus.kafka.state import read
from imagebus.topics import META_SETTINGS, SETTINGS, meta_of

IMAGEBUS = Path(sys.executable).with_name("imagebus")
START_S = 120.0


class Broker:
    """A running broker: where it listens, its process, and topics that are made and thrown away."""

    def __init__(self, folder: Path, address: str, pid: int) -> None:
        self.folder = folder
        self.address = address
        self.pid = pid
        self.bus = Bus(address)

    @contextmanager
    def topics(self, *names: str, partitions: int = -1) -> Iterator[list[str]]:
        """Make topics for one run, each with its META, and delete them after it: disks are small."""
        made = [f"{name}-{secrets.token_hex(4)}" for name in names]
        for topic in made:
            self.bus.ensure_topic(topic, SETTINGS, partitions)
            self.bus.ensure_topic(meta_of(topic), META_SETTINGS, partitions)
        wait_for(lambda: {*made, *map(meta_of, made)} <= self.bus.topics().keys(), "new topics")
        try:
            yield made
        finally:
            self._delete([*made, *map(meta_of, made)])

    def _delete(self, topics: Iterable[str]) -> None:
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 2})
        for deleted in admin.delete_topics(list(topics), request_timeout=30).values():
            deleted.result(30)


@contextmanager
def broker() -> Iterator[Broker]:
    """Run a broker on a free port, as ``imagebus kafka start`` does; it ends when this process does."""
    folder = Path(tempfile.mkdtemp(prefix="imagebus-bench-"))
    port = free_port()
    command = [str(IMAGEBUS), *f"kafka start --foreground --port {port} --data".split(), str(folder)]
    with (folder / "said.txt").open("wb") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, preexec_fn=die_with_parent)
    try:
        wait_for(lambda: LocalBroker(folder).status()[0] or child.poll() is not None, "the broker", START_S)
        state = read(folder)
        if state is None or child.poll() is not None:
            raise RuntimeError(f"the broker did not start:\n{(folder / 'said.txt').read_text()}")
        yield Broker(folder, f"127.0.0.1:{port}", state.process.pid)
    finally:
        child.terminate()
        child.wait(60)
        shutil.rmtree(folder)
