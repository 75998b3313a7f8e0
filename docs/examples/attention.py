"""A network with attention between the rows of images of digits.

python docs/examples/attention.py
"""

import keras
from comparison import compare
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


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
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8) / 16
    parts = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    compare("Rows of digits, attention", network, *parts)
