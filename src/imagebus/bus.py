"""The bus: the one module that knows confluent-kafka.

Everything else speaks of records, positions and acknowledgements, so that the client can be replaced here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it exports them without saying so
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from imagebus import commit, properties, topics
from imagebus.connection import Acknowledged, Assigned, Listener, Position, Start
from imagebus.errors import BrokerAwayError, BusError, ConfigurationError, FrameError, TopicGoneError
from imagebus.log import warn
from imagebus.record import Headers, Record
from imagebus.topics import MAX_MESSAGE_BYTES, SETTINGS

ANSWER_S = 5.0
LAST_ANSWER_S = 2.0
LEAVE_S = 3.0
LATE_NEWS_S = 2.0
COMMIT_AGAIN_S = 0.25
NEWS_S = 0.05
WATCH_EVERY_S = 2.0
REFUSED_RECORD = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.INVALID_RECORD,
}
NOT_LED_YET = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}
"""A topic that was made a moment ago, or whose broker has just gone, has a leader soon."""
NOT_COORDINATED_YET = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}
"""A broker that has just started knows its groups soon."""
NO_SUCH_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
REFUSED_FOR_GOOD = {
    KafkaError._AUTHENTICATION,
    KafkaError._FATAL,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
GROUP_SETTLES = {KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS}
COMMON = {
    "socket.nagle.disable": True,
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1000,
    "topic.metadata.refresh.interval.ms": 10_000,
    # What is sent to a topic that is gone comes back so soon, to be sent again once it is made anew.
    "topic.metadata.propagation.max.ms": 5000,
    "enable.metrics.push": False,
    "log_level": 2,
    "message.max.bytes": MAX_MESSAGE_BYTES,
}
PRODUCING = {"linger.ms": 0, "partitioner": "murmur2_random", "queue.buffering.max.kbytes": 256 * 1024}
CONSUMING = {
    "fetch.min.bytes": 1,
    "queued.max.messages.kbytes": 16 * 1024,
    # Whenever so much is there, the client fetches nothing for that long; its second is 16 MB/s.
    "fetch.queue.backoff.ms": 20,
    # Members learn by their heartbeat that somebody joins or leaves; until all know, nobody can commit.
    "heartbeat.interval.ms": 1000,
    # A member that was killed keeps its partitions so long; the default of 45 s is long without pictures.
    "session.timeout.ms": 10_000,
}
SHARED_BYTES = 16 * 1024
"""As many bytes of records share a request. The broker refuses whole ones: what is refused so, is sent again
by itself, or one bad record would make dead letters of its neighbours."""
SAFE_PRODUCING = {
    "acks": "all",
    "enable.idempotence": True,
    "message.timeout.ms": 0,
    # A picture goes alone; small records, such as META, share a request, which spares the broker much.
    "batch.size": SHARED_BYTES,
}
"""What delivery relies on: no properties file may change it."""
SAFE_CONSUMING = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "partition.assignment.strategy": "cooperative-sticky",
}


class Bus:
    """A broker's address and the properties to reach it with.

    Args:
        kafka: HOST:PORT, several comma-separated.
        config_file: librdkafka properties, one ``key=value`` a line; ``IMAGEBUS_KAFKA_SASL_PASSWORD`` and its
            kin (``SASL_``, ``SSL_``, ``SECURITY_``) go above it.

    Raises:
        ConfigurationError: the file cannot be read, or librdkafka refuses a property.
    """

    def __init__(self, kafka: str = "localhost:9092", config_file: Path | None = None) -> None:
        self.kafka = kafka
        self._properties = {
            **properties.from_file(config_file),
            **properties.from_environment(),
            "bootstrap.servers": kafka,
        }
        self._admin = self._client(AdminClient, {})
        self._state = Availability(kafka)  # one for all, so that an outage is told of once

    def _client(self, kind: Any, settings: Mapping[str, Any], kafka: Mapping[str, Any] | None = None) -> Any:
        """Make a client: our defaults, under the user's properties, under what we rely on."""
        config = {**COMMON, **settings, **self._properties, **(kafka or {})}
        try:
            return kind(config)
        except KafkaException as error:
            raise ConfigurationError(error.args[0].str(), "--kafka-config") from error

    @property
    def away(self) -> bool:
        """Return whether the broker is known not to answer now."""
        return self._state.away

    def topics(self) -> dict[str, int]:
        """Return every topic but Kafka's own, with its number of partitions.

        Raises:
            BrokerAwayError: no answer within five seconds.
        """
        try:
            found = self._admin.list_topics(timeout=ANSWER_S).topics
        except KafkaException as error:
            raise _classified(error.args[0], f"the broker at {self.kafka} does not answer") from error
        return {name: len(topic.partitions) for name, topic in found.items() if not name.startswith("__")}

    def ensure_topic(self, topic: str, settings: Mapping[str, str] = SETTINGS, partitions: int = -1) -> None:
        """Make the topic with these settings, or report what is unfit about it as it is.

        Args:
            partitions: how many; the broker's own number where -1.

        Raises:
            BrokerAwayError: no answer in time.
            BusError: the topic is missing and may not be made here; says which settings it needs.
            ConfigurationError: Kafka refuses the name.
        """
        there = self.topics().get(topic)
        if there is not None:
            self._report_unfit(topic, settings, partitions, there)
            return
        new = NewTopic(topic, partitions, -1, config=dict(settings))
        try:
            self._admin.create_topics([new], request_timeout=ANSWER_S)[topic].result()
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return
            if reason.code() == KafkaError.TOPIC_EXCEPTION:
                raise ConfigurationError(f"topic {topic}: {reason.str()}", "--topic") from error
            wanted = " ".join(f"{key}={value}" for key, value in settings.items())
            raise _classified(
                reason, f"topic {topic} does not exist and cannot be made (make it with: {wanted})"
            ) from error

    def _report_unfit(self, topic: str, wanted: Mapping[str, str], partitions: int, there: int) -> None:
        if partitions not in (-1, there):
            warn(f"topic {topic} has {there} partitions, not the {partitions} asked for; it is used as it is")
        try:
            found = self.settings_of(topic)
        except BusError:
            return  # no right to look: the first frame that is too large will say so
        for line in topics.unfit(topic, wanted, found):
            warn(line)

    def settings_of(self, topic: str) -> dict[str, str]:
        """Return the topic's settings.

        Raises:
            BusError: they are not to be seen by us.
        """
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            found = self._admin.describe_configs([resource], request_timeout=ANSWER_S)[resource].result()
        except KafkaException as error:
            raise _classified(error.args[0], f"settings of {topic}") from error
        return {name: entry.value for name, entry in found.items()}

    def log_id(self, topic: str) -> str:
        """Return the id of the topic's log, empty where this broker does not tell.

        Raises:
            BrokerAwayError: no answer in time.
            BusError: there is no such topic, or it is not to be seen by us.
        """
        try:
            return _id(self._describe(topic).result())
        except KafkaException as error:
            raise _classified(error.args[0], f"topic {topic}") from error

    def _describe(self, topic: str) -> Future[Any]:
        found: Future[Any] = self._admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_S)[
            topic
        ]
        return found

    def groups(self) -> list[str]:
        """Return the name of every consumer group, alive or not.

        Raises:
            BusError: no answer in time, or no right to ask.
        """
        try:
            found = self._admin.list_consumer_groups(request_timeout=ANSWER_S).result()
        except KafkaException as error:
            raise _classified(error.args[0], "listing the groups") from error
        return sorted(group.group_id for group in found.valid)

    def positions(self, group: str) -> dict[str, dict[int, Position]]:
        """Return all that a group has committed, by topic and partition, without joining it.

        Raises:
            BusError: no answer in time, or no right to ask.
        """
        # First, for librdkafka 2.16 ends the whole process if what follows meets a broker not ready for it.
        self.members(group)
        asked = [ConsumerGroupTopicPartitions(group)]
        try:
            answer = self._admin.list_consumer_group_offsets(asked, request_timeout=ANSWER_S)[group].result()
        except KafkaException as error:
            raise _classified(error.args[0], f"positions of group {group}") from error
        found: dict[str, dict[int, Position]] = {}
        for place in answer.topic_partitions:
            if place.error is None and place.offset >= 0:
                position = Position(place.offset, place.metadata or "")
                found.setdefault(place.topic, {})[place.partition] = position
        return found

    def set_positions(self, group: str, topic: str, positions: Mapping[int, Position]) -> None:
        """Commit for a group that nobody is a member of.

        Raises:
            BusError: no answer in time, no right to, or the group has members.
        """
        places = [TopicPartition(topic, p, at.offset, at.metadata) for p, at in positions.items()]
        settings = {**SAFE_CONSUMING, "group.id": group, "error_cb": self._state.error}
        consumer = self._client(Consumer, CONSUMING, settings)
        try:
            consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            raise _classified(error.args[0], f"committing {topic} for group {group}") from error
        finally:
            consumer.close()

    def members(self, group: str) -> int:
        """Return how many members a group has now; none where there is no such group.

        Raises:
            BusError: no answer in time, or no right to ask.
        """
        give_up = time.monotonic() + ANSWER_S
        while True:
            try:
                asked = self._admin.describe_consumer_groups([group], request_timeout=ANSWER_S)
                return len(asked[group].result().members)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                    return 0
                if error.args[0].code() not in NOT_COORDINATED_YET or time.monotonic() > give_up:
                    raise _classified(error.args[0], f"group {group}") from error
            time.sleep(0.1)

    def publisher(self) -> Publisher:
        """Return a new publisher; it connects by itself and waits as long as the broker is away."""
        settings = {**SAFE_PRODUCING, "error_cb": self._state.error}
        singly = {**settings, "batch.num.messages": 1}
        return Publisher(
            self._client(Producer, PRODUCING, settings),
            self._state,
            lambda: self._client(Producer, PRODUCING, singly),
        )

    def subscriber(
        self, topic: str, group: str, start: Start, listener: Listener, *, bounded: bool = False
    ) -> Subscriber:
        """Return a new member of the group, which reads its share of the topic's partitions."""
        watch = LogWatch(lambda: self._describe(topic))
        settings = {**CONSUMING, **self._properties}
        session_s = float(str(settings["session.timeout.ms"])) / 1000
        subscriber = Subscriber(topic, start, listener, self._state, self.log_id, watch, session_s)
        consumer = self._client(
            Consumer,
            CONSUMING,
            {
                **SAFE_CONSUMING,
                "enable.partition.eof": bounded,
                "group.id": group,
                "error_cb": self._state.error,
                "on_commit": subscriber._on_commit,
            },
        )
        subscriber._begin(consumer)
        return subscriber

    def log(self, topic: str) -> LogReader:
        """Return a reader of any range of a topic, without a group."""
        return LogReader(self, topic)

    def survey(self) -> Survey:
        """Return a reader of any ranges of any topics, without a group."""
        return Survey(self)

    def tail(self) -> Tail:
        """Return a reader without a group, for those who only look."""
        return Tail(self)


class Availability:
    """Tells, once each way, that the broker went away and that it is back; keeps what is fatal."""

    def __init__(self, kafka: str, *, has_group: bool = True, quiet: bool = False) -> None:
        self._kafka = kafka
        self._harmless = set() if has_group else {KafkaError.GROUP_AUTHORIZATION_FAILED}
        self._say: Callable[[str], None] = (lambda _line: None) if quiet else warn
        self._fatal: BusError | None = None
        self._changed = 0.0
        self.away = False

    def error(self, error: KafkaError) -> None:
        """Take librdkafka's word on the connection."""
        if error.code() in self._harmless:
            return  # the client asks for the group that it must name, also where nothing is done with it
        if error.fatal() or error.code() in REFUSED_FOR_GOOD:
            self._fatal = BusError(f"the broker at {self._kafka} refuses: {error.str()}")
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and not self.away and self._is_news():
            self.away, self._changed = True, time.monotonic()
            self._say(f"the broker at {self._kafka} is away; waiting for it")

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Take note of what is fatal and comes as an exception of the client, not as its word."""
        try:
            yield
        except (KafkaException, SystemError) as error:
            why = error if isinstance(error, KafkaException) else error.__cause__
            if not isinstance(why, KafkaException):
                raise
            self._fatal = self._fatal or BusError(f"the broker at {self._kafka} refuses: {why.args[0].str()}")

    def answered(self) -> None:
        """Note that the broker did something for us."""
        if self.away and self._is_news():
            self.away, self._changed = False, time.monotonic()
            self._say(f"the broker at {self._kafka} is back")

    def _is_news(self) -> bool:
        """Whether this is no late word of the last change: each of our clients learns of it by itself."""
        return time.monotonic() > self._changed + LATE_NEWS_S

    def check(self) -> None:
        """Raise what will not mend by waiting."""
        if self._fatal:
            raise self._fatal


class Publisher:
    """Sends records and tells of each whether it is safe.

    Args:
        make_singly: makes a client that sends each record in a request of its own.
    """

    def __init__(self, producer: Any, state: Availability, make_singly: Callable[[], Any]) -> None:
        self._producer = producer
        self._state = state
        self._make_singly = make_singly
        self._singly: Any = None

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        timestamp_ms: int,
        headers: Headers,
        acknowledged: Acknowledged,
    ) -> None:
        """Hand a record over; ``acknowledged`` is called from a later ``poll`` or ``flush``."""
        shares = len(value or b"") < SHARED_BYTES

        def report(error: KafkaError | None, message: Message) -> None:
            nonlocal shares
            if error is None and message.offset() is None:
                # The broker called it a duplicate. On a new partition that is no proof: when the first of
                # several requests comes too early, the later ones are taken and its repetition is not.
                hand_over(self._producer)
                return
            if error is None or error.code() > 0:  # below are the client's own words
                self._state.answered()
            if shares and error is not None and error.code() in REFUSED_RECORD:
                # The broker takes all of a batch or none, and does not say which record is at fault.
                shares = False
                self._singly = self._singly or self._make_singly()
                hand_over(self._singly)
                return
            acknowledged(_delivery_error(error, topic))

        def hand_over(producer: Any) -> None:
            while True:
                try:
                    producer.produce(
                        topic, value, key, timestamp=timestamp_ms, headers=list(headers), on_delivery=report
                    )
                except BufferError:  # the client's own buffer is full: the broker is slow or away
                    self.poll(0.1)
                except KafkaException as error:
                    acknowledged(_delivery_error(error.args[0], topic))
                    return
                else:
                    return

        hand_over(self._producer)

    def poll(self, timeout_s: float = 0.0) -> None:
        """Serve acknowledgements, waiting for the first at most that long.

        Raises:
            BusError: the broker refuses for good.
        """
        with self._state.serving():
            self._producer.poll(timeout_s)
            if self._singly:
                self._singly.poll(0)
        self._state.check()

    def flush(self, timeout_s: float) -> int:
        """Wait until all is acknowledged or the time is over; return how many records are not."""
        give_up = time.monotonic() + timeout_s
        with self._state.serving():
            self._producer.flush(timeout_s)
            if self._singly:
                self._singly.flush(max(0.0, give_up - time.monotonic()))
        return self.pending

    @property
    def pending(self) -> int:
        """Return how many records wait for their acknowledgement to be served."""
        return len(self._producer) + (len(self._singly) if self._singly else 0)


@dataclass(frozen=True, slots=True)
class LogOffsets:
    """Looks offsets of one topic up."""

    consumer: Any
    topic: str
    id: str = ""

    def edges(self, partition: int) -> tuple[int, int]:
        """Return the oldest offset kept and the one that the next record gets."""
        place = TopicPartition(self.topic, partition)
        give_up = time.monotonic() + ANSWER_S
        while True:
            try:
                low, high = self.consumer.get_watermark_offsets(place, timeout=ANSWER_S, cached=False)
            except KafkaException as error:
                if error.args[0].code() not in NOT_LED_YET or time.monotonic() > give_up:
                    raise
                time.sleep(0.1)
            else:
                return int(low), int(high)

    def at(self, partition: int, timestamp_ms: int) -> int:
        """Return the first offset captured at that time or later; the end where there is none."""
        wanted = TopicPartition(self.topic, partition, timestamp_ms)
        [found] = self.consumer.offsets_for_times([wanted], timeout=ANSWER_S)
        if found.error is not None:  # unknown is not "none": to begin at the end would skip frames
            raise KafkaException(found.error)
        return int(found.offset) if found.offset >= 0 else self.edges(partition)[1]


class LogWatch:
    """Notices, without waiting, that a topic was deleted and made anew: by its id, asked for now and then.

    The client does not tell: where the new log is long enough, it reads on in its middle.

    Args:
        describe: asks for the topic's description.

    Attributes:
        first: the id of the log that was there first; empty where no broker told one.
    """

    def __init__(self, describe: Callable[[], Future[Any]]) -> None:
        self._describe = describe
        self._asked: Future[Any] | None = None
        self._due = 0.0
        self._known = self.first = ""

    def take(self, log: str) -> None:
        """Note the id of the log that is being read from now on."""
        self._known = log
        self.first = self.first or log
        self._asked = None  # that answer may be of the log before

    def is_another(self) -> bool:
        """Whether the topic is by now another than the one noted last."""
        if self._asked is None:
            if time.monotonic() >= self._due:
                self._asked, self._due = self._describe(), time.monotonic() + WATCH_EVERY_S
            return False
        if not self._asked.done():
            return False
        asked, self._asked = self._asked, None
        try:
            found = _id(asked.result())
        except KafkaException:
            return False  # away, or gone for now
        self.first = self.first or found
        return bool(self._known and found and found != self._known)


class Subscriber:
    """A member of a group. All calls, and those of its listener, happen in one thread."""

    def __init__(
        self,
        topic: str,
        start: Start,
        listener: Listener,
        state: Availability,
        log_id: Callable[[str], str],
        watch: LogWatch,
        session_s: float,
    ) -> None:
        self._topic = topic
        self._session_s = session_s
        self._log_id = log_id
        self._watch = watch
        self._start = start
        self._listener = listener
        self._state = state
        self._consumer: Any = None
        self._new: list[TopicPartition] = []
        self._moved: set[int] = set()
        self._told = False
        self._at_end: dict[int, int] = {}
        self._failing_since, self._told_failing = inf, False
        self._committing: dict[int, Position] = {}
        self._to_repeat: set[int] = set()
        self._repeat_at = 0.0
        self._read_at = time.monotonic()
        self._final: dict[int, Position] = {}

    def _begin(self, consumer: Any) -> None:
        self._consumer = consumer
        consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def read(self, limit: int, timeout_s: float) -> list[Record]:
        """Return at most that many records, waiting for the first at most that long.

        Raises:
            BusError: the broker refuses for good.
        """
        if self._is_late:
            time.sleep(NEWS_S)  # the client hears in its own thread that the group has gone on without us
        self._read_at = time.monotonic()
        self._tell_of_ends()
        records = [r for message in _poll(self._consumer, limit, timeout_s) if (r := self._record(message))]
        self._state.check()
        if self._watch.is_another():
            warn(f"topic {self._topic} was deleted and made anew; reading it from its beginning")
            self._begin_anew([place.partition for place in self._consumer.assignment()])
        if self._new:
            begun = self._begin_new()  # what was read of them before is of another time
            records = [record for record in records if record.partition not in begun]
            self._at_end = {p: offset for p, offset in self._at_end.items() if p not in begun}
        if self._to_repeat and time.monotonic() >= self._repeat_at:
            self.commit({partition: self._committing[partition] for partition in self._to_repeat})
        self._read_at = time.monotonic()
        return records

    def _tell_of_ends(self) -> None:
        """Tell where partitions ended at the last read: what was read before is taken in by now."""
        at_end, self._at_end = self._at_end, {}
        for partition, offset in at_end.items():
            self._listener.passed(partition, offset)

    @property
    def _is_late(self) -> bool:
        """Whether nothing was read for so long that the group may have given our partitions away.

        A process that was stopped notices nothing else of it; a filter may also just be slow.
        """
        return time.monotonic() > self._read_at + self._session_s

    def _record(self, message: Any) -> Record | None:
        if (error := message.error()) is None:
            return _record(message)
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._find_again(message.partition())
            return None
        if error.code() == KafkaError._PARTITION_EOF:
            self._at_end[message.partition()] = message.offset()
            return None
        if error.code() in REFUSED_FOR_GOOD:
            raise BusError(f"reading {self._topic}: {error.str()}")
        self._state.error(error)
        return None

    def _find_again(self, partition: int) -> None:
        """Begin anew with a partition whose log no longer holds our place: cut by retention, or made anew."""
        warn(
            f"{self._topic}[{partition}] no longer holds the place of this group; going on from its beginning"
        )
        self._begin_anew([partition])

    def _begin_anew(self, partitions: list[int]) -> None:
        self._listener.lost(partitions)
        self._forget(partitions)
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        self._consumer.incremental_unassign(places)
        self._new += places
        self._moved |= set(partitions)

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit without waiting; what fails, as while the group settles anew, is committed again."""
        self._committing |= positions
        self._to_repeat |= positions.keys()
        if not self._is_late:  # else once we know that they are ours still
            self._commit_now(positions)

    def _commit_now(self, positions: Mapping[int, Position]) -> None:
        self._to_repeat -= positions.keys()
        self._consumer.commit(offsets=self._offsets(positions), asynchronous=True)

    def commit_and_wait(self, positions: Mapping[int, Position]) -> None:
        """Commit and wait for the broker's word.

        Raises:
            BusError: the broker did not take it; what lies after the last commit will be read again.
        """
        self._final = dict(positions)
        give_up = time.monotonic() + ANSWER_S
        while self._final:
            try:
                # A commit waits three quarters of a minute for a broker that is away: nobody stops so slowly.
                self._consumer.list_topics(self._topic, timeout=LAST_ANSWER_S)
                self._consumer.commit(offsets=self._offsets(self._final), asynchronous=False)
                self._final = {}
                return
            except KafkaException as error:
                if error.args[0].code() not in GROUP_SETTLES or time.monotonic() > give_up:
                    raise _classified(error.args[0], f"committing {self._topic} failed") from error
            self._consumer.poll(0.1)  # let the group settle; what is read here is beyond the commit

    def positions(self) -> dict[int, Position | None]:
        """Return what the group has committed of every partition of the topic, ours or not.

        Raises:
            BusError: no answer in time.
        """
        try:
            known = self._consumer.list_topics(self._topic, timeout=ANSWER_S).topics[self._topic]
            if known.error is not None:
                raise KafkaException(known.error)
            places = [TopicPartition(self._topic, partition) for partition in known.partitions]
            found = self._consumer.committed(places, timeout=ANSWER_S)
            for place in found:
                if place.error is not None:  # unknown is not "none": to begin anew would skip frames
                    raise KafkaException(place.error)
        except KafkaException as error:
            raise _classified(error.args[0], f"positions of {self._topic}") from error
        return {p.partition: Position(p.offset, p.metadata or "") if p.offset >= 0 else None for p in found}

    def ends(self) -> dict[int, int]:
        """Return of each partition of ours the offset that the next record gets, as far as is known here.

        The client learns it with every answer to a fetch; nobody is asked and nobody waits.
        """
        try:
            found = {p.partition: self._known_end(p) for p in self._consumer.assignment()}
        except KafkaException as error:
            raise _classified(error.args[0], f"partitions of {self._topic}") from error
        return {partition: end for partition, end in found.items() if end is not None}

    def _known_end(self, place: TopicPartition) -> int | None:
        edges = self._consumer.get_watermark_offsets(place, cached=True)
        return int(edges[1]) if edges and edges[1] >= 0 else None

    def close(self) -> None:
        """Leave the group, or be gone without a word where the broker does not answer.

        The client itself would wait three quarters of a minute for its last commit; so it does in a thread
        that does not keep the process.
        """
        leaving = threading.Thread(target=self._consumer.close, name="leave the group", daemon=True)
        leaving.start()
        leaving.join(LEAVE_S)

    def _offsets(self, positions: Mapping[int, Position]) -> list[TopicPartition]:
        return [
            TopicPartition(self._topic, partition, position.offset, position.metadata)
            for partition, position in positions.items()
        ]

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        failed = error is not None and error.code() != KafkaError._NO_OFFSET
        if failed:
            # There may be no next commit: the last frame of a camera that was switched off.
            self._to_repeat |= {place.partition for place in partitions} & self._committing.keys()
            self._repeat_at = time.monotonic() + COMMIT_AGAIN_S
            self._tell_of_failed_commit(error)
        else:
            self._failing_since, self._told_failing = inf, False
            self._state.answered()

    def _tell_of_failed_commit(self, error: Any) -> None:
        """Say it once; that the group settles anew for some seconds is nothing to tell of."""
        self._failing_since = min(self._failing_since, time.monotonic())
        settles = error.code() in GROUP_SETTLES and time.monotonic() < self._failing_since + ANSWER_S
        if not settles and not self._told_failing:
            warn(f"committing {self._topic} failed ({error}); it is done again")
            self._told_failing = True

    # The client serves other callbacks after these within one poll, and aborts the whole process if one of
    # these waited for the broker meanwhile: so here is nothing that waits (confluent-kafka: CallState_get).

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """Take note; ``read`` finds out where to begin."""
        self._new += partitions
        consumer.incremental_assign([])

    def _on_revoke(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        positions = dict(self._listener.revoked([p.partition for p in partitions]))
        positions |= {
            p.partition: self._final.pop(p.partition) for p in partitions if p.partition in self._final
        }
        if positions:
            # It goes to the broker ahead of our next word to the group; if it fails, the next owner repeats.
            self._commit_now(positions)
        self._unassign(consumer, partitions)

    def _on_lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        numbers = ", ".join(str(place.partition) for place in partitions)
        warn(
            f"this process was silent for too long: partitions {numbers} of {self._topic} went to others, "
            "who repeat what was not committed"
        )
        self._listener.lost([p.partition for p in partitions])
        self._final = {}
        self._unassign(consumer, partitions)

    def _forget(self, partitions: Iterable[int]) -> None:
        """Commit nothing again, and tell of no end, of partitions that are no longer ours."""
        for partition in partitions:
            self._committing.pop(partition, None)
            self._at_end.pop(partition, None)
            self._to_repeat.discard(partition)

    def _unassign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._forget(place.partition for place in partitions)
        never = [p for p in partitions if p in self._new]
        self._new = [p for p in self._new if p not in never]
        consumer.incremental_unassign([p for p in partitions if p not in never])

    def _begin_new(self) -> set[int]:
        """Begin with partitions that the group gave us, and return them; where the broker is away, later.

        Raises:
            BusError: the broker refuses for good.
        """
        try:
            assigned = self._resolve(self._new)
        except (KafkaException, BrokerAwayError, TopicGoneError) as error:
            reason = error.args[0]
            if isinstance(reason, KafkaError) and reason.code() in REFUSED_FOR_GOOD:
                raise BusError(f"positions of {self._topic}: {reason.str()}") from error
            if not self._told:
                warn(f"positions of {self._topic} are not to be had yet ({reason})")
            self._told = True
            return set()
        self._new, self._moved, self._told = [], set(), False
        self._listener.assigned(assigned)
        self._consumer.incremental_assign(
            [TopicPartition(self._topic, a.partition, max(a.position.offset, a.low)) for a in assigned]
        )
        return {a.partition for a in assigned}

    def _resolve(self, partitions: list[TopicPartition]) -> list[Assigned]:
        """Find where to begin; what was not committed yet is committed now, before any work."""
        log = LogOffsets(self._consumer, self._topic, self._log_id(self._topic))
        self._watch.take(log.id)
        commits = self.positions()
        assigned, first = [], {}
        for partition in (place.partition for place in partitions):
            edges = log.edges(partition)
            position = commits.get(partition)
            if position is None or self._is_another_log(position, log, partition, edges):
                is_new = position is not None or self._is_new(partition, log, commits)
                position = self._beginning(log, partition, len(commits), edges[0] if is_new else None)
                first[partition] = position
            elif not commit.is_known(position):
                warn(
                    f"{log.topic}[{partition}]@{position.offset} was committed by another program or "
                    "version, without counts that are known here: going on there, counting anew"
                )
                position = self._beginning(log, partition, len(commits), position.offset)
            assigned.append(Assigned(partition, position, edges[0]))
        if first:
            self._consumer.commit(offsets=self._offsets(first), asynchronous=False)
        return assigned

    def _beginning(self, log: LogOffsets, partition: int, partitions: int, low: int | None) -> Position:
        """Return where ``--start`` leads, or ``low`` if that is given; a bounded run keeps to its range."""
        position = self._start(log, partition)
        plan = msgspec.structs.replace(commit.read(position), partitions=partitions)
        if low is None or plan.end is not None:
            return plan.at(position.offset)
        return msgspec.structs.replace(plan, begin=low).at(low)

    def _is_new(self, partition: int, log: LogOffsets, commits: Mapping[int, Position | None]) -> bool:
        """Whether a partition without a commit is younger than this group, which then wants all of it.

        The topic was made anew, or the partition was added to it.
        """
        if partition in self._moved or log.id != self._watch.first:
            return True
        others = [commit.read(position) for position in commits.values() if position]
        return any((o.log and o.log != log.id) or 0 < o.partitions <= partition for o in others)

    def _is_another_log(
        self, position: Position, log: LogOffsets, partition: int, edges: tuple[int, int]
    ) -> bool:
        """Say whether the topic was made anew since the commit: all of it is new to this group."""
        known = commit.read(position).log
        if position.offset <= edges[1] and (not known or not log.id or known == log.id):
            return False
        if partition not in self._moved:
            warn(
                f"{log.topic}[{partition}] is a new log, not the one this group has read to {position.offset}"
            )
        return True


class LogReader:
    """Reads any range of a topic, without a group and without commits. Use it as a context manager.

    Attributes:
        partitions: how many the topic has.
        offsets: its offsets by partition.

    Raises:
        BusError: there is no such topic, or no answer in time.
    """

    def __init__(self, bus: Bus, topic: str) -> None:
        self._topic = topic
        self._state = Availability(bus.kafka, has_group=False)
        known = bus.topics()
        if topic not in known:
            raise BusError(f"there is no topic {topic} on {bus.kafka}")
        self.partitions = known[topic]
        settings = {
            "group.id": "imagebus.reader",
            "auto.offset.reset": "earliest",
            "error_cb": self._state.error,
            "enable.auto.commit": False,
        }
        self._consumer = bus._client(Consumer, {**CONSUMING, "enable.partition.eof": True}, settings)
        self.offsets = LogOffsets(self._consumer, topic, bus.log_id(topic))

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def edges(self) -> dict[int, tuple[int, int]]:
        """Return of each partition the oldest offset kept and the one that the next record gets."""
        with _classifying(f"reading {self._topic}"):
            return {partition: self.offsets.edges(partition) for partition in range(self.partitions)}

    def since(self, timestamp_ms: int) -> dict[int, int]:
        """Return of each partition the first offset captured at that time or later; the end where none is."""
        with _classifying(f"reading {self._topic}"):
            return {p: self.offsets.at(p, timestamp_ms) for p in range(self.partitions)}

    def read(self, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Record]:
        """Yield every record of [first, end) of each partition, in order within the partition.

        Raises:
            BusError: nothing came for some seconds; the broker is away or the log was cut.
        """
        left = {partition: end for partition, (first, end) in ranges.items() if first < end}
        self._consumer.assign([TopicPartition(self._topic, p, ranges[p][0]) for p in left])
        quiet_since = time.monotonic()
        while left:
            for message in _poll(self._consumer, 500, 0.2):
                partition, error = message.partition(), message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    self._state.error(error)
                    continue
                quiet_since = time.monotonic()
                if error is None and message.offset() < left.get(partition, 0):
                    yield _record(message)
                at_end = error is not None and error.code() == KafkaError._PARTITION_EOF
                reached = message.offset() + (error is None)
                if (error is None or at_end) and reached >= left.get(partition, reached + 1):
                    del left[partition]
            self._state.check()
            if time.monotonic() > quiet_since + 2 * ANSWER_S:
                raise BrokerAwayError(f"reading {self._topic}: nothing came for {2 * ANSWER_S:.0f} s")
        self._consumer.unassign()

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


SPECS: Any = OffsetSpec  # it has no types
Place = tuple[str, int]
"""A topic and a partition."""


class Survey:
    """Looks at many topics at once, without a group and without commits. Use it as a context manager.

    Attributes:
        refused: why nothing, or not all, is to be had of a topic.
    """

    def __init__(self, bus: Bus) -> None:
        self._admin = bus._admin
        self._state = Availability(bus.kafka, has_group=False, quiet=True)  # errors tell
        settings = {"group.id": "imagebus.survey", "error_cb": self._state.error, "enable.auto.commit": False}
        # A fetch under way for what was read before must not keep the next one waiting.
        ours = {"fetch.wait.max.ms": 20, "enable.partition.eof": True, "auto.offset.reset": "earliest"}
        self._consumer = bus._client(Consumer, {**CONSUMING, **ours}, settings)
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
        answers = self._admin.list_offsets(asked, request_timeout=ANSWER_S) if asked else {}
        found = {}
        for place, answer in answers.items():
            try:
                found[place.topic, place.partition] = int(answer.result().offset)
            except KafkaException as error:
                self._refuse(place.topic, error.args[0])
        return found

    def _refuse(self, topic: str, error: KafkaError) -> None:
        """Note that a topic cannot be read; raise where no topic can."""
        why = _classified(error, topic)
        if isinstance(why, BrokerAwayError) and error.code() not in NOT_LED_YET:
            raise why
        self.refused[topic] = str(why)

    def read(self, ranges: Mapping[Place, tuple[int, int]], within_s: float = 60.0) -> Iterator[Record]:
        """Yield the records of [first, end) of each place, in order within each.

        What is not read in time is left out: so are places that may not be read, noted in ``refused``.

        Raises:
            BrokerAwayError: nothing came for some seconds.
        """
        left = {place: end for place, (first, end) in ranges.items() if first < end}
        give_up = time.monotonic() + within_s
        quiet_since = time.monotonic()
        self._consumer.assign([TopicPartition(*place, ranges[place][0]) for place in left])
        while left and time.monotonic() < give_up:
            for message in _poll(self._consumer, 500, 0.2):
                quiet_since = time.monotonic()
                place, error = (message.topic(), message.partition()), message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    self._fail(left, place, error)
                    continue
                if error is None and message.offset() < left.get(place, 0):
                    yield _record(message)
                if place in left and message.offset() + (error is None) >= left[place]:
                    del left[place]
            self._state.check()
            if left and time.monotonic() > quiet_since + ANSWER_S:
                raise BrokerAwayError(f"reading {next(iter(left))[0]}: nothing came for {ANSWER_S:.0f} s")

    def _fail(self, left: dict[Place, int], place: Place, error: KafkaError) -> None:
        if place in left and error.code() in REFUSED_FOR_GOOD | NO_SUCH_TOPIC:
            self.refused[place[0]] = f"{place[0]}: {error.str()}"
            del left[place]
        else:
            self._state.error(error)

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


class Tail:
    """Reads without a group and without commits: from the newest record of a partition on."""

    def __init__(self, bus: Bus) -> None:
        self._state = Availability(bus.kafka, has_group=False)
        settings = {
            "group.id": "imagebus.tail",
            "auto.offset.reset": "latest",
            "fetch.wait.max.ms": 100,  # a topic that is new has to wait for a fetch of the others to end
            "error_cb": self._state.error,
        }
        self._reader = bus._client(Consumer, CONSUMING, settings)
        self._probe = bus._client(Consumer, CONSUMING, settings)
        self._followed: set[tuple[str, int]] = set()
        self._bus = bus

    def newest(self, topic: str) -> Record | None:
        """Return the record with the latest timestamp, none where the topic is empty or missing.

        Raises:
            BrokerAwayError: no answer in time.
        """
        log = LogOffsets(self._probe, topic)
        try:
            places = []
            for partition in range(self._bus.topics().get(topic, 0)):
                low, high = log.edges(partition)
                if high > low:
                    places.append(TopicPartition(topic, partition, high - 1))
            self._probe.assign(places)
            records = self._one_each(len(places))
        except KafkaException as error:
            raise _classified(error.args[0], f"reading {topic}") from error
        finally:
            self._probe.unassign()
        return max(records, key=lambda record: record.timestamp_ms, default=None)

    def _one_each(self, wanted: int) -> list[Record]:
        found: dict[int, Record] = {}
        give_up = time.monotonic() + ANSWER_S
        while len(found) < wanted and time.monotonic() < give_up:
            for message in _poll(self._probe, wanted, 0.2):
                if message.error() is None:
                    found.setdefault(message.partition(), _record(message))
        return list(found.values())

    def follow(self, partitions: set[tuple[str, int]]) -> None:
        """Read exactly these (topic, partition) from now on; new ones from their newest record.

        Raises:
            BrokerAwayError: no answer in time; what was followed before still is.
        """
        gone, new = self._followed - partitions, partitions - self._followed
        try:
            begin = [TopicPartition(t, p, self._newest_offset(t, p)) for t, p in sorted(new)]
            if gone:
                self._reader.incremental_unassign([TopicPartition(t, p) for t, p in sorted(gone)])
            if begin:
                self._reader.incremental_assign(begin)
        except KafkaException as error:
            raise _classified(error.args[0], "following topics") from error
        self._followed = set(partitions)

    def _newest_offset(self, topic: str, partition: int) -> int:
        low, high = LogOffsets(self._probe, topic).edges(partition)  # the reader's answer waits for its fetch
        return max(low, high - 1)

    def read(self, timeout_s: float, limit: int = 100) -> list[Record]:
        """Return records as they come, waiting for the first at most that long.

        Raises:
            BusError: the broker refuses for good.
        """
        records = []
        for message in _poll(self._reader, limit, timeout_s):
            if (error := message.error()) is None:
                self._state.answered()
                records.append(_record(message))
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._followed.discard((message.topic(), message.partition()))
            else:
                self._state.error(error)
        self._state.check()
        return records

    @property
    def away(self) -> bool:
        """Return whether every broker is out of reach."""
        return self._state.away

    def close(self) -> None:
        """End both connections."""
        self._reader.close()
        self._probe.close()


@contextmanager
def _classifying(what: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise _classified(error.args[0], what) from error


def _poll(consumer: Any, limit: int, timeout_s: float) -> Iterator[Any]:
    """Yield what is there, waiting for the first only (``consume`` would wait until it has all)."""
    for _ in range(limit):
        if (message := consumer.poll(timeout_s)) is None:
            return
        yield message
        timeout_s = 0.0


def _record(message: Any) -> Record:
    kind, timestamp = message.timestamp()
    return Record(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=-1 if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
        key=message.key(),
        value=message.value(),
        headers=_headers(message),
    )


def _id(description: Any) -> str:
    return "" if description.topic_id is None else str(description.topic_id)


def _headers(message: Any) -> Headers:
    try:
        return tuple(message.headers() or ())
    except (SystemError, UnicodeDecodeError):  # a name is no UTF-8: the client can't show any of them
        return ()


def _delivery_error(error: KafkaError | None, topic: str) -> Exception | None:
    """Say whether a record that was not delivered is itself at fault, or the bus."""
    if error is None:
        return None
    if error.code() in REFUSED_RECORD:
        return FrameError(f"{topic} does not take it: {error.str()}", "refused")
    # What waited for a partition of a topic that was deleted, comes back as if the client were ending.
    gone = error.code() in NO_SUCH_TOPIC or error.code() == KafkaError._DESTROY
    kind = TopicGoneError if gone else BusError
    return kind(f"publishing on {topic}: {error.str()}")


def _classified(error: KafkaError, what: str) -> BusError:
    """Return the error under our own names: away for now, a topic that is missing, or refused."""
    if error.code() in NO_SUCH_TOPIC:
        return TopicGoneError(f"{what}: {error.str()}")
    away = error.retriable() or error.code() in (
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError.REQUEST_TIMED_OUT,
        *NOT_LED_YET,
        *NOT_COORDINATED_YET,
    )
    return (BrokerAwayError if away else BusError)(f"{what}: {error.str()}")
