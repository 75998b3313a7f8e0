"""An ensemble from what a search has trained anyway: candidates that predict well together.

Models are added one by one, with replacement, each the one that lowers the held-out loss of the
mean prediction the most (Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from
libraries of models", 2004, doi:10.1145/1015330.1015432). Predictions are out of fold: each is by a
member that has not trained on its row.
"""

from dataclasses import dataclass

import numpy as np

from .._population import HeldOut
from .._task import Task
from .._task.classification import TEMPERATURES
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
    task: Task,
    held_out: HeldOut,
    surface: ResponseSurface,
    epochs_of_models: np.ndarray,
    n_models: int,
) -> tuple[list[Chosen], float]:
    """Return the models of an ensemble, in the order of their candidates, and its temperature.

    The better half of all candidates takes part, by smoothed losses: the lowest of many losses is a
    lucky one. Each is as it was after the epoch, of those whose predictions are kept, at which its
    smoothed loss is lowest, and at its own best temperature. Those that diverged, or were not
    trained for the whole budget, take no part. `epochs_of_models` (n_candidates, n_epochs) are how
    long models had trained. No models where one candidate alone does best.
    """
    kept = np.array(held_out.epochs)
    mean = np.where(surface.is_trained, surface.smoothed.mean(axis=1), np.inf)[:, kept]
    is_eligible = surface.is_trained[:, -1] & ~surface.is_diverged
    options, predictions, target, weight = [], [], held_out.target, held_out.weight
    lowest = np.where(is_eligible, mean.min(axis=1), np.inf)
    n_best = max(2, int((~surface.is_diverged).sum()) // 2)
    best = lowest.argsort(kind="stable")[: min(n_best, is_eligible.sum())]
    for index in np.sort(best):
        at = int(mean[index].argmin())
        view = int(surface.is_averaged[index, kept[at]])
        of_rows = held_out.predictions[view, index, at]
        if not np.isfinite(of_rows).all():
            continue
        values, target, weight = task.from_kept(of_rows, held_out.target, held_out.weight)
        temperature = _best_temperature(task, values, target, weight, n_added=1.0)
        n_epochs = int(epochs_of_models[index, kept[at]])
        options.append(Chosen(int(index), n_epochs, bool(view), temperature))
        predictions.append(task.kept_at(values, temperature))
    numbers = _greedy(task, np.array(predictions), target, weight, n_models) if options else []
    if len(set(numbers)) < 2:
        return [], 1.0
    mean_of_all = task.back_to_kept(np.mean([predictions[number] for number in numbers], axis=0))
    chosen = [options[number] for number in sorted(numbers)]
    return chosen, _best_temperature(task, mean_of_all, target, weight, ROWS_ADDED)


def _greedy(
    task: Task, predictions: np.ndarray, target: np.ndarray, weight: np.ndarray, n_models: int
) -> list[int]:
    """Return numbers of models, of which some come several times, that predict well together.

    `predictions` are of shape (n_options, n, ...).
    """
    total, numbers = np.zeros(predictions.shape[1:]), []
    for size in range(1, n_models + 1):
        losses = [task.loss((total + one) / size, target, weight) for one in predictions]
        numbers.append(int(np.argmin(losses)))
        total += predictions[numbers[-1]]
    return numbers


def _best_temperature(
    task: Task, kept: np.ndarray, target: np.ndarray, weight: np.ndarray, n_added: float
) -> float:
    """Return the temperature at which the loss of predictions is lowest; 1 where there is none."""
    if not task.has_temperature:
        return 1.0
    losses = [task.loss(task.kept_at(kept, t), target, weight, n_added) for t in TEMPERATURES]
    return temperature_at(float(best_positions(np.array(losses))), TEMPERATURES)
