"""``imagebus topics``."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from imagebus.bus import Bus
from imagebus.commit import Commit
from imagebus.connection import Position
from imagebus.overview import rate_of
from tests.broker import Put, commit_as, fresh, make_topic, put
from tests.commands.conftest import TYPE, Command, hop, meta_sent, said, sent
from tests.conftest import IMAGEBUS


def views(imagebus: Command, *flags: str) -> dict[str, dict[str, Any]]:
    lines = said(imagebus("topics", "--json", *flags))
    return {view["topic"]: view for view in map(json.loads, lines)}


def test_a_topic_is_told_with_class_sources_frames_rate_age_lag_and_dead_letters(
    kafka: str, imagebus: Command
) -> None:
    topic, group = make_topic(kafka, fresh("SEEN"), 2), fresh("group")
    make_topic(kafka, f"{topic}.META", 2)
    make_topic(kafka, f"{topic}.DLQ")
    many = [(n, n % 2, (40 - n) / 10) for n in range(40)]  # 10 frames a second for 4 s
    frames = [sent(n, p, age, source=f"cam{p}") for n, p, age in many]
    put(kafka, topic, frames)
    put(kafka, f"{topic}.META", [meta_sent(n, p, age, source=f"cam{p}") for n, p, age in many])
    put(kafka, f"{topic}.DLQ", [Put(b"x")] * 3)
    commit_as(kafka, group, topic, {0: Position(15)})

    view = views(imagebus)[topic]

    assert (view["class"], view["carries"], view["partitions"]) == ("clear", "frames", 2)
    assert (view["sources"], view["frames"], view["dead_letters"]) == (["cam0", "cam1"], 40, 3)
    assert 3 < view["rate"] < 15
    assert view["newest_ms"] == max(one.timestamp_ms for one in frames)
    assert view["groups"] == [{"group": group, "topic": topic, "lag": 5, "done": False}]
    lines = said(imagebus("topics"))
    assert any(group in line and line.endswith("lag 5") for line in lines)


def test_a_topic_is_redacted_only_if_the_newest_record_of_every_partition_says_so(
    kafka: str, imagebus: Command
) -> None:
    redacted, mixed = make_topic(kafka, fresh("REDACTED"), 2), make_topic(kafka, fresh("MIXED"), 2)
    trail = [hop("producer"), hop("redaction"), hop("zones")]
    put(kafka, redacted, [sent(0, 0), sent(1, 0, trail=trail), sent(2, 1, trail=trail)])
    put(kafka, mixed, [sent(1, 0, trail=trail), sent(2, 1, trail=[hop("producer")])])
    strange = make_topic(kafka, fresh("STRANGE"))
    put(kafka, strange, [Put(b"no frame", headers=[TYPE])])
    empty = make_topic(kafka, fresh("EMPTY"))

    found = views(imagebus)

    classes = [found[topic]["class"] for topic in (redacted, mixed, strange, empty)]
    assert classes == ["redacted", "clear", "clear", None]


def test_meta_and_dead_letters_have_the_class_of_their_topic(kafka: str, imagebus: Command) -> None:
    clear, redacted = make_topic(kafka, fresh("CLEAR")), make_topic(kafka, fresh("REDACTED"))
    trail = [hop("redaction")]
    put(kafka, clear, [sent(trail=[hop("producer")])])
    put(kafka, redacted, [sent(trail=trail)])
    for topic in (clear, redacted):
        put(kafka, make_topic(kafka, f"{topic}.META"), [meta_sent(trail=trail)])
        put(kafka, make_topic(kafka, f"{topic}.DLQ"), [Put(b"what was that")])
        put(kafka, make_topic(kafka, f"{topic}.META.DLQ"), [sent(trail=trail)])

    found = views(imagebus, "--all")

    for topic, wanted in ((clear, "clear"), (redacted, "redacted")):
        for beside in (f"{topic}.META", f"{topic}.DLQ", f"{topic}.META.DLQ"):
            assert found[beside]["class"] == wanted, beside
        assert found[topic]["dead_letters"] == 2


def test_a_bounded_run_at_its_end_is_done_and_waits_for_nothing(kafka: str, imagebus: Command) -> None:
    topic, done, under_way = make_topic(kafka, fresh("BOUNDED")), fresh("done"), fresh("under-way")
    put(kafka, topic, [sent(n) for n in range(10)])
    bus = Bus(kafka)
    for group, offset in ((done, 6), (under_way, 2)):
        bus.set_positions(group, topic, {0: Commit(0, {"output": offset}, end=6).at(offset)})

    groups = {one["group"]: one for one in views(imagebus)[topic]["groups"]}

    assert (groups[done]["lag"], groups[done]["done"]) == (0, True)
    assert (groups[under_way]["lag"], groups[under_way]["done"]) == (4, False)
    text = "".join(said(imagebus("topics")))
    assert under_way in text
    assert done not in text
    assert "1 more groups (--all)" in text


def test_without_all_only_frames_are_told_of_and_what_is_hidden_is_counted(
    kafka: str, imagebus: Command
) -> None:
    topic, other = make_topic(kafka, fresh("SHOWN")), make_topic(kafka, fresh("OTHER"))
    put(kafka, topic, [sent()])
    put(kafka, other, [Put(b"something else")])
    put(kafka, make_topic(kafka, f"{topic}.META"), [meta_sent()])
    alone = make_topic(kafka, fresh("ALONE") + ".META")
    put(kafka, alone, [meta_sent()])

    result = imagebus("topics")

    names = [line.split()[0] for line in said(result)]
    assert topic in names
    assert alone in names  # a filter without pixels writes nothing else
    assert not {other, f"{topic}.META"} & set(names)
    assert "more topics" in result.stderr


def test_hostile_names_of_groups_and_sources_are_printable_and_no_line_is_long(
    kafka: str, imagebus: Command
) -> None:
    topic, evil = make_topic(kafka, fresh("A-TOPIC-WITH-A-RATHER-LONG-NAME-OF-ITS-OWN")), "\x1b[31mred\n"
    put(kafka, topic, [sent(source="\x1b[2J\u202ecam")])
    commit_as(kafka, evil + "x" * 200, topic, {0: Position(1)})

    for flags in ((), ("--json",), ("--all",)):
        result = imagebus("topics", *flags)
        text = "".join(said(result)) + result.stderr.replace("\n", "")
        assert text.isprintable(), flags
    lines = said(imagebus("topics"))
    assert all(len(line) <= 80 for line in lines)
    assert any("\\x1b[31mred" in line for line in lines)


def test_a_broker_that_is_away_is_one_line_and_exit_status_1(imagebus: Command) -> None:
    for words in (["topics"], ["show", "T"]):
        result = imagebus(*words, kafka="127.0.0.1:1")
        assert said(result, 1) == []
        assert result.stderr.count("\n") == 1
        assert "127.0.0.1:1" in result.stderr


def test_output_into_a_pipe_that_is_closed_ends_quietly(kafka: str) -> None:
    topic = make_topic(kafka, fresh("PIPED"))
    put(kafka, topic, [sent(n) for n in range(2000)])
    command = f"{IMAGEBUS} show {topic} --count 2000 --kafka {kafka} | head -n 1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)

    assert result.stdout.count("\n") == 1
    assert (result.stderr, result.returncode) == ("", 141)


def test_hundreds_of_partitions_are_looked_at_at_once(kafka: str, imagebus: Command) -> None:
    name = fresh("MANY")
    topics = [f"{name}-{n}" for n in range(60)]
    new = [NewTopic(topic, 6, 1) for topic in topics]
    admin = AdminClient({"bootstrap.servers": kafka})
    for made in admin.create_topics(new).values():
        made.result(60)
    for topic in topics[:5]:
        put(kafka, topic, [sent(n, n % 6, source=f"cam{n}") for n in range(12)])

    found = views(imagebus)  # within the minute that a command has

    assert all(found[topic]["frames"] == 12 for topic in topics[:5])
    assert all(found[topic]["carries"] == "empty" for topic in topics[5:])


@pytest.mark.parametrize(
    ("stamps", "rate"),
    [
        ([], 0.0),
        ([100_000 - n * 100 for n in range(200)], 10.0),
        ([100_000 - n * 100 for n in range(50)], 10.0),  # no more were read, or it has just begun
        ([80_000 - n * 100 for n in range(50)], 0.0),
        ([3_700_000 - n * 100 for n in range(200)], 10.0),  # a clock that is an hour ahead
    ],
)
def test_the_rate_of_a_source_goes_by_its_own_times(stamps: list[int], rate: float) -> None:
    assert rate_of(stamps, 100_000) == pytest.approx(rate, rel=0.1)
