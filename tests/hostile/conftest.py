"""What the hostile tests share: one topic of bad records, and the filter that must outlive them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker import Put, Reader, fresh, make_topic, put
from tests.hostile.frames import OUTPUT
from tests.programs import IMAGEAI, REDACTION, Program, wait_for


class Victim:
    """A filter that is given records; tells what became of each."""

    def __init__(self, folder: Path, kafka: str, script: Path, *options: object) -> None:
        self.kafka = kafka
        self.topic = make_topic(kafka, fresh("hostile"), retention__ms=3_600_000)
        self.out = make_topic(kafka, fresh("out"))
        make_topic(kafka, f"{self.topic}.DLQ")
        arguments = ("--kafka", kafka, "-i", self.topic, "-t", self.out, "--freshness", "all")
        self.program = Program(folder, script, *arguments, "--start", "earliest", *options)
        self.written, self.letters = Reader(kafka, self.out), Reader(kafka, f"{self.topic}.DLQ")
        self.given = 0

    def outcomes(self, values: list[bytes | None], within_s: float = 60.0) -> list[str]:
        """Give it these records; return ``output`` or the reason of the dead letter for each."""
        first, last = self.given, self.given + len(values)
        self.given = last
        puts = [
            Put(value, b"key", headers=[("traceparent", self.trace(first + n))])
            for n, value in enumerate(values)
        ]
        places = put(self.kafka, self.topic, puts)
        assert places == [(0, offset) for offset in range(first, last)]
        wait_for(
            lambda: len(self.written.read()) + len(self.letters.read()) >= last or not self.program.alive,
            f"outcomes of {len(values)} records",
            within_s,
        )
        assert self.program.alive, self.program.err.decode()[-2000:]
        found: dict[int, str] = {}
        for record in self.written.records:
            found[int(record.header("traceparent").split("-")[1], 16) - 1] = OUTPUT
        for record in self.letters.records:
            offset = int(record.header("imagebus.offset"))
            assert offset not in found, "one outcome a record"
            found[offset] = record.header("imagebus.reason")
        assert len(found) == len(self.written.records) + len(self.letters.records)
        return [found[offset] for offset in range(first, last)]

    @staticmethod
    def trace(offset: int) -> bytes:
        """Name the record by its trace, which a filter passes on."""
        return f"00-{offset + 1:032x}-{1:016x}-01".encode()

    def close(self) -> None:
        if self.program.alive:
            self.program.kill()
        self.written.close()
        self.letters.close()


@pytest.fixture(params=["redaction", "imageaiProcessor"])
def victim(request: Any, kafka: str, tmp_path: Path, models: Path) -> Iterator[Victim]:
    """Each of the programs that meet strangers' records."""
    script, options = {
        "redaction": (REDACTION, ()),
        "imageaiProcessor": (IMAGEAI, ("--model", models / "yolox_nano.onnx", "--confidence", "0.9")),
    }[request.param]
    victim = Victim(tmp_path, kafka, script, *options)
    yield victim
    victim.close()
