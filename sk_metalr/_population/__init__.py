"""All candidates × all splits, trained and scored together.

The only folder that imports TensorFlow. A *member* is one candidate on one split.
:mod:`._member` writes training and scoring for one member, as pure functions of its
state; :mod:`._program` maps them over a group of members and compiles the result;
:mod:`._batches` cuts rows into batches; :mod:`._group` holds the state of a group,
:mod:`._scorer` scores it, :mod:`._stopping` stops its members early; :mod:`._training`
runs all groups and keeps their losses; :mod:`._snapshot` turns them into plain arrays
and back, for :mod:`._worker`, which trains some of them in another process, and for
checkpoints; :mod:`._joined` puts populations of several optimizers together;
:mod:`._prediction` has several trained models predict at once; :mod:`._reference` trains a
member by ``Model.fit`` itself, for comparison.
"""

from .joined import JoinedPopulation
from .prediction import outputs_of
from .process import check_not_forked
from .program import keeps_program
from .random import preserved_random_state
from .reference import trained_by_keras
from .snapshot import GroupSnapshot, Snapshot
from .task import SplitTask, TrainedMember
from .training import COMPILED_LANES, Population
from .worker import train_snapshot

__all__ = [
    "COMPILED_LANES",
    "GroupSnapshot",
    "JoinedPopulation",
    "Population",
    "Snapshot",
    "SplitTask",
    "TrainedMember",
    "check_not_forked",
    "keeps_program",
    "outputs_of",
    "preserved_random_state",
    "train_snapshot",
    "trained_by_keras",
]
