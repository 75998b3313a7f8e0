"""A convolutional network on images of digits: members train one after another.

python docs/examples/images.py
"""

import keras
from comparison import compare
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


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
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8, 1) / 16
    parts = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    compare("Images of digits, convolutions", network, *parts)
