"""Many members at once: f(s, D), trained and scored as one stacked population.

The only folder that imports TensorFlow. A *member* is one candidate on one split. From the inside
out: `member` writes training and scoring for one member, as pure functions of its state; `program`
maps them over a group of members and compiles the result; `lanes` decides how a model can be
trained; `training` trains and scores a `group`, epoch by epoch; a `block` runs all groups of one
static setting, by `turns` in threads here or by `workers` elsewhere; `population` puts blocks
together.
`keras_loop` stands in for a program where nothing can be compiled, `reference` trains a member by
``Model.fit`` itself, for comparison, and `prediction` has several trained models predict at once.
"""

from .architecture import architecture_key
from .averaging import Averaging, DeliverAverages, may_be_averaged
from .block import Block
from .held_out import HeldOut
from .lanes import COMPILED_LANES
from .numbers import OF_OPTIMIZERS, numbers_of
from .population import Population, Trained
from .prediction import outputs_of
from .process import check_not_forked
from .programs import is_kept
from .random import preserved_random_state
from .reference import trained_by_keras
from .setups import Options, SplitSetup, TrainedMember
from .snapshot import GroupSnapshot, Snapshot
from .workers import Workers, n_workers
