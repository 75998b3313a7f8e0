"""A convolutional network on images of digits.

python docs/examples/images.py
"""

import keras
from comparison import compare, divisions_of_digits


def network():
    """Build two convolutions."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


if __name__ == "__main__":
    compare(
        "Images of digits, convolutions", network, divisions_of_digits(8, 8, 1), search="halving"
    )
