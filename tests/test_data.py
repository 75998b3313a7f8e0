"""Training data, validated."""

import numpy as np
import pytest

from sk_metalr._data import check_training_data
from sk_metalr._task import Classification

X = np.arange(12.0).reshape(6, 2)
Y = np.array(["b", "a", "b", "c", "a", "b"])


def test_labels_become_positions_among_the_classes():
    data = check_training_data(Classification(), X, Y, None, None)
    np.testing.assert_array_equal(data.classes, ["a", "b", "c"])
    np.testing.assert_array_equal(data.classes[data.target], Y)
    assert data.kept.all()


def test_rows_of_weight_zero_are_left_out_everywhere():
    weight = np.array([1, 0, 2, 1, 1, 0.0])
    data = check_training_data(Classification(), X, Y, weight, np.arange(6))
    np.testing.assert_array_equal(data.X, X[[0, 2, 3, 4]])
    np.testing.assert_array_equal(data.groups, [0, 2, 3, 4])
    np.testing.assert_array_equal(data.sample_weight, [1, 2, 1, 1])
    np.testing.assert_array_equal(data.kept, weight > 0)


def test_baseline_loss_is_the_entropy_of_the_weighted_frequencies():
    even = check_training_data(Classification(), X[:2], Y[:2], None, None)
    assert even.baseline_loss == pytest.approx(np.log(2))
    uneven = check_training_data(Classification(), X[:2], Y[:2], np.array([3.0, 1.0]), None)
    expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert uneven.baseline_loss == pytest.approx(expected)


@pytest.mark.parametrize(
    ("y", "weight", "groups", "said"),
    [
        (np.zeros(6), None, None, "one class only"),
        (Y, np.where(Y == "a", 1.0, 0.0), None, r"one class only \('a'\)"),
        (np.linspace(0, 1, 6), None, None, "Unknown label type"),
        (Y, np.zeros(6), None, "zero|is 0"),
        (Y, -np.ones(6), None, "[Nn]egative"),
        (Y, None, np.zeros(3), "inconsistent"),
    ],
)
def test_unusable_data_is_refused(y, weight, groups, said):
    with pytest.raises(ValueError, match=said):
        check_training_data(Classification(), X, y, weight, groups)
