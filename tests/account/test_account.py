"""``imagebus account``: every record has one outcome, and its evidence is found."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.account.conftest import MIX, Scene
from tests.broker import Put
from tests.filters.without_pixels import WithoutPixels

pytestmark = pytest.mark.kafka
Make = Callable[..., Scene]


def test_every_kind_of_outcome_has_its_evidence_and_all_adds_up(scene: Make) -> None:
    one = scene()
    one.feed(*MIX * 9, *["release"] * 3)
    one.put([Put(b"no frame", partition=0), Put(None, b"", partition=1)])
    other = (("imagebus.only-for", b"somebody else"),)
    frame = one.one(70, partition=2)
    one.put([Put(frame.value, frame.key, frame.timestamp_ms, 2, other)])
    one.run("--batch", "4", until=one.fed + 3)

    found = one.account("--json", "--frames")
    assert found.status == 0, found
    account = found.json
    assert account["faults"] == []
    assert account["offsets"] == one.fed + 3
    counts = Counter(account["counts"])
    assert counts["dead"] == 9 + 9 + 2
    assert counts["skipped.other-group"] == 1
    assert counts["output"] + counts["filtered"] == 7 * 9 - 18 + 3
    assert counts["filtered"] > 9, "some that were held back were let go"
    assert account["repeats"] == account["lag"] == 0
    evidence: Counter[str] = Counter()
    for part in account["partitions"]:
        evidence.update(part["evidence"])
        assert part["offset"] - part["from"] == sum(part["counts"].values()) + part["gaps"]
    assert evidence == counts


def test_frames_are_named_with_their_outcome(scene: Make) -> None:
    one = scene(partitions=1)
    one.feed("pass", "drop", "fail", "pass")
    one.put([Put(b"no frame", partition=0)])
    one.run(until=5)
    found = one.account("--frames")
    assert found.status == 0, found
    assert [" ".join(line.split()) for line in found.lines[:5]] == [
        "output 0@0 cam0 e1 #0",
        "filtered 0@1 cam0 e1 #1",
        "dead 0@2 cam0 e1 #2",
        "output 0@3 cam0 e1 #3",
        "dead 0@4 (no frame)",
    ]
    assert f"{one.input}, group {one.group}, writes {one.out}" in found.lines
    assert "5 offsets in = 2 output + 1 filtered + 2 dead + 0 expired + 0 gaps" in found.lines
    assert found.lines[-1] == "it adds up"


def test_a_frame_that_came_twice_has_two_outcomes(scene: Make) -> None:
    one = scene(partitions=1)
    twice = one.one(1, "hold")
    one.put([twice, twice, one.one(2), one.one(1)])
    one.feed(*["hold"] * 4, "release")
    one.run(until=9)
    found = one.account("--json")
    assert found.status == 0, found
    assert sum(found.json["counts"].values()) == 9


def test_frames_that_were_skipped_are_told_by_reason(scene: Make) -> None:
    one = scene(partitions=1)
    one.feed(*["pass"] * 30)
    one.run("--freshness", "latest")
    found = one.account("--json")
    assert found.status == 0, found
    assert found.json["counts"]["skipped.superseded"] >= 1
    assert sum(found.json["counts"].values()) == 30


def test_what_retention_overtook_is_expired_and_no_longer_there(
    scene: Make, remove: Callable[..., None]
) -> None:
    one = scene(partitions=1)
    one.feed(*["pass"] * 10)
    one.run()
    one.feed(*["pass"] * 20)
    remove(one.input, 0, 25)
    one.run()
    found = one.account("--json")
    assert found.status == 0, found
    assert found.json["counts"] == {"output": 15, "expired": 15}
    assert found.json["partitions"][0]["gone"] == 25


def test_offsets_without_a_record_are_gaps(scene: Make, transaction: Callable[..., None]) -> None:
    one = scene(partitions=1)
    one.feed("pass", "drop")
    for commit in (True, False, True):
        transaction(one.input, [one.one(9)] * 3, commit=commit)
    one.feed("pass")
    one.run(until=15)
    found = one.account("--json")
    assert found.status == 0, found
    [part] = found.json["partitions"]
    assert (part["gaps"], part["walked"], part["offset"]) == (6, 9, 15)


def test_a_filter_without_pixels_is_accounted_for_by_its_meta(scene: Make) -> None:
    one, after = scene(partitions=2), scene(partitions=2)
    one.feed(*["pass", "drop"] * 5)
    one.run()
    after.input, after.fed = one.out, 5
    after.run(filter=WithoutPixels)
    found = after.account("--json")
    assert found.status == 0, found
    assert found.json["input"] == f"{one.out}.META"
    assert found.json["offsets"] == 5


def test_a_bounded_run_is_accounted_for_as_its_own_group(scene: Make) -> None:
    one = scene()
    one.feed(*["pass", "drop"] * 15)
    begin, until = one.began_ns // 1_000_000 + 6, one.began_ns // 1_000_000 + 18
    while time.time() * 1000 < until:
        time.sleep(0.1)
    one.run("--from", str(begin), "--until", str(until), "--run", "again")
    found = one.account("--json", group=f"{one.group}.again")
    assert found.status == 0, found
    assert found.json["counts"]["output"] + found.json["counts"]["filtered"] == 12


def test_a_span_of_time_can_be_asked_for(scene: Make) -> None:
    one = scene()
    one.feed(*["pass", "drop"] * 15)
    one.run()
    begin = one.began_ns // 1_000_000 + 10
    found = one.account("--json", "--frames", "--from", begin, "--until", begin + 5)
    assert found.status == 0, found
    assert len(found.lines) == 5 + 1
    assert sum(part["walked"] for part in found.json["partitions"]) == 5
    assert found.json["partitions"][0]["without_evidence"] == 0
