"""A network with attention between the rows of images of digits.

python docs/examples/attention.py
"""

import keras
from comparison import compare, divisions_of_digits


def network():
    """Build one block of a transformer."""
    inputs = keras.Input((8, 8))
    rows = keras.layers.Dense(32)(inputs)
    attended = keras.layers.MultiHeadAttention(num_heads=4, key_dim=8)(rows, rows)
    rows = keras.layers.LayerNormalization()(keras.layers.add([rows, attended]))
    rows = keras.layers.Dense(32, activation="relu")(rows)
    outputs = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(rows))
    return keras.Model(inputs, outputs)


if __name__ == "__main__":
    compare("Rows of digits, attention", network, divisions_of_digits(8, 8))
