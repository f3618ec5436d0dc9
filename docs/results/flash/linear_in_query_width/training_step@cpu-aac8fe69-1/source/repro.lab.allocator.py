"""Memory of a training loop on a CPU: every step frees what the next one asks for again."""

import ctypes
from functools import cache

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Numbers of glibc's `malloc.h`."""
LARGEST_MMAP_THRESHOLD = 2**25
"""glibc takes no more; larger pieces still come from the system each time."""


@cache
def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, up to a gigabyte, instead of giving it back to the system.

    By default glibc returns large pieces at once, and each comes back as fresh pages that must be mapped and zeroed at the
    first touch: a sixth to a fourth of the time of a small model's step. Takes effect once in a process.

    Returns:
        Whether the C library is one that can be told (glibc).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        [mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD), mallopt(M_TRIM_THRESHOLD, 2**30), mallopt(M_TOP_PAD, 2**26)]
    )
