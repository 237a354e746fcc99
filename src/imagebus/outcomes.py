"""The note of what left no other trace: which records of a topic a group skipped or filtered out.

An output, and a dead letter, name the record that they came of in their headers. The others stand in the
topic ``imagebus.outcomes``: one record for each partition and fraction of a second, keyed by group, a JSON
map: ``{"v": 1, "group": "...", "topic": "SOURCE_FRAME", "partition": 0, "log": "...",
"runs": [[first, last, "skipped.stale"], ...]}``. A run covers every record with an offset from first to last.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from imagebus.errors import FrameError
from imagebus.record import Outgoing
from imagebus.topics import OUTCOMES

MOST_BYTES = 1024 * 1024
Run = tuple[int, int, str]


class Outcomes(msgspec.Struct, frozen=True):
    """One note: runs of offsets of one partition, and how their records ended for one group."""

    group: str
    topic: str
    partition: int
    runs: list[Run]
    log: str = ""
    v: Literal[1] = 1

    def outgoing(self) -> Outgoing:
        """Return the record."""
        now_ms = time.time_ns() // 1_000_000
        return Outgoing(OUTCOMES, self.group.encode(), _encoder.encode(self), now_ms, ())


class Runs:
    """Collects outcomes of one partition into runs, in order of offset."""

    def __init__(self) -> None:
        self._outcomes: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._outcomes)

    def add(self, offset: int, outcome: str) -> None:
        """Note the outcome of a record."""
        self._outcomes[offset] = outcome

    def take(self) -> tuple[dict[int, str], list[Run]]:
        """Return what was noted, by offset and as runs, and begin anew.

        Only offsets that follow each other make a run: what lies between others may have ended otherwise.
        """
        outcomes, self._outcomes = self._outcomes, {}
        runs: list[Run] = []
        for offset in sorted(outcomes):
            if runs and runs[-1][1] == offset - 1 and runs[-1][2] == outcomes[offset]:
                runs[-1] = (runs[-1][0], offset, outcomes[offset])
            else:
                runs.append((offset, offset, outcomes[offset]))
        return outcomes, runs


def decode(data: bytes) -> Outcomes:
    """Return the note of a record's value.

    Raises:
        FrameError: it is none of version 1.
    """
    try:
        if len(data) > MOST_BYTES:
            raise ValueError(f"{len(data)} bytes, at most {MOST_BYTES} are allowed")
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise FrameError(f"no note of outcomes of version 1: {error}", "undecodable") from error


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Outcomes)
