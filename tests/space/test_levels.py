"""Values as records hold them."""

from enum import StrEnum

import keras
import numpy as np
import pytest

from sk_metalr._space import plain


class Act(StrEnum):
    RELU = "relu"


class WithoutConfig(keras.losses.Loss):
    """A loss that does not tell what it was made with."""

    def get_config(self):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (np.float64(0.00021544346900318823), 0.000215443),
        (1.0, 1),
        (np.int64(3), 3),
        (True, True),
        (None, None),
        (float("inf"), "inf"),
        ((32, np.tanh, float("nan")), [32, "tanh", "nan"]),
        ({np.int64(0): 0.5, "one": (1.0,)}, {"0": 0.5, "one": [1]}),
        (Act.RELU, "relu"),
        (np.tanh, "tanh"),
        (WithoutConfig(), "WithoutConfig {}"),
        (keras.regularizers.L2(1e-3), "L2 {'l2': 0.001}"),
    ],
)
def test_values_are_such_as_json_keeps(value, held):
    assert plain(value) == held
    assert type(plain(value)) is type(held)
    assert plain(plain(value)) == held
