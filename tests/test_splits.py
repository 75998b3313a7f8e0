"""Held-out splits."""

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, KFold

from sk_metalr._splits import check_splitter, make_splits, n_auto_splits, renumbered


def splits_of(y, cv=None, groups=None, n_splits="auto", validation_fraction=0.2, seed=0):
    splitter = check_splitter(
        cv,
        np.asarray(y),
        n_splits=n_splits,
        validation_fraction=validation_fraction,
        groups=groups,
        random_state=np.random.RandomState(seed),
    )
    return make_splits(splitter, np.asarray(y), groups)


@pytest.mark.parametrize(
    ("n_rows", "fraction", "expected"),
    [
        (150, 0.2, 5),
        (2_000, 0.2, 5),
        (5_000, 0.2, 2),
        (7_000, 0.2, 2),
        (10_000, 0.2, 1),
        (10**6, 0.2, 1),
        (5, 0.01, 5),
    ],
)
def test_auto_holds_out_about_two_thousand_rows(n_rows, fraction, expected):
    assert n_auto_splits(n_rows, fraction) == expected


def test_splits_are_stratified_disjoint_and_of_the_asked_size():
    y = np.repeat([0, 1, 2], [120, 60, 20])
    splits = splits_of(y, n_splits=3)
    assert len(splits) == 3
    for train, test in splits:
        assert len(test) == 40
        assert not np.intersect1d(train, test).size
        np.testing.assert_array_equal(np.bincount(y[test]), [24, 12, 4])
    assert not np.array_equal(splits[0][1], splits[1][1])


@pytest.mark.parametrize(("fraction", "n_folds"), [(0.2, 5), (0.1, 10), (0.33, 3), (0.5, 2)])
def test_every_row_is_held_out_once_in_turn(fraction, n_folds):
    y = np.repeat([0, 1], [33, 70])
    splits = splits_of(y, n_splits=2 * n_folds, validation_fraction=fraction)
    for folds in (splits[:n_folds], splits[n_folds:]):
        held_out = np.concatenate([test for _, test in folds])
        np.testing.assert_array_equal(np.sort(held_out), np.arange(len(y)))
    assert not np.array_equal(splits[0][1], splits[n_folds][1])


@pytest.mark.parametrize(("y", "fraction"), [([0, 1] * 50, 0.3), ([0] * 97 + [1] * 3, 0.2)])
def test_other_fractions_and_rare_classes_are_held_out_at_random(y, fraction):
    for train, test in splits_of(y, n_splits=4, validation_fraction=fraction):
        assert len(test) == fraction * 100
        assert set(np.asarray(y)[train]) == {0, 1}


def test_few_rows_still_hold_out_one_of_each_class():
    for _, test in splits_of(np.tile([0, 1, 2], 4), n_splits=2):
        assert len(test) == 3


def test_groups_stay_together():
    y = np.tile([0, 1], 50)
    groups = np.repeat(np.arange(20), 5)
    splits = splits_of(y, groups=groups, n_splits=2)
    assert len(splits) == 2
    for train, test in splits:
        assert not np.intersect1d(groups[train], groups[test]).size


@pytest.mark.parametrize(("n_splits", "n_groups"), [(10, 20), (3, 3), (1, 2)])
def test_grouped_splits_are_as_many_as_asked(n_splits, n_groups):
    y = np.tile([0, 1], 60)
    groups = np.tile(np.repeat(np.arange(n_groups), 2), 60)[:120]
    splits = splits_of(y, groups=groups, n_splits=n_splits, validation_fraction=0.4)
    assert len(splits) == n_splits
    for train, test in splits:
        assert not np.intersect1d(groups[train], groups[test]).size


def test_groups_reach_the_users_splitter():
    groups = np.repeat(np.arange(5), 8)
    splits = splits_of(np.tile([0, 1], 20), cv=GroupKFold(5), groups=groups)
    assert len(splits) == 5
    for train, test in splits:
        assert not np.intersect1d(groups[train], groups[test]).size


def test_an_integer_cv_is_stratified():
    y = np.repeat([0, 1], [80, 20])
    for _, test in splits_of(y, cv=4):
        np.testing.assert_array_equal(np.bincount(y[test]), [20, 5])


def test_pairs_of_indices_or_masks_are_taken_as_they_are():
    y = np.tile([0, 1], 5)
    mask = np.arange(10) < 6
    ((train, test), (mask_train, mask_test)) = splits_of(
        y, cv=[([0, 1, 2, 3], [8, 9]), (mask, ~mask)]
    )
    np.testing.assert_array_equal(train, [0, 1, 2, 3])
    np.testing.assert_array_equal(test, [8, 9])
    np.testing.assert_array_equal(mask_train, np.arange(6))
    np.testing.assert_array_equal(mask_test, np.arange(6, 10))


def test_pairs_of_indices_follow_the_rows_that_are_kept():
    kept = np.array([True, False, True, True, False, True])
    ((train, test),) = renumbered([([0, 1, 2], [3, 4, 5])], kept)
    np.testing.assert_array_equal(train, [0, 1])
    np.testing.assert_array_equal(test, [2, 3])
    assert renumbered(5, kept) == 5


@pytest.mark.parametrize(
    ("y", "arguments", "said"),
    [
        ([0] * 10 + [1], {}, "Class 1 has only 1 row"),
        ([0, 1, 0, 1], {"validation_fraction": 0.9}, "too few"),
        ([0] * 5 + [1] * 5, {"cv": KFold(2)}, "is in no training row of split 0"),
        ([0, 1] * 5, {"cv": [([0, 1, 2], [2, 3])]}, "also holds out"),
        ([0, 1] * 5, {"cv": [([0, 1, 2], [])]}, "holds out no rows"),
        ([0, 1] * 5, {"cv": []}, "yields no split"),
        ([0, 1] * 5, {"groups": np.zeros(10)}, "of the same group"),
    ],
)
def test_unusable_splits_are_refused(y, arguments, said):
    with pytest.raises(ValueError, match=said):
        splits_of(y, **arguments)
