"""Kafka's own wire, for records that no client would send (ProduceRequest v3, record batch v2)."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence


def produce(kafka: str, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Put one record on partition 0 of a topic; the names of its headers may be any bytes."""
    batch = _batch(_record(key, value, headers))
    name = topic.encode()
    body = struct.pack(">hhiih", -1, -1, 5000, 1, len(name)) + name
    body += struct.pack(">iii", 1, 0, len(batch)) + batch
    request = struct.pack(">hhih", 0, 3, 1, 4) + b"test" + body
    host, _, port = kafka.partition(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = connection.recv(4096)
    at = 4 + 4 + 4 + 2 + len(name) + 4 + 4
    assert struct.unpack(">h", answer[at : at + 2]) == (0,), answer


def _record(key: bytes, value: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    record = b"\0" + _number(0) + _number(0) + _sized(key) + _sized(value) + _number(len(headers))
    record += b"".join(_sized(name) + _sized(content) for name, content in headers)
    return _sized(record)


def _batch(record: bytes) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    checked = struct.pack(">hiqqqhii", 0, 0, now_ms, now_ms, -1, -1, -1, 1) + record
    head = struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, _crc32c(checked))
    return head + checked


def _sized(data: bytes) -> bytes:
    return _number(len(data)) + data


def _number(value: int) -> bytes:
    """Return a varint in zigzag form."""
    value, digits = value * 2, b""
    while value > 127:
        digits, value = digits + bytes([value & 127 | 128]), value >> 7
    return digits + bytes([value])


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
