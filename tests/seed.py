"""The seed of a test that leaves things to chance."""

from __future__ import annotations

import os
import random


def seed() -> int:
    """Return $IMAGEBUS_TEST_SEED, else a new seed; print it, so that a failure can be had again."""
    found = int(os.environ.get("IMAGEBUS_TEST_SEED") or random.randrange(2**32))
    print(f"IMAGEBUS_TEST_SEED={found}")
    return found
