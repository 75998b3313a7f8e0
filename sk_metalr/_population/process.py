"""Forked processes, in which TensorFlow waits for threads that only their parent has."""

import os

from .random import has_started

_is_forked = False


def _note_fork() -> None:
    global _is_forked
    _is_forked = _is_forked or has_started()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def check_not_forked() -> None:
    """Raise RuntimeError in a process that was forked after TensorFlow had started."""
    if _is_forked:
        raise RuntimeError(
            "This process was forked from one in which TensorFlow runs, whose threads it does not "
            "have, so that it would wait for ever. Start it by "
            "multiprocessing.get_context('spawn'), or use joblib's backend 'loky'."
        )
