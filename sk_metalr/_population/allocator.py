"""Memory of processes that hand every freed piece back at once, as Dask's workers do."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM, TRIM_THRESHOLD = "MALLOC_TRIM_THRESHOLD_", -1  # of the environment, and M_… of mallopt(3)
MMAP, MMAP_THRESHOLD = "MALLOC_MMAP_THRESHOLD_", -3
DEFAULT_MMAP_THRESHOLD = 2**17
HIGHEST_MMAP_THRESHOLD = 2**25
"""What glibc would let the threshold rise to by itself, in bytes."""


@contextmanager
def memory_kept() -> Iterator[None]:
    """Keep freed memory for the next training step, where the process would hand it back.

    Where the environment sets MALLOC_TRIM_THRESHOLD_, as Dask does for its workers, glibc no longer
    learns which sizes come again and again: it asks the system for each array of 128 KiB and more,
    and hands it back once freed. A fit of ten seconds then took 20 to 30 % longer, for page faults.
    The thresholds are set back afterwards.
    """
    told = os.environ.get(TRIM, "")
    if platform.libc_ver()[0] != "glibc" or not told.isdecimal() or MMAP in os.environ:
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(MMAP_THRESHOLD, HIGHEST_MMAP_THRESHOLD)
    libc.mallopt(TRIM_THRESHOLD, 2 * HIGHEST_MMAP_THRESHOLD)
    try:
        yield
    finally:
        libc.mallopt(MMAP_THRESHOLD, DEFAULT_MMAP_THRESHOLD)
        libc.mallopt(TRIM_THRESHOLD, int(told))
        libc.malloc_trim(0)
