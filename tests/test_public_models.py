"""Models in the style of public Keras examples: the losses and predictions are those of Model.fit.

What `fit` recorded is computed again without anything of the population: a fresh model for each
member, `keras.Model.fit` on the same rows in the same order, scikit-learn's `log_loss` on what
`Model.predict` gives. Take minutes: ``pytest -n 0 -m long tests/test_public_models.py``; with
``-rA`` it prints the lane of every model.
"""

from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
from make import SMALL_FITS_WARN
from public_models import MODELS
from scikeras.utils.random_state import tensorflow_random_state
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight

from sk_metalr import MetaLRClassifier
from sk_metalr._population import lanes, preserved_random_state

pytestmark = SMALL_FITS_WARN


WITH_XLA = [
    "flipped_convnet",
    "fine_tuned_base",
    "label_smoothing",
    "noisy_perceptron",
    "simple_convnet",
    "with_a_metric",
]
"""Of Keras's own parts alone: a program of other parts is never compiled by XLA."""

ROUNDING = {
    "batch_normalised_perceptron": "the gradient of a bias before normalisation is 0 but for "
    "rounding, and Adam divides it by its own size",
    "tab_transformer": "from the initial weights of the second refit",
    "mixed_activations": "the sine of three times an unbounded activation folds what differs",
}
"""Models that Model.fit itself trains to other weights where it rounds otherwise, and why."""

N_EPOCHS = 3
N_ROWS = 138
BATCH_SIZE = 16
TOLERANCE = 1e-4

SPLITS = [
    (np.sort(order[:n_train]), np.sort(order[n_train:]))
    for n_train, order in [
        (112, np.random.default_rng(1).permutation(N_ROWS)),
        (106, np.random.default_rng(2).permutation(N_ROWS)),
    ]
]
"""One whose batches are all full, and one with 10 rows in the last, as all 138 rows have."""


class Rows(keras.utils.PyDataset):
    """Batches of training rows, in the order of each epoch that the population has."""

    def __init__(self, x, y, weight, batch_size, seed):
        super().__init__()
        self.arrays = (x, y) if weight is None else (x, y, weight)
        self.n_rows = len(y)
        self.batch_size = batch_size
        self.seed = seed
        self.begin(0)

    def begin(self, epoch, logs=None):
        self.order = np.random.default_rng((self.seed, epoch)).permutation(self.n_rows)

    def __len__(self):
        return -(-self.n_rows // self.batch_size)

    def __getitem__(self, number):
        rows = self.order[number * self.batch_size :][: self.batch_size]
        return tuple(keras.tree.map_structure(lambda array: array[rows], self.arrays))


def opened(estimator, X, y, seed, rate, jit):
    """Return a classifier whose model SciKeras has built from a seed, untrained."""
    with preserved_random_state():
        estimator.set_params(random_state=seed).initialize(X, y)
        estimator._ensure_compiled_model()
    model = estimator.model_
    if not getattr(model, "inputs", None):  # it has no weights before
        model(estimator.feature_encoder_.transform(X[:1]), training=False)
    model.jit_compile = jit  # as in the population: XLA draws other random numbers
    model.optimizer.learning_rate = rate
    # So that Model.fit is traced only once; inside of its first step, the state of
    # ScheduleFreeAdamW, which starts from the weights, would start from zeros.
    model.optimizer.build(model.trainable_variables)
    return estimator


def encoded(one, X, y):
    """Return arrays for the Keras model, weights only where there are some."""
    weight = None
    if one.class_weight is not None:
        weight = compute_sample_weight(one.class_weight, y).astype(np.float32)
    return one.feature_encoder_.transform(X), one.target_encoder_.transform(y), weight


def probabilities(one, X):
    """Return what Model.predict gives for all rows in one batch, as probabilities."""
    x = one.feature_encoder_.transform(X)
    outputs = one.model_.predict(x, batch_size=len(X), verbose=0)
    from_logits = getattr(one.model_.loss, "from_logits", False)
    if outputs.shape[1] == 1:
        other = 0 * outputs if from_logits else 1 - outputs
        outputs = np.hstack([other, outputs])
    return softmax(outputs, axis=1) if from_logits else outputs


def trained(one, X, y, order_seed, n_epochs, at_epoch_end=None):
    """Train with Model.fit, on rows in the order of the population."""
    rows = Rows(*encoded(one, X, y), one.batch_size, order_seed)
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=rows.begin)]
    if at_epoch_end is not None:
        callbacks.append(
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: at_epoch_end())
        )
    one.model_.fit(rows, epochs=n_epochs, callbacks=callbacks, shuffle=False, verbose=0)
    return one


def trained_by_keras(one, X, y, seed, n_epochs):
    """Train with Model.fit, which draws the order of rows itself, as SciKeras has it do."""
    one.model_.jit_compile = False
    x, target, weight = encoded(one, X, y)
    settings = {"batch_size": one.batch_size, "epochs": n_epochs, "verbose": 0}
    with preserved_random_state(), tensorflow_random_state(seed):
        one.model_.fit(x, target, sample_weight=weight, **settings)
    return one


def losses_of_a_member(make, X, y, jit, classes, split, seed, rate):
    """Return held-out losses of every epoch (n_epochs,): what Model.fit would deliver there."""
    train, test = split

    def start():
        return opened(make(), X[train], y[train], seed, rate, jit)

    def loss(one):
        before = [variable.numpy() for variable in one.model_.variables]
        result = log_loss(y[test], probabilities(one, X[test]), labels=classes)
        for variable, value in zip(one.model_.variables, before, strict=True):
            variable.assign(value)  # random generators, too, which some layers move as they predict
        return result

    one = start()
    if one.model_.optimizer.use_ema:  # which ends training with other weights than it had
        each = [trained(start(), X[train], y[train], seed, 1 + epoch) for epoch in range(N_EPOCHS)]
        return [loss(one) for one in each]
    losses = []
    trained(one, X[train], y[train], seed, N_EPOCHS, lambda: losses.append(loss(one)))
    return losses


def prediction_of_a_refit(make, X, y, jit, fitted, weights_seed, order_seed):
    """Return probabilities for all rows, of a fit with the chosen strategy on all of them."""
    one = opened(make(), X, y, weights_seed, fitted.best_learning_rate_, jit)
    if fitted.search_cost_["lane"] == "keras" or one.metrics:
        return probabilities(trained_by_keras(one, X, y, weights_seed, fitted.best_n_epochs_), X)
    return probabilities(trained(one, X, y, order_seed, fitted.best_n_epochs_), X)


def differences(public, jit):
    """Fit, do it again with Model.fit, and return how far apart they are, by what it is."""
    X, y = (array[:N_ROWS] for array in public.data())
    make = partial(public.classifier, BATCH_SIZE, N_EPOCHS)
    fitted = MetaLRClassifier(
        make(),
        learning_rates=public.rates,
        cv=SPLITS,
        calibrate=False,
        n_models=2,
        random_state=0,
    ).fit(X, y)
    print(*(f"{key}: {fitted.search_cost_[key]}" for key in ("lane", "lane_reason")), sep="\n")
    curves = fitted.learning_curves_
    assert np.isfinite(curves).all()
    assert np.ptp(curves, axis=0).max() > 1e-3  # rates do make a difference

    search_seed, weights_seed, order_seed = np.random.RandomState(0).randint(2**30, size=3).tolist()
    start = make, X, y, jit
    apart = {}
    for rate, split, what in [(1, 0, "full batches"), (0, 1, "a smaller last batch")]:
        member = fitted.classes_, SPLITS[split], search_seed + split, public.rates[rate]
        apart[what] = curves[rate, split] - losses_of_a_member(*start, *member)
    refits = []
    for number, seeds in enumerate([(weights_seed, order_seed), (order_seed + 1, order_seed + 1)]):
        refits.append(prediction_of_a_refit(*start, fitted, *seeds))
        apart[f"refit {number}"] = probabilities(fitted.estimators_[number], X) - refits[-1]
    apart["prediction"] = fitted.predict_proba(X) - np.mean(refits, axis=0)
    return {what: float(np.abs(values).max()) for what, values in apart.items()}


def nudged(build, meta):
    """Build a model, and move half of its weights by one unit in the last place."""
    model, rng = build(meta=meta), np.random.default_rng(0)
    for variable in model.trainable_variables:
        value = variable.numpy()
        up = np.nextafter(value, np.float32(np.inf))
        variable.assign(np.where(rng.random(value.shape) < 0.5, value, up))
    return model


def rounding_error(public):
    """Return how far apart the probabilities of two Model.fit are, where weights are nudged.

    From the initial weights of both refits, of which the worse counts.
    """
    X, y = (array[:N_ROWS] for array in public.data())
    _, weights_seed, order_seed = np.random.RandomState(0).randint(2**30, size=3).tolist()
    errors = []
    for seed, order in [(weights_seed, order_seed), (order_seed + 1, order_seed + 1)]:
        ends = []
        for one in (public, replace(public, build=partial(nudged, public.build))):
            classifier = one.classifier(BATCH_SIZE, N_EPOCHS)
            start = opened(classifier, X, y, seed, public.rates[1], jit=False)
            ends.append(probabilities(trained(start, X, y, order, N_EPOCHS), X))
        errors.append(np.abs(ends[0] - ends[1]).max())
    return max(errors)


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_losses_and_predictions_are_those_of_model_fit(name):
    apart = differences(MODELS[name], jit=False)
    print("furthest apart:", apart)
    tolerance = TOLERANCE
    if name in ROUNDING:
        error = rounding_error(MODELS[name])
        print("Model.fit and Model.fit, from weights that are rounded otherwise:", error)
        assert error > TOLERANCE / 10, "this is no exception any more"
        tolerance = 3 * error
    assert max(apart.values()) <= tolerance, apart


@pytest.mark.long
@pytest.mark.parametrize("name", WITH_XLA)
def test_xla_leaves_them_as_they_are(name, monkeypatch):
    """Short fits do without XLA; these have it, and Model.fit too."""
    monkeypatch.setattr(lanes, "MIN_STEPS_TO_COMPILE", 0)
    apart = differences(MODELS[name], jit=True)
    print("furthest apart:", apart)
    assert max(apart.values()) <= TOLERANCE, apart
