"""The names of ours that may stand in `.env`, written down since nothing is installed when they are checked.

A test holds the list against what the services' own `--help` names.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

PREFIX = "IMAGEBUS_"
FREE = ("IMAGEBUS_KAFKA_",)
"""What begins so is read by the broker or is a property of its clients (IMAGEBUS_KAFKA_SASL_PASSWORD)."""
OF_THE_LAUNCH = "CAMERAS DATA ASSETS PORT KAFKA_PORT SOURCE_TOPIC IMAGEAI_TOPIC REDACTION_TOPIC FRAME MAX_FPS"
OF_EACH = (
    "KAFKA KAFKA_CONFIG QUIET NAME TOPIC INPUT GROUP START FRESHNESS FROM UNTIL RUN BATCH BATCH_WAIT WORKERS "
    "PARTITIONS METRICS_PORT METRICS_HOST"
)
OF_ONE = "ADDRESS LOOP SPEED QUALITY CONFIDENCE DRAW MODEL OBJECTS HOST CERTIFICATE KEY TRUST_NETWORK"
KNOWN = sorted(PREFIX + name for name in f"{OF_THE_LAUNCH} {OF_EACH} {OF_ONE}".split())
CLOSE = 0.8
"""How alike two names must be, prefix included, that one may be meant by the other."""


def complaints(names: Iterable[str]) -> list[str]:
    """Say of each name of ours that nothing reads it, and which one may be meant."""
    found = []
    for name in names:
        if name.startswith(PREFIX) and name not in KNOWN and not name.startswith(FREE):
            nearest = get_close_matches(name, [*KNOWN, "IMAGEBUS_KAFKA_HEAP"], 1, CLOSE)
            meant = f"; {nearest[0]} may be meant" if nearest else ""
            found.append(f"{name} is read by nothing{meant}")
    return found
