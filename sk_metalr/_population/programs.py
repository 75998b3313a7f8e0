"""Programs that are kept, to serve the next fit of the same architecture."""

from collections.abc import Collection

import keras

from .._task import Task
from .architecture import architecture_key
from .program import Program
from .recent import Recent

_programs = Recent(n_kept=16)


def is_kept(model: keras.Model) -> bool:
    """Tell whether a program that is kept for others was made from this very model."""
    return any(program.member.model is model for program in _programs.values())


def program_for(model: keras.Model, task: Task, data: Collection[str], **how: bool) -> Program:
    """Return a program for the architecture of `model`, one used before if there is one.

    It takes the numbers of these names as `data`. `how` are the flags of :class:`.Program`, which
    may keep the model for its structure.
    """
    architecture = architecture_key(model, data)
    if architecture is None:
        # XLA keeps all it ever compiled; so only what can be used again is compiled.
        return Program(model, task, **how | {"jit": False})
    key = (architecture, task, *sorted(how.items()))
    return _programs.get(key, lambda: Program(model, task, **how))
