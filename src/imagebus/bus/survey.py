"""Looks at many topics at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from imagebus.bus.availability import Availability
from imagebus.bus.client import (
    ANSWER_S,
    CONSUMING,
    NO_SUCH_TOPIC,
    NOT_LED_YET,
    REFUSED_FOR_GOOD,
    SPECS,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
    classified,
)
from imagebus.bus.ranges import Place, Ranges, read_ranges
from imagebus.errors import BrokerAwayError
from imagebus.record import Record

if TYPE_CHECKING:
    from imagebus.bus.bus import Bus


class Survey:
    """Looks at many topics at once, without a group and without commits. Use it as a context manager.

    Attributes:
        refused: why nothing, or not all, is to be had of a topic.
    """

    def __init__(self, bus: Bus) -> None:
        self.admin = bus.admin
        self._state = Availability(bus.kafka, has_group=False, quiet=True)  # errors tell
        settings = {"group.id": "imagebus.survey", "error_cb": self._state.error, "enable.auto.commit": False}
        # A fetch under way for what was read before must not keep the next one waiting.
        ours = {"fetch.wait.max.ms": 20, "enable.partition.eof": True, "auto.offset.reset": "earliest"}
        self._consumer = bus.client(Consumer, {**CONSUMING, **ours}, settings)
        self.refused: dict[str, str] = {}

    def __enter__(self) -> Survey:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def edges(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """Return of each place the oldest offset kept and the one that the next record gets.

        Raises:
            BrokerAwayError: no answer in time.
        """
        places = list(places)
        low, high = self._offsets(places, SPECS.earliest()), self._offsets(places, SPECS.latest())
        return {place: (low[place], high[place]) for place in places if place in low and place in high}

    def since(self, places: Iterable[Place], timestamp_ms: int) -> dict[Place, int]:
        """Return of each place the first offset captured at that time or later; the end where none is.

        Raises:
            BrokerAwayError: no answer in time.
        """
        found = self._offsets(places, SPECS.for_timestamp(max(0, timestamp_ms)))
        none = [place for place, offset in found.items() if offset < 0]
        return {**found, **self._offsets(none, SPECS.latest())}

    def _offsets(self, places: Iterable[Place], spec: Any) -> dict[Place, int]:
        asked = {TopicPartition(*place): spec for place in places}
        answers = self.admin.list_offsets(asked, request_timeout=ANSWER_S) if asked else {}
        found = {}
        for place, answer in answers.items():
            try:
                found[place.topic, place.partition] = int(answer.result().offset)
            except KafkaException as error:
                self._refuse(place.topic, error.args[0])
        return found

    def _refuse(self, topic: str, error: KafkaError) -> None:
        """Note that a topic cannot be read; raise where no topic can."""
        why = classified(error, topic)
        if isinstance(why, BrokerAwayError) and error.code() not in NOT_LED_YET:
            raise why
        self.refused[topic] = str(why)

    def read(self, ranges: Ranges, within_s: float = 60.0) -> Iterator[Record]:
        """Yield the records of [first, end) of each place, in order within each.

        What is not read in time is left out: so are places that may not be read, noted in ``refused``.

        Raises:
            BrokerAwayError: nothing came for some seconds.
        """
        yield from read_ranges(self._consumer, ranges, self._state, self._gives_up, ANSWER_S, within_s)

    def _gives_up(self, place: Place, error: KafkaError) -> bool:
        if error.code() not in REFUSED_FOR_GOOD | NO_SUCH_TOPIC:
            return False
        self.refused[place[0]] = f"{place[0]}: {error.str()}"
        return True

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()
