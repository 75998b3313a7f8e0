"""An ensemble from what a search has trained anyway: candidates that predict well together.

Models are added one by one, with replacement, each the one that lowers the held-out loss of the
mean prediction the most (Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from
libraries of models", 2004, doi:10.1145/1015330.1015432). Predictions are out of fold: each is by a
member that has not trained on its row.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from .._population import HeldOut
from .._task import TEMPERATURES
from .calibration import best_positions, temperature_at
from .scoring import ROWS_ADDED
from .surface import ResponseSurface


@dataclass(frozen=True)
class Chosen:
    """A model of an ensemble: a candidate, for how many epochs it trains, and how it predicts.

    Its logits are divided by the temperature; `uses_averages` asks for averages of its weights.
    """

    index: int
    n_epochs: int
    uses_averages: bool
    temperature: float


def select(
    held_out: HeldOut, surface: ResponseSurface, n_models: int
) -> tuple[list[Chosen], float]:
    """Return the models of an ensemble, in the order of their candidates, and its temperature.

    The better half of the candidates takes part, by smoothed losses: the lowest of many losses is a
    lucky one. Each is as it was after the epoch, of those whose predictions are kept, at which its
    smoothed loss is lowest, and at its own best temperature. Those that diverged, or were not
    trained for the whole budget, take no part. No models where one candidate alone does best.
    """
    kept = np.array(held_out.epochs)
    mean = np.where(surface.is_trained, surface.smoothed.mean(axis=1), np.inf)[:, kept]
    is_eligible = surface.is_trained[:, -1] & ~surface.is_diverged
    options, logits = [], []
    lowest = np.where(is_eligible, mean.min(axis=1), np.inf)
    n_best = max(2, int(is_eligible.sum()) // 2)
    for index in np.sort(lowest.argsort(kind="stable")[:n_best]):
        at = int(mean[index].argmin())
        view = int(surface.is_averaged[index, kept[at]])
        of_rows = held_out.log_probabilities[view, index, at].astype(np.float64)
        if not np.isfinite(of_rows).all():
            continue
        temperature = _best_temperature(of_rows, held_out, n_added=1.0)
        options.append(Chosen(int(index), int(kept[at]) + 1, bool(view), temperature))
        logits.append(log_softmax(of_rows / temperature, axis=1))
    numbers = _greedy(np.exp(logits), held_out, n_models) if options else []
    if len(set(numbers)) < 2:
        return [], 1.0
    mean_of_all = np.log(np.mean([np.exp(logits[number]) for number in numbers], axis=0))
    chosen = [options[number] for number in sorted(numbers)]
    return chosen, _best_temperature(mean_of_all, held_out, ROWS_ADDED)


def _greedy(probabilities: np.ndarray, held_out: HeldOut, n_models: int) -> list[int]:
    """Return numbers of models, of which some come several times, that predict well together.

    `probabilities` are of shape (n_options, n_rows, n_classes).
    """
    total, numbers = np.zeros(probabilities.shape[1:]), []
    for size in range(1, n_models + 1):
        losses = [_loss(np.log((total + one) / size), held_out) for one in probabilities]
        numbers.append(int(np.argmin(losses)))
        total += probabilities[numbers[-1]]
    return numbers


def _loss(log_probabilities: np.ndarray, held_out: HeldOut, n_added: float = 1.0) -> float:
    """Return the Laplace-smoothed log-loss of predictions (n_rows, n_classes), in nats."""
    surprise = -log_probabilities
    of_class = surprise[np.arange(len(surprise)), held_out.target]
    n_rows = len(surprise)
    loss = np.average(of_class, weights=held_out.weight)
    uniform = np.average(surprise.mean(axis=1), weights=held_out.weight)
    return float((n_rows * loss + n_added * uniform) / (n_rows + n_added))


def _best_temperature(logits: np.ndarray, held_out: HeldOut, n_added: float) -> float:
    losses = [_loss(log_softmax(logits / t, axis=1), held_out, n_added) for t in TEMPERATURES]
    return temperature_at(float(best_positions(np.array(losses))), TEMPERATURES)
