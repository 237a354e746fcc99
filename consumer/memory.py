"""Give freed memory back: pictures of megabytes come and go in hundreds of threads."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
OWN_MAPPING_BYTES = 256 * 1024
ARENAS = 2


def keep_little() -> None:
    """Let glibc map each large block alone, so that it is gone when freed, and keep two heaps for the rest.

    Left alone it has eight heaps a core, and takes blocks of up to 32 MB from them once it has seen some.
    Other libraries of C have nothing to set.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES)
        mallopt(M_ARENA_MAX, ARENAS)
