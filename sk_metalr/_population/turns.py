"""Turns: how groups share threads, so that no core waits for the last of them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from heapq import heappop, heappushpop
from threading import Lock

from .group import Group


def train_in_turns(
    groups: Sequence[Group], n_epochs: int, n_threads: int, train: Callable[[Group, int], None]
) -> None:
    """Train every group for `n_epochs`, one after another, several groups at a time.

    A thread stays with its group to the end, so that the states of few are held at once. While more
    groups are left than threads, but fewer than twice as many, they take turns, that with the
    fewest epochs first: three of a length keep two threads busy for one and a half times that
    length, not twice.

    `train` is handed a group and the number of the epoch, counted from 0. If it fails, or this
    thread is interrupted, all threads end after the epoch they are in, and the error is raised.
    """
    waiting = [(0, number) for number in range(len(groups))]  # a heap: fewest epochs first
    n_left, has_failed, lock = len(groups), False, Lock()

    def work() -> None:
        nonlocal n_left, has_failed
        mine: tuple[int, int] | None = None
        while True:
            with lock:
                if mine is not None and mine[0] == n_epochs:
                    mine, n_left = None, n_left - 1
                if mine is not None and n_threads < n_left < 2 * n_threads:
                    mine = heappushpop(waiting, mine)
                elif mine is None and waiting:
                    mine = heappop(waiting)
            if mine is None or has_failed:
                return
            epoch, number = mine
            try:
                train(groups[number], epoch)
            except BaseException:
                has_failed = True
                raise
            mine = epoch + 1, number

    with ThreadPoolExecutor(n_threads) as threads:
        working = [threads.submit(work) for _ in range(n_threads)]
        try:
            for thread in working:
                thread.result()
        except BaseException:
            has_failed = True
            raise
