"""From a chosen strategy to fitted estimators, and to their predictions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import _models as models
from . import _population as population
from ._progress import Stage, Step
from ._search import Prepared
from ._search.evaluation import make_setup
from ._space import RATE, Strategy, are_same, learned, rates_at
from ._task import Task
from .exceptions import AllDivergedError, NotVectorizableError

PROBE_RATE = 1e-7


@dataclass(frozen=True)
class Refitted:
    """Estimators fitted by ``Model.fit`` or by a compiled program, which XLA may have compiled."""

    fitted: list[Any]
    by_keras: bool
    uses_xla: bool


@dataclass(frozen=True)
class Planned:
    """A strategy that a model is going to train with on all rows, for some epochs of the budget.

    Averages of its weights are delivered in their place if it `uses_averages`.
    """

    strategy: Strategy
    n_epochs: int
    uses_averages: bool = False


@dataclass(frozen=True)
class Refit:
    """Models to be trained on all rows of a fit, each from initial weights of its own.

    Each sees the rows in an order of its own, too. With one order for all, one program would train
    them at once, in half the time, but the mean of ten then gained 0.006 nats over one of them in
    place of 0.011 (seven tables, three divisions each).
    """

    prepared: Prepared
    models: list[Planned]

    def train(self, engine: str, stage: Stage) -> Refitted:
        """Fit in a compiled program where that does all of Keras's loop, or else by Keras.

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
            self._train_by_keras(fitted, stage)
        else:
            for one, member in zip(fitted, trained, strict=True):
                models.load_trained(one, member)
        for one, planned in zip(fitted, self.models, strict=True):
            if not models.is_finite(one):
                raise AllDivergedError(
                    f"The refit on all rows diverged at the chosen learning rate "
                    f"{planned.strategy.learning_rate:.3g}, which did not diverge on the splits; "
                    f"try lower learning_rates.{self.prepared.data.task.if_diverged}"
                )
        return Refitted(fitted, trained is None, uses_xla)

    def _opened(self) -> list[Any]:
        """Return estimators that are ready to be trained."""
        data, estimator = self.prepared.data, self.prepared.evaluation.estimator
        weights_seed, order_seed = self.prepared.refit_seeds
        X = models.features_to_open(estimator, data.X, slice(None))
        labels = self._labels
        opened = []
        for number, planned in enumerate(self.models):
            strategy = planned.strategy
            plan = self.prepared.evaluation.plan_of(strategy.settings)
            rate = models.scheduled_rate(
                estimator, plan, strategy.learning_rate, strategy.schedule, len(data.y)
            )
            settings = models.with_routed_settings(estimator, strategy.settings)
            tuned = models.with_strategy(estimator, rate, planned.n_epochs, weights_seed, settings)
            how = {"rate": rate, "settings": settings}
            seed = order_seed + number if number else None
            opened.append(models.open_estimator(tuned, X, labels, seed=seed, **how))
        models.check_apart(opened)
        return opened

    @property
    def _labels(self) -> np.ndarray:
        """The targets of all rows, as estimators take them."""
        data = self.prepared.data
        return data.targets(np.arange(len(data.y)))[0]

    def _train_by_keras(self, fitted: list[Any], stage: Stage) -> None:
        data, labels, setups = self.prepared.data, self._labels, self._setups(fitted)
        scaler = data.scaler(np.arange(len(data.y)))
        with population.preserved_random_state(), stage("refit", len(fitted)) as step:
            for one, setup, planned in zip(fitted, setups, self.models, strict=True):
                callbacks = self._averaging(setup, planned)
                models.fit_with_keras(one, data.X, labels, data.sample_weight, callbacks, scaler)
                step(None)

    def _train_compiled(
        self, opened: list[Any], engine: str, stage: Stage
    ) -> tuple[list[population.TrainedMember] | None, bool]:
        """Train a block for each kind of model, with a model in place of each split.

        Returns None where no compiled program can, and whether XLA compiled training.
        """
        setups = self._setups(opened)
        first = 0 if engine == "auto" else population.COMPILED_LANES.index(engine)
        for lane in population.COMPILED_LANES[first:]:
            trained: dict[int, population.TrainedMember] = {}
            uses_xla = False
            try:
                with stage("refit", sum(planned.n_epochs for planned in self.models)) as step:
                    for numbers in self._blocks(setups):
                        block = self._block([setups[number] for number in numbers], numbers, lane)
                        trained |= self._train_block(block, numbers, step)
                        uses_xla |= block.uses_xla
            except NotVectorizableError:
                continue
            return [trained[number] for number in range(len(opened))], uses_xla
        return None, False

    def _blocks(self, setups: list[population.SplitSetup]) -> list[list[int]]:
        """Return numbers of models that one program can train."""
        settings = [planned.strategy.settings for planned in self.models]
        kinds = []
        for setup, one in zip(setups, settings, strict=True):
            key = population.architecture_key(setup.model, population.numbers_of(setup.model))
            first = next(n for n, other in enumerate(settings) if are_same(one, other))
            kinds.append((key or first, setup.batch_size))
        return [[n for n, one in enumerate(kinds) if one == kind] for kind in dict.fromkeys(kinds)]

    def _block(
        self, setups: list[population.SplitSetup], numbers: list[int], lane: str
    ) -> population.Block:
        plan, planned = self.prepared.evaluation.plan, [self.models[number] for number in numbers]
        options = population.Options(
            task=models.suited(self.prepared.data.task, setups[0].model),
            budget=plan.n_epochs,
            shuffle=plan.shuffle,
            averages=any(one.uses_averages for one in planned),
            engine=lane,
        )
        values = {RATE: np.array([one.strategy.learning_rate for one in planned])}
        values |= self.prepared.evaluation.numbers_in_common([setup.model for setup in setups])
        schedules = [one.strategy.schedule for one in planned]
        return population.Block(setups, values, schedules, options, one_each=True)

    def _train_block(
        self, block: population.Block, numbers: list[int], step: Step
    ) -> dict[int, population.TrainedMember]:
        """Train each model of a block for its epochs; return them by their numbers."""
        ends = np.array([self.models[number].n_epochs for number in numbers])
        trained = {}
        for end in np.unique(ends):
            block.train(int(end) - block.n_epochs, step)
            for at in np.flatnonzero(ends == end).tolist():
                uses_averages = self.models[numbers[at]].uses_averages
                trained[numbers[at]] = block.trained_member(at, at, uses_averages)
            block.keep(np.flatnonzero(ends > end), int(ends.max()))
        return trained

    def _setups(self, opened: list[Any]) -> list[population.SplitSetup]:
        """Return a setup for each model, which holds out no rows."""
        data, order_seed = self.prepared.data, self.prepared.refit_seeds[1]
        every, plan_of = np.arange(len(data.y)), self.prepared.evaluation.plan_of
        setups = []
        for number, (one, planned) in enumerate(zip(opened, self.models, strict=True)):
            batch_size = plan_of(planned.strategy.settings).rows_per_batch(len(every))
            seed = order_seed + number
            setups.append(make_setup(one, data, every, every[:0], batch_size, seed))
        return setups

    def _averaging(self, setup: population.SplitSetup, planned: Planned) -> list[Any]:
        """Return the callbacks that have ``Model.fit`` deliver averages, where they are chosen."""
        if not (planned.uses_averages and population.may_be_averaged(setup.model)):
            return []
        averaging = population.Averaging(setup, self.prepared.evaluation.plan.n_epochs)
        return [population.DeliverAverages(averaging)]

    def train_by_keras(self, uses_xla: bool) -> list[list[np.ndarray]]:
        """Return the variables of each model after ``Model.fit`` itself has trained it."""
        plan = self.prepared.evaluation.plan
        with population.preserved_random_state():
            opened = self._opened()
        return [
            population.trained_by_keras(
                setup,
                {RATE: step_rates(planned.strategy, plan.n_epochs, setup)[: planned.n_epochs]},
                task=models.suited(self.prepared.data.task, setup.model),
                shuffle=plan.shuffle,
                uses_xla=uses_xla,
                callbacks=self._averaging(setup, planned),
            )[1]
            for setup, planned in zip(self._setups(opened), self.models, strict=True)
        ]


def chosen_refit(fitted: Any, prepared: Prepared) -> Refit:
    """Return the refit of an estimator with the strategies that its fit has chosen.

    Where candidates have learned their rates, it follows the mean of their logarithms over splits.
    """
    candidates, planned = prepared.space.named(fitted.cv_results_["params"]), []
    for model in fitted.ensemble_:
        strategy = candidates.strategy(model["index"])
        if hasattr(fitted, "learning_rate_trajectories_"):
            trajectories = fitted.learning_rate_trajectories_[model["index"]]
            trajectory = np.exp(np.log(trajectories).mean(axis=0))
            strategy = replace(strategy, schedule=learned(trajectory / strategy.learning_rate))
        planned.append(Planned(strategy, model["n_epochs"], model["uses_averages"]))
    return Refit(prepared, planned)


def probe(prepared: Prepared, engine: str) -> Callable[[int, Stage], Any]:
    """Return a function that refits for some epochs, at a rate that changes nothing much."""
    harmless = prepared.space.one_strategy(PROBE_RATE)
    evaluation = prepared.evaluation
    if models.has_callbacks(evaluation.estimator):  # which are not to see it
        quiet = models.without_callbacks(evaluation.estimator)
        prepared, engine = (
            replace(prepared, evaluation=replace(evaluation, estimator=quiet)),
            "keras",
        )

    def fit(n_epochs: int, stage: Stage) -> Any:
        planned = Planned(harmless, min(n_epochs, evaluation.n_epochs))
        return Refit(prepared, [planned] * prepared.n_models).train(engine, stage)

    return fit


def step_rates(strategy: Strategy, budget: int, setup: population.SplitSetup) -> np.ndarray:
    """Return the learning rates of a budget of epochs: (n_epochs, n_steps)."""
    n_steps = budget * setup.steps_per_epoch
    rates = rates_at(np.arange(n_steps), n_steps, [strategy.learning_rate], [strategy.schedule])
    return rates.reshape(budget, -1)


def predicted(
    task: Task, fitted: list[Any], X: np.ndarray, temperatures: Sequence[float]
) -> np.ndarray:
    """Return predictions (n_samples, n) for features (n_samples, ...).

    They are the mean over fitted estimators, each at its temperature, whose models need not be of
    one architecture.
    """
    models.check_row_shape(fitted[0], X)
    encoded = [models.encode_features(one, X) for one in fitted]
    heads = [(models.suited(task, one.model_), models.n_outputs(one.model_)) for one in fitted]
    each: dict[int, np.ndarray] = {}
    for kind, width in dict.fromkeys(heads):
        at = [number for number, one in enumerate(heads) if one == (kind, width)]
        alike, rows = [fitted[number].model_ for number in at], [encoded[number] for number in at]
        outputs = population.outputs_of(alike, rows)
        of_kind = np.array([temperatures[number] for number in at])[:, None, None]
        each |= zip(at, kind.predicted(outputs, of_kind), strict=True)
    return np.mean([each[number] for number in range(len(fitted))], axis=0)
