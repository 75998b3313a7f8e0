"""From a chosen strategy to fitted classifiers, and to their predictions."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import _models as models
from . import _population as population
from ._progress import Stage
from ._search import Prepared
from ._search.evaluation import make_setup
from ._space import RATE, Strategy, learned, rates_at
from ._task import Classification
from .exceptions import AllDivergedError, NotVectorizableError

PROBE_RATE = 1e-7


@dataclass(frozen=True)
class Refitted:
    """Classifiers fitted by ``Model.fit`` or by a compiled program, which XLA may have compiled."""

    fitted: list[Any]
    by_keras: bool
    uses_xla: bool


@dataclass(frozen=True)
class Refit:
    """One strategy, to be trained on all rows of a fit for some epochs of the budget.

    Each of the `n_models` models starts from initial weights of its own.
    """

    prepared: Prepared
    strategy: Strategy
    n_epochs: int
    n_models: int

    def train(self, engine: str, stage: Stage) -> Refitted:
        """Fit in the compiled program where that does all of Keras's loop, or else by Keras.

        Raises AllDivergedError if the weights do not stay finite.
        """
        with population.preserved_random_state():
            fitted = self._opened()
        trained, uses_xla = None, False
        if engine != "keras" and not models.refits_with_keras(fitted[0]):
            trained, uses_xla = self._train_compiled(fitted, engine, stage)
        # A program that is kept may hold a model, which then is never the one handed out.
        if any(population.is_kept(one.model_) for one in fitted):
            with population.preserved_random_state():
                fitted = self._opened()
        if trained is None:
            data = self.prepared.data
            with population.preserved_random_state(), stage("refit", len(fitted)) as step:
                for one in fitted:
                    models.fit_with_keras(one, data.X, data.y, data.sample_weight)
                    step(None)
        else:
            for one, member in zip(fitted, trained, strict=True):
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
        data, strategy = self.prepared.data, self.strategy
        estimator = self.prepared.evaluation.estimator
        weights_seed, order_seed = self.prepared.refit_seeds
        X = models.features_to_open(estimator, data.X, slice(None))
        rate = models.scheduled_rate(
            estimator, strategy.learning_rate, strategy.schedule, len(data.y)
        )
        settings = strategy.settings
        tuned = models.with_strategy(estimator, rate, self.n_epochs, weights_seed, settings)
        return [
            models.open_estimator(tuned, X, data.y, seed=seed, rate=rate, settings=settings)
            for seed in [None, *range(order_seed + 1, order_seed + self.n_models)]
        ]

    def _train_compiled(
        self, opened: list[Any], engine: str, stage: Stage
    ) -> tuple[list[population.TrainedMember] | None, bool]:
        """Train as a block of one candidate, each model in place of a split.

        Returns None where no compiled program can, and whether XLA compiled training.
        """
        plan, strategy = self.prepared.evaluation.plan, self.strategy
        values, schedules = {RATE: np.array([strategy.learning_rate])}, [strategy.schedule]
        setups = self._setups(opened)
        options = population.Options(
            task=Classification(models.has_logits(opened[0].model_)),
            budget=plan.n_epochs,
            shuffle=plan.shuffle,
        )
        first = 0 if engine == "auto" else population.COMPILED_LANES.index(engine)
        for lane in population.COMPILED_LANES[first:]:
            try:
                block = population.Block(setups, values, schedules, replace(options, engine=lane))
                with stage("refit", self.n_epochs * block.n_groups) as step:
                    block.train(self.n_epochs, step)
            except NotVectorizableError:
                continue
            members = [block.trained_member(0, number) for number in range(len(opened))]
            return members, block.uses_xla
        return None, False

    def _setups(self, opened: list[Any]) -> list[population.SplitSetup]:
        """Return a setup for each model, which holds out no rows."""
        data, order_seed = self.prepared.data, self.prepared.refit_seeds[1]
        every = np.arange(len(data.y))
        batch_size = self.prepared.evaluation.plan.rows_per_batch(len(every))
        return [
            make_setup(one, data, every, every[:0], batch_size, order_seed + number)
            for number, one in enumerate(opened)
        ]

    def train_by_keras(self, uses_xla: bool) -> list[list[np.ndarray]]:
        """Return the variables of each model after ``Model.fit`` itself has trained it."""
        plan = self.prepared.evaluation.plan
        with population.preserved_random_state():
            opened = self._opened()
        return [
            population.trained_by_keras(
                setup,
                {RATE: step_rates(self.strategy, plan.n_epochs, setup)[: self.n_epochs]},
                task=Classification(models.has_logits(setup.model)),
                shuffle=plan.shuffle,
                uses_xla=uses_xla,
            )[1]
            for setup in self._setups(opened)
        ]


def chosen_refit(fitted: Any, prepared: Prepared) -> Refit:
    """Return the refit of a MetaLRClassifier with the strategy that its fit has chosen.

    Where candidates have learned their rates, it follows the mean of their logarithms over splits.
    """
    strategy = prepared.space.named(fitted.cv_results_["params"]).strategy(fitted.best_index_)
    if hasattr(fitted, "learning_rate_trajectories_"):
        trajectories = fitted.learning_rate_trajectories_[fitted.best_index_]
        trajectory = np.exp(np.log(trajectories).mean(axis=0))
        strategy = replace(strategy, schedule=learned(trajectory / strategy.learning_rate))
    return Refit(prepared, strategy, fitted.best_n_epochs_, fitted.n_models)


def probe(prepared: Prepared, n_models: int, engine: str) -> Callable[[int, Stage], Any]:
    """Return a function that refits for some epochs, at a rate that changes nothing much."""
    harmless = prepared.space.family(0, np.array([PROBE_RATE])).strategy(0)
    evaluation = prepared.evaluation
    if evaluation.estimator.callbacks:  # which are not to see it
        quiet = models.without_callbacks(evaluation.estimator)
        prepared, engine = (
            replace(prepared, evaluation=replace(evaluation, estimator=quiet)),
            "keras",
        )

    def fit(n_epochs: int, stage: Stage) -> Any:
        n_epochs = min(n_epochs, evaluation.n_epochs)
        return Refit(prepared, harmless, n_epochs, n_models).train(engine, stage)

    return fit


def step_rates(strategy: Strategy, budget: int, setup: population.SplitSetup) -> np.ndarray:
    """Return the learning rates of a budget of epochs: (n_epochs, n_steps)."""
    n_steps = budget * setup.steps_per_epoch
    rates = rates_at(np.arange(n_steps), n_steps, [strategy.learning_rate], [strategy.schedule])
    return rates.reshape(budget, -1)


def predicted(fitted: list[Any], X: np.ndarray) -> np.ndarray:
    """Return class probabilities (n_samples, n_classes) for features (n_samples, ...).

    They are the mean over fitted classifiers, whose models are of one architecture.
    """
    models.check_row_shape(fitted[0], X)
    encoded = [models.encode_features(one, X) for one in fitted]
    outputs = population.outputs_of([one.model_ for one in fitted], encoded)
    return np.asarray(models.to_probabilities(fitted[0], outputs).mean(axis=0))
