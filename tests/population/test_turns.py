"""How groups share threads."""

import os
import signal
from threading import Barrier, Event

import pytest

from sk_metalr._population.turns import train_in_turns


def test_one_thread_trains_a_group_to_its_end_before_the_next():
    seen = []
    train_in_turns(["a", "b"], 3, 1, lambda group, epoch: seen.append((group, epoch)))
    assert seen == [(group, epoch) for group in "ab" for epoch in range(3)]


@pytest.mark.parametrize("n_groups", [2, 3, 4, 5, 7])
def test_no_thread_waits_for_the_last_group(n_groups):
    n_epochs, seen = 4, []
    both = Barrier(2, timeout=30)  # breaks where one thread is left alone

    def train(group, epoch):
        both.wait()
        seen.append((group, epoch))

    train_in_turns(range(n_groups), n_epochs, 2, train)
    assert sorted(seen) == [
        (group, epoch) for group in range(n_groups) for epoch in range(n_epochs)
    ]
    for group in range(n_groups):
        assert [epoch for one, epoch in seen if one == group] == list(range(n_epochs))


def test_few_groups_have_begun_at_a_time():
    begun, most = set(), 0

    def train(group, epoch):
        nonlocal most
        begun.add(group)
        most = max(most, len(begun))
        if epoch == 2:
            begun.remove(group)

    train_in_turns(range(20), 3, 2, train)
    assert most <= 3


def test_an_error_ends_the_other_threads_and_is_raised():
    seen, others_train = [], Event()

    def train(group, epoch):
        seen.append(group)
        if group:
            others_train.set()
        elif others_train.wait(30):
            raise RuntimeError("of a group")

    with pytest.raises(RuntimeError, match="of a group"):
        train_in_turns(range(2), 10**7, 2, train)
    assert 1 < len(seen) < 10**7


def test_an_interruption_ends_training():
    """Of the main thread, which only waits."""
    seen, interrupted = [], Event()

    def interrupt(*_):
        interrupted.set()
        raise KeyboardInterrupt

    def train(group, epoch):
        seen.append(group)
        if len(seen) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        interrupted.wait(30)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_in_turns(range(4), 10**7, 2, train)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen) < 10**7
