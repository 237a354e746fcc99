"""What a running service says of itself, in the topic ``imagebus.services`` (``docs/services.md``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from math import isfinite
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta
from pydantic import SecretBytes, SecretStr

from imagebus.errors import FrameError
from imagebus.mask import HIDDEN, mask
from imagebus.options import Options

CONTENT_TYPE = "application/vnd.imagebus.service+json;v=1"
EVERY_S = 2.0
SILENT_S = 10.0
"""Whose newest record is older, is gone without a word: killed, or cut off."""
MAX_BYTES = 64 * 1024
MAX_WORD = 256
MAX_TEXT = 4096
MAX_ENTRIES = 128
MAX_PARTITIONS = 1000
MAX_OPTION = 256
MAX_MASKED = 1000
NEVER_SHOWN = {"kafka_config"}
SECRET = re.compile(r"pass|pwd|psw|secret|token|key|auth|credential|sasl|cert", re.IGNORECASE)
"""Options named so are shown without their values."""
BARE_CREDENTIALS = re.compile(r"[^\s/,@:]+:(?!//)[^\s@]*@")

Word = Annotated[str, Meta(max_length=MAX_WORD)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Number = Annotated[float, Meta(ge=0, le=1e15)]
Scalar = bool | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float | Text | None


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One instance of a service at one moment.

    Attributes:
        role: whether it reads a topic (``filter``), or is a source (``camera``).
        kind, version: the program.
        name: that of the stage, or of the camera.
        worker, workers: its number among the processes of one command, from 0, and how many there are.
        lag: records of its partitions between what is finished and the end of the log; None of a camera.
        options: its flags without dashes in front; secrets are left out or masked.
        partitions: those of its input that are its own, the first thousand of them.
        ready: whether it has begun to read.
        counts: a filter's records by outcome; a camera's ``published``, ``dropped`` and ``refused``.
        rates: per second, over the last ten: of each count, and of what was received and published.
        newest_ms: capture time (Unix ms) of the newest frame finished; None where there is none.
        age_s: how old that is at ``at_ms``.
        metrics: where Prometheus metrics are served; None where they are not.
        began_ms, at_ms: when it began, and when this was said; Unix ms, by its own clock.
    """

    v: Literal[1] = 1
    role: Literal["filter", "camera"]
    kind: Word
    name: Word
    host: Word
    pid: Count
    version: Word
    input: Word | None = None
    topic: Word
    group: Text | None = None
    run: Text | None = None
    worker: Count = 0
    workers: Count = 1
    options: Annotated[dict[Word, Scalar], Meta(max_length=MAX_ENTRIES)] = {}
    ready: bool = False
    partitions: Annotated[list[Count], Meta(max_length=MAX_PARTITIONS)] = []
    counts: Annotated[dict[Word, Count], Meta(max_length=MAX_ENTRIES)] = {}
    received: Count = 0
    published: Count = 0
    waiting: Count = 0
    held: Count = 0
    lag: Count | None = None
    rates: Annotated[dict[Word, Number], Meta(max_length=MAX_ENTRIES)] = {}
    newest_ms: Count | None = None
    age_s: Number | None = None
    metrics: Text | None = None
    began_ms: Count
    at_ms: Count

    @property
    def place(self) -> str:
        """Return what names the service, whichever process is it: also after a restart."""
        parts = (self.host, self.role, self.kind, self.name, self.group or self.topic, str(self.worker))
        return "/".join(quote(part, safe="") for part in parts)


def encode(service: Service) -> bytes:
    """Return the record's value; options that are too much for one are left out."""
    data = _encoder.encode(service)
    if len(data) > MAX_BYTES:
        data = _encoder.encode(msgspec.structs.replace(service, options={}))
    return data


def decode(data: bytes) -> Service:
    """Return what a record's value says.

    Raises:
        FrameError: it says nothing of version 1, or is beyond a bound.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"{len(data)} bytes, at most {MAX_BYTES} are allowed")
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise FrameError(f"nothing that a service of version 1 says: {error}", "undecodable") from error


def shown(options: Options) -> dict[str, Scalar]:
    """Return the options as anybody may see them: no secrets, and not too much of any."""
    named = {name: getattr(options, name) for name in type(options).model_fields if name not in NEVER_SHOWN}
    visible = {name.replace("_", "-"): _scalar(name, value) for name, value in named.items()}
    return dict(list(visible.items())[:MAX_ENTRIES])


def _scalar(name: str, value: object) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, SecretStr | SecretBytes) or SECRET.search(name):
        return HIDDEN
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        text = ", ".join(_text(each) for each in value)
    elif isinstance(value, Mapping):
        text = ", ".join(f"{key}={_scalar(str(key), each)}" for key, each in value.items())
    else:
        text = str(value.value if isinstance(value, Enum) else value)
    if len(text) > MAX_MASKED:  # nor can a secret in it be cut so that it no longer looks like one
        return f"({len(text)} characters)"
    text = BARE_CREDENTIALS.sub(f"{HIDDEN}@", mask(text))
    return text.encode("utf-8", "replace").decode()[:MAX_OPTION]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Service)
