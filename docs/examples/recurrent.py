"""A recurrent network that reads images of digits row by row.

python docs/examples/recurrent.py
"""

import keras
from comparison import compare
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


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
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8) / 16
    parts = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    compare("Rows of digits, recurrent", network, *parts)
