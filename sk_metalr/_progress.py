"""How far a fit is: bars where it is verbose, and scikit-learn's callbacks where there are any."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import isfinite
from threading import Lock
from typing import Any

from keras.utils import Progbar

__all__ = ["Progress", "Step", "Task", "ignore", "silent"]

Step = Callable[[float], None]
"""What is called after each step of a task, with a loss in nats that may be infinite."""

Task = Callable[[str, int], AbstractContextManager[Step]]
"""See :meth:`Progress.task`."""


def ignore(loss: float) -> None:
    """Be a Step that tells nobody."""


def silent(name: str, n_steps: int) -> AbstractContextManager[Step]:
    """Be a Task that tells nobody."""
    return nullcontext(ignore)


class Progress:
    """Tells users, and callbacks, about the tasks of a fit.

    Parameters
    ----------
    estimator : MetaLRClassifier
        Which is fitted. Its callbacks are scikit-learn's, of version 1.9 or newer.
    verbose : int
        Whether bars are shown.
    """

    def __init__(self, estimator: Any, verbose: int) -> None:
        self._estimator = estimator
        self._verbose = verbose
        self._lock = Lock()
        self._root = None
        if hasattr(estimator, "_init_callback_context"):
            self._root = estimator._init_callback_context(max_subtasks=None)
            self._root.call_on_fit_task_begin(estimator=estimator)

    def end(self) -> None:
        """Say that the fit is done."""
        if self._root is not None:
            self._root.call_on_fit_task_end(estimator=self._estimator)

    @contextmanager
    def task(self, name: str, n_steps: int) -> Iterator[Callable[[float], None]]:
        """Show how a task goes.

        Parameters
        ----------
        name : str
            What is done.
        n_steps : int
            In how many steps.

        Yields
        ------
        step : callable
            To be called after each step, by any thread.
        """
        bar = None
        if self._verbose:
            print(f"[MetaLRClassifier] {name}")
            bar = Progbar(n_steps, stateful_metrics=["lowest_loss"])
        context = None
        if self._root is not None:
            context = self._root.subcontext(task_name=name, max_subtasks=n_steps)
            context.call_on_fit_task_begin(estimator=self._estimator)
        lowest, n_taken = float("inf"), 0

        def step(loss: float) -> None:
            nonlocal lowest, n_taken
            with self._lock:
                if n_taken == n_steps:
                    return  # a lane gave up, and the next has more groups
                n_taken += 1
                lowest = min(lowest, loss) if isfinite(loss) else lowest
                if bar is not None:
                    bar.add(1, [("lowest_loss", lowest)] if isfinite(lowest) else None)
                if context is not None:
                    epoch = context.subcontext(task_name="epoch")
                    epoch.call_on_fit_task_begin(estimator=self._estimator)
                    epoch.call_on_fit_task_end(estimator=self._estimator)

        yield step
        if context is not None:
            context.call_on_fit_task_end(estimator=self._estimator)
