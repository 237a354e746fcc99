"""``imagebus dlq replay``: dead letters sent again, for the one group that failed on them."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from math import inf

from imagebus import topics
from imagebus.bus import Bus, Place, Survey
from imagebus.captured import CapturedOptions
from imagebus.columns import age_s, clock, cut, size, span
from imagebus.commands.show import AnyTopic, check, edges_of, places_of
from imagebus.connection import Publishing
from imagebus.dead_letter import Letter, again, letter_of
from imagebus.errors import BrokerAwayError, BusError, ConfigurationError
from imagebus.log import say, warn
from imagebus.moment import within
from imagebus.options import Field, Positional, Text
from imagebus.record import Outgoing, Record
from imagebus.replayed import Replayed
from imagebus.start import Moment
from imagebus.text import printable

ABOUT = """\
Send the dead letters of one group again to the topic they came from: with their key, bytes, capture time and
headers, and a header imagebus.only-for that makes all other groups skip them. What was sent once is not sent
by a later call, but with --again. --from and --until are times of death.
"""
AT_ONCE = 20
"""So many are sent before it is kept that they were: a kill in between lets that many be sent twice."""
WAIT_S = 10.0
BATCH_BYTES, HEADER_BYTES = 100, 10
"""What Kafka adds to a record, and to each of its headers, at most."""


class ReplayOptions(CapturedOptions):
    """The options of ``imagebus dlq replay``."""

    topic: Positional[AnyTopic] = Field(description="topic that was read, or its TOPIC.DLQ")
    group: Text = Field(min_length=1, description="the group that failed, as `imagebus dlq list` names it")
    reason: str = Field("", description="only those with this reason")
    __annotations__["from"] = "Moment"
    vars()["from"] = Field(None, description="only what died at this time or later")
    until: Moment = Field(None, description="only what died before this time")
    again: bool = Field(False, description="also what was sent before")
    yes: bool = Field(False, description="do not ask")


class Chosen:
    """Which dead letters are to be sent, and which are not and why."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.sent_before = 0
        self.too_large: list[Letter] = []
        self.without_bytes = 0
        self.of_another_topic = 0
        self.of_group: list[tuple[int, int]] = []
        self.groups: Counter[str] = Counter()


def main(argv: Sequence[str]) -> int:
    """Send the letters; 1 where some were refused."""
    options = ReplayOptions.parse(argv, "imagebus dlq replay", ABOUT)
    bus = Bus(options.kafka, options.kafka_config)
    target = options.topic.removesuffix(topics.dead_letters_of(""))
    there = bus.topics()
    places = places_of(topics.dead_letters_of(target), there, options.kafka)
    if target not in there:
        raise BusError(f"there is no topic {target} on {options.kafka} to send them to")
    replayed = Replayed(bus, options.group, places[0][0])
    with bus.survey() as survey:
        chosen = _choose(survey, places, options, replayed, target, _limit(bus, target))
        check(survey)
        for line in _plan(chosen, options, target):
            say(line)
        if not chosen.letters:
            return 0
        _warn_of_what_expires(bus, chosen.letters, options.group, target)
        if not options.yes and not _agreed():
            say("nothing was sent")
            return 1
        return _send(bus, survey, chosen, replayed, options.group)


def _limit(bus: Bus, target: str) -> float:
    """Return how large a record the topic takes, infinite where we may not know."""
    try:
        return int(bus.settings_of(target)["max.message.bytes"])
    except (BusError, KeyError):
        return inf


def _choose(
    survey: Survey,
    places: list[Place],
    options: ReplayOptions,
    replayed: Replayed,
    target: str,
    limit: float,
) -> Chosen:
    chosen = Chosen()
    for record in survey.read(edges_of(survey, places), inf):
        letter = letter_of(record)
        chosen.groups[letter.group] += 1
        if letter.group != options.group:
            continue
        place = (letter.partition, letter.offset)
        chosen.of_group.append(place)
        if not _is_wanted(letter, options):
            continue
        if letter.topic != target:
            chosen.of_another_topic += 1
        elif place in replayed and not options.again:
            chosen.sent_before += 1
        elif letter.is_cut:
            chosen.without_bytes += 1
        elif _size_of(again(record, options.group)) > limit:
            chosen.too_large.append(letter)
        else:
            chosen.letters.append(letter)
    chosen.letters.sort(key=lambda letter: (letter.partition, letter.offset))
    replayed.know(chosen.of_group)
    return chosen


def _size_of(out: Outgoing) -> int:
    headers = sum(len(name) + len(value or b"") + HEADER_BYTES for name, value in out.headers)
    return len(out.key or b"") + out.size + headers + BATCH_BYTES


def _is_wanted(letter: Letter, options: ReplayOptions) -> bool:
    in_time = within((options.from_ms, options.until_ms), letter.died_ms)
    return in_time and options.reason in ("", letter.reason)


def _plan(chosen: Chosen, options: ReplayOptions, target: str) -> Iterator[str]:
    """Say what will be sent, and what not."""
    if not chosen.of_group:
        known = ", ".join(cut(group, 100) for group, _ in chosen.groups.most_common(5)) or "none at all"
        raise ConfigurationError(f"there are no dead letters of {options.group}, but of: {known}", "--group")
    letters = chosen.letters
    reasons = Counter(letter.reason for letter in letters).most_common(5)
    why = ", ".join(f"{count} {cut(reason, 20)}" for reason, count in reasons)
    total = size(sum(letter.size for letter in letters))
    what = f" ({why}; {total})" if letters else ""
    yield printable(f"{len(letters)} dead letters of {options.group} go to {target}{what}")
    if captured := [letter.captured_ms for letter in letters if letter.captured_ms >= 0]:
        yield f"  captured {clock(min(captured))} to {clock(max(captured))}"
    if chosen.sent_before:
        yield f"  {chosen.sent_before} were sent before and are left out (--again sends them too)"
    if chosen.too_large:
        largest = max(letter.size for letter in chosen.too_large)
        count = len(chosen.too_large)
        yield f"  {count} are larger than {target} takes (up to {size(largest)}): raise its max.message.bytes"
    if chosen.without_bytes:
        yield f"  {chosen.without_bytes} were too large as dead letters: their bytes are not there"
    if chosen.of_another_topic:
        yield f"  {chosen.of_another_topic} say that they are of another topic and are left out"


def _warn_of_what_expires(bus: Bus, letters: list[Letter], group: str, target: str) -> None:
    """Say what may come of letters that nobody reads soon."""
    try:
        members, kept_ms = bus.members(group), int(bus.settings_of(target).get("retention.ms", -1))
    except BusError as error:
        warn(f"whether {group} runs is not to be known: {error}")
        return
    oldest_s = max(age_s(letter.captured_ms) for letter in letters)
    if not members:
        warn(f"nobody of group {group} runs now: start it, or nobody processes these")
        if 0 <= kept_ms < oldest_s * 1000:
            kept = span(kept_ms / 1000)
            warn(f"{target} keeps frames for {kept} from their capture: the broker deletes these soon")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigurationError("there is no terminal to ask on: --yes sends them")
    try:
        return input("Send them? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _send(bus: Bus, survey: Survey, chosen: Chosen, replayed: Replayed, group: str) -> int:
    publisher = bus.publisher()
    sent = refused = 0
    for letters in _few_at_once(chosen.letters):
        with uninterrupted():
            few = Few(publisher, group)
            try:
                few.send(survey, replayed.topic, letters)
            finally:
                if few.sent:
                    replayed.add(letters[0].partition, few.sent)
        sent, refused = sent + len(few.sent), refused + few.refused
    say(f"{sent} were sent" + f", {refused} were refused" * bool(refused))
    return 1 if refused else 0


def _few_at_once(letters: list[Letter]) -> Iterator[list[Letter]]:
    for _, of_partition in groupby(letters, lambda letter: letter.partition):
        while few := list(islice(of_partition, AT_ONCE)):
            yield few


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done: what is sent is to be kept too.

    The client's callbacks also lose it, or turn it into something else.
    """
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


class Few:
    """Dead letters of one partition on their way; ``sent`` are the offsets of those that are safe."""

    def __init__(self, publisher: Publishing, group: str) -> None:
        self._publisher = publisher
        self._group = group
        self._failure: BusError | None = None
        self.sent: list[int] = []
        self.refused = 0

    def send(self, survey: Survey, topic: str, letters: list[Letter]) -> None:
        """Read them again, with their bytes, send them and wait until they are safe.

        Raises:
            BusError: the broker is away, or refuses for good.
        """
        wanted = {letter.offset for letter in letters}
        place = (topic, letters[0].partition)
        try:
            for record in survey.read({place: (min(wanted), max(wanted) + 1)}, inf):
                if record.offset in wanted:
                    self._hand_over(record)
        finally:
            waiting = self._publisher.flush(WAIT_S)
        self._publisher.poll()  # it says what was fatal
        if waiting:
            raise BrokerAwayError(f"{waiting} letters are not acknowledged: they may or may not be sent")
        if self._failure:
            raise self._failure

    def _hand_over(self, record: Record) -> None:
        out = again(record, self._group)

        def acknowledged(error: Exception | None) -> None:
            if error is None:
                self.sent.append(record.offset)
            elif isinstance(error, BusError):
                self._failure = error
            else:
                self.refused += 1
                warn(f"{record.topic}[{record.partition}]@{record.offset} is not sent: {error}")

        self._publisher.send(out, acknowledged)
