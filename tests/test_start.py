"""The flags that take times: what they accept, and how they refuse."""

from __future__ import annotations

import json
import time
from math import inf

import pytest

from imagebus import ConfigurationError, Field, FilterOptions
from imagebus.start import Plan
from imagebus.topics import Topic

NEW_YEAR_MS = 1_767_225_600_000


class Options(FilterOptions):
    topic: Topic = Field("OUT")
    name: str = Field("stage")


def ago_ms(found: object) -> float:
    assert isinstance(found, int)
    return time.time_ns() / 1e6 - found


@pytest.mark.parametrize("words", [["-5m"], ["2026-01-01T00:00:00Z"], ["1767225600000"]])
@pytest.mark.parametrize("flag", ["start", "from", "until"])
def test_every_flag_for_a_time_takes_it_as_two_words_as_one_and_as_a_variable(
    flag: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = NEW_YEAR_MS if words != ["-5m"] else None
    found = [
        getattr(Options.parse([f"--{flag}", *words]), flag),
        getattr(Options.parse([f"--{flag}={words[0]}"]), flag),
    ]
    monkeypatch.setenv(f"IMAGEBUS_{flag.upper()}", words[0])
    found.append(getattr(Options.parse([]), flag))
    for one in found:
        assert one == wanted if wanted else 300_000 <= ago_ms(one) < 310_000


def test_two_moments_ago_follow_each_other() -> None:
    options = Options.parse(["--from", "-1h", "--until", "-5m", "--name", "x"])
    assert options.from_ms is not None
    assert options.until_ms is not None
    assert 3_299_000 <= options.until_ms - options.from_ms <= 3_300_100
    assert options.name == "x"


@pytest.mark.parametrize("flag", ["start", "from", "until"])
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("yesterday", "a time like .* is wanted, not 'yesterday'"),
        ("1969-12-31T23:59:59.999Z", "a time from 1970 to 9999 is wanted, not '1969-12-31T23:59:59.999Z'"),
        ("-1000000d", "a time from 1970 to 9999 is wanted, not '-1000000d'"),
        ("2100-01-01T00:00Z", "2100-01-01"),
    ],
)
def test_a_wrong_time_is_named_with_its_flag_in_one_line(flag: str, value: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^--{flag}: .*{fault}") as caught:
        Options.parse([f"--{flag}", value])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--until", "2100-01-01T00:00Z"], "--until: 2100-01-01T.* lies ahead"),
        (["--from", "2100-01-01T00:00Z"], "--from: 2100-01-01T.* lies ahead"),
        (["--start", "2100-01-01T00:00Z"], "--start: .* a time that is past is wanted, not '2100"),
        (["--from", "-5m", "--until", "-10m"], r"--from: \S+ is not before --until, \S+$"),
        (["--from", "2026-01-01T00:00Z", "--until", "2026-01-01T00:00Z"], "--from: .* is not before --until"),
        (["--run", "night"], "--run night names a bounded run: give --from or --until too"),
        (["--run", "live", "--from", "-5m"], "--run is a name of at most 256 bytes other than live"),
        (["--run", "x" * 257, "--from", "-5m"], "--run is a name of at most 256 bytes"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(flags: list[str], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault) as caught:
        Options.parse(flags)
    assert "\n" not in str(caught.value)


def test_a_bounded_run_skips_nothing_unless_it_was_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Options.parse([]).max_age_s == 2
    assert Options.parse(["--from", "-5m"]).max_age_s == inf
    assert Options.parse(["--until", "-5m"]).max_age_s == inf
    assert Options.parse(["--from", "-5m", "--freshness", "3"]).max_age_s == 3
    monkeypatch.setenv("IMAGEBUS_FRESHNESS", "4")
    assert Options.parse(["--from", "-5m"]).max_age_s == 4


def test_every_run_has_a_group_of_its_own_and_a_name_that_was_not_given_tells_the_time() -> None:
    assert (
        Options.parse(["--from", "-5m", "--run", "a b"]).group_id == "imagebus.stage.SOURCE_FRAME.OUT.a%20b"
    )
    own = Options.parse(["--from", "-5m", "--run", "r", "--group", "mine"])
    assert own.group_id == "mine.r", "a live filter of that group goes on where it is"
    unnamed = Options.parse(["--from", "-5m"])
    assert unnamed.run_name.startswith(time.strftime("replay-%Y%m%dT", time.gmtime()))
    assert unnamed.group_id.endswith(unnamed.run_name)
    assert Options.parse([]).run_name == "live"


class Log:
    """Ten records, one a minute from NEW_YEAR_MS on; offsets begin at 100."""

    id = "log"

    def edges(self, partition: int) -> tuple[int, int]:
        return 100, 110

    def at(self, partition: int, timestamp_ms: int) -> int:
        return next((100 + n for n in range(10) if NEW_YEAR_MS + n * 60_000 >= timestamp_ms), 110)


@pytest.mark.parametrize(
    ("plan", "begin", "end"),
    [
        (Plan("latest"), 110, None),
        (Plan("earliest"), 100, None),
        (Plan(NEW_YEAR_MS + 60_000), 101, None),
        (Plan(NEW_YEAR_MS + 60_001, bounded=True), 102, 110),
        (Plan("earliest", bounded=True), 100, 110),
        (Plan(NEW_YEAR_MS + 600_000, bounded=True), 110, 110),
    ],
)
def test_a_plan_says_where_to_begin_and_to_end(plan: Plan, begin: int, end: int | None) -> None:
    position = plan(Log(), 0)
    assert position.offset == begin
    carried = json.loads(position.metadata)
    assert (carried["from"], carried.get("end"), carried["log"]) == (begin, end, "log")
