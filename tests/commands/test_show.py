"""``imagebus show``."""

from __future__ import annotations

import itertools
import json
import random
import signal
import time
from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path

from imagebus.bus import Bus, Place, Survey
from imagebus.commands.show import _followed
from imagebus.errors import BrokerAwayError
from imagebus.in_order import in_order
from imagebus.record import Record
from tests.broker import PICTURE, Put, fresh, make_topic, picture, put, transaction
from tests.commands.conftest import TYPE, Command, hop, meta_sent, said, sent
from tests.conftest import IMAGEBUS
from tests.programs import Program

PERSON = {"label": "person", "confidence": 0.9, "box": [1, 2, 3, 4]}


def test_a_line_tells_time_source_sequence_size_detections_and_stages(kafka: str, imagebus: Command) -> None:
    topic = make_topic(kafka, fresh("LINE"))
    put(kafka, topic, [sent(7, source="door", detections=[PERSON, PERSON], trail=[hop("a"), hop("b")])])

    [line] = said(imagebus("show", topic))

    assert f"door #7  64x48 {len(PICTURE)} B  2 person  a > b" in line
    assert line.startswith(time.strftime("%Y-"))


def test_the_newest_ten_come_in_order_of_time_from_all_partitions(kafka: str, imagebus: Command) -> None:
    topic = make_topic(kafka, fresh("NEWEST"), 3)
    put(kafka, topic, [sent(n, n % 3 if n < 25 else 0, age_s=(30 - n)) for n in range(30)])

    lines = said(imagebus("show", topic))
    assert [line.split("#")[1].split()[0] for line in lines] == [str(n) for n in range(20, 30)]
    lines = said(imagebus("show", topic, "--count", 2, "--json"))
    assert [json.loads(line)["sequence"] for line in lines] == [28, 29]


def test_from_and_until_are_exact_and_merge_the_partitions_by_time(kafka: str, imagebus: Command) -> None:
    topic = make_topic(kafka, fresh("RANGE"), 4)
    began_ms = time.time_ns() // 1_000_000 - 60_000
    numbers = list(range(3000))
    puts = [sent(n, n % 4, captured_ns=(began_ms + 10 * n) * 1_000_000) for n in numbers]
    put(kafka, topic, puts)

    flags = ("--from", began_ms + 10_000, "--until", began_ms + 20_000, "--json")
    found = [json.loads(line)["sequence"] for line in said(imagebus("show", topic, *flags))]
    assert found == numbers[1000:2000]
    flags = ("--from", began_ms + 10_000, "--count", 3, "--json")
    found = [json.loads(line)["sequence"] for line in said(imagebus("show", topic, *flags))]
    assert found == [1000, 1001, 1002]


def test_the_newest_are_as_many_as_asked_for_also_where_the_log_has_gaps(
    kafka: str, imagebus: Command
) -> None:
    topic = make_topic(kafka, fresh("GAPS"), 2)
    put(kafka, topic, [sent(n, 1, age_s=30) for n in range(3)])
    for n in range(3, 9):  # every frame is followed by an offset without a record
        transaction(kafka, topic, [sent(n, 0, age_s=20)], commit=True)
    for n in range(9, 21):
        transaction(kafka, topic, [sent(n, 0)], commit=False)

    for count in (1, 3, 6, 8):
        lines = said(imagebus("show", topic, "--count", count, "--json"))
        assert [json.loads(line)["sequence"] for line in lines] == list(range(9 - count, 9))


def test_a_camera_whose_clock_is_ahead_hides_no_frame_of_the_range(kafka: str, imagebus: Command) -> None:
    topic = make_topic(kafka, fresh("AHEAD"))
    now_ms = time.time_ns() // 1_000_000
    ahead = sent(99, age_s=-3600 * 14, source="ahead")
    put(kafka, topic, [ahead, *(sent(n, age_s=60 - 10 * n) for n in range(5))])

    flags = ("--from", now_ms - 70_000, "--until", now_ms - 35_000, "--json")
    assert [json.loads(line)["sequence"] for line in said(imagebus("show", topic, *flags))] == [0, 1, 2]


def test_a_range_is_read_until_no_more_of_it_is_expected(kafka: str) -> None:
    topic = make_topic(kafka, fresh("ENDING"))
    now_ms = time.time_ns() // 1_000_000
    minutes = [0, 1, 2, 8, 1, 9, 19, *[30] * 20, 1]  # the last comes too late, by the camera's own clock
    put(kafka, topic, [sent(n, captured_ns=(now_ms + m * 60_000) * 10**6) for n, m in enumerate(minutes)])

    with Bus(kafka).survey() as survey:
        edges = {(topic, 0): 0}, {(topic, 0): len(minutes)}
        found = [record.offset for record in in_order(survey, *edges, 8, now_ms + 5 * 60_000)]
    assert {0, 1, 2, 4} <= set(found) <= set(range(20))


class Slow(Survey):
    """A link on which a time to read within is never enough."""

    def read(self, ranges: Mapping[Place, tuple[int, int]], within_s: float = 60.0) -> Iterator[Record]:
        return super().read(ranges, within_s if within_s == inf else 0.0)


def test_a_slow_link_leaves_no_frame_out(kafka: str) -> None:
    topic = make_topic(kafka, fresh("SLOW"))
    put(kafka, topic, [sent(n) for n in range(20)])
    with Slow(Bus(kafka)) as survey:
        begin, end = {(topic, 0): 0}, {(topic, 0): 20}
        assert [record.offset for record in in_order(survey, begin, end, 7)] == list(range(20))
        followed = itertools.islice(_followed(survey, begin, 7), 20)
        assert [record.offset for record in followed] == list(range(20))


class Breaking(Survey):
    """A survey whose broker goes away, once, in the middle of a piece."""

    broke = False

    def read(self, ranges: Mapping[Place, tuple[int, int]], within_s: float = 60.0) -> Iterator[Record]:
        for number, record in enumerate(super().read(ranges, within_s)):
            if number == 3 and not self.broke:
                self.broke = True
                raise BrokerAwayError("away")
            yield record


def test_follow_shows_no_frame_twice_after_an_outage(kafka: str) -> None:
    topic = make_topic(kafka, fresh("OUTAGE"))
    put(kafka, topic, [sent(n) for n in range(20)])
    survey = Breaking(Bus(kafka))
    with survey:
        followed = itertools.islice(_followed(survey, {(topic, 0): 0}, 8), 20)
        assert [record.offset for record in followed] == list(range(20))
        assert survey.broke


def test_clocks_that_are_wrong_cost_order_but_neither_records_nor_memory(kafka: str) -> None:
    topic = make_topic(kafka, fresh("CLOCKS"), 2)
    now_ms = time.time_ns() // 1_000_000
    chance = random.Random(4)
    ahead = sent(9999, 0, captured_ns=(now_ms + 3_000_000) * 1_000_000)
    rest = [sent(n, n % 2, captured_ns=(now_ms - chance.randrange(50_000)) * 1_000_000) for n in range(900)]
    put(kafka, topic, [ahead, *rest])

    with Bus(kafka).survey() as survey:
        edges = survey.edges([(topic, 0), (topic, 1)])
        begin = {place: low for place, (low, _) in edges.items()}
        end = {place: high for place, (_, high) in edges.items()}
        found = [(r.partition, r.offset) for r in in_order(survey, begin, end, 50)]

    assert sorted(found) == sorted((p, o) for (_, p), (low, high) in edges.items() for o in range(low, high))
    assert len(found) == 901


def test_undecodable_records_are_shown_as_such_and_end_nothing(kafka: str, imagebus: Command) -> None:
    topic = make_topic(kafka, fresh("BROKEN"))
    deep = b"\x81\xa1a" * 5000
    evil = [Put(deep, b"\x1b[31mevil\xff", headers=[TYPE]), Put(None), Put(b"\xc1", headers=[("h", None)])]
    put(kafka, topic, [sent(1, age_s=9), *evil, sent(2, age_s=-9, source="a\x1b[2J\u202e\nb")])

    result = imagebus("show", topic)

    lines = said(result)
    assert len(lines) == 5
    assert sum("no frame" in line for line in lines) == 3
    assert all(line.isprintable() and len(line) < 400 for line in lines)
    assert all(json.loads(line)["problem"] for line in said(imagebus("show", topic, "--json"))[1:4])


def test_meta_is_read_where_no_picture_is_needed(kafka: str, imagebus: Command, tmp_path: Path) -> None:
    topic = make_topic(kafka, fresh("BESIDE"))
    meta = make_topic(kafka, f"{topic}.META")
    put(kafka, topic, [sent(1), sent(2)])
    put(kafka, meta, [meta_sent(1), meta_sent(2)])

    for flags in ((), ("--meta",)):
        found = [json.loads(line) for line in said(imagebus("show", topic, "--json", *flags))]
        assert [(one["topic"], one["sequence"]) for one in found] == [(meta, 1), (meta, 2)]
    found = [json.loads(line) for line in said(imagebus("show", topic, "--json", "--save", tmp_path))]
    assert [one["topic"] for one in found] == [topic, topic]
    alone = make_topic(kafka, fresh("ALONE") + ".META")
    put(kafka, alone, [meta_sent(5)])
    [line] = said(imagebus("show", alone.removesuffix(".META")))
    assert "#5" in line


def test_save_writes_each_picture_under_a_name_that_cannot_leave_the_folder(
    kafka: str, imagebus: Command, tmp_path: Path
) -> None:
    topic = make_topic(kafka, fresh("SAVED"))
    sources = ["../../evil", "/etc/passwd", "..", "CON", "a" * 250, "Öl \x00\n\u202e", "cam", "cam", "CAM"]
    same_ns = time.time_ns()
    frames = [sent(1, source=source, captured_ns=same_ns) for source in sources]
    put(kafka, topic, [*frames, Put(b"\x00broken", b"../x")])
    folder = tmp_path / "a" / "saved"

    said(imagebus("show", topic, "--save", folder))

    files = sorted(folder.iterdir())
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == files
    pictures = [path for path in files if path.suffix == ".jpg"]
    assert len(pictures) == len({path.name.lower() for path in pictures}) == len(sources)
    assert all(path.read_bytes() == PICTURE and len(path.name) < 160 for path in pictures)
    beside = [json.loads(path.with_suffix(".json").read_text()) for path in pictures]
    assert sorted(one["source"] for one in beside) == sorted(sources)
    [broken] = [path for path in files if path.suffix == ".bin"]
    assert broken.read_bytes() == b"\x00broken"


def test_save_never_overwrites_and_writes_the_same_picture_once(
    kafka: str, imagebus: Command, tmp_path: Path
) -> None:
    first, second = make_topic(kafka, fresh("FIRST")), make_topic(kafka, fresh("SECOND"))
    same_ns = time.time_ns()
    put(kafka, first, [sent(1, captured_ns=same_ns)])
    put(kafka, second, [sent(1, captured_ns=same_ns, image=picture(shade=7))])
    for topic in (first, first, second, second):
        said(imagebus("show", topic, "--save", tmp_path))

    pictures = sorted(tmp_path.glob("*.jpg"))
    assert {path.read_bytes() for path in pictures} == {PICTURE, picture(shade=7)}
    assert len(pictures) == 2
    target = tmp_path / "elsewhere"
    for path in pictures:
        path.unlink()
        path.symlink_to(target)
    said(imagebus("show", first, "--save", tmp_path))
    assert not target.exists()


def test_follow_shows_what_comes_and_ends_quietly_at_ctrl_c(
    kafka: str, imagebus: Command, tmp_path: Path
) -> None:
    topic = make_topic(kafka, fresh("FOLLOW"), 2)
    put(kafka, topic, [sent(1)])
    program = Program(tmp_path / "p", IMAGEBUS, "show", topic, "--follow", "--json", "--kafka", kafka)
    deadline = time.monotonic() + 60
    n = 1
    while program.out.count(b"\n") < 3:
        assert program.alive, program.err
        assert time.monotonic() < deadline
        n += 1
        put(kafka, topic, [sent(n, n % 2)])
        time.sleep(0.2)

    assert program.ends(signal.SIGINT) == 130
    found = [json.loads(line)["sequence"] for line in program.out.splitlines()]
    assert found == list(range(found[0], found[0] + len(found)))
    assert found[0] > 1
    assert program.err == b""


def test_no_such_topic_and_no_such_name_are_one_line(imagebus: Command) -> None:
    result = imagebus("show", "NOT-THERE")
    assert said(result, 1) == []
    assert result.stderr.startswith("imagebus: there is no topic NOT-THERE on ")
    assert said(imagebus("show", "no/name"), 2) == []
    assert said(imagebus("show", "T", "--from", "yesterday"), 2) == []


def test_a_folder_that_cannot_be_written_is_one_line(kafka: str, imagebus: Command) -> None:
    topic = make_topic(kafka, fresh("FULL"))
    put(kafka, topic, [sent(1)])
    result = imagebus("show", topic, "--save", "/dev/null/x")
    assert said(result, 1) == []
    assert "--save /dev/null/x" in result.stderr
