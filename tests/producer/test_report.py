"""What the producer says of a frame."""

from __future__ import annotations

import pytest
from report import Report

from imagebus.frame import Frame, Hop


def frame(number: int, age_ms: float) -> Frame:
    sent_ns = 1_000_000_000 + round(age_ms * 1e6)
    hop = Hop("door", "producer", "1", "SOURCE_FRAME", 1_000_000_000, sent_ns)
    return Frame(
        source="door",
        epoch="e",
        sequence=number,
        captured_ns=1_000_000_000,
        width=64,
        height=48,
        image=b"12345",
        trail=(hop,),
    )


def test_a_line_says_what_its_time_is_and_the_average_forgets_a_wait_after_a_hundred_frames(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report("door", "clip.mp4", quiet=False)
    for number, age_ms in enumerate([6000.0] + [5.0] * 100):
        report.sent(frame(number, age_ms))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "door 0: 64x48, 5 bytes, sent 6000.0 ms after capture, average 6000.0 ms"
    assert lines[99].endswith("sent 5.0 ms after capture, average 65.0 ms")
    assert lines[100].endswith("average 5.0 ms")
