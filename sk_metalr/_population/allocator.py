"""Memory of processes that return freed memory immediately, as Dask's workers do."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

TRIM, TRIM_THRESHOLD = "MALLOC_TRIM_THRESHOLD_", -1  # of the environment, and M_… of mallopt(3)
MMAP, MMAP_THRESHOLD = "MALLOC_MMAP_THRESHOLD_", -3
DEFAULT_MMAP_THRESHOLD = 2**17
HIGHEST_MMAP_THRESHOLD = 2**25
"""What glibc would let the threshold rise to by itself, in bytes."""

_lock = Lock()
_users: list[Any] = []


@contextmanager
def memory_kept() -> Iterator[None]:
    """Keep freed memory for the next training step, where the process would return it.

    Where the environment sets MALLOC_TRIM_THRESHOLD_, as Dask does for its workers, glibc no longer
    adapts its mmap threshold: it maps each array of 128 KiB and more anew, and unmaps it once it is
    freed. A fit of ten seconds then took 20 to 30 % longer, for page faults. The thresholds are set
    back once nobody trains any more.
    """
    told = os.environ.get(TRIM, "")
    if platform.libc_ver()[0] != "glibc" or not told.isdecimal() or MMAP in os.environ:
        yield
        return
    libc = ctypes.CDLL(None)
    with _lock:
        _users.append(libc)
        libc.mallopt(MMAP_THRESHOLD, HIGHEST_MMAP_THRESHOLD)
        libc.mallopt(TRIM_THRESHOLD, 2 * HIGHEST_MMAP_THRESHOLD)
    try:
        yield
    finally:
        with _lock:
            _users.pop()
            if not _users:
                libc.mallopt(MMAP_THRESHOLD, DEFAULT_MMAP_THRESHOLD)
                libc.mallopt(TRIM_THRESHOLD, min(int(told), 2**31 - 1))
                libc.malloc_trim(0)
