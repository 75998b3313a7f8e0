"""Things that are slow to make, kept for the next time: the latest few."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any


class Recent:
    """The `n_kept` things that were asked for last, by their keys; threads may share it."""

    def __init__(self, n_kept: int) -> None:
        self._n_kept = n_kept
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what is kept under a key, or else what `make` returns, which is kept then."""
        with self._lock:
            thing = self._kept.pop(key, None) or make()
            self._kept[key] = thing
            if len(self._kept) > self._n_kept:
                self._kept.popitem(last=False)
        return thing

    def values(self) -> list[Any]:
        """Return all that is kept."""
        with self._lock:
            return list(self._kept.values())

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()
