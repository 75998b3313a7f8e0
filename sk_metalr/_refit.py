"""From a chosen strategy to fitted classifiers, and to their predictions."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from . import _models as models
from ._data import TrainingData
from ._population import (
    COMPILED_LANES,
    Block,
    Options,
    SplitSetup,
    TrainedMember,
    keeps_program,
    outputs_of,
    preserved_random_state,
    trained_by_keras,
)
from ._progress import Stage, silent
from ._search import Prepared
from ._search.evaluation import make_setup
from ._space import RATE, Candidates, Strategy, learned, rates_at
from ._task import Classification
from .exceptions import AllDivergedError, NotVectorizableError

PROBE_RATE = 1e-7


@dataclass(frozen=True)
class Refitted:
    """Classifiers that were fitted with the chosen strategy, and how.

    Attributes
    ----------
    fitted : list of scikeras.wrappers.KerasClassifier
        The classifiers.
    by_keras : bool
        Whether ``Model.fit`` trained them.
    uses_xla : bool
        Whether XLA compiled their training.
    """

    fitted: list[Any] = field(default_factory=list)
    by_keras: bool = False
    uses_xla: bool = False


@dataclass(frozen=True)
class Refit:
    """One strategy, to be trained on all rows.

    Attributes
    ----------
    estimator : scikeras.wrappers.KerasClassifier
        The wrapped classifier, which is left as it is.
    strategy : Strategy
        The chosen one.
    plan : TrainingPlan
        The full budget, batch size and shuffling.
    data : TrainingData
        All rows.
    n_epochs : int
        How many epochs of the budget to train for.
    n_models : int
        How many models, each from initial weights of its own.
    weights_seed, order_seed : int
        Seeds of the initial weights, where `estimator` has none, and of the order of rows.
    """

    estimator: Any
    strategy: Strategy
    plan: models.TrainingPlan
    data: TrainingData
    n_epochs: int
    n_models: int
    weights_seed: int
    order_seed: int

    def train(self, engine: str = "auto", stage: Stage = silent) -> Refitted:
        """Fit in the compiled program where that does all of Keras's loop, or else by Keras.

        Parameters
        ----------
        engine : {"auto", "vectorized", "compiled", "keras"}
            See :class:`.Options`.
        stage : callable
            See :meth:`.Progress.stage`.

        Raises
        ------
        AllDivergedError
            If the weights do not stay finite.
        """
        with preserved_random_state():
            fitted = self._opened()
            # A kept program may keep the model it was made from: never the one handed out.
            is_kept = any(keeps_program(one.model_) for one in fitted)
            trainable = self._opened() if is_kept else fitted
        trained, uses_xla = None, False
        if engine != "keras" and not models.refits_with_keras(fitted[0]):
            trained, uses_xla = self._train_compiled(trainable, engine, stage)
        if trained is None:
            self._train_by_keras(fitted, stage)
        for one, member in zip(fitted, trained or [], strict=False):
            models.load_trained(one, member)
        if not all(models.is_finite(one) for one in fitted):
            raise AllDivergedError(
                f"The refit on all rows diverged at the chosen learning rate "
                f"{self.strategy.learning_rate:.3g}, which did not diverge on the splits; try "
                "lower learning_rates."
            )
        return Refitted(fitted, trained is None, uses_xla)

    def _opened(self) -> list[Any]:
        """Return classifiers that are ready to be trained."""
        data, strategy = self.data, self.strategy
        X = models.features_to_open(self.estimator, data.X, slice(None))
        rate = models.scheduled_rate(
            self.estimator, strategy.learning_rate, strategy.schedule, len(data.y)
        )
        seeds = [None, *(self.order_seed + i for i in range(1, self.n_models))]
        result = []
        for seed in seeds:
            tuned = models.with_strategy(
                self.estimator, rate, self.n_epochs, self.weights_seed, strategy.settings
            )
            result.append(
                models.open_estimator(
                    tuned, X, data.y, seed=seed, rate=rate, settings=strategy.settings
                )
            )
        return result

    def _train_by_keras(self, fitted: list[Any], stage: Stage) -> None:
        data = self.data
        with preserved_random_state(), stage("refit", len(fitted)) as step:
            for one in fitted:
                models.fit_with_keras(one, data.X, data.y, data.sample_weight)
                step(None)

    def _train_compiled(
        self, opened: list[Any], engine: str, stage: Stage
    ) -> tuple[list[TrainedMember] | None, bool]:
        """Train as a block of one candidate, each model in place of a split.

        Returns
        -------
        trained : list of TrainedMember or None
            None where no compiled program can.
        uses_xla : bool
            Whether XLA compiled training.
        """
        setups = self._setups(opened)
        values, schedules = (
            {RATE: np.array([self.strategy.learning_rate])},
            [self.strategy.schedule],
        )
        for lane in COMPILED_LANES[COMPILED_LANES.index(engine) if engine != "auto" else 0 :]:
            options = Options(
                task=Classification(models.has_logits(opened[0].model_)),
                budget=self.plan.n_epochs,
                shuffle=self.plan.shuffle,
                engine=lane,
            )
            n_epochs = opened[0].epochs
            try:
                block = Block(setups, values, schedules, options)
                with stage("refit", n_epochs * block.n_groups) as step:
                    block.train(n_epochs, step)
            except NotVectorizableError:
                continue
            members = [block.trained_member(0, number) for number in range(len(opened))]
            return members, block.uses_xla
        return None, False

    def _setups(self, opened: list[Any]) -> list[SplitSetup]:
        """Return a setup for each model, which holds out no rows."""
        every = np.arange(len(self.data.y))
        batch_size = self.plan.rows_per_batch(len(every))
        return [
            make_setup(one, self.data, every, every[:0], batch_size, self.order_seed + number)
            for number, one in enumerate(opened)
        ]

    def train_by_keras(self, uses_xla: bool) -> list[list[np.ndarray]]:
        """Return the variables of each model after ``Model.fit`` itself has trained it."""
        with preserved_random_state():
            opened = self._opened()
        return [
            trained_by_keras(
                setup,
                {RATE: step_rates(self.strategy, self.plan.n_epochs, setup)[: self.n_epochs]},
                task=Classification(models.has_logits(setup.model)),
                shuffle=self.plan.shuffle,
                uses_xla=uses_xla,
            )[1]
            for setup in self._setups(opened)
        ]


def chosen_strategy(
    candidates: Candidates, index: int, trajectories: np.ndarray | None = None
) -> Strategy:
    """Return the strategy of a candidate, with the rates that it has learned where it has.

    Parameters
    ----------
    candidates : Candidates
    index : int
        Position of the candidate.
    trajectories : ndarray of shape (n_candidates, n_splits, n_epochs) or None
        Learning rate of each epoch; the refit follows the mean of their logarithms over splits.
    """
    strategy = candidates.strategy(index)
    if trajectories is None:
        return strategy
    trajectory = np.exp(np.log(trajectories[index]).mean(axis=0))
    return replace(strategy, schedule=learned(trajectory / strategy.learning_rate))


def refit_of(prepared: Prepared, strategy: Strategy, n_epochs: int, n_models: int) -> Refit:
    """Return the refit of a fit on all its rows, with a strategy."""
    evaluation = prepared.evaluation
    weights_seed, order_seed = prepared.refit_seeds
    return Refit(
        evaluation.estimator,
        strategy,
        evaluation.plan,
        prepared.data,
        n_epochs,
        n_models,
        weights_seed,
        order_seed,
    )


def probe(prepared: Prepared, n_models: int, engine: str) -> Callable[[int, Stage], Any]:
    """Return a function that refits for some epochs, at a rate that changes nothing much."""
    harmless = prepared.space.family(0, np.array([PROBE_RATE])).strategy(0)
    estimator = prepared.evaluation.estimator
    if estimator.callbacks:  # which are not to see it
        estimator, engine = models.without_callbacks(estimator), "keras"

    def fit(n_epochs: int, stage: Stage) -> Any:
        n_epochs = min(n_epochs, prepared.evaluation.n_epochs)
        refit = refit_of(prepared, harmless, n_epochs, n_models)
        return replace(refit, estimator=estimator).train(engine, stage)

    return fit


def step_rates(strategy: Strategy, budget: int, setup: SplitSetup) -> np.ndarray:
    """Return the learning rates of a budget of epochs: (n_epochs, n_steps)."""
    n_steps = budget * setup.steps_per_epoch
    rates = rates_at(np.arange(n_steps), n_steps, [strategy.learning_rate], [strategy.schedule])
    return rates.reshape(budget, -1)


def predicted(fitted: list[Any], X: np.ndarray) -> np.ndarray:
    """Return class probabilities (n_samples, n_classes): the mean over fitted classifiers.

    Parameters
    ----------
    fitted : list of scikeras.wrappers.KerasClassifier
        With models of one architecture.
    X : ndarray of shape (n_samples, ...)
        Features.
    """
    models.check_row_shape(fitted[0], X)
    encoded = [models.encode_features(one, X) for one in fitted]
    outputs = outputs_of([one.model_ for one in fitted], encoded)
    return np.asarray(models.to_probabilities(fitted[0], outputs).mean(axis=0))
