"""Look at a port from outside: whether it is free, and which Kafka cluster answers there."""

from __future__ import annotations

import errno
import socket
import struct

HOST = "127.0.0.1"
METADATA, METADATA_VERSION = 3, 2


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def why_not_bindable(port: int) -> str:
    """Say what keeps a program from listening on the port; empty where nothing does."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            return "is taken by another program" if taken else f"can't be listened on ({error.strerror})"
    return ""


def cluster_at(port: int, timeout_s: float = 1.0) -> str:
    """Ask for metadata: return the cluster id once the broker there is ready for clients, else an empty text.

    An open port is not enough: until the controller lets the broker in, its metadata names no broker.
    """
    header = struct.pack(">hhih", METADATA, METADATA_VERSION, 1, -1)
    request = header + struct.pack(">i", 0)  # about no topic
    try:
        with socket.create_connection((HOST, port), timeout_s) as link:
            link.sendall(struct.pack(">i", len(request)) + request)
            (length,) = struct.unpack(">i", _exactly(link, 4))
            return _ready_cluster(_exactly(link, min(length, 4096)))
    except (OSError, struct.error):
        return ""


def _ready_cluster(answer: bytes) -> str:
    """Read a Metadata response, version 2: correlation, brokers, cluster id, controller ..."""
    (brokers,) = struct.unpack_from(">i", answer, 4)
    if brokers != 1:
        return ""
    place = 8 + 4  # the broker's number
    place += 2 + struct.unpack_from(">h", answer, place)[0] + 4  # its host and port
    place += 2 + max(0, struct.unpack_from(">h", answer, place)[0])  # its rack
    (length,) = struct.unpack_from(">h", answer, place)
    return answer[place + 2 : place + 2 + max(0, length)].decode("utf-8", "replace")


def _exactly(link: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = link.recv(count - len(received))
        if not piece:
            raise ConnectionResetError("closed in the middle of an answer")
        received += piece
    return received
