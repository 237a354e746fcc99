"""``imagebus account`` finds what is missing and what contradicts, and says what it cannot know."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import msgpack
import msgspec
import pytest

from imagebus import commit
from imagebus.account.evidence import Evidence
from imagebus.commit import DEAD, FILTERED, OUTPUT, SKIPPED_STALE
from imagebus.connection import Position
from tests.account.conftest import Scene
from tests.broker import Put, committed, fresh, make_topic, put, read_all

pytestmark = pytest.mark.kafka
Make = Callable[..., Scene]
Remove = Callable[[str, int, int], None]
Forge = Callable[[str, str, int, Position], None]


@pytest.fixture
def done(scene: Make) -> Scene:
    """A topic of one partition, all of it read: four outputs, three filtered out, two dead letters."""
    one = scene(partitions=1)
    one.feed(*["pass", "drop", "fail"] * 2, "pass", "drop", "pass")
    one.run()
    return one


def forged(done: Scene, **changes: object) -> Position:
    [position] = committed(done.kafka, done.group, done.input).values()
    carried = commit.carried(position)
    assert carried
    return msgspec.structs.replace(carried, **changes).at(position.offset)


def test_an_output_that_was_removed_by_hand_is_missed(done: Scene, remove: Remove) -> None:
    places = {record.header("imagebus.offset"): record for record in read_all(done.kafka, f"{done.out}.META")}
    second = places["3"]
    remove(second.topic, second.partition, second.offset + 1)
    found = done.account()
    assert found.status == 1
    assert found.faults[0] == f"{done.input}[0]: 2 records have no outcome: 0, 3"
    assert found.faults[1].startswith(
        f"  2 records are gone from the beginning of {done.out}.META before their"
    )
    assert found.lines[-1] == "it does NOT add up"
    assert "no evidence 0@3 cam0 e1 #3" in [" ".join(line.split()) for line in done.account("--frames").lines]


def test_evidence_that_retention_has_removed_is_not_called_lost(
    done: Scene, remove: Remove, alter: Callable[..., None]
) -> None:
    alter(f"{done.out}.META", retention__ms=1)
    for partition in range(2):
        ends = [r.offset for r in read_all(done.kafka, f"{done.out}.META") if r.partition == partition]
        if ends:
            remove(f"{done.out}.META", partition, max(ends) + 1)
    found = done.account()
    assert found.status == 0, found
    assert "5 of 9 records that are still in the log have their evidence" in found.lines
    assert any("not lost, proven by the counts alone" in line for line in found.lines)


def test_forged_counts_are_found(done: Scene, forge: Forge) -> None:
    assert done.account().status == 0
    for counts, gaps, said in (
        (
            {OUTPUT: 5, FILTERED: 3, DEAD: 2},
            0,
            "the commit at 9 counts 10 offsets from 0 on, and there are 9",
        ),
        ({OUTPUT: 5, FILTERED: 2, DEAD: 2}, 0, "3 records have evidence of filtered, the commit counts 2"),
        ({OUTPUT: 4, FILTERED: 2, DEAD: 2}, 1, "3 records have evidence of filtered, the commit counts 2"),
        ({OUTPUT: 4, FILTERED: 2, DEAD: 2, "expired": 1}, 0, "1 expired, but only 0 offsets are no longer"),
        ({OUTPUT: 5, FILTERED: 3, DEAD: 2, SKIPPED_STALE: -1}, 0, "-1 skipped.stale: no count is negative"),
    ):
        forge(done.group, done.input, 0, forged(done, counts=counts, gaps=gaps))
        found = done.account()
        assert found.status == 1
        assert any(said in fault for fault in found.faults), found
    forge(done.group, done.input, 0, forged(done, begin=-5, counts={OUTPUT: 14}, gaps=0))
    assert any("counts from -5 on" in fault for fault in done.account().faults)


def test_records_that_were_committed_without_an_outcome_are_named(done: Scene, forge: Forge) -> None:
    done.feed("pass", "pass")
    ahead = forged(done, counts={OUTPUT: 6, FILTERED: 3, DEAD: 2})
    forge(done.group, done.input, 0, Position(11, ahead.metadata))
    found = done.account()
    assert found.status == 1
    assert found.faults == [f"{done.input}[0]: 2 records have no outcome: 9-10"]


def test_a_commit_beyond_the_end_or_of_another_log_proves_nothing(done: Scene, forge: Forge) -> None:
    ahead = forged(done, counts={OUTPUT: 100})
    forge(done.group, done.input, 0, Position(100, ahead.metadata))
    found = done.account()
    assert (found.status, found.faults) == (
        1,
        [f"{done.input}[0]: the commit at 100 lies beyond the end of the log at 9"],
    )
    forge(done.group, done.input, 0, Position(9, forged(done, log="another").metadata))
    found = done.account()
    assert found.status == 1
    assert any("deleted and made again" in fault for fault in found.faults)


def test_what_was_left_of_a_deleted_topic_proves_nothing_of_the_new_one(
    scene: Make, delete: Callable[[str], None]
) -> None:
    one = scene(partitions=1)
    one.feed(*["pass", "drop", "fail"] * 3)
    one.run()
    delete(one.input)
    make_topic(one.kafka, one.input)
    one.fed = 0
    one.feed("pass", "drop")
    one.run()
    found = one.account("--json")
    assert found.status == 0, found
    assert found.json["counts"] == {OUTPUT: 1, FILTERED: 1}
    assert found.json["partitions"][0]["beyond_commit"] == 0


def test_commits_of_another_client_are_told(done: Scene, forge: Forge) -> None:
    stranger = fresh("stranger")
    forge(stranger, done.input, 0, Position(4, ""))
    found = done.account(group=stranger)
    assert found.status == 1
    assert found.faults == [
        f"{done.input}[0]: another client committed 4, without counts: nothing can be proven"
    ]


def test_what_is_unknown_is_told_with_what_is_near(done: Scene) -> None:
    for wrong, said in (
        (done.account(group=done.group[:-1]), f"--group: {done.group[:-1]} has committed nothing; there is"),
        (done.account(topic=done.input[:-1]), f"INPUT: there is no topic {done.input[:-1]}; there is"),
        (done.account(topic=done.out), f"has committed nothing of {done.out}; it reads {done.input}"),
        (done.account("--from", "-1m", "--until", "-2m"), "is not before --until"),
        (done.account("--from", "yesterday"), "--from: a time like"),
    ):
        assert wrong.status == 2, wrong
        assert said in wrong.errors
    assert done.group in done.account(group=done.group[:-1]).errors


def test_more_evidence_than_one_kind_counts_the_last() -> None:
    evidence = Evidence(10, 13)
    for offset, kind, at_ns in (
        (10, OUTPUT, 5), (10, OUTPUT, 5), (10, OUTPUT, 9), (10, OUTPUT, 5),
        (11, OUTPUT, 7), (11, FILTERED, 8),
        (12, DEAD, 9), (12, SKIPPED_STALE, 4),
        (13, OUTPUT, 1), (9, OUTPUT, 1),
    ):  # fmt: skip
        evidence.add(offset, kind, at_ns)
    assert [evidence.last(offset) for offset in (10, 11, 12)] == [OUTPUT, FILTERED, DEAD]
    assert [evidence.repeats(offset) for offset in (10, 11, 12)] == [1, 0, 0]
    assert list(evidence.all(12)) == [DEAD, SKIPPED_STALE]
    assert evidence.beyond == {13}


def test_a_long_log_takes_ten_bytes_a_record() -> None:
    count = 1_000_000
    tracemalloc.start()
    try:
        evidence = Evidence(7, 7 + count)
        for offset in range(7, 7 + count, 10):
            evidence.add(offset, OUTPUT, 1_700_000_000_000_000_000 + offset)
            evidence.add(offset, OUTPUT, 1_700_000_000_000_000_000 + offset)
        assert tracemalloc.get_traced_memory()[1] < 25 * count
        assert tracemalloc.get_traced_memory()[0] < 11 * count
    finally:
        tracemalloc.stop()


def test_a_record_without_evidence_and_input_that_is_no_frame_are_walked_all_the_same(
    done: Scene, forge: Forge
) -> None:
    done.put([Put(b"\xff" * 10, partition=0)])
    ahead = forged(done, counts={OUTPUT: 4, FILTERED: 3, DEAD: 3})
    forge(done.group, done.input, 0, Position(10, ahead.metadata))
    found = done.account("--frames")
    assert found.status == 1
    assert "no evidence 0@9 (no frame)" in [" ".join(line.split()) for line in found.lines]


def test_what_strangers_wrote_beside_the_evidence_neither_ends_the_account_nor_changes_it(
    done: Scene,
) -> None:
    said = done.account()
    said_of = dict(read_all(done.kafka, f"{done.out}.META")[0].headers)
    nested = b"\x81\xa5trail" + b"\x91" * 200_000
    late = msgpack.packb({"trail": [{"received_ns": 2**64 - 1}]})
    for value, offset in (
        (b"x", None),
        (b"x", b"-1"),
        (b"x", b" -0_1 "),
        (b"x", b"9" * 400),
        (b"x", b"\xff"),
    ):
        put(
            done.kafka,
            f"{done.out}.META",
            [Put(value, headers=list((said_of | {"imagebus.offset": offset}).items()))],
        )
    for value in (nested, late):
        put(done.kafka, f"{done.out}.META", [Put(value, headers=list(said_of.items()))])
    for runs in (
        [[5, 3, "filtered"]],
        [[0, 10**9, "dead"]],
        [[0, 2000, "no such"]],
        [[0, 3, "filtered"]] * 9,
    ):
        note = {"group": done.group, "topic": done.input, "partition": 0, "runs": runs, "v": 1}
        put(done.kafka, "imagebus.outcomes", [Put(msgspec.json.encode(note), done.group.encode())])
    again = done.account("--frames")
    assert (again.status, again.lines[-1]) == (said.status, said.lines[-1]) == (0, "it adds up")


def test_a_record_that_is_no_frame_is_named_by_its_place(scene: Make) -> None:
    one = scene(partitions=1)
    one.put(
        [
            Put(b"\x83\xa6source\xa3\xff\xfe\xfd\xa5epoch\xa1e\xa8sequence\x00"),
            Put(b"\x84\xa1x" + b"\x91" * 200_000),
        ]
    )
    one.run(until=2)
    found = one.account("--frames")
    assert (found.status, found.lines[-1]) == (0, "it adds up")


def test_the_only_group_that_reads_a_topic_need_not_be_named(done: Scene) -> None:
    assert done.account("--group", "").status == 0
    none = done.account("--group", "", topic=done.out)
    assert none.status == 2
    assert f"--group: no group reads {done.out}" in none.errors
