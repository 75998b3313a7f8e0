"""
Reviews of foods: text and word vectors
=======================================

Reviews are turned into numbers of words by Keras's ``TextVectorization``, inside a Pipeline, and
classified by a network with an ``Embedding``: was the food liked? Word vectors start from nothing
and soon know the training reviews by heart, so it matters how fast and for how long they train.
"""

# %%
# Data
# ----

from pathlib import Path
from time import perf_counter

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scikeras.wrappers import KerasClassifier
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline

from sk_metalr import LearningCurvesDisplay, LearningRateDisplay, MetaLRClassifier

# Sphinx-Gallery runs a script in its own folder and does not define __file__.
DATA = (Path(__file__).parent if "__file__" in globals() else Path.cwd()) / "data"

train, test = (
    pd.read_csv(DATA / f"small_fine_foods_{part}_data.csv.gz") for part in ("training", "testing")
)
print(f"{len(train)} reviews to train on, {len(test)} to test on")
print(train["score"].value_counts(normalize=True).round(3).to_dict())

# %%
# Words to numbers, in a transformer
# ----------------------------------
# ``MetaLRClassifier`` takes arrays of numbers, as scikit-learn's own classifiers do. A transformer
# learns the most frequent words of the training reviews and replaces each word by its number.

N_WORDS, LENGTH = 4000, 80


class WordNumbers(TransformerMixin, BaseEstimator):
    """Replaces texts by rows of word numbers of equal length."""

    def fit(self, texts, y=None):
        """Learn the most frequent words."""
        self.vectorization_ = keras.layers.TextVectorization(N_WORDS, output_sequence_length=LENGTH)
        self.vectorization_.adapt(list(texts))
        return self

    def transform(self, texts):
        """Return an array of shape (n_texts, LENGTH)."""
        return np.asarray(self.vectorization_(list(texts)))


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


keras_classifier = KerasClassifier(
    network,
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    epochs=15,
    verbose=0,
    random_state=0,
)

# %%
# Fit
# ---
# At Adam's default rate for all epochs, at the default rate for as many epochs as ``fit`` chooses,
# and with both chosen. Two splits save time. A first fit of one epoch loads libraries.


def fitted(classifier):
    """Return a fitted pipeline, how long it took, and its test log-loss."""
    model = make_pipeline(WordNumbers(), classifier)
    start = perf_counter()
    model.fit(train["review"], train["score"])
    seconds = perf_counter() - start
    return model, seconds, log_loss(test["score"], model.predict_proba(test["review"]))


splits = StratifiedShuffleSplit(2, test_size=0.2, random_state=0)
fitted(clone(keras_classifier).set_params(epochs=1))
default, default_seconds, default_loss = fitted(keras_classifier)
_, _, epochs_loss = fitted(
    MetaLRClassifier(keras_classifier, learning_rates=[1e-3], cv=splits, random_state=0)
)
tuned, seconds, loss = fitted(MetaLRClassifier(keras_classifier, cv=splits, random_state=0))
chosen = tuned[-1]
print(f"Chosen: learning rate {chosen.best_learning_rate_:.2g}, {chosen.best_n_epochs_} epochs")
print(f"Test log-loss, rate and epochs chosen: {loss:.3f} nats")
print(f"  default rate, epochs chosen:         {epochs_loss:.3f} nats")
print(f"  default rate, all 15 epochs:         {default_loss:.3f} nats")
print(f"Test accuracy {accuracy_score(test['score'], tuned.predict(test['review'])):.3f}, ", end="")
print(f"at the default rate {accuracy_score(test['score'], default.predict(test['review'])):.3f}")
print(f"Cost: {seconds:.1f} s, {seconds / default_seconds:.1f} x a plain fit, compiling included")

assert loss < default_loss - 0.05
assert abs(loss - epochs_loss) < 0.03
assert seconds < 12 * default_seconds

# %%
# Here the whole gain comes from the number of epochs: Adam's default rate suits this network, and
# with as many epochs as ``fit`` chooses it does as well as a rate that was searched.

# %%
# Response curve and learning curves
# ----------------------------------

LearningRateDisplay.from_estimator(chosen, default_rate=1e-3)
plt.show()

# %%
LearningCurvesDisplay.from_estimator(chosen)
plt.show()
