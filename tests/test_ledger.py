"""The ledger: what may be committed, whatever order records finish in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebus.commit import DEAD, EXPIRED, FILTERED, OUTPUT, counts_of
from imagebus.connection import Assigned, Position
from imagebus.ledger import Ledger

OUTCOMES = st.sampled_from([OUTPUT, FILTERED, DEAD, "skipped.stale"])


def ledger(offset: int = 0, low: int = 0, metadata: str = "") -> Ledger:
    return Ledger(Assigned(0, Position(offset, metadata), low))


def test_nothing_may_be_committed_past_a_record_that_is_not_finished() -> None:
    book = ledger()
    for offset in range(3):
        assert book.received(offset)
    book.done(1, OUTPUT)
    book.done(2, OUTPUT)
    assert book.to_commit() is None
    book.done(0, FILTERED)
    position = book.to_commit()
    assert position is not None
    assert position.offset == 3
    assert counts_of(position) == {OUTPUT: 2, FILTERED: 1}
    assert book.to_commit() is None


def test_a_record_has_one_outcome_only() -> None:
    book = ledger()
    book.received(0)
    book.received(1)
    book.done(1, OUTPUT)
    with pytest.raises(ValueError, match="offset 1"):
        book.done(1, DEAD)
    book.done(0, OUTPUT)
    with pytest.raises(ValueError, match="offset 0"):
        book.done(0, DEAD)


def test_a_record_that_comes_twice_is_taken_once() -> None:
    book = ledger(5)
    assert not book.received(4)
    assert book.received(5)
    assert not book.received(5)
    book.done(5, OUTPUT)
    assert not book.received(5)


def test_counts_go_on_over_a_restart() -> None:
    book = ledger(10)
    book.received(10)
    book.done(10, OUTPUT)
    first = book.position
    again = ledger(first.offset, metadata=first.metadata)
    again.received(11)
    again.done(11, DEAD)
    assert counts_of(again.position) == {OUTPUT: 1, DEAD: 1}


def test_what_retention_took_before_it_was_read_is_counted() -> None:
    book = ledger(10, low=14)
    assert book.received(14)
    book.done(14, OUTPUT)
    assert book.position.offset == 15
    assert counts_of(book.position) == {EXPIRED: 4, OUTPUT: 1}


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "x",
        "[]",
        "null",
        "{}",
        '{"v":2,"from":1}',
        '{"v":1,"from":"a"}',
        '{"v":1,"from":1,"output":"5"}',
        '{"v":1,"from":0,"output":7}',
        '{"v":1,"from":0,"counts":{"output":6}}',
        '{"v":3,"from":0,"counts":{"output":7}}',
        '{"v":1,"from":-1,"counts":{"output":8}}',
        '{"v":1,"from":0,"counts":{"output":8,"dead":-1}}',
    ],
)
def test_the_commit_of_a_stranger_begins_new_counts(metadata: str) -> None:
    book = ledger(7, metadata=metadata)
    book.received(7)
    book.done(7, OUTPUT)
    assert counts_of(book.position) == {OUTPUT: 1}


@given(st.data())
def test_counts_and_offset_always_agree_whatever_the_order_and_the_gaps(data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=40))
    offsets = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    outcome = {offset: data.draw(OUTCOMES) for offset in offsets}
    order = data.draw(st.permutations(offsets))
    book, finished = ledger(offsets[0]), set()
    waiting = list(offsets)
    for offset in order:
        while waiting and waiting[0] <= offset:
            assert book.received(waiting.pop(0))
        book.done(offset, outcome[offset])
        finished.add(offset)
        position = book.position
        below = [o for o in offsets if o < position.offset]
        assert set(below) <= finished
        first_open = next((o for o in offsets if o not in finished), None)
        assert first_open is None or position.offset <= first_open
        assert first_open is not None or position.offset == offsets[-1] + 1
        expected: dict[str, int] = {}
        for o in below:
            expected[outcome[o]] = expected.get(outcome[o], 0) + 1
        assert counts_of(position) == expected
