"""Held-out splits."""

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit

from sk_metalr._splits import make_splits, n_auto_splits, renumbered
from sk_metalr.exceptions import RareClassWarning


def splits_of(y, cv="auto", groups=None, seed=0, X=None):
    X = np.zeros((len(y), 1)) if X is None else X
    random_state = np.random.RandomState(seed)
    return make_splits(cv, X, np.asarray(y), groups=groups, random_state=random_state)


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [(5, 5), (150, 5), (2_000, 5), (5_000, 2), (7_000, 2), (10_000, 1), (10**6, 1)],
)
def test_auto_holds_out_about_two_thousand_rows(n_rows, expected):
    assert n_auto_splits(n_rows) == expected
    y = np.arange(n_rows) % 2
    if 150 <= n_rows < 10**6:
        assert [len(test) for _, test in splits_of(y)] == [n_rows // 5] * expected


@pytest.mark.parametrize(
    ("n_of_class", "expected"),
    [
        ([90_000, 10_000], 20_000),
        ([500_000, 500_000], 20_000),
        ([999_000, 1_000], 100_000),
        ([999_800, 200], 200_000),
        ([200_000], 20_000),
    ],
)
def test_auto_holds_out_no_more_rows_than_tell_candidates_apart(n_of_class, expected):
    y = np.repeat(np.arange(len(n_of_class)), n_of_class)
    ((train, test),) = splits_of(y)
    assert len(test) == expected
    assert len(train) == len(y) - expected
    np.testing.assert_allclose(np.bincount(y[test]) / len(test), np.array(n_of_class) / len(y))


def test_splits_are_stratified_disjoint_and_of_the_asked_size():
    y = np.repeat([0, 1, 2], [120, 60, 20])
    splits = splits_of(y, cv=5)
    assert len(splits) == 5
    for train, test in splits:
        assert len(test) == 40
        assert not np.intersect1d(train, test).size
        np.testing.assert_array_equal(np.bincount(y[test]), [24, 12, 4])
    assert not np.array_equal(splits[0][1], splits[1][1])


@pytest.mark.parametrize("n_folds", [2, 3, 5, 10])
def test_every_row_is_held_out_once_in_turn(n_folds):
    y = np.repeat([0, 1], [33, 70])
    splits = splits_of(y, cv=n_folds)
    held_out = np.concatenate([test for _, test in splits])
    np.testing.assert_array_equal(np.sort(held_out), np.arange(len(y)))
    assert not np.array_equal(splits[0][1], splits_of(y, cv=n_folds, seed=1)[0][1])


@pytest.mark.parametrize(("fraction", "n_folds"), [(0.2, 5), (0.1, 10), (0.33, 3), (0.5, 2)])
def test_a_fraction_that_is_that_of_a_fold_holds_out_the_first_fold(fraction, n_folds):
    y = np.repeat([0, 1], [33, 70])
    ((train, test),) = splits_of(y, cv=fraction)
    first = splits_of(y, cv=n_folds)[0]
    np.testing.assert_array_equal(train, first[0])
    np.testing.assert_array_equal(test, first[1])


def test_another_fraction_is_held_out_at_random():
    ((train, test),) = splits_of([0, 1] * 50, cv=0.3)
    assert len(test) == 30
    assert set(train % 2) == set(test % 2) == {0, 1}


def test_folds_of_a_class_with_fewer_rows_are_drawn_at_random():
    y = np.array([0] * 97 + [1] * 3)
    splits = splits_of(y, cv=5)
    assert [len(test) for _, test in splits] == [20] * 5
    for train, _ in splits:
        assert set(y[train]) == {0, 1}


def test_few_rows_still_hold_out_one_of_each_class():
    for _, test in splits_of(np.tile([0, 1, 2], 4), cv=0.1):
        assert len(test) == 3


def test_groups_stay_together():
    y = np.tile([0, 1], 50)
    groups = np.repeat(np.arange(20), 5)
    splits = splits_of(y, groups=groups, cv=2)
    assert len(splits) == 2
    for train, test in splits:
        assert not np.intersect1d(groups[train], groups[test]).size


@pytest.mark.parametrize(
    ("cv", "n_groups", "n_splits"), [("auto", 20, 5), ("auto", 3, 3), (0.4, 20, 1), (0.4, 2, 1)]
)
def test_grouped_splits_are_as_many_as_asked(cv, n_groups, n_splits):
    y = np.tile([0, 1], 60)
    groups = np.tile(np.repeat(np.arange(n_groups), 2), 60)[:120]
    splits = splits_of(y, groups=groups, cv=cv)
    assert len(splits) == n_splits
    for train, test in splits:
        assert not np.intersect1d(groups[train], groups[test]).size


def test_an_integer_cv_holds_out_whole_groups():
    y = np.repeat([0, 1], [80, 20])
    groups = np.arange(100) // 5
    splits = splits_of(y, cv=4, groups=groups)
    assert len(splits) == 4
    for train, test in splits:
        assert not np.intersect1d(groups[train], groups[test]).size
        np.testing.assert_array_equal(np.bincount(y[test]), [20, 5])
    with pytest.raises(ValueError, match=r"30 folds of whole groups.*Got 20 instead"):
        splits_of(y, cv=30, groups=groups)


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


@pytest.mark.parametrize("fraction", [0.1, 0.4, 0.6, 0.9])
def test_a_fraction_of_groups_is_held_out(fraction):
    groups = np.repeat(np.arange(20), 5)
    ((train, test),) = splits_of(np.arange(100) % 2, cv=fraction, groups=groups)
    assert len(test) == round(100 * fraction)
    assert not np.intersect1d(groups[train], groups[test]).size


def test_a_predefined_split_follows_the_rows_that_are_kept():
    y, kept = np.arange(20) % 2, np.arange(20) % 5 > 0
    every = PredefinedSplit(np.arange(20) % 3)
    new = np.cumsum(kept) - 1
    found = splits_of(y[kept], renumbered(every, kept))
    for (train, test), (old_train, old_test) in zip(found, every.split(), strict=True):
        np.testing.assert_array_equal(train, new[old_train[kept[old_train]]])
        np.testing.assert_array_equal(test, new[old_test[kept[old_test]]])


def test_pairs_of_indices_follow_the_rows_that_are_kept():
    kept = np.array([True, False, True, True, False, True])
    ((train, test),) = renumbered([([0, 1, 2], [3, 4, 5])], kept)
    np.testing.assert_array_equal(train, [0, 1])
    np.testing.assert_array_equal(test, [2, 3])
    assert renumbered(5, kept) == 5


@pytest.mark.parametrize(
    ("y", "arguments", "said"),
    [
        ([0, 1, 2], {}, "Class 0 has only 1 row"),
        ([0, 1, 2], {"cv": 3}, "Class 0 has only 1 row"),
        ([0, 0, 1], {"cv": [([0, 1], [2])]}, "Class 1 has only 1 row"),
        ([0, 1, 0, 1], {"cv": 0.9}, "too few"),
        ([0] * 5 + [1] * 5, {"cv": KFold(2)}, "is in no training row of split 0"),
        ([0, 1] * 5, {"cv": [([0, 1, 2], [2, 3])]}, "also holds out"),
        ([0, 1] * 5, {"cv": [([0, 1, 2], [])]}, "holds out no rows"),
        ([0, 1] * 5, {"cv": []}, "yields no split"),
        ([0, 1] * 5, {"groups": np.zeros(10)}, "of the same group"),
        ([0, 1] * 3, {"groups": np.tile([1, 2], 3)}, "Class 0 is in only 1 group"),
        ([0, 0, 1, 1], {"groups": np.array([1, 2, 2, 2])}, "2 folds of whole groups"),
        ([0, 1] * 3 + [2], {"groups": np.array([1] * 3 + [2] * 4)}, "2 folds of whole groups"),
    ],
)
def test_unusable_splits_are_refused(y, arguments, said):
    with pytest.raises(ValueError, match=said):
        splits_of(y, **arguments)


Y_RARE = np.r_[np.tile([0, 1], 20), 2, 3]
"""Two classes of one row each, at the end."""


@pytest.mark.parametrize(
    "cv",
    [
        "auto",
        0.3,
        4,
        KFold(4, shuffle=True, random_state=0),
        [(np.arange(20), np.arange(20, 42)), (np.arange(22, 42), np.arange(22))],
    ],
    ids=["auto", "at random", "a number", "a splitter", "pairs"],
)
def test_a_class_of_one_row_is_always_trained_on(cv):
    with pytest.warns(RareClassWarning, match=r"too few rows .*: 2, 3\. All"):
        splits = splits_of(Y_RARE, cv)
    for train, test in splits:
        assert {40, 41} <= set(train)
        assert not {40, 41} & set(test)
        assert len(np.unique(train)) == len(train)
        assert not np.intersect1d(train, test).size
    if len(splits) > 1:
        np.testing.assert_array_equal(np.unique(np.concatenate([t for _, t in splits])), range(40))


def test_a_user_who_keeps_rare_rows_himself_is_not_warned():
    splits = splits_of(Y_RARE, [(np.r_[:20, 40, 41], np.arange(20, 40))])
    np.testing.assert_array_equal(splits[0][0], np.r_[:20, 40, 41])


@pytest.mark.parametrize("cv", ["auto", 3, GroupKFold(3)])
def test_a_class_in_one_group_keeps_its_whole_group_trained(cv):
    y = np.r_[np.tile([0, 1], 30), 2, 2]
    groups = np.r_[np.arange(60) // 6, 4, 4]
    with pytest.warns(RareClassWarning, match=r"too few groups .*: 2\. All of their groups"):
        splits = splits_of(y, cv, groups=groups)
    for train, test in splits:
        assert not np.intersect1d(groups[train], groups[test]).size
        assert set(np.flatnonzero(groups == 4)) <= set(train)


def test_a_class_that_is_held_out_whole_is_trained_on_instead():
    y = np.r_[np.tile([0, 1], 20), 2, 2]
    with pytest.warns(RareClassWarning, match="too few rows .*: 2"):
        ((train, test),) = splits_of(y, cv=0.7)
    assert {40, 41} <= set(train)
    assert len(train) + len(test) == len(y)


class ByFirstColumn:
    """A splitter that looks at features."""

    def split(self, X, y=None, groups=None):
        """Hold out the half with the higher values."""
        order = X[:, 0].argsort()
        yield order[: len(X) // 2], order[len(X) // 2 :]

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of splits."""
        return 1


def test_a_splitter_sees_the_features():
    X = np.array([[3.0], [0.0], [2.0], [1.0]])
    ((train, test),) = splits_of([0, 1, 1, 0], cv=ByFirstColumn(), X=X)
    assert sorted(train) == [1, 3]
    assert sorted(test) == [0, 2]
