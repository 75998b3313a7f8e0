"""Time that several threads spend on something."""

from threading import Lock
from time import perf_counter


class Stopwatch:
    """Measures the seconds in which at least one thread is inside its context."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = 0
        self._start = 0.0
        self._lock = Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._start = perf_counter()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self.seconds += perf_counter() - self._start
