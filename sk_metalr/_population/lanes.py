"""Lanes: the ways in which members can be trained, from the quickest to the one that takes all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil

from joblib import cpu_count

from ..exceptions import NotVectorizableError
from .keras_loop import KerasLoop
from .likeness import first_alike
from .program import Program
from .programs import program_for
from .setups import Options, SplitSetup
from .suitability import (
    has_loops,
    may_pad,
    n_time_steps,
    suits_xla,
    why_not_compilable,
    why_not_vectorizable,
)

COMPILED_LANES = ("vectorized", "compiled")
LANES = (*COMPILED_LANES, "keras")

GROUP_BYTES = 5 * 2**19
"""State of the members that a compiled program trains at once: what a core's cache holds.

With more, a step waits for memory; with less, for its own overhead. 8 members of 26,000 weights and
Adam's two moments fill it.
"""

FEW_OF_GROUP = 0.25  # two that train alone took as long as a group of 8, or less
MIN_STEPS_ALONE = 3000  # in about two searches of these, XLA's compiling of one member pays
MIN_GROUP_SIZE = 4  # however large members are, fewer at once did not train faster
TRAINING_BYTES_PER_STATE = 4  # a step takes four times a member's state: gradients, the new state
MIN_STEPS_TO_COMPILE = 500  # from about here on, XLA saves more time than it takes to compile
MAX_TIME_STEPS = 128  # longer loops over time are not unrolled: tracing takes 0.1 s a time step
MIN_STEPS_TO_UNROLL = 1000  # of all members; below, tracing unrolled loops takes more than it saves


@dataclass(frozen=True)
class Lane:
    """A way to train the members of a block, and the reason why no quicker one was taken.

    There is a program for each split; splits whose models are the same function share one.
    `may_pad` tells whether rows of weight 0 may fill up a batch, `group_size` how many members
    train at once, `may_be_alone` whether a few that are left over may train alone, and
    `is_alone_compiled` whether what trains one member is compiled anyway.
    """

    name: str
    reason: str
    programs: Sequence[Program | KerasLoop]
    may_pad: bool
    group_size: int
    may_be_alone: bool = False
    is_alone_compiled: bool = False

    def sizes(self, n_members: int, n_steps: int, n_cores: int = 1) -> list[int]:
        """Return the sizes of the groups that members of one split are put into.

        A group is filled up by repeating its last member, and takes as long as a full one. Where
        groups go on for `n_steps` of all splits, and that is many, a few members train alone: more
        of them where they keep `n_cores` busy, and a group only one.
        """
        n_groups, rest = divmod(n_members, self.group_size)
        n_at_once = max(1, n_cores // (n_groups + 1))
        is_few = rest <= n_at_once * FEW_OF_GROUP * self.group_size
        # What scores one member is compiled, too.
        is_cheap = self.is_alone_compiled and n_at_once > 1
        least = MIN_STEPS_TO_COMPILE if is_cheap else MIN_STEPS_ALONE
        if self.may_be_alone and is_few and n_steps >= least:
            return [self.group_size] * n_groups + [1] * rest
        return [self.group_size] * ceil(n_members / self.group_size)

    def rest(self) -> None:
        """End training for now; models of Keras's own loop are as they were before."""
        for program in self.programs:
            if isinstance(program, KerasLoop):
                program.rest()

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
    data: Collection[str] = (),
) -> Lane:
    """Open the first of some lanes that takes the model, for `n_candidates` members of each split.

    Numbers of the names `data` differ by member. The lanes that were tried are removed from
    `names`; `reason` says why those before them were not taken. Raises NotVectorizableError if no
    lane takes the model.
    """
    model, batch_size = setups[0].model, setups[0].batch_size
    while True:
        name = names.pop(0)
        why_not = None if name == "keras" else why_not_compilable(model)
        if name == "vectorized":
            why_not = why_not or why_not_vectorizable(model, batch_size)
        if why_not is None:
            try:
                return open_lane(name, reason, setups, n_candidates, options, data)
            except NotVectorizableError as error:
                why_not = str(error)
        if not names:
            raise NotVectorizableError(f"{why_not} Leave engine at 'auto'.")
        reason = why_not


def open_lane(
    name: str,
    reason: str,
    setups: list[SplitSetup],
    n_candidates: int,
    options: Options,
    data: Collection[str] = (),
) -> Lane:
    """Open a lane of this name; see :func:`next_lane`."""
    if name == "keras":
        loops = [KerasLoop(setup, options.task) for setup in setups]
        return Lane(name, reason, loops, may_pad=False, group_size=1)
    vectorized = name == "vectorized"
    pads = all(may_pad(setup.model) for setup in setups)
    is_weighted = pads or any(setup.is_weighted for setup in setups)
    n_steps = options.budget * sum(setup.steps_per_epoch for setup in setups)
    jit = pays_to_compile(n_steps if vectorized else n_candidates * n_steps)
    may_unroll = vectorized and n_candidates * n_steps >= MIN_STEPS_TO_UNROLL
    first = first_alike(setups, data)
    made: dict[int, Program] = {}
    for number in set(first):
        model = setups[number].model
        made[number] = program_for(
            model,
            options.task,
            data,
            jit=jit and suits_xla(model, setups[number].batch_size, vectorized),
            vectorized=vectorized,
            is_weighted=is_weighted,
            unrolls=may_unroll and 0 < n_time_steps(model) <= MAX_TIME_STEPS,
        )
    programs = [made[number] for number in first]
    size = _group_size(programs[0], setups[0], n_candidates, options) if vectorized else 1
    may_be_alone = programs[0].jit and not has_loops(setups[0].model)
    is_alone_compiled = pays_to_compile(steps_later(setups[0], options))
    return Lane(name, reason, programs, pads, size, may_be_alone, is_alone_compiled)


def steps_later(setup: SplitSetup, options: Options) -> int:
    """Return how many steps a single member is going to take after the search."""
    return options.budget * ceil(options.n_rows_later / setup.batch_size)


def pays_to_compile(n_steps: int) -> bool:
    """Tell whether XLA saves more time in so many steps than it takes to compile."""
    return n_steps >= MIN_STEPS_TO_COMPILE


def _group_size(program: Program, setup: SplitSetup, n_candidates: int, options: Options) -> int:
    """Return how many members to train at once, within the memory that there is."""
    member_bytes = program.member_bytes(setup.model)
    size, n_threads = n_candidates, 1
    if program.jit:
        size, n_threads = group_size(n_candidates, member_bytes), options.n_threads or cpu_count()
    n_states = n_threads * TRAINING_BYTES_PER_STATE + n_threads - 1  # as many may wait for a turn
    within = options.max_memory / (n_states * member_bytes)
    return int(max(min(size, within), 2 if has_loops(setup.model) else 1))


def group_size(n_candidates: int, member_bytes: int) -> int:
    """Return how many members a compiled program trains at once: groups of like size."""
    largest = max(MIN_GROUP_SIZE, GROUP_BYTES // member_bytes)
    n_groups = ceil(n_candidates / largest)
    if n_candidates > 2 * MIN_GROUP_SIZE:
        n_groups = max(2, n_groups)  # two keep two cores busy
    return ceil(n_candidates / n_groups)
