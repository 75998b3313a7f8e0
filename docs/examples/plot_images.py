"""
Images of digits: convolutions, and halving
===========================================

A small convolutional network on scikit-learn's 1797 images of handwritten digits. With
``search="halving"`` all learning rates begin, and only the better ones train on. Convolutions over
images as small as these (8 × 8) train many candidates at once.
"""

# %%
# Data and network
# ----------------

from time import perf_counter

import keras
import matplotlib.pyplot as plt
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from sk_metalr import LearningCurvesDisplay, MetaLRClassifier

EPOCHS = 15
images, y = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8, 1) / 16
divisions = [
    train_test_split(images, y, test_size=0.3, stratify=y, random_state=number)
    for number in range(3)
]


def network():
    """Build two convolutions."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.AveragePooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


default = KerasClassifier(
    network,
    loss="sparse_categorical_crossentropy",
    optimizer="adam",
    epochs=EPOCHS,
    verbose=0,
    random_state=0,
)
tuned = MetaLRClassifier(default, search="halving", random_state=0)

# %%
# Three divisions into training and test images
# ---------------------------------------------
# Each time the network is fitted at Adam's default rate, 0.001, for all epochs, and with the rate
# and the number of epochs that ``fit`` chooses. The first search compiles its program, later ones
# reuse it.


def timed_fit(model, X, y):
    """Return a fitted clone and how long it took."""
    start = perf_counter()
    fitted = clone(model).fit(X, y)
    return fitted, perf_counter() - start


X_train, _, y_train, _ = divisions[0]
timed_fit(clone(default).set_params(epochs=1), X_train, y_train)  # loads libraries
losses, ratios = [], []
for X_train, X_test, y_train, y_test in divisions:
    plain, plain_seconds = timed_fit(default, X_train, y_train)
    chosen, seconds = timed_fit(tuned, X_train, y_train)
    losses.append([log_loss(y_test, one.predict_proba(X_test)) for one in (chosen, plain)])
    ratios.append(seconds / plain_seconds)
    print(
        f"learning rate {chosen.best_learning_rate_:.2g}, {chosen.best_n_epochs_} epochs; test "
        f"log-loss {losses[-1][0]:.3f} nats, at the default rate {losses[-1][1]:.3f}; "
        f"{seconds:.1f} s, {ratios[-1]:.1f} x a plain fit"
    )
cost = chosen.search_cost_
print(f"lane: {cost['lane']}; {cost['n_candidates']} candidates x {cost['n_splits']} splits")
loss, default_loss = np.mean(losses, axis=0)
print(f"mean test log-loss {loss:.3f} nats, at the default rate {default_loss:.3f}")

assert cost["lane"] == "vectorized"
assert loss < default_loss - 0.01
assert np.mean(ratios[1:]) < 8

# %%
# Learning curves
# ---------------
# One curve for each candidate, the mean over splits. A cross marks where halving dropped a
# candidate, a triangle where one diverged.

LearningCurvesDisplay.from_estimator(chosen)
plt.show()

# %%
# Test images that are classified wrongly
# ---------------------------------------

predicted = chosen.predict(X_test)
print(f"test accuracy {accuracy_score(y_test, predicted):.3f}")
wrong = np.flatnonzero(predicted != y_test)[:10]
figure, axes = plt.subplots(2, 5, figsize=(6.4, 3.2), layout="constrained")
for ax in axes.flat:
    ax.axis("off")
for ax, row in zip(axes.flat, wrong, strict=False):
    ax.imshow(X_test[row, :, :, 0], cmap="gray_r")
    ax.set_title(f"{y_test[row]}, predicted {predicted[row]}", fontsize="small")
plt.show()
