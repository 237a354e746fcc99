"""A broker: its topics and groups, and the way to everything that reads and writes there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from imagebus import properties, topics
from imagebus.bus.availability import Availability
from imagebus.bus.client import (
    ANSWER_S,
    COMMON,
    CONSUMING,
    NOT_COORDINATED_YET,
    PRODUCING,
    SAFE_CONSUMING,
    SAFE_PRODUCING,
    AdminClient,
    ConfigResource,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    NewTopic,
    Producer,
    ResourceType,
    TopicCollection,
    TopicPartition,
    classified,
    id_of,
)
from imagebus.bus.log_reader import LogReader
from imagebus.bus.log_watch import LogWatch
from imagebus.bus.publisher import Publisher
from imagebus.bus.subscriber import Subscriber
from imagebus.bus.survey import Survey
from imagebus.bus.tail import Tail
from imagebus.connection import Listener, Position, Start
from imagebus.errors import BusError, ConfigurationError
from imagebus.log import warn
from imagebus.topics import SETTINGS


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
        self.admin = self.client(AdminClient, {})
        self._state = Availability(kafka)  # one for all, so that an outage is told of once

    def client(self, kind: Any, settings: Mapping[str, Any], kafka: Mapping[str, Any] | None = None) -> Any:
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
            found = self.admin.list_topics(timeout=ANSWER_S).topics
        except KafkaException as error:
            raise classified(error.args[0], f"the broker at {self.kafka} does not answer") from error
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
            self.admin.create_topics([new], request_timeout=ANSWER_S)[topic].result()
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return
            if reason.code() == KafkaError.TOPIC_EXCEPTION:
                raise ConfigurationError(f"topic {topic}: {reason.str()}", "--topic") from error
            wanted = " ".join(f"{key}={value}" for key, value in settings.items())
            raise classified(
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
            found = self.admin.describe_configs([resource], request_timeout=ANSWER_S)[resource].result()
        except KafkaException as error:
            raise classified(error.args[0], f"settings of {topic}") from error
        return {name: entry.value for name, entry in found.items()}

    def log_id(self, topic: str) -> str:
        """Return the id of the topic's log, empty where this broker does not tell.

        Raises:
            BrokerAwayError: no answer in time.
            BusError: there is no such topic, or it is not to be seen by us.
        """
        try:
            return id_of(self._describe(topic).result())
        except KafkaException as error:
            raise classified(error.args[0], f"topic {topic}") from error

    def _describe(self, topic: str) -> Future[Any]:
        found: Future[Any] = self.admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_S)[
            topic
        ]
        return found

    def groups(self) -> list[str]:
        """Return the name of every consumer group, alive or not.

        Raises:
            BusError: no answer in time, or no right to ask.
        """
        try:
            found = self.admin.list_consumer_groups(request_timeout=ANSWER_S).result()
        except KafkaException as error:
            raise classified(error.args[0], "listing the groups") from error
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
            answer = self.admin.list_consumer_group_offsets(asked, request_timeout=ANSWER_S)[group].result()
        except KafkaException as error:
            raise classified(error.args[0], f"positions of group {group}") from error
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
        consumer = self.client(Consumer, CONSUMING, settings)
        try:
            consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            raise classified(error.args[0], f"committing {topic} for group {group}") from error
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
                asked = self.admin.describe_consumer_groups([group], request_timeout=ANSWER_S)
                return len(asked[group].result().members)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                    return 0
                if error.args[0].code() not in NOT_COORDINATED_YET or time.monotonic() > give_up:
                    raise classified(error.args[0], f"group {group}") from error
            time.sleep(0.1)

    def publisher(self) -> Publisher:
        """Return a new publisher; it connects by itself and waits as long as the broker is away."""
        settings = {**SAFE_PRODUCING, "error_cb": self._state.error}
        singly = {**settings, "batch.num.messages": 1}
        return Publisher(
            self.client(Producer, PRODUCING, settings),
            self._state,
            lambda: self.client(Producer, PRODUCING, singly),
        )

    def subscriber(
        self, topic: str, group: str, start: Start, listener: Listener, *, bounded: bool = False
    ) -> Subscriber:
        """Return a new member of the group, which reads its share of the topic's partitions."""
        watch = LogWatch(lambda: self._describe(topic))
        settings = {**CONSUMING, **self._properties}
        session_s = float(str(settings["session.timeout.ms"])) / 1000
        subscriber = Subscriber(topic, start, listener, self._state, self.log_id, watch, session_s)
        consumer = self.client(
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
