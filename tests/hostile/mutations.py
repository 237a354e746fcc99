"""A thousand ways in which a record is odd or wrong, and what must become of each, known by construction."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.hostile.limits import LIMITS
from tests.hostile.markers import MARKERS
from tests.hostile.structure import STRUCTURE
from tests.hostile.truncation import TRUNCATIONS


@dataclass(frozen=True)
class Mutation:
    """One record, and what must become of it."""

    what: str
    value: bytes
    outcome: str


def mutations(seed: int) -> list[Mutation]:
    """Return a thousand records: 250 each of map structure, field limits, JPEG markers and truncation."""
    chance = random.Random(seed)
    found = []
    for family in (STRUCTURE, LIMITS, MARKERS, TRUNCATIONS):
        found += [Mutation(*family[number % len(family)](chance)) for number in range(250)]
    return found
