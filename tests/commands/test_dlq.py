"""``imagebus dlq``."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgpack
import pytest

from imagebus import commit
from imagebus.record import Record
from imagebus.replayed import _runs
from tests.broker import PICTURE, Put, Reader, committed, fresh, identities, make_topic, put, read_all
from tests.commands.conftest import TYPE, Command, letter, said, sent
from tests.conftest import IMAGEBUS, Broker
from tests.programs import REDACTION, SCRIPTED, running, wait_for

FAIL = {"test.do": "fail"}


def with_letters(kafka: str, letters: Callable[[str], list[Put]], name: str = "READ", **config: Any) -> str:
    """Make a topic, and one with its dead letters."""
    topic = make_topic(kafka, fresh(name), **config)
    make_topic(kafka, f"{topic}.DLQ")
    put(kafka, f"{topic}.DLQ", letters(topic))
    return topic


def outcomes(kafka: str, group: str, topic: str) -> dict[str, int]:
    """Return the counts that a group has committed."""
    found = committed(kafka, group, topic).get(0)
    return commit.counts_of(found) if found else {}


def test_list_counts_by_reason_stage_and_group(kafka: str, imagebus: Command) -> None:
    a, b = fresh("a"), fresh("b")
    topic = with_letters(
        kafka,
        lambda topic: [letter(topic, a), letter(topic, a), letter(topic, a, "refused"), letter(topic, b)],
    )
    for name in (topic, f"{topic}.DLQ"):
        kinds = [json.loads(line) for line in said(imagebus("dlq", "list", name, "--json"))]
        counts = {(kind["reason"], kind["group"], kind["stage"]): kind["count"] for kind in kinds}
        assert counts == {("error", a, "stage"): 2, ("refused", a, "stage"): 1, ("error", b, "stage"): 1}
    assert any(a in line for line in said(imagebus("dlq", "list", topic)))
    assert said(imagebus("dlq", "list", fresh("NONE")), 1) == []
    assert said(imagebus("dlq", "list", make_topic(kafka, fresh("NONE")), "--json")) == []


def test_show_tells_why_and_save_keeps_pictures_and_bytes(
    kafka: str, imagebus: Command, tmp_path: Path
) -> None:
    topic = with_letters(
        kafka,
        lambda topic: [
            letter(topic, "g", sequence=3),
            letter(topic, "h\x1b[1m", "undecodable", value=b"\xc1x"),
        ],
    )
    lines = said(imagebus("dlq", "show", topic, "--save", tmp_path))
    assert len(lines) == 2
    assert "camera #3" in lines[0]
    assert "error in stage: ValueError: no" in lines[0]
    assert "door no frame" in lines[1]
    assert all(line.isprintable() for line in lines)
    assert {path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".json"} == {PICTURE, b"\xc1x"}
    [one] = [json.loads(line) for line in said(imagebus("dlq", "show", topic, "--group", "g", "--json"))]
    assert (one["dead_letter"]["reason"], one["record"]["sequence"]) == ("error", 3)


def test_a_replay_sends_the_record_as_it_was_and_never_twice(kafka: str, imagebus: Command) -> None:
    group = fresh("g")
    topic = with_letters(kafka, lambda t: [letter(t, group, sequence=n, age_s=5) for n in range(50)])
    [before] = [r for r in read_all(kafka, f"{topic}.DLQ") if r.offset == 4]

    lines = said(imagebus("dlq", "replay", topic, "--group", group, "--yes"))
    assert lines[0].startswith(f"50 dead letters of {group} go to {topic}")
    assert lines[-1] == "50 were sent"
    records = read_all(kafka, topic)
    assert [sequence for _, _, sequence in identities(records)] == list(range(50))
    record = records[4]
    assert (record.key, record.value) == (before.key, before.value)
    assert record.timestamp_ms == msgpack.unpackb(record.value or b"")["captured_ns"] // 1_000_000
    assert dict(record.headers) == {
        TYPE[0]: TYPE[1],
        "imagebus.only-for": group.encode(),
        "imagebus.dead-letter": f"{topic}.DLQ[0]@4".encode(),
    }

    put(kafka, f"{topic}.DLQ", [letter(topic, group, sequence=50)])
    lines = said(imagebus("dlq", "replay", f"{topic}.DLQ", "--group", group, "--yes"))
    assert lines[-1] == "1 were sent"
    assert "50 were sent before" in "".join(lines)
    assert said(imagebus("dlq", "replay", topic, "--group", group, "--yes"))[0].startswith("0 dead letters")
    assert len(read_all(kafka, topic)) == 51
    assert said(imagebus("dlq", "replay", topic, "--group", group, "--yes", "--again"))[-1] == "51 were sent"
    [kind] = [json.loads(line) for line in said(imagebus("dlq", "list", topic, "--json"))]
    assert (kind["count"], kind["sent_again"]) == (51, 51)


def test_one_reason_can_be_sent_now_and_the_others_later(kafka: str, imagebus: Command) -> None:
    group, reasons = fresh("g"), ["error", "refused"]
    topic = with_letters(
        kafka, lambda topic: [letter(topic, group, reasons[n % 2], sequence=n) for n in range(10)]
    )
    words = ("dlq", "replay", topic, "--group", group, "--yes")
    assert said(imagebus(*words, "--reason", "refused"))[-1] == "5 were sent"
    assert said(imagebus(*words, "--until", "-1h"))[0].startswith("0 dead letters")
    assert said(imagebus(*words))[-1] == "5 were sent"
    assert sorted(sequence for _, _, sequence in identities(read_all(kafka, topic))) == list(range(10))


def test_without_yes_it_asks_on_a_terminal_and_refuses_elsewhere(kafka: str, imagebus: Command) -> None:
    group = fresh("g")
    topic = with_letters(kafka, lambda topic: [letter(topic, group)])
    result = imagebus("dlq", "replay", topic, "--group", group)
    assert result.returncode == 2
    assert "--yes" in result.stderr

    for answer, status, sent_now in (("n", 1, 0), ("y", 0, 1)):
        ours, theirs = pty.openpty()
        command = [str(IMAGEBUS), "dlq", "replay", topic, "--group", group, "--kafka", kafka]
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, len(read_all(kafka, topic))) == (status, sent_now), done.stdout
        os.close(ours)
        os.close(theirs)


def test_letters_that_would_be_refused_again_or_are_forged_are_told_and_left_out(
    kafka: str, imagebus: Command
) -> None:
    group = fresh("g")
    large: dict[str, Any] = {"attributes": {"ballast": b"x" * 40_000}}
    topic = with_letters(
        kafka,
        lambda t: [letter(t, group), letter(t, group, **large), letter("another", group)],
        max__message__bytes=20_000,
    )
    lines = said(imagebus("dlq", "replay", topic, "--group", group, "--yes"))
    assert any(line.startswith(f"  1 are larger than {topic} takes") for line in lines)
    assert any(line.startswith("  1 say that they are of another topic") for line in lines)
    assert lines[-1] == "1 were sent"
    result = imagebus("dlq", "replay", topic, "--group", "no-such-group", "--yes")
    assert result.returncode == 2
    assert group in result.stderr


@pytest.mark.parametrize(
    ("sent_ones", "runs"),
    [
        ([], []),
        ([3, 7, 9], [(3, 9)]),
        ([3, 9], [(3, 3), (9, 9)]),
        ([7, 9, 12], [(7, 12)]),
        ([3, 7, 12], [(3, 7), (12, 12)]),
    ],
)
def test_what_was_sent_is_kept_in_as_few_runs_as_can_be(
    sent_ones: list[int], runs: list[tuple[int, int]]
) -> None:
    assert _runs([3, 7, 9, 12], set(sent_ones)) == runs


def test_a_replay_reaches_only_the_group_that_failed_and_is_not_skipped_as_stale(
    kafka: str, imagebus: Command, tmp_path: Path
) -> None:
    topic = make_topic(kafka, fresh("CAMERAS"))
    names = {which: (fresh(f"g-{which}"), fresh(f"OUT-{which}")) for which in "ab"}
    (a, out_a), (b, out_b) = names["a"], names["b"]

    def flags(group: str, out: str, freshness: object) -> list[str]:
        return f"--kafka {kafka} -i {topic} -t {out} --group {group} --freshness {freshness} -q".split()

    with (
        running(
            tmp_path / "a", SCRIPTED, *flags(a, out_a, "all"), "--start", "earliest", "-n", "first"
        ) as failing,
        running(tmp_path / "b", SCRIPTED, *flags(b, out_b, "all"), "--start", "earliest", "-n", "other"),
    ):
        put(kafka, topic, [sent(n, attributes=FAIL if n in (3, 5) else {}) for n in range(8)])
        wait_for(lambda: sum(outcomes(kafka, a, topic).values()) == 8, "all in a", 60)
        assert failing.ends(15) == 0
        time.sleep(2.5)  # what died is stale now
        with running(tmp_path / "c", REDACTION, *flags(a, out_a, 2), "person", "-n", "mended"):
            wait_for(lambda: sum(outcomes(kafka, b, topic).values()) == 8, "all in b", 60)
            lines = said(imagebus("dlq", "replay", topic, "--group", a, "--yes"))
            assert lines[-1] == "2 were sent"
            put(kafka, topic, [sent(100)])  # so that no letter is the newest of its camera
            wait_for(lambda: sum(outcomes(kafka, a, topic).values()) == 11, "all in a again", 60)
            wait_for(lambda: sum(outcomes(kafka, b, topic).values()) == 11, "all in b again", 60)

    assert outcomes(kafka, a, topic) == {"output": 9, "dead": 2}
    assert outcomes(kafka, b, topic) == {"output": 7, "dead": 2, "skipped.other-group": 2}
    for out, repaired in ((out_a, [3, 5]), (out_b, [])):
        reader = Reader(kafka, out)
        assert reader.sequences() == sorted([*repaired, *{*range(8), 100} - {3, 5}])  # and none twice
        assert sorted(sequence for _, _, sequence in identities(_again(reader))) == repaired
        reader.close()


def _again(reader: Reader) -> list[Record]:
    return [record for record in reader.records if record.header("imagebus.again")]


def test_a_stop_in_the_middle_keeps_what_was_sent(kafka: str, imagebus: Command, tmp_path: Path) -> None:
    group, count = fresh("g"), 2000
    topic = with_letters(kafka, lambda topic: [letter(topic, group, sequence=n) for n in range(count)])
    words = ["dlq", "replay", topic, "--group", group, "--yes", "--kafka", kafka]
    with running(tmp_path / "p", IMAGEBUS, *words) as program:
        wait_for(lambda: len(read_all(kafka, topic)) > 20, "some are sent", 60, 0.0)
        assert program.ends(signal.SIGINT) == 130
    assert len(read_all(kafka, topic)) < count
    said(imagebus("dlq", "replay", topic, "--group", group, "--yes"))
    found = [sequence for _, _, sequence in identities(read_all(kafka, topic))]
    assert sorted(found) == list(range(count))


@pytest.mark.slow
def test_a_broker_that_has_just_started_is_waited_for(new_broker: Callable[[], Broker]) -> None:
    """The client ends the process where it meets a broker that does not know its groups yet."""
    kafka = new_broker().address
    topic = with_letters(kafka, lambda topic: [letter(topic, fresh("g")) for _ in range(10)])
    command = [str(IMAGEBUS), "dlq", "list", topic, "--json", "--kafka", kafka]

    def ask(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    with ThreadPoolExecutor(5) as threads:
        for done in threads.map(ask, range(5)):
            assert (done.returncode, done.stdout.count("\n")) == (0, 10)
