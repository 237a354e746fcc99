"""The backlog: fair between sources, no older than asked, never without a source's newest."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from imagebus.backlog import ALL, LATEST, Backlog
from imagebus.record import Record


def record(source: str, offset: int, timestamp_ms: int = 0, size: int = 10) -> Record:
    return Record("T", 0, offset, timestamp_ms, source.encode(), b"x" * size)


def taken(backlog: Backlog) -> list[int]:
    offsets = []
    while (found := backlog.take()) is not None:
        offsets.append(found.offset)
    return offsets


def test_where_none_is_skipped_records_keep_the_order_of_the_log() -> None:
    backlog = Backlog(ALL)
    for offset in range(6):
        backlog.add(record("aabcab"[offset], offset))
    assert taken(backlog) == list(range(6))


def test_sources_take_turns_and_each_keeps_its_order() -> None:
    backlog = Backlog(100.0)
    for offset in range(4):
        backlog.add(record("loud", offset))
    backlog.add(record("quiet", 4))
    assert taken(backlog) == [0, 4, 1, 2, 3]
    assert len(backlog) == 0


def test_all_skips_nothing_however_old() -> None:
    backlog = Backlog(ALL)
    for offset in range(3):
        backlog.add(record("a", offset))
    assert list(backlog.stale(10**15)) == []
    assert len(backlog) == 3


def test_old_frames_are_skipped_but_never_the_newest_of_a_source() -> None:
    backlog = Backlog(2.0)
    for offset, at in enumerate([0, 1_000, 7_999, 8_000, 9_000]):
        backlog.add(record("a", offset, at))
    backlog.add(record("asleep", 5, 100))
    assert [skipped.offset for skipped, _ in backlog.stale(10_000)] == [0, 1, 2]
    assert sorted(taken(backlog)) == [3, 4, 5]


def test_latest_keeps_one_frame_a_source() -> None:
    backlog = Backlog(LATEST)
    for offset in range(6):
        backlog.add(record("ab"[offset % 2], offset, timestamp_ms=10**15))
    assert sorted(skipped.offset for skipped, _ in backlog.stale(0)) == [0, 1, 2, 3]
    assert sorted(taken(backlog)) == [4, 5]


def test_it_is_full_by_bytes_or_by_records_and_takes_again_when_emptied() -> None:
    for backlog in (Backlog(ALL, max_bytes=100), Backlog(ALL, max_records=2)):
        full = [backlog.full]
        for offset in range(2):
            backlog.add(record("a", offset, size=50))
            full.append(backlog.full)
        backlog.take()
        full.append(backlog.full)
        assert full == [False, False, True, False]


def test_what_is_discarded_is_gone_and_the_rest_stays() -> None:
    backlog = Backlog(ALL)
    for offset in range(4):
        backlog.add(record("ab"[offset % 2], offset))
    backlog.discard(lambda found: found.offset < 2)
    assert len(backlog) == 2
    assert sorted(taken(backlog)) == [2, 3]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10_000)), max_size=60),
    st.sampled_from([ALL, LATEST, 0.5, 2.0, 100.0]),
    st.integers(0, 20_000),
)
def test_every_record_is_either_skipped_or_taken_and_the_newest_of_each_source_is_taken(
    frames: list[tuple[str, int]], max_age_s: float, now_ms: int
) -> None:
    backlog = Backlog(max_age_s)
    for offset, (source, at) in enumerate(frames):
        backlog.add(record(source, offset, at))
    skipped = {found.offset for found, _ in backlog.stale(now_ms)}
    kept = taken(backlog)
    assert sorted([*skipped, *kept]) == list(range(len(frames)))
    newest = {source: offset for offset, (source, _) in enumerate(frames)}
    assert set(newest.values()) <= set(kept)
    if max_age_s not in (inf, LATEST):
        assert all(frames[offset][1] < now_ms - max_age_s * 1000 for offset in skipped)
