"""How far a fit is: lines and bars where it is verbose, and scikit-learn's callbacks."""

import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np

from ._recorded import Recorded
from ._sklearn import callback_context

PREFIX = "[sk_metalr]"
WIDTH = 30
"""Characters of a bar."""
SECONDS_BETWEEN_DRAWINGS = 0.1
ASCII = str.maketrans({"…": "...", "×": "x", "–": "-", "−": "-"})


def tell(text: str, end: str = "\n") -> None:
    """Write a text to stdout, or give up quietly: nothing that is told is worth a fit.

    What the encoding of stdout lacks is written in ASCII.
    """
    with suppress(Exception):  # closed, missing, a broken pipe, or a stream of somebody's own
        try:
            print(text, end=end, flush=True)
        except UnicodeEncodeError:
            plain = text.translate(ASCII).encode("ascii", "backslashreplace").decode()
            print(plain, end=end, flush=True)


def warn(warning: Warning, stacklevel: int) -> None:
    """Warn as ``warnings.warn`` does, but give up quietly where stderr cannot be written to."""
    with suppress(OSError, ValueError):
        warnings.warn(warning, stacklevel=stacklevel + 1)


@dataclass(frozen=True)
class Seen:
    """Held-out scores of some candidates on one split after one epoch.

    The record and the candidates' numbers have the shape (n,); what is recorded of a candidate is
    not finite once it has diverged.
    """

    recorded: Recorded
    candidates: np.ndarray
    split: int
    epoch: int


Step = Callable[[Seen | None], None]
"""Called after each step of a stage, with what it showed of candidates, if anything."""

Stage = Callable[[str, int], AbstractContextManager[Step]]
"""See :meth:`Progress.stage`."""


def ignore(seen: Seen | None) -> None:
    """Take a step without telling anybody."""


def silent(name: str, n_steps: int) -> AbstractContextManager[Step]:
    """Begin a stage without telling anybody."""
    return nullcontext(ignore)


@dataclass(frozen=True)
class Score:
    """The score that a search chooses on, by the name of its scorer.

    `of` makes scores, greater is better, of the mean over splits of what was recorded, in the shape
    of the record.
    """

    name: str
    of: Callable[[Recorded], np.ndarray]


class Progress:
    """Tells users, and scikit-learn's callbacks of the estimator, about the stages of a fit.

    Users of a verbose estimator see the best mean over splits of `score`, where there is one.
    """

    def __init__(self, estimator: Any) -> None:
        self.score: Score | None = None
        self._estimator = estimator
        self._lock = Lock()
        self._root = callback_context(estimator)
        if self._root is not None:
            self._root.call_on_fit_task_begin(estimator=estimator)

    def end(self) -> None:
        """Say that the fit is done."""
        if self._root is not None:
            self._root.call_on_fit_task_end(estimator=self._estimator)

    @contextmanager
    def stage(self, name: str, n_steps: int) -> Iterator[Step]:
        """Show how a stage goes; yield a function that any thread calls after each step."""
        shown = _Shown(name, n_steps, self.score) if self._estimator.verbose else None
        context = None
        if self._root is not None:
            context = self._root.subcontext(task_name=name, max_subtasks=n_steps)
            context.call_on_fit_task_begin(estimator=self._estimator)
        n_taken = 0

        def step(seen: Seen | None) -> None:
            nonlocal n_taken
            with self._lock:
                if n_taken == n_steps:
                    return  # a lane gave up, and the next has more groups
                n_taken += 1
                if shown is not None:
                    shown.step(seen)
                if context is not None:
                    epoch = context.subcontext(task_name="epoch")
                    epoch.call_on_fit_task_begin(estimator=self._estimator)
                    epoch.call_on_fit_task_end(estimator=self._estimator)

        try:
            yield step
        finally:
            if shown is not None:
                shown.end()
        if context is not None:
            context.call_on_fit_task_end(estimator=self._estimator)


class _Shown:
    """A stage as users see it: a bar on a screen; elsewhere a line at its start and at its end."""

    def __init__(self, name: str, n_steps: int, score: Score | None) -> None:
        self._name, self._n_steps, self._score = name, n_steps, score
        self._n_taken, self._n_drawn = 0, 0
        self._seen: defaultdict[tuple[int, int], dict[int, np.ndarray]] = defaultdict(dict)
        self._names: tuple[str, ...] = ()
        self._redraws, self._pause = False, SECONDS_BETWEEN_DRAWINGS
        with suppress(Exception):  # stdout may be missing, or a stream of somebody's own
            in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
            self._redraws = sys.stdout.isatty() or in_notebook
        self._start = self._drawn_at = perf_counter()
        tell(f"{PREFIX} {name}")

    def step(self, seen: Seen | None) -> None:
        """Take a step."""
        self._n_taken += 1
        if seen is not None and self._score is not None:
            self._names, values = seen.recorded.names, seen.recorded.values.T
            for candidate, of_one in zip(seen.candidates.tolist(), values, strict=True):
                self._seen[candidate, seen.epoch][seen.split] = of_one
        now = perf_counter()
        if self._redraws and now - self._drawn_at > self._pause:
            left = (now - self._start) * (self._n_steps / self._n_taken - 1)
            self._draw(f"{left:.0f} s left")
            self._drawn_at = perf_counter()
            # The best mean of many epochs takes a while to find.
            self._pause = max(SECONDS_BETWEEN_DRAWINGS, 20 * (self._drawn_at - now))

    def end(self) -> None:
        """Say how it went."""
        took = f"{perf_counter() - self._start:.1f} s"
        if self._redraws:
            self._draw(took, end="\n")
        else:
            taken = "" if self._n_taken == self._n_steps else f"{self._n_taken} of "
            tell(f"{PREFIX} {self._name}: {taken}{self._n_steps} steps in {took}{self._best()}")

    def _draw(self, time: str, end: str = "") -> None:
        full = WIDTH * self._n_taken // self._n_steps
        line = f"{self._n_taken}/{self._n_steps} [{'=' * full:.<{WIDTH}}] {time}{self._best()}"
        tell(f"\r{line:<{self._n_drawn}}", end)
        self._n_drawn = len(line)

    def _best(self) -> str:
        """Return the best mean over splits, in words; empty where nothing is known."""
        if self._score is None or not self._seen:
            return ""
        means = np.array([np.mean(list(on.values()), axis=0) for on in self._seen.values()])
        scores = self._score.of(Recorded(self._names, means.T))
        best = scores[np.isfinite(scores)].max(initial=-np.inf)
        return "" if np.isneginf(best) else f", best mean {self._score.name} {best:.4f}"
