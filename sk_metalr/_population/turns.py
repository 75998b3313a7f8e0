"""Turns: how groups share threads, so that no core waits for the last of them."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from .group import Group


def train_in_turns(
    groups: Sequence[Group], n_epochs: int, n_threads: int, train: Callable[[Group, int], None]
) -> None:
    """Train every group for `n_epochs`, one after another, several groups at a time.

    A thread stays with its group to the end, so that the states of few are held at once. While more
    groups are left than threads, but fewer than twice as many, they take turns after each epoch:
    three of a length keep two threads busy for one and a half times that length, not twice.

    `train` is handed a group and the number of the epoch, counted from 0. If it fails, all threads
    end after the epoch they are in, and the error is raised.
    """
    waiting = deque((group, 0) for group in groups)
    n_left, has_failed, lock = len(groups), False, Lock()

    def work() -> None:
        nonlocal n_left, has_failed
        while True:
            with lock:
                if has_failed or not waiting:
                    return
                group, epoch = waiting.popleft()
            try:
                train(group, epoch)
            except BaseException:
                has_failed = True
                raise
            with lock:
                if epoch + 1 == n_epochs:
                    n_left -= 1
                elif n_threads < n_left < 2 * n_threads:
                    waiting.append((group, epoch + 1))
                else:
                    waiting.appendleft((group, epoch + 1))

    with ThreadPoolExecutor(n_threads) as threads:
        for worked in [threads.submit(work) for _ in range(n_threads)]:
            worked.result()
