"""A recurrent network that reads images of digits row by row.

python docs/examples/recurrent.py
"""

import keras
from comparison import compare, divisions_of_digits


def network():
    """Build a gated recurrent unit."""
    return keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.GRU(32),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


if __name__ == "__main__":
    compare("Rows of digits, recurrent", network, divisions_of_digits(8, 8))
