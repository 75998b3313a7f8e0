"""Lanes: the ways in which members can be trained, from the quickest to the one that takes all."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from joblib import cpu_count

from ..exceptions import NotVectorizableError
from .architecture import (
    has_loops,
    may_pad,
    n_time_steps,
    suits_xla,
    why_not_compilable,
    why_not_vectorizable,
)
from .keras_loop import KerasLoop
from .likeness import first_alike
from .program import Program
from .programs import program_for
from .setups import Options, SplitSetup

COMPILED_LANES = ("vectorized", "compiled")
LANES = (*COMPILED_LANES, "keras")

GROUP_BYTES = 5 * 2**19
"""State of the members that a compiled program trains at once: what a core's cache holds.

Of more, a step waits for memory; of less, for its own overhead. 8 members of 26,000
weights and Adam's two moments fill it.
"""

MIN_GROUP_SIZE = 4
"""Members that are trained at once however large: fewer did not train faster."""

TRAINING_BYTES_PER_STATE = 4
"""Memory of a training step over that of a member's state: the new one, gradients, the rest."""

MIN_STEPS_TO_COMPILE = 500
"""From about this many steps on, XLA saves more time than it takes to compile."""

MAX_TIME_STEPS = 128
"""Loops over time of more steps than these are not written out: tracing takes 0.1 s a step."""

MIN_STEPS_TO_UNROLL = 1000
"""Steps of members from which on vectorised ones save more than tracing unrolled loops takes."""


@dataclass(frozen=True)
class Lane:
    """A way to train the members of a block.

    Attributes
    ----------
    name : {"vectorized", "compiled", "keras"}
    reason : str
        Why members are not trained in a quicker way.
    programs : list of Program or KerasLoop
        One for each split; splits whose models are the same function share one.
    may_pad : bool
        Whether rows of weight 0 may fill up a batch.
    group_size : int
        How many members train at once.
    """

    name: str
    reason: str
    programs: Sequence[Program | KerasLoop]
    may_pad: bool
    group_size: int

    @property
    def trains_in_threads(self) -> bool:
        """Tell whether several groups are trained side by side."""
        return self.programs[0].jit or self.name == "compiled"

    @property
    def seconds_compiling(self) -> float:
        """Seconds in which something was compiled so far, tracing included."""
        return sum(program.seconds_compiling for program in set(self.programs))


def next_lane(
    names: list[str],
    reason: str,
    setups: list[SplitSetup],
    n_candidates: int,
    options: Options,
) -> Lane:
    """Open the first of some lanes that takes the model.

    Parameters
    ----------
    names : list of str
        The lanes; those that were tried are removed.
    reason : str
        Why those before were not taken.
    setups : list of SplitSetup
        One for each split.
    n_candidates : int
        How many members each split has.
    options : Options

    Raises
    ------
    NotVectorizableError
        If none of them takes it.
    """
    while True:
        name = names.pop(0)
        why_not = _why_not(name, setups[0])
        if why_not is None:
            try:
                return open_lane(name, reason, setups, n_candidates, options)
            except NotVectorizableError as error:
                why_not = str(error)
        if not names:
            raise NotVectorizableError(f"{why_not} Leave engine at 'auto'.")
        reason = why_not


def _why_not(name: str, setup: SplitSetup) -> str | None:
    """Say why the model cannot be trained in a lane, where it is known that it cannot."""
    if name == "keras":
        return None
    reason = why_not_compilable(setup.model)
    if reason is None and name == "vectorized":
        return why_not_vectorizable(setup.model, setup.batch_size)
    return reason


def open_lane(
    name: str, reason: str, setups: list[SplitSetup], n_candidates: int, options: Options
) -> Lane:
    """Open a lane of this name; see :func:`next_lane`."""
    pads = name != "keras" and all(may_pad(setup.model) for setup in setups)
    n_steps = options.budget * sum(setup.steps_per_epoch for setup in setups)
    is_weighted = pads or any(setup.is_weighted for setup in setups)
    first = range(len(setups)) if name == "keras" else first_alike(setups)
    made: dict[int, Program | KerasLoop] = {}
    for number in set(first):
        if name == "keras":
            made[number] = KerasLoop(setups[number], options.task)
        else:
            made[number] = _program(
                setups[number], n_steps, n_candidates, options, name == "vectorized", is_weighted
            )
    programs = [made[number] for number in first]
    size = 1
    if name == "vectorized":
        size = _group_size(programs[0], setups[0], n_candidates, options)
    return Lane(name, reason, programs, pads, size)


def pays_to_compile(n_steps: int) -> bool:
    """Tell whether XLA saves more time in so many steps than it takes to compile."""
    return n_steps >= MIN_STEPS_TO_COMPILE


def _program(
    setup: SplitSetup,
    n_steps: int,
    n_candidates: int,
    options: Options,
    vectorized: bool,
    is_weighted: bool,
) -> Program:
    model = setup.model
    jit = pays_to_compile((1 if vectorized else n_candidates) * n_steps)
    return program_for(
        model,
        options.task,
        jit=jit and suits_xla(model, setup.batch_size, vectorized),
        vectorized=vectorized,
        is_weighted=is_weighted,
        unrolls=vectorized
        and has_loops(model)
        and n_candidates * n_steps >= MIN_STEPS_TO_UNROLL
        and n_time_steps(model) <= MAX_TIME_STEPS,
    )


def _group_size(
    program: Program | KerasLoop, setup: SplitSetup, n_candidates: int, options: Options
) -> int:
    """Return how many members to train at once, within the memory that there is."""
    assert isinstance(program, Program)
    member_bytes = program.member_bytes(setup.model)
    size, n_threads = n_candidates, 1
    if program.jit:
        size, n_threads = group_size(n_candidates, member_bytes), options.n_threads or cpu_count()
    within = options.max_memory / (n_threads * TRAINING_BYTES_PER_STATE * member_bytes)
    return int(max(min(size, within), 2 if has_loops(setup.model) else 1))


def group_size(n_candidates: int, member_bytes: int) -> int:
    """Return how many members a compiled program trains at once: groups of like size."""
    largest = max(MIN_GROUP_SIZE, GROUP_BYTES // member_bytes)
    n_groups = ceil(n_candidates / largest)
    if n_candidates > 2 * MIN_GROUP_SIZE:
        n_groups = max(2, n_groups)  # two keep two cores busy
    return ceil(n_candidates / n_groups)
