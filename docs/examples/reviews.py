"""A text classifier with an Embedding, on reviews of foods.

python docs/examples/reviews.py
"""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
from comparison import compare

DATA = Path(__file__).parent / "data"
N_WORDS, LENGTH = 4000, 80


def network():
    """Build a mean of word vectors."""
    return keras.Sequential(
        [
            keras.Input((LENGTH,)),
            keras.layers.Embedding(N_WORDS, 16),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def load():
    """Return word numbers of training and test reviews, and whether the food was liked."""
    parts = ("training", "testing")
    train, test = (pd.read_csv(DATA / f"small_fine_foods_{part}_data.csv.gz") for part in parts)
    numbers = keras.layers.TextVectorization(N_WORDS, output_sequence_length=LENGTH)
    numbers.adapt(train["review"].to_list())
    X_train, X_test = (np.asarray(numbers(part["review"].to_list())) for part in (train, test))
    return X_train, X_test, train["score"].to_numpy(), test["score"].to_numpy()


if __name__ == "__main__":
    compare("Reviews of foods, word vectors", network, [load()])
