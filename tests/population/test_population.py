"""The block against Keras's own training, member by member."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from make import SMALL_FITS_WARN, make_block, make_setup
from sklearn.metrics import log_loss
from tensorflow.python.framework import config

from sk_metalr._population import Population, lanes, program
from sk_metalr._population.batches import shuffled
from sk_metalr._population.member import cosine
from sk_metalr._space import RATE
from sk_metalr._space.schedules import check_schedule
from sk_metalr._task import Classification
from sk_metalr.exceptions import NotVectorizableError

pytestmark = SMALL_FITS_WARN


layers = keras.layers
N_ROWS, N_FEATURES, N_CLASSES, BATCH, EPOCHS = 70, 6, 3, 16, 3  # 70 = 4 × 16 + 6


def make_model(hidden, optimizer="adam", loss="sparse_categorical_crossentropy", seed=0, units=3):
    keras.utils.set_random_seed(seed)
    activation = None if getattr(loss, "from_logits", False) else "softmax"
    model = keras.Sequential(
        [keras.Input((N_FEATURES,)), *hidden(), layers.Dense(units, activation=activation)]
    )
    model.compile(optimizer=optimizer, loss=loss)
    return model


def plain():
    return [layers.Dense(8, activation="relu")]


def normalised():
    return [
        layers.Dense(8, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
        layers.BatchNormalization(),
    ]


def setup_for(model, rng, weighted=False, **changes):
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    if isinstance(model.layers[0], layers.Embedding):
        X = rng.integers(0, 9, X.shape).astype(np.float32)
    classes = rng.integers(0, N_CLASSES, N_ROWS).astype(np.int32)
    class_weight = np.array([0.5, 1.0, 2.0], np.float32)
    order = rng.permutation(N_ROWS)
    train, test = order[:54], order[54:]  # 54 = 3 × 16 + 6
    if weighted:
        changes["train_weight"] = class_weight[classes[train]]
    changes = {"train": train, "test": test, "batch_size": BATCH} | changes
    return make_setup(model, X, classes, **changes)


def train_block(setups, rates, n_epochs=EPOCHS, jit=False, **options):
    """Return candidates after training, and their held-out losses."""
    block = make_block(setups, rates, jit=jit, budget=n_epochs, **options)
    return block, block.train(n_epochs)["log_loss"]


def trained_by_keras(setup, rates, model):
    """Train with ``train_on_batch`` on the batches that the block takes, rate by rate."""
    weights = setup.model.get_weights()
    model.optimizer.build(model.trainable_variables)
    optimizer_start = [variable.numpy() for variable in model.optimizer.variables]
    for rate in rates:
        model.set_weights(weights)
        for variable, value in zip(model.optimizer.variables, optimizer_start, strict=True):
            variable.assign(value)
        model.optimizer.learning_rate = rate
        losses, train_losses = [], []
        for epoch in range(EPOCHS):
            order = setup.train[shuffled(len(setup.train), (setup.seed, epoch), True)]
            weight = dict(zip(setup.train, setup.train_weight, strict=True))
            total = 0.0
            for start in range(0, len(order), setup.batch_size):
                rows = order[start : start + setup.batch_size]
                model.reset_metrics()
                loss = model.train_on_batch(
                    setup.x[rows], setup.y[rows], np.array([weight[row] for row in rows])
                )
                total += float(loss) * len(rows)
            train_losses.append(total / len(order))
            outputs = model.predict_on_batch(setup.x[setup.test])
            losses.append(log_loss(setup.target[setup.test], outputs, labels=range(N_CLASSES)))
        values = [
            *model.trainable_variables,
            *model.non_trainable_variables,
            *model.optimizer.variables,
        ]
        yield [value.numpy() for value in values], losses, train_losses


RATES = np.geomspace(1e-4, 0.05, 8)
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(),
    "adamw": lambda: keras.optimizers.AdamW(weight_decay=0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(),
}
MORE_OPTIMIZERS = {
    "amsgrad": lambda: keras.optimizers.Adam(amsgrad=True),
    "nadam": lambda: keras.optimizers.Nadam(),
    "adamax": lambda: keras.optimizers.Adamax(),
    "adagrad": lambda: keras.optimizers.Adagrad(),
    "adadelta": lambda: keras.optimizers.Adadelta(),
    "lion": lambda: keras.optimizers.Lion(),
    "ftrl": lambda: keras.optimizers.Ftrl(),
    "lamb": lambda: keras.optimizers.Lamb(),
    "muon": lambda: keras.optimizers.Muon(),
    "adafactor": lambda: keras.optimizers.Adafactor(),
    "clipvalue": lambda: keras.optimizers.SGD(clipvalue=0.01),
    "clipnorm": lambda: keras.optimizers.SGD(clipnorm=0.1),
    "global_clipnorm": lambda: keras.optimizers.SGD(global_clipnorm=0.1),
}


def assert_equals_keras(make_optimizer, hidden, rates, jits, engines=("auto",)):
    model = make_model(hidden, make_optimizer())
    setup = setup_for(model, np.random.default_rng(0), weighted=True)
    ours = [
        train_block([setup], rates, jit=jit, engine=engine) for jit in jits for engine in engines
    ]
    keras_model = make_model(hidden, make_optimizer())
    for candidate, (values, losses, train_losses) in enumerate(
        trained_by_keras(setup, rates, keras_model)
    ):
        for block, population_losses in ours:
            member = block.trained_member(candidate, 0)
            member_values = [*member.weights, *member.non_trainable, *member.optimizer_variables]
            for mine, theirs in zip(member_values, values, strict=True):
                np.testing.assert_allclose(mine, theirs, atol=1e-5, rtol=1e-5)
            np.testing.assert_allclose(population_losses[candidate, 0], losses, atol=1e-5)
            np.testing.assert_allclose(member.epoch_losses, train_losses, atol=1e-5)


@pytest.mark.parametrize("hidden", [pytest.param(plain, marks=pytest.mark.long), normalised])
@pytest.mark.parametrize(
    "name",
    [n if n == "adam" else pytest.param(n, marks=pytest.mark.long) for n in OPTIMIZERS],
)
def test_eight_members_equal_eight_keras_models(name, hidden):
    assert_equals_keras(OPTIMIZERS[name], hidden, RATES, jits=[False, True])


def test_members_trained_one_after_another_equal_keras():
    assert_equals_keras(
        keras.optimizers.AdamW, normalised, RATES, jits=[False, True], engines=["compiled"]
    )


@pytest.mark.parametrize("engine", ["vectorized", "compiled", "keras"])
def test_numbers_that_an_optimizer_reads_may_differ_between_members(engine):
    decays, betas = [0.0, 0.01, 0.3], [0.5, 0.9, 0.95]
    setup, untrained = (
        setup_for(make_model(plain, "adamw"), np.random.default_rng(0), weighted=True)
        for _ in range(2)
    )
    others = {"optimizer__weight_decay": np.array(decays), "optimizer__beta_1": np.array(betas)}
    block, losses = train_block([setup], [0.02] * 3, engine=engine, others=others)
    for candidate, (decay, beta) in enumerate(zip(decays, betas, strict=True)):
        optimizer = keras.optimizers.AdamW(weight_decay=decay, beta_1=beta)
        [(values, of_keras, _)] = trained_by_keras(untrained, [0.02], make_model(plain, optimizer))
        for mine, theirs in zip(block.trained_member(candidate, 0).weights, values, strict=False):
            np.testing.assert_allclose(mine, theirs, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(losses[candidate, 0], of_keras, atol=1e-5)
    assert np.ptp(losses[:, 0, -1]) > 1e-3


@pytest.mark.long
@pytest.mark.parametrize("name", MORE_OPTIMIZERS)
def test_other_optimizers_equal_keras(name):
    assert_equals_keras(MORE_OPTIMIZERS[name], plain, [1e-3, 1e-2], jits=[False])


def test_excluded_variables_do_not_decay():
    def make_optimizer():
        optimizer = keras.optimizers.AdamW(weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    assert_equals_keras(make_optimizer, plain, [1e-2], jits=[False])


def image(*more):
    return lambda: [layers.Reshape((3, 2, 1)), *(make() for make in more), layers.Flatten()]


class OwnConvolution(layers.Layer):
    """Nobody can tell from its type that it does not vectorise."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(2, 2, shape[-1], 3))

    def call(self, x):
        return keras.ops.conv(x, self.kernel)


NOT_VECTORIZABLE = {
    "Conv2DTranspose": image(lambda: layers.Conv2DTranspose(2, 2)),
    "SeparableConv2D": image(lambda: layers.SeparableConv2D(4, 2)),
    "DepthwiseConv2D": image(lambda: layers.DepthwiseConv2D(2), layers.GlobalAveragePooling2D),
    "OwnConvolution": image(OwnConvolution),
}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", NOT_VECTORIZABLE)
def test_what_does_not_vectorise_trains_one_member_after_another(name, jit):
    hidden = NOT_VECTORIZABLE[name]
    if jit and name == "OwnConvolution":
        pytest.skip("layers of one's own are trained without XLA")
    block, _ = train_block([setup_for(make_model(hidden), np.random.default_rng(0))], [1e-3, 1e-2])
    assert block.lane.name == "compiled"
    assert name in block.lane.reason
    assert_equals_keras(keras.optimizers.Adam, hidden, [1e-3, 1e-2], jits=[jit])


def test_a_lane_that_is_asked_for_is_taken():
    setup = setup_for(make_model(plain), np.random.default_rng(0))
    vectorized, at_once = train_block([setup], RATES, engine="vectorized")
    compiled, in_turn = train_block([setup], RATES, engine="compiled")
    assert (vectorized.lane.name, compiled.lane.name) == ("vectorized", "compiled")
    np.testing.assert_allclose(at_once, in_turn, atol=1e-5)
    convolution = setup_for(
        make_model(NOT_VECTORIZABLE["SeparableConv2D"]), np.random.default_rng(0)
    )
    with pytest.raises(NotVectorizableError, match="SeparableConv2D"):
        train_block([convolution], RATES, engine="vectorized")


@pytest.mark.long
def test_large_convolutions_train_one_member_after_another_without_xla(monkeypatch):
    from sk_metalr._population import suitability

    def train():
        # Without bias: its gradient would be 0, and Adam would blow up the rounding.
        hidden = image(lambda: layers.Conv2D(4, 2, use_bias=False), layers.BatchNormalization)
        setup = setup_for(make_model(hidden), np.random.default_rng(0))
        block = make_block([setup], RATES)
        return block, block.train(EPOCHS)["log_loss"]

    monkeypatch.setattr(lanes, "MIN_STEPS_TO_COMPILE", 0)
    at_once, expected = train()
    assert (at_once.lane.name, at_once.lane.programs[0].jit) == ("vectorized", True)
    monkeypatch.setattr(suitability, "MAX_PATCH_BYTES", 0)
    in_turn, losses = train()
    assert (in_turn.lane.name, in_turn.lane.programs[0].jit) == ("compiled", True)
    assert "patches" in in_turn.lane.reason
    np.testing.assert_allclose(losses, expected, atol=1e-5)
    monkeypatch.setattr(suitability, "MAX_XLA_PATCH_BYTES", 0)
    without_xla, losses = train()
    assert (without_xla.lane.name, without_xla.lane.programs[0].jit) == ("compiled", False)
    np.testing.assert_allclose(losses, expected, atol=1e-5)


def test_what_xla_cannot_compile_runs_without_it(monkeypatch):
    """It has no deterministic gradient of max pooling, and SciKeras leaves determinism on."""

    def train(n_members):
        rates = np.full((1, n_members), 0.1, np.float32)
        rows, weight = np.zeros((1, 4, N_FEATURES), np.float32), np.ones((1, 4), np.float32)
        state = pooled.initial_state(model, n_members)
        target = np.zeros((1, 4, 1))
        return pooled.train(state, {RATE: rates}, rows, target, weight, np.array([4]), 1)

    def interrupted(*_):
        raise RuntimeError("not run")

    def hidden():
        return [layers.Dense(6), *image(lambda: layers.MaxPooling2D((2, 1)))()]

    model = make_model(hidden)
    pooled = program.Program(model, Classification(), jit=True)
    tf.config.experimental.enable_op_determinism()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(pooled, "_run_first", interrupted)
            with pytest.raises(RuntimeError):
                train(1)  # traced for XLA, not run yet
        assert np.isfinite(train(2).loss_sum.numpy()).all()
        assert np.isfinite(train(1).loss_sum.numpy()).all()
    finally:
        config.disable_op_determinism()


class AsideWhenScored(layers.Layer):
    """Leaves what it is given as it is; but when it scores, in a way that XLA does not know."""

    def call(self, x, training=False):
        if training:
            return x
        return tf.ensure_shape(tf.numpy_function(lambda values: values, [x], x.dtype), x.shape)


def test_what_xla_refuses_changes_no_other_function():
    """Noise tells: XLA draws other numbers from the same seed."""

    def hidden():
        return [layers.Dense(8), layers.Dropout(0.5, seed=1), AsideWhenScored()]

    model = make_model(hidden)
    rows, ones = np.ones((1, 4, N_FEATURES), np.float32), np.ones((1, 4), np.float32)
    code = np.zeros((1, 4), np.int32)

    def trained(jit, scored_first):
        one = program.Program(model, Classification(), jit, vectorized=False)
        state = one.initial_state(model, 1)
        if scored_first:
            assert np.isfinite(one.score([state], rows, code, ones, 1)).all()
        rates = np.full((1, 1), 0.1, np.float32)
        return one.train(state, {RATE: rates}, rows, code[..., None], ones, np.array([4]), 1)

    loss = trained(True, scored_first=False).loss_sum.numpy()
    np.testing.assert_array_equal(loss, trained(True, scored_first=True).loss_sum.numpy())
    assert loss != trained(False, scored_first=False).loss_sum.numpy()


class OwnTrainStep(keras.Sequential):
    """Trains as any other model, but says so itself."""

    def train_step(self, data):
        return super().train_step(data)


def noisy():
    return [layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.5, seed=1)]


@pytest.mark.parametrize("weighted", [False, True])
def test_keras_loop_trains_as_the_compiled_programs_do(weighted):
    rng = np.random.default_rng(0)
    setup = setup_for(make_model(noisy, "sgd"), rng, weighted=weighted)
    compiled, in_program = train_block([setup], RATES, engine="compiled")
    looped, in_loop = train_block([setup], RATES, engine="keras")
    assert looped.lane.name == "keras"
    np.testing.assert_allclose(in_loop, in_program, atol=1e-5)
    mine, theirs = looped.trained_member(1, 0), compiled.trained_member(1, 0)
    values = [[*one.weights, *one.non_trainable] for one in (mine, theirs)]
    for a, b in zip(*values, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(mine.epoch_losses, theirs.epoch_losses, atol=1e-5)


@pytest.mark.parametrize("how", ["run_eagerly", "train_step"])
def test_what_runs_as_python_goes_through_keras_loop(how):
    model = make_model(plain)
    expected = train_block([setup_for(model, np.random.default_rng(0))], RATES)[1]
    if how == "train_step":
        model = OwnTrainStep(model.layers)
        model.build((None, N_FEATURES))
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=how == "run_eagerly")
    block, losses = train_block([setup_for(model, np.random.default_rng(0))], RATES)
    assert block.lane.name == "keras"
    assert how in block.lane.reason
    np.testing.assert_allclose(losses, expected, atol=1e-5)


def test_in_keras_loop_a_diverged_member_leaves_the_others_alone():
    def setup():
        return setup_for(make_model(plain, keras.optimizers.SGD()), np.random.default_rng(0))

    _, calm = train_block([setup()], [1e-3, 1e-2], engine="keras")
    wild, losses = train_block([setup()], [1e30, 1e-3, 1e-2], engine="keras")
    assert np.isnan(losses[0, 0, -1])
    assert not wild.trained_member(0, 0).is_finite
    np.testing.assert_allclose(losses[1:], calm, atol=1e-6)


@pytest.mark.parametrize(
    "layer", [pytest.param(layers.LSTM(4), marks=pytest.mark.long), layers.Dense(4)]
)
def test_one_candidate_trains_as_among_others(layer):
    def hidden():
        return [layers.Reshape((3, 2)), layer.from_config(layer.get_config()), layers.Flatten()]

    setup = setup_for(make_model(hidden), np.random.default_rng(0))
    _, alone = train_block([setup], [1e-2])
    _, among = train_block([setup], [1e-2, 1e-3])
    np.testing.assert_allclose(alone, among[:1], atol=1e-6)


def test_every_split_is_trained_as_if_alone():
    rng = np.random.default_rng(1)
    setups = [setup_for(make_model(plain, seed=i), rng, seed=i) for i in range(3)]
    rates = [1e-3, 1e-2, 1e-1]
    _, together = train_block(setups, rates)
    alone = [train_block([setup], rates)[1] for setup in setups]
    np.testing.assert_allclose(together, np.concatenate(alone, axis=1), atol=1e-6)


def test_groups_equal_the_whole(monkeypatch):
    """Members in several groups, the last one filled up, train as in one group."""
    setup = setup_for(make_model(plain), np.random.default_rng(0))
    rates = np.geomspace(1e-4, 1e-1, 7)
    monkeypatch.setattr(lanes, "MIN_STEPS_TO_COMPILE", 0)
    _, whole = train_block([setup], rates)
    monkeypatch.setattr(lanes, "_group_size", lambda *_: 3)
    block, parts = train_block([setup], rates)
    assert len(block._groups) == 3
    np.testing.assert_allclose(parts, whole, atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_a_schedule_is_keras_own(jit):
    model, keras_model = make_model(plain), make_model(plain)
    setup = setup_for(model, np.random.default_rng(0))
    cosine = check_schedule("cosine")
    steps = 4 * setup.steps_per_epoch
    keras_model.optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(1e-2, steps)
    )
    keras_model.set_weights(model.get_weights())
    for epoch in range(3):
        order = setup.train[shuffled(len(setup.train), (setup.seed, epoch), True)]
        weight = dict(zip(setup.train, setup.train_weight, strict=True))
        for start in range(0, len(order), setup.batch_size):
            rows = order[start : start + setup.batch_size]
            keras_model.train_on_batch(
                setup.x[rows], setup.y[rows], np.array([weight[row] for row in rows])
            )
    schedules = [check_schedule("constant"), cosine]
    block = make_block([setup], [1e-3, 1e-2], schedules, jit=jit, budget=4)
    block.train(3)
    ours = block.trained_member(1, 0).weights
    for mine, theirs in zip(ours, keras_model.trainable_variables, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-5)
    constant, _ = train_block([setup], [1e-3], n_epochs=3)
    for a, b in zip(
        block.trained_member(0, 0).weights, constant.trained_member(0, 0).weights, strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("engine", ["vectorized", "keras"])
def test_memory_is_free_once_a_group_is_trained(engine):
    rng = np.random.default_rng(0)
    setups = [setup_for(make_model(plain), rng) for _ in range(2)]
    _, expected = train_block(setups, RATES, n_epochs=2, engine="vectorized")
    block = make_block(setups, RATES, budget=2, keeps_states=False, engine=engine)
    np.testing.assert_allclose(block.train(2)["log_loss"], expected, atol=1e-5)
    with pytest.raises(RuntimeError, match="does not keep"):
        block.trained_member(0, 0)


def test_fewer_train_at_a_time_where_memory_is_short():
    setup = setup_for(make_model(plain), np.random.default_rng(0))
    whole, expected = train_block([setup], RATES, n_epochs=2)
    member_bytes = whole.lane.programs[0].member_bytes(setup.model)
    for n_members, n_groups in ((3, 3), (0.1, 8)):
        block = make_block([setup], RATES, budget=2, max_memory=4 * member_bytes * n_members)
        assert len(block._groups) == n_groups
        np.testing.assert_allclose(block.train(2)["log_loss"], expected, atol=1e-6)


@pytest.mark.parametrize("engine", ["vectorized", "compiled", "keras"])
def test_members_move_their_rates_towards_less_held_out_loss(engine):
    setup = setup_for(make_model(plain, "sgd"), np.random.default_rng(0))
    # Held out are rows that are trained on, so that more training is better.
    setup = dataclasses.replace(setup, test=setup.train, test_weight=setup.train_weight)
    rates = np.array([1e-4, 1e-2, 30.0])
    block = make_block([setup], rates, budget=6, adapts_rates=True, engine=engine)
    block.train(6)
    trajectories = block.trajectories
    assert trajectories.shape == (3, 1, 6)
    np.testing.assert_allclose(trajectories[:, 0, 0], rates, rtol=1e-6)
    steps = np.diff(np.log(trajectories), axis=2)
    assert (np.abs(steps) <= 0.2 + 1e-6).all()
    assert (steps[0] > 0.1).all()  # far too low: it rises about as fast as it may
    assert trajectories[2, 0, -1] < 30 or not block.trained_member(2, 0).is_finite


def test_the_cosine_is_that_of_numpy():
    rng = np.random.default_rng(0)
    gradient, after, before = ([rng.normal(size=s) for s in ((3, 2), (4,))] for _ in range(3))
    flat = [np.concatenate([part.ravel() for part in parts]) for parts in (gradient, after, before)]
    move = flat[1] - flat[2]
    expected = flat[0] @ move / np.linalg.norm(flat[0]) / np.linalg.norm(move)
    found = cosine([tf.constant(g) for g in gradient], after, before)
    np.testing.assert_allclose(found, expected)
    assert cosine([tf.constant(g) for g in gradient], after, after) == 0


def test_the_refit_is_compiled_beside_the_search(monkeypatch):
    monkeypatch.setattr(lanes, "MIN_STEPS_TO_COMPILE", 0)
    unusual = lambda: [layers.Dense(11, "relu")]  # noqa: E731, that no other test has compiled
    setup = setup_for(make_model(unusual), np.random.default_rng(0))
    search = {"budget": 2}
    block = make_block([setup], RATES, n_rows_later=70, **search)
    block.train(2)
    compiled = set(block.lane.programs[0]._functions)
    assert block.lane.programs[0].jit
    every = np.arange(70)
    later = dataclasses.replace(
        setup,
        train=every,
        train_weight=np.ones(70, np.float32),
        test=every[:0],
        test_weight=np.ones(0, np.float32),
    )
    refit = make_block([later], RATES[:1], **search)
    refit.train(2)
    assert refit.lane.programs[0] is block.lane.programs[0]
    assert set(refit.lane.programs[0]._functions) == compiled


def test_populations_are_joined_in_order():
    setup = setup_for(make_model(plain), np.random.default_rng(0))
    parts = [make_block([setup], rates, jit=False) for rates in ([1e-3, 1e-2], [1e-1])]
    joined = Population(parts)
    _, whole = train_block([setup], [1e-3, 1e-2, 1e-1], n_epochs=2)
    np.testing.assert_allclose(joined.train(2)["log_loss"], whole, atol=1e-6)
    assert joined.trained == [("vectorized", "every layer vectorises", False)] * 3
    assert joined.seconds["training"] > 0


@pytest.mark.parametrize(
    ("jit", "size", "alone"), [(False, 3, False), (True, 3, False), (True, 4, True)]
)
def test_those_who_stay_go_on_as_if_all_had(monkeypatch, jit, size, alone):
    monkeypatch.setattr(lanes, "_group_size", lambda *_: size)
    monkeypatch.setattr(lanes, "MIN_STEPS_ALONE", 1 if alone else 3000)
    rates = np.geomspace(1e-4, 1e-1, 8)
    rng = np.random.default_rng(0)
    setups = [setup_for(make_model(noisy), rng) for _ in range(2)]
    whole, losses = train_block(setups, rates, n_epochs=4, jit=jit)
    block, first = train_block(setups, rates, n_epochs=2, jit=jit)
    traced = len(block.lane.programs[0]._functions)
    staying = np.array([0, 2, 4, 5, 6])
    block.keep(staying, 4)
    rest = block.train(2)["log_loss"]
    leaving = np.setdiff1d(range(8), staying)
    assert np.isnan(rest[leaving]).all()
    np.testing.assert_allclose(
        np.concatenate([first, rest], axis=2)[staying], losses[staying], atol=1e-5
    )
    assert alone or len(block.lane.programs[0]._functions) == traced
    kept, alone = block.trained_member(6, 1), whole.trained_member(6, 1)
    np.testing.assert_allclose(kept.epoch_losses, alone.epoch_losses, atol=1e-5)
    for a, b in zip(kept.weights, alone.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert block.seconds["training"] > 0


def test_training_can_go_on():
    setup = setup_for(make_model(plain), np.random.default_rng(0))
    _, at_once = train_block([setup], [1e-3, 1e-2], n_epochs=4)
    block, first = train_block([setup], [1e-3, 1e-2], n_epochs=1)
    rest = block.train(3)["log_loss"]
    np.testing.assert_array_equal(at_once, np.concatenate([first, rest], axis=2))


@pytest.mark.parametrize("jit", [False, True])
def test_a_diverged_member_is_frozen_and_leaves_the_others_alone(jit):
    setup = setup_for(make_model(plain, keras.optimizers.SGD()), np.random.default_rng(0))
    calm, calm_losses = train_block([setup], [1e-3, 1e-2, 1e-2], jit=jit)
    wild, wild_losses = train_block([setup], [1e-3, 1e-2, 1e30], jit=jit)
    assert np.isnan(wild_losses[2]).all()
    assert not wild.trained_member(2, 0).is_finite
    np.testing.assert_array_equal(wild_losses[:2], calm_losses[:2])
    for candidate in (0, 1):
        mine, theirs = wild.trained_member(candidate, 0), calm.trained_member(candidate, 0)
        for a, b in zip(mine.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(a, b)
    before = wild.trained_member(2, 0).weights
    wild.train(1)
    for a, b in zip(before, wild.trained_member(2, 0).weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("layer", [layers.Dropout(0.5), layers.GaussianNoise(1.0)])
def test_candidates_share_their_noise(layer):
    """At equal rates members are equal, so masks are; and noise changes the training."""
    name = type(layer).__name__

    def noisy():
        return [layers.Dense(8, activation="relu"), getattr(layers, name)(0.5, seed=1)]

    setup = setup_for(make_model(noisy), np.random.default_rng(0))
    _, losses = train_block([setup], [1e-2, 1e-2, 1e-3])
    np.testing.assert_array_equal(losses[0], losses[1])
    without = setup_for(make_model(plain), np.random.default_rng(0))
    without.model.set_weights(setup.model.get_weights()[: len(without.model.get_weights())])
    assert not np.allclose(train_block([without], [1e-2])[1], losses[:1], atol=1e-3)


LOSSES = {
    "binary": (keras.losses.BinaryCrossentropy(), 1),
    "binary logits": (keras.losses.BinaryCrossentropy(from_logits=True), 1),
    "sparse logits": (keras.losses.SparseCategoricalCrossentropy(from_logits=True), 3),
    "categorical": (keras.losses.CategoricalCrossentropy(), 3),
    "categorical logits": (keras.losses.CategoricalCrossentropy(from_logits=True), 3),
}


@pytest.mark.parametrize("name", LOSSES)
def test_held_out_losses_are_scikit_learns(name):
    loss, units = LOSSES[name]
    from_logits = loss.get_config()["from_logits"]
    activation = None if from_logits else ("sigmoid" if units == 1 else "softmax")
    model = keras.Sequential([keras.Input((N_FEATURES,)), layers.Dense(units, activation)])
    model.compile("sgd", loss)
    rng = np.random.default_rng(0)
    setup = setup_for(model, rng)
    code = setup.target % 2 if units == 1 else setup.target
    y = code[:, None].astype(np.float32)
    if name.startswith("categorical"):
        y = np.eye(3, dtype=np.float32)[code]
    weight = rng.uniform(0.5, 2, len(setup.test)).astype(np.float32)
    setup = setup_for(
        model,
        np.random.default_rng(0),
        y=y,
        target=code,
        train=setup.train,
        test=setup.test,
        test_weight=weight,
    )
    block = make_block([setup], np.array([1e-3]), budget=1, from_logits=from_logits)
    recorded = block.train(1)
    losses, mean_losses = recorded["log_loss"], recorded["uniform_log_loss"]
    member = block.trained_member(0, 0)
    outputs = setup.x[setup.test] @ member.weights[0] + member.weights[1]
    exp = np.exp(outputs)
    probabilities = exp / (1 + exp) if units == 1 else exp / exp.sum(1, keepdims=True)
    if units == 1:
        probabilities = np.hstack([1 - probabilities, probabilities])
    classes = range(probabilities.shape[1])
    expected = log_loss(code[setup.test], probabilities, sample_weight=weight, labels=classes)
    np.testing.assert_allclose(losses[0, 0, 0], expected, atol=1e-5)
    ones = np.ones_like(code[setup.test])
    if_any = [
        log_loss(k * ones, probabilities, sample_weight=weight, labels=classes) for k in classes
    ]
    np.testing.assert_allclose(mean_losses[0, 0, 0], np.mean(if_any), atol=1e-5)


def gelu(x):
    """Bear the name of one of Keras's."""
    return keras.ops.sin(x)


def with_loss_weights():
    model = make_model(plain)
    model.compile("adam", "sparse_categorical_crossentropy", loss_weights=[3.0])
    return model


def test_what_a_layer_was_adapted_to_does_not_outlive_a_fit():
    rng = np.random.default_rng(0)

    def adapted(shift):
        layer = layers.Normalization()
        layer.adapt(rng.normal(shift, 1, (50, N_FEATURES)))
        return setup_for(make_model(lambda: [layer]), np.random.default_rng(1))

    _, alone = train_block([adapted(5.0)], [1e-3])
    train_block([adapted(0.0)], [1e-3])
    rng = np.random.default_rng(0)
    _, after = train_block([adapted(5.0)], [1e-3])
    np.testing.assert_array_equal(after, alone)


def test_a_program_serves_the_next_model_of_the_same_architecture():
    rng = np.random.default_rng(0)
    first, _ = train_block([setup_for(make_model(plain), rng)], [1e-3, 1e-2])
    second, _ = train_block([setup_for(make_model(plain, seed=1), rng)], [1e-3, 1e-2])
    assert second.lane.programs[0] is first.lane.programs[0]
    assert second.seconds["compiling"] == 0.0


@pytest.mark.parametrize(
    "other",
    [
        lambda: make_model(normalised),
        lambda: make_model(plain, keras.optimizers.Adam(beta_1=0.5)),
        lambda: make_model(plain, "sgd"),
        lambda: make_model(plain, loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=0)),
        lambda: make_model(lambda: [layers.Dense(8, activation="tanh")]),
        lambda: make_model(lambda: [layers.Dense(8, activation="tanh", name="relu")]),
        lambda: make_model(lambda: [layers.Dense(8, activation=gelu)]),
        lambda: make_model(lambda: [layers.Dense(8, activation="relu", trainable=False)]),
        lambda: make_model(lambda: [layers.Dense(8, kernel_regularizer="l2", activation="relu")]),
        lambda: with_loss_weights(),
    ],
)
def test_a_program_serves_no_other_architecture(other):
    from sk_metalr._population.architecture import architecture_key

    for base in (plain, lambda: [layers.Dense(8, activation="relu", name="relu")]):
        assert architecture_key(other()) != architecture_key(make_model(base))


def test_a_program_serves_no_other_setting_of_a_loss():
    from sk_metalr._population.architecture import architecture_key

    one, other = (make_model(plain, loss=keras.losses.Huber(delta=delta)) for delta in (0.5, 1.0))
    assert architecture_key(one) != architecture_key(other)


def test_programs_with_code_of_the_users_are_not_kept():
    from sk_metalr._population.architecture import architecture_key

    class Custom(layers.Dense):
        pass

    assert architecture_key(make_model(lambda: [Custom(8)])) is None


def test_functions_of_the_users_are_told_apart_by_their_code():
    from sk_metalr._population.architecture import architecture_key

    def with_activation(slope):
        def squash(x):
            return keras.ops.tanh(x)

        def scaled(x):
            return slope * keras.ops.tanh(x)

        return [make_model(lambda f=f: [layers.Dense(8, activation=f)]) for f in (squash, scaled)]

    models = [*with_activation(1.0), *with_activation(2.0)]  # kept, so that no id is used again
    squash_1, scaled_1, squash_2, scaled_2 = map(architecture_key, models)
    assert squash_1 == squash_2
    assert len({squash_1, scaled_1, scaled_2, None}) == 4


@pytest.mark.parametrize(
    ("hidden", "optimizer", "named"),
    [
        (plain, lambda: keras.optimizers.SGD(gradient_accumulation_steps=2), "SGD"),
        (plain, lambda: keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=1), "ema_ov"),
        (plain, lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "LossScale"),
    ],
)
def test_what_cannot_be_compiled_trains_through_keras(hidden, optimizer, named):
    setup = setup_for(make_model(hidden, optimizer()), np.random.default_rng(0))
    for engine in ("vectorized", "compiled"):
        with pytest.raises(NotVectorizableError, match=f"{named}.*engine at 'auto'"):
            train_block([setup], [1e-3], engine=engine)
    rates = [1e-3, 1e-2]
    in_turn = trained_by_keras(setup, rates, make_model(hidden, optimizer()))
    expected = [losses for _, losses, _ in in_turn]
    block, losses = train_block([setup], rates)
    assert block.lane.name == "keras"
    assert named in block.lane.reason
    np.testing.assert_allclose(losses[:, 0], expected, atol=1e-5)


def test_a_custom_layer_that_cannot_be_vectorised_is_named():
    class Stubborn(layers.Layer):
        def call(self, x):
            # Works on numbers, not while a program is traced.
            return x * (1.0 if keras.ops.convert_to_numpy(x).any() else 2.0)

        def compute_output_shape(self, input_shape):
            return input_shape

    model = make_model(lambda: [Stubborn()])
    with pytest.raises(NotVectorizableError, match="Stubborn"):
        train_block([setup_for(model, np.random.default_rng(0))], [1e-3], engine="compiled")


@pytest.mark.parametrize(
    ("n_members", "n_steps", "n_cores", "alone", "expected"),
    [
        (16, 5000, 0, (True, False), [8, 8]),
        (10, 5000, 0, (True, False), [8, 1, 1]),
        (10, 500, 0, (True, True), [8, 8]),
        (10, 5000, 0, (False, False), [8, 8]),
        (11, 5000, 0, (True, False), [8, 8]),
        (1, 5000, 0, (True, False), [1]),
        (0, 5000, 0, (True, False), []),
        (4, 5000, 1, (True, True), [8]),
        (4, 5000, 2, (True, False), [1, 1, 1, 1]),
        (4, 500, 2, (True, False), [8]),
        (4, 500, 2, (True, True), [1, 1, 1, 1]),
        (5, 5000, 2, (True, True), [8]),
        (12, 5000, 2, (True, True), [8, 8]),
    ],
)
def test_few_that_are_left_over_train_alone(n_members, n_steps, n_cores, alone, expected):
    lane = lanes.Lane("vectorized", "", [], True, 8, *alone)
    assert lane.sizes(n_members, n_steps, n_cores) == expected


@pytest.mark.parametrize(
    ("n_candidates", "megabytes", "expected"),
    [
        (16, 0.3, 8),
        (9, 0.3, 5),
        (1, 0.3, 1),
        (8, 0.1, 8),
        (64, 0.04, 32),
        (16, 3.5, 4),
        (16, 100, 4),
    ],
)
def test_groups_are_of_like_size_and_fit_the_cache(n_candidates, megabytes, expected):
    assert lanes.group_size(n_candidates, int(megabytes * 2**20)) == expected


@pytest.mark.parametrize(
    ("engine", "jit"),
    [("vectorized", False), ("vectorized", True), ("compiled", False), ("keras", False)],
)
def test_an_epoch_in_parts_is_the_same_epoch(engine, jit):
    rows = {"train": np.tile(np.arange(54), 3), "test": np.arange(54, N_ROWS)}

    def block():
        model = make_model(lambda: [*normalised(), layers.Dropout(0.2, seed=1)])
        setup = setup_for(model, np.random.default_rng(0), batch_size=1, **rows)
        return make_block([setup], RATES[2:5], jit=jit, engine=engine, averages=True)

    whole, parts = block(), block()  # of 162 steps an epoch, in blocks of 64
    in_one = whole.train(2)
    after = [parts.train_part(share)["log_loss"] for share in (0.1, 0.8)]
    in_parts = parts.train(2)
    np.testing.assert_array_equal(in_one.values, in_parts.values)
    assert len({float(losses[0, 0, 0]) for losses in [*after, in_one["log_loss"]]}) == 3
    assert whole.member_epochs == pytest.approx(parts.member_epochs)
    for candidate in range(3):
        for mine, theirs in zip(
            whole.trained_member(candidate, 0).weights,
            parts.trained_member(candidate, 0).weights,
            strict=True,
        ):
            np.testing.assert_array_equal(mine, theirs)
