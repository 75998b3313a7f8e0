"""
A recommender: embeddings of users and items
============================================

Will this user like that item? The network has two inputs, a user's number and an item's number.
Each has an ``Embedding``, the product of both vectors tells how well they match, and a bias of
each is added. SciKeras's ``feature_encoder`` cuts the two columns of X into the two inputs.

**The data are simulated**, because no table of real interactions comes with this package.
In return the best possible log-loss is known: that of the probabilities that the data were drawn
from.
"""

# %%
# Simulated interactions
# ----------------------
# 300 users and 200 items have hidden tastes in two dimensions; some users like more than others,
# and some items are liked more than others. Each of 20,000 pairs is a like or a dislike, drawn
# with the probability that tastes and popularity give.

from time import perf_counter

import keras
import matplotlib.pyplot as plt
import numpy as np
from scikeras.wrappers import KerasClassifier
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer

from sk_metalr import LearningRateDisplay, MetaLRClassifier

N_USERS, N_ITEMS, N_PAIRS, N_TASTES = 300, 200, 20_000, 2
rng = np.random.default_rng(0)
user_tastes = rng.normal(size=(N_USERS, N_TASTES))
item_tastes = rng.normal(size=(N_ITEMS, N_TASTES))
generosity, popularity = rng.normal(size=N_USERS), rng.normal(size=N_ITEMS)
pairs = rng.choice(N_USERS * N_ITEMS, N_PAIRS, replace=False)
users, items = pairs // N_ITEMS, pairs % N_ITEMS
true_probability = expit(
    generosity[users] + popularity[items] + (user_tastes[users] * item_tastes[items]).sum(axis=1)
)
X = np.column_stack([users, items])
y = np.where(rng.uniform(size=N_PAIRS) < true_probability, "like", "dislike")
X_train, X_test, y_train, y_test, _, p_test = train_test_split(
    X, y, true_probability, test_size=0.3, stratify=y, random_state=0
)
print(f"{len(X_train)} pairs to train on, {len(X_test)} to test on")
print(f"{np.mean(y == 'like'):.0%} are likes")

# %%
# A network with two inputs
# -------------------------
# Columns of X become a dict of inputs. ``feature_encoder`` is a property of a KerasClassifier; a
# subclass overrides it.


def as_inputs(X):
    """Return a dict with one array for each input of the network."""
    return {"user": X[:, 0].astype("int32"), "item": X[:, 1].astype("int32")}


class TwoTowers(KerasClassifier):
    """Gives users and items to the network apart."""

    @property
    def feature_encoder(self):
        """Encoder of X."""
        return FunctionTransformer(as_inputs)


# The penalty is that of a normal prior with variance 1 on every weight, for the mean loss.
penalty = keras.regularizers.L2(0.5 / len(X_train))


def network():
    """Build embeddings of both, their product, and a bias for each."""
    inputs, vectors, biases = {}, [], []
    for name, size in [("user", N_USERS), ("item", N_ITEMS)]:
        inputs[name] = keras.Input((), name=name, dtype="int32")
        vectors.append(
            keras.layers.Embedding(
                size,
                4,
                embeddings_initializer=keras.initializers.RandomNormal(stddev=0.3),
                embeddings_regularizer=penalty,
            )(inputs[name])
        )
        biases.append(
            keras.layers.Embedding(size, 1, embeddings_regularizer=penalty, name=f"{name}_bias")(
                inputs[name]
            )
        )
    match = keras.layers.Dot(axes=1)(vectors)
    outputs = keras.layers.Activation("sigmoid")(keras.layers.add([match, *biases]))
    return keras.Model(inputs, outputs)


default = TwoTowers(
    network,
    loss="binary_crossentropy",
    optimizer="adam",
    epochs=20,
    batch_size=128,
    verbose=0,
    random_state=0,
)

# %%
# Fit
# ---
# At Adam's default rate for all epochs; at the default rate for as many epochs as ``fit`` chooses;
# and with both chosen. There are enough rows for a single held-out split.


def timed_fit(model):
    """Fit, and return how long it took and the test log-loss."""
    start = perf_counter()
    model.fit(X_train, y_train)
    return perf_counter() - start, log_loss(y_test, model.predict_proba(X_test))


clone(default).set_params(epochs=1).fit(X_train, y_train)  # loads libraries
epochs_only = MetaLRClassifier(default, learning_rates=[1e-3], random_state=0)
tuned = MetaLRClassifier(default, random_state=0)
default_seconds, default_loss = timed_fit(default)
_, epochs_loss = timed_fit(epochs_only)
seconds, loss = timed_fit(tuned)
again_seconds, _ = timed_fit(tuned)
best_possible = log_loss(y_test, p_test)
print(f"Chosen: learning rate {tuned.best_learning_rate_:.2g}, {tuned.best_n_epochs_} epochs")
print("Test log-loss in nats:")
print(f"  always the class frequencies   {tuned.baseline_loss_:.3f}")
print(f"  default rate, all 20 epochs    {default_loss:.3f}")
print(f"  default rate, epochs chosen    {epochs_loss:.3f}")
print(f"  rate and epochs chosen         {loss:.3f}")
print(f"  the true probabilities         {best_possible:.3f}")
print(f"Area under the ROC curve {roc_auc_score(y_test, tuned.predict_proba(X_test)[:, 1]):.3f}")
print(f"Cost: {seconds:.1f} s the first time, {again_seconds:.1f} s once compiled: ", end="")
print(f"{seconds / default_seconds:.1f} x and {again_seconds / default_seconds:.1f} x a plain fit")

assert best_possible < loss < min(default_loss, epochs_loss) - 0.02
assert again_seconds < 8 * default_seconds

# %%
# Response curve
# --------------

LearningRateDisplay.from_estimator(tuned, default_rate=1e-3)
plt.show()

# %%
# What the embeddings have learned
# --------------------------------
# The bias of an item should follow the popularity that the simulation gave it.

model = tuned.best_estimator_.model_
learned = model.get_layer("item_bias").get_weights()[0][:, 0]
correlation = np.corrcoef(popularity, learned)[0, 1]
print(f"Correlation of learned bias and popularity: {correlation:.2f}")
assert correlation > 0.7

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.scatter(popularity, learned, s=14, color="#0072B2", alpha=0.6, linewidths=0)
ax.set(xlabel="popularity in the simulation", ylabel="learned bias of the item")
plt.show()
