"""The learning-rate range test: one short run at a rising rate, and two rules to read it.

L. N. Smith, "Cyclical learning rates for training neural networks", 2017
(arXiv:1506.01186), section 3.3: train for a few iterations while the learning rate rises,
watch the loss. The details are those of fastai (J. Howard and S. Gugger, "fastai: a
layered API for deep learning", 2020, arXiv:2002.04688), whose `lr_find` made the test
popular: rates rise geometrically from 1e-7 to 10 in 100 steps, losses are averaged
exponentially, the run ends once the loss is four times its lowest, and the rules are not
shown the first tenth of the steps nor the last five.
"""

import numpy as np

LOWEST, HIGHEST, N_STEPS = 1e-7, 10.0, 100
MOMENTUM = 0.98
STOP_RATIO = 4.0
SKIP_FIRST, SKIP_LAST = N_STEPS // 10, 5


def range_test(model, X: np.ndarray, y: np.ndarray, batch_size: int, seed: int):
    """Return rates and smoothed training losses, in nats, of the steps that the rules see.

    Parameters
    ----------
    model : keras.Model
        Fresh and compiled; it is trained, and of no use afterwards.
    X, y : ndarray of shape (n_samples, ...)
        Training rows, as the model takes them.
    batch_size : int
        Rows per step.
    seed : int
        Seed of the order of rows.
    """
    random = np.random.default_rng(seed)
    rates = np.geomspace(LOWEST, HIGHEST, N_STEPS)
    batches = _endless_batches(len(y), min(batch_size, len(y)), random)
    losses: list[float] = []
    average = 0.0
    for step, rate in enumerate(rates):
        model.optimizer.learning_rate.assign(rate)
        rows = next(batches)
        # Without a reset the loss that Keras returns is the mean since the epoch began.
        model.reset_metrics()
        loss = float(model.train_on_batch(X[rows], y[rows]))
        average = MOMENTUM * average + (1 - MOMENTUM) * loss
        losses.append(average / (1 - MOMENTUM ** (step + 1)))
        if not np.isfinite(losses[-1]) or losses[-1] > STOP_RATIO * min(losses):
            break
    seen = slice(SKIP_FIRST, len(losses) - SKIP_LAST)
    finite = np.isfinite(losses[seen])
    return rates[seen][finite], np.array(losses[seen])[finite]


def _endless_batches(n_rows: int, batch_size: int, random: np.random.Generator):
    while True:
        order = random.permutation(n_rows)
        for start in range(0, n_rows - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


def steepest(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate where the loss falls fastest over the logarithm of the rate."""
    return float(rates[(np.diff(losses) / np.diff(np.log(rates))).argmin()])


def valley(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate in the middle of the longest valley's last but one third.

    fastai's default rule: the longest falling subsequence of losses is cut in three; the
    rate is half a third past the first.
    """
    length = np.ones(len(losses), int)
    for i in range(len(losses)):
        falling = length[:i][losses[:i] > losses[i]]
        length[i] = 1 + (falling.max() if falling.size else 0)
    end = int(length.argmax())
    start = end - int(length[end])
    third = (end - start) / 3
    return float(rates[max(0, start + int(third) + int(third / 2))])
