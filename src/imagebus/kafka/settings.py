"""The files that set the broker up: Kafka's properties, made for frames, and those of its log."""

from __future__ import annotations

import shutil
from pathlib import Path

from imagebus.kafka.probe import HOST
from imagebus.topics import MAX_AHEAD_MS, MAX_MESSAGE_BYTES

MIB = 1024 * 1024
GIB = 1024 * MIB
PARTITIONS = 4
BUSY_TOPICS = 4
RECORDS = "records"
"""Where Kafka keeps its log, below the broker's folder."""

FOR_FRAMES = {
    "message.max.bytes": MAX_MESSAGE_BYTES,
    "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
    # requests waiting to be worked on are held in the heap, and each may be as large as a record
    "queued.max.request.bytes": 64 * MIB,
    "socket.request.max.bytes": 64 * MIB,
    "num.partitions": PARTITIONS,
    "auto.create.topics.enable": "false",
    "log.message.timestamp.after.max.ms": MAX_AHEAD_MS,
    "log.retention.ms": 10 * 60 * 1000,
    "log.retention.check.interval.ms": 10_000,
    # only whole segments expire, so they are short; each has two index files, made at full size
    "log.segment.bytes": 64 * MIB,
    "log.roll.ms": 60_000,
    "log.index.size.max.bytes": MIB // 4,
    "log.segment.delete.delay.ms": 1000,
    # a compacted topic here has hundreds of keys, not the millions that the default of 128 MiB is for
    "log.cleaner.dedupe.buffer.size": 4 * MIB,
}

ONE_NODE = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.num.partitions": 1,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.segment.bytes": 16 * MIB,
    "transaction.state.log.num.partitions": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    # after a kill, the old registration must lapse before the broker is let in again
    "broker.session.timeout.ms": 1500,
    "broker.heartbeat.interval.ms": 300,
    # no record of nothing, twice a second: they keep the disk awake and are half of an idle broker's load
    "metadata.max.idle.interval.ms": 0,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "group.consumer.min.session.timeout.ms": 1000,
}

LOG = """\
status = error
name = broker

appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = logs/broker.log
appender.file.filePattern = logs/broker.%i.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5p %c{1}: %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 5 MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3

appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %-5p %c{1}: %m%n

rootLogger.level = ${sys:imagebus.level:-info}
rootLogger.appenderRef.file.ref = file
rootLogger.appenderRef.console.ref = console
rootLogger.appenderRef.console.level = ${sys:imagebus.console:-off}
"""


def write_settings(folder: Path, port: int, controller_port: int) -> None:
    """Write server.properties and log4j2.properties; paths in them are relative to the broker's folder."""
    places = {
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "log.dirs": RECORDS,
        "log.retention.bytes": partition_cap(shutil.disk_usage(folder).free + used(folder)),
    }
    properties = ONE_NODE | FOR_FRAMES | places
    lines = [f"{key}={value}" for key, value in properties.items()]
    (folder / "server.properties").write_text("\n".join([*lines, ""]))
    (folder / "log4j2.properties").write_text(LOG)


def partition_cap(room: int) -> int:
    """Return how many bytes a partition may keep, so that a few full topics leave half the room free.

    A net below the ten minutes, in which one camera of 1280x720 at 30 frames/s (191 KB each) fills 3.4 GB.
    """
    share = room // 2 // (BUSY_TOPICS * PARTITIONS)
    return max(128 * MIB, min(4 * GIB, share))


def used(folder: Path) -> int:
    """Count the bytes that this broker's records take on the disk now (index files are mostly holes)."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
