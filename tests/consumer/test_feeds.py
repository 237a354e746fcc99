from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest
from feeds import Feed, Feeds, source_of

from imagebus import codec
from imagebus.record import Record
from imagebus.testing import make_frame

OFFSETS = itertools.count()


def record(
    source: str | bytes | None, value: bytes | None = b"x", topic: str = "T", ago_s: float = 0
) -> Record:
    key = source.encode() if isinstance(source, str) else source
    return Record(topic, 0, next(OFFSETS), round(1000 * (time.time() - ago_s)), key, value)


def test_the_newest_record_of_each_feed_is_kept() -> None:
    feeds = Feeds()
    for value in (b"1", b"2"):
        feeds.put(record("a", value))
    feeds.put(record("a", b"3", topic="U"))
    kept = {feed: newest.value for feed in feeds.all() if (newest := feeds.newest(feed))}
    assert kept == {Feed("T", "a"): b"2", Feed("U", "a"): b"3"}


def test_whatever_part_of_a_record_is_large_counts() -> None:
    feeds = Feeds(max_bytes=1_000_000)
    for number in range(10):
        one = record(f"cam{number}")
        feeds.put(replace(one, headers=(("x", b"x" * 300_000),)))
    assert len(feeds.all()) == 3
    assert feeds.evicted == 7


def test_the_version_changes_with_the_list_and_not_with_every_picture() -> None:
    feeds = Feeds()
    feeds.put(record("a"))
    version = feeds.version
    feeds.put(record("a"))
    assert feeds.version == version
    feeds.put(record("b"))
    assert feeds.version != version


def test_the_longest_silent_feed_gives_way_to_a_new_one() -> None:
    feeds = Feeds(max_feeds=2)
    for source in ("a", "b", "a", "c"):
        feeds.put(record(source))
    assert [feed.source for feed in feeds.all()] == ["a", "c"]
    assert feeds.evicted == 1


def test_all_records_together_stay_below_a_bound() -> None:
    feeds = Feeds(max_bytes=1000)
    for source in ("a", "b", "c"):
        feeds.put(record(source, b"x" * 400))
    assert [feed.source for feed in feeds.all()] == ["b", "c"]
    feeds.put(record("c", b"x" * 1500))
    assert [feed.source for feed in feeds.all()] == ["c"]


def test_what_was_there_before_us_is_as_old_as_its_timestamp() -> None:
    feeds = Feeds()
    feeds.put(record("a", ago_s=100))
    old = feeds.newest(Feed("T", "a"))
    assert old is not None
    assert time.monotonic() - old.arrived > 99
    feeds.put(record("a", ago_s=100))  # late, but it has just come
    late = feeds.newest(Feed("T", "a"))
    assert late is not None
    assert time.monotonic() - late.arrived < 50


def test_a_record_that_is_read_twice_does_not_become_younger() -> None:
    feeds = Feeds()
    old = record("a", ago_s=100)
    feeds.put(old)
    feeds.put(old)
    newest = feeds.newest(Feed("T", "a"))
    assert newest is not None
    assert time.monotonic() - newest.arrived > 99


def test_a_timestamp_of_the_future_does_not_make_a_record_younger() -> None:
    feeds = Feeds()
    feeds.put(record("a", ago_s=-3600))
    newest = feeds.newest(Feed("T", "a"))
    assert newest is not None
    assert newest.arrived <= time.monotonic()


@pytest.mark.parametrize("key", [b"", b"\xff\xfe", b"a" * 257, ("é" * 129).encode()])
def test_a_key_that_is_no_source_name_is_counted_and_left_out(key: bytes) -> None:
    feeds = Feeds()
    assert feeds.put(record(key)) is None
    assert (feeds.nameless, feeds.all()) == (1, [])


def test_a_record_without_a_key_is_named_by_its_frame() -> None:
    assert source_of(record(None, codec.encode(make_frame(source="by frame")))) == "by frame"
    assert source_of(record(None, b"no frame")) is None


def test_a_tombstone_is_no_picture() -> None:
    feeds = Feeds()
    feeds.put(record("a", None))
    assert feeds.all() == []


def test_the_feeds_of_a_topic_that_is_gone_are_forgotten() -> None:
    feeds = Feeds()
    feeds.put(record("a"))
    feeds.put(record("a", topic="U"))
    feeds.keep_only({"U"})
    assert feeds.all() == [Feed("U", "a")]


@pytest.mark.parametrize("header", ["imagebus.only-for", "imagebus.again"])
def test_what_was_sent_again_of_dead_letters_is_not_shown_as_if_live(header: str) -> None:
    feeds = Feeds()
    feeds.put(record("a", b"live"))
    late = record("a", b"late")
    again = Record("T", 0, next(OFFSETS), late.timestamp_ms, late.key, late.value, ((header, b"x"),))
    assert feeds.put(again) is None
    newest = feeds.newest(Feed("T", "a"))
    assert newest is not None
    assert newest.value == b"live"
