"""Models that train in ways of their own: losses, steps, optimizers, frozen parts, state."""

import warnings

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from scikeras.wrappers import KerasClassifier
from sklearn.base import BaseEstimator, TransformerMixin

from .registry import images, public, scores, softmax, table, tags, two_classes

SPARSE = "sparse_categorical_crossentropy"


def _perceptron(meta, **options):
    hidden = [layers.Dense(12, activation="relu"), softmax(meta)]
    return keras.Sequential([keras.Input((8,)), *hidden], **options)


def _layers_of_a_perceptron(meta):
    inputs = keras.Input((8,))
    x = layers.Dropout(0.2)(layers.Dense(12, activation="relu")(inputs))
    return inputs, softmax(meta)(x)


@public(table, loss="categorical_crossentropy")
def builtin_focal_loss(meta):
    model = _perceptron(meta)
    model.compile("adam", keras.losses.CategoricalFocalCrossentropy(gamma=2.0))
    return model


def focal_loss(y_true, y_pred):
    y_true = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), y_pred.shape[-1])
    p = ops.clip(y_pred, 1e-7, 1 - 1e-7)
    return ops.sum(-y_true * ops.power(1 - p, 2.0) * ops.log(p), axis=-1)


@public(table)
def handwritten_focal_loss(meta):
    model = _perceptron(meta)
    model.compile("adam", focal_loss)
    return model


class PolyLoss(keras.losses.Loss):
    """A loss that is a class, and no mean of rows but their sum."""

    def __init__(self):
        super().__init__(reduction="sum")

    def call(self, y_true, y_pred):
        one = keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
        return (one + 0.5 * (1 - ops.exp(-one))) / 16


@public(table)
def poly_loss(meta):
    model = _perceptron(meta)
    model.compile("adam", PolyLoss())
    return model


@public(table, loss="categorical_crossentropy")
def label_smoothing(meta):
    model = _perceptron(meta)
    model.compile("adam", keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    return model


@public(two_classes, loss="binary_crossentropy")
def binary_focal_loss(meta):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True))
    return model


class CustomModel(keras.Model):
    """As customizing_what_happens_in_fit: `x, y = data`."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        trainable_vars = self.trainable_variables
        gradients = tape.gradient(loss, trainable_vars)
        self.optimizer.apply(gradients, trainable_vars)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


@public(table)
def custom_train_step(meta):
    return CustomModel(*_layers_of_a_perceptron(meta))


class TwoOptimizers(keras.Model):
    """The last layer has an optimizer of its own."""

    def compile(self, **kwargs):
        super().compile(**kwargs)
        self.head_optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        self.head_optimizer.build(self.layers[-1].trainable_variables)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(list(zip(gradients, variables, strict=True))[:-2])
        self.head_optimizer.apply_gradients(list(zip(gradients, variables, strict=True))[-2:])
        return {"loss": loss}


@public(table)
def second_optimizer(meta):
    model = TwoOptimizers(*_layers_of_a_perceptron(meta))
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss=SPARSE)
    return model


class SharpnessAware(keras.Model):
    """Two passes a step (sharpness_aware_minimization)."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        norm = tf.linalg.global_norm(gradients)
        moves = [gradient * 0.05 / (norm + 1e-12) for gradient in gradients]
        for variable, move in zip(self.trainable_variables, moves, strict=True):
            variable.assign_add(move)
        with tf.GradientTape() as tape:
            second = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(second, self.trainable_variables)
        for variable, move in zip(self.trainable_variables, moves, strict=True):
            variable.assign_sub(move)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


@public(table)
def sharpness_aware_minimisation(meta):
    return SharpnessAware(*_layers_of_a_perceptron(meta))


class Adversarial(keras.Model):
    """Trains on rows that are moved against it, and keeps a metric of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def train_step(self, data):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = self.compute_loss(x, y, self(x, training=True), weight)
        moved = x + 0.1 * tf.sign(tape.gradient(loss, x))
        with tf.GradientTape() as tape:
            loss = self.compute_loss(moved, y, self(moved, training=True), weight)
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}


@public(table)
def adversarial_training(meta):
    return Adversarial(*_layers_of_a_perceptron(meta))


class Averaged(keras.Model):
    """Keeps an average of its weights itself, in variables that the model does not list."""

    def train_step(self, data):
        logs = super().train_step(data)
        self.steps.assign_add(1.0)
        decay = tf.minimum(0.9, self.steps / (10.0 + self.steps))
        for average, variable in zip(self.averages, self.trainable_variables, strict=True):
            average.assign(decay * average + (1 - decay) * variable)
        first = self.trainable_variables[0]
        first.assign(0.95 * first + 0.05 * self.averages[0])
        return logs


@public(table)
def averaged_by_hand(meta):
    model = Averaged(*_layers_of_a_perceptron(meta))
    model.steps = tf.Variable(0.0)
    model.averages = [tf.Variable(variable) for variable in model.trainable_variables]
    return model


class OwnLoss(keras.Model):
    """`compute_loss` as it was written before `training` was an argument of it."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        loss = super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        return loss + 0.1 * ops.mean(ops.square(y_pred))


@public(table)
def custom_compute_loss(meta):
    return OwnLoss(*_layers_of_a_perceptron(meta))


class Distiller(keras.Model):
    """A student that learns from labels and from a frozen teacher (knowledge_distillation)."""

    def __init__(self, student, teacher):
        super().__init__()
        self.student, self.teacher = student, teacher
        self.teacher.trainable = False

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False, training=True
    ):
        teacher_pred = self.teacher(x, training=False)
        student_loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        apart = keras.losses.kl_divergence(
            ops.softmax(teacher_pred / 3), ops.softmax(ops.log(y_pred + 1e-7) / 3)
        )
        return 0.3 * student_loss + 0.7 * ops.mean(apart)

    def call(self, x):
        return self.student(x)


@public(table)
def knowledge_distillation(meta):
    teacher = keras.Sequential([keras.Input((8,)), layers.Dense(3, use_bias=False)])
    teacher.set_weights([np.random.default_rng(7).normal(size=(8, 3))])
    model = Distiller(_perceptron(meta), teacher)
    model(np.zeros((1, 8), np.float32))
    return model


class VariationalBottleneck(layers.Layer):
    """Samples in training, and adds its divergence to the loss."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.mean, self.log_var = layers.Dense(width), layers.Dense(width)
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, x, training=False):
        mean, log_var = self.mean(x), self.log_var(x)
        divergence = -0.5 * ops.mean(1 + log_var - ops.square(mean) - ops.exp(log_var))
        self.add_loss(0.1 * divergence)
        if not training:
            return mean
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * noise


@public(table)
def variational_bottleneck(meta):
    hidden = [layers.Dense(12, activation="relu"), VariationalBottleneck(6)]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


class Reconstruction(layers.Layer):
    """An autoencoder beside the classifier, by add_loss."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encode, self.decode = layers.Dense(4, activation="tanh"), layers.Dense(8)

    def call(self, x):
        code = self.encode(x)
        self.add_loss(ops.mean(ops.square(self.decode(code) - x)))
        return code


@public(table)
def autoencoder_beside(meta):
    return keras.Sequential([keras.Input((8,)), Reconstruction(), softmax(meta)])


@public(table)
def activity_regularisers(meta):
    hidden = [
        layers.Dense(12, activation="relu", activity_regularizer=keras.regularizers.L1(0.01)),
        layers.ActivityRegularization(l2=0.01),
        layers.Dense(
            12, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.01), activation="relu"
        ),
    ]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


def _compiled(meta, optimizer):
    inputs, outputs = _layers_of_a_perceptron(meta)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer, SPARSE)
    return model


@public(table, rates=(3e-3, 3e-1))
def averaged_weights(meta):
    return _compiled(meta, keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.9))


@public(table, rates=(3e-3, 3e-2))
def overwritten_by_average(meta):
    optimizer = keras.optimizers.SGD(
        1e-3, momentum=0.9, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=5
    )
    return _compiled(meta, optimizer)


@public(table, rates=(3e-3, 3e-2))
def schedule_free(meta):
    return _compiled(meta, keras.optimizers.ScheduleFreeAdamW(1e-3, warmup_steps=4))


@public(table)
def gradient_accumulation(meta):
    return _compiled(meta, keras.optimizers.Adam(1e-3, gradient_accumulation_steps=3))


@public(table)
def clipped_gradients(meta):
    return _compiled(meta, keras.optimizers.Adam(1e-3, clipnorm=0.05))


@public(table)
def globally_clipped_gradients(meta):
    return _compiled(meta, keras.optimizers.RMSprop(1e-3, global_clipnorm=0.1, momentum=0.5))


@public(table)
def scaled_loss(meta):
    return _compiled(meta, keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3)))


@public(table)
def lion(meta):
    return _compiled(meta, keras.optimizers.Lion(1e-3, weight_decay=0.1))


@public(table)
def decay_of_kernels_alone(meta):
    """Weight decay that leaves out some layers by their name."""
    inputs = keras.Input((8,))
    x = layers.LayerNormalization(name="layer_norm")(layers.Dense(12, activation="relu")(inputs))
    model = keras.Model(inputs, softmax(meta)(x))
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "layer_norm"])
    model.compile(optimizer, SPARSE)
    return model


@public(table)
def muon(meta):
    return _compiled(meta, keras.optimizers.Muon(1e-3))


@public(table)
def nadam(meta):
    return _compiled(meta, keras.optimizers.Nadam(1e-3))


@public(table)
def ftrl(meta):
    return _compiled(meta, keras.optimizers.Ftrl(1e-3, l1_regularization_strength=0.01))


class CentralisedAdam(keras.optimizers.Adam):
    """Takes the mean off each gradient (gradient_centralization)."""

    def apply(self, grads, trainable_variables=None):
        grads = [
            g - ops.mean(g, axis=list(range(len(g.shape) - 1)), keepdims=True)
            if len(g.shape) > 1
            else g
            for g in grads
        ]
        return super().apply(grads, trainable_variables)


@public(table)
def centralised_gradients(meta):
    return _compiled(meta, CentralisedAdam(1e-3))


def _pretrained():
    """Return a base with weights as if from a training elsewhere, moving statistics included."""
    hidden = [layers.Dense(10, activation="relu"), layers.BatchNormalization()]
    hidden += [layers.Dense(6, activation="relu")]
    base = keras.Sequential([keras.Input((8,)), *hidden], name="base")
    rng = np.random.default_rng(3)
    base.set_weights(
        [rng.uniform(0.1, 0.9, w.shape) - 0.4 * (len(w.shape) > 1) for w in base.weights]
    )
    return base


@public(table)
def frozen_base(meta):
    """As transfer_learning: frozen, its normalisation in inference mode."""
    base = _pretrained()
    base.trainable = False
    inputs = keras.Input((8,))
    x = layers.Dropout(0.2)(base(inputs, training=False))
    return keras.Model(inputs, softmax(meta)(x))


@public(table)
def fine_tuned_base(meta):
    """Trained further, its normalisation left in inference mode."""
    base = _pretrained()
    base.trainable = True
    base.layers[0].trainable = False
    inputs = keras.Input((8,))
    return keras.Model(inputs, softmax(meta)(base(inputs, training=False)))


@public(images)
def pretrained_convnet(meta):
    """Frozen layers of convolution beneath a new head, normalised by hand."""
    base = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(seed=2)),
            layers.BatchNormalization(),
            layers.ReLU(),
        ],
        name="base",
    )
    base.trainable = False
    inputs = keras.Input((8, 8, 3))
    x = base(layers.Rescaling(2.0, offset=-1)(inputs))
    return keras.Model(inputs, softmax(meta)(layers.GlobalAveragePooling2D()(x)))


class Subclassed(keras.Model):
    """`call` with `training`."""

    def __init__(self, n_classes):
        super().__init__()
        self.dense1 = layers.Dense(12, activation="relu")
        self.dropout = layers.Dropout(0.3)
        self.normalise = layers.BatchNormalization()
        self.dense2 = layers.Dense(n_classes, activation="softmax")

    def call(self, inputs, training=False):
        x = self.normalise(self.dense1(inputs), training=training)
        if training:
            x = self.dropout(x, training=training)
        return self.dense2(x)


@public(table)
def subclassed_model(meta):
    """Built by `build`, after which it still has no weights, as Keras warns."""
    model = Subclassed(meta["n_classes_"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.build((None, 8))
    return model


@public(table, metrics=["accuracy"])
def subclassed_model_with_a_metric(meta):
    model = Subclassed(meta["n_classes_"])
    model(np.zeros((1, 8), np.float32))
    return model


class WithoutTraining(keras.Model):
    """`call` without `training`, called once so that it is built."""

    def __init__(self, n_classes):
        super().__init__()
        self.block = [layers.Dense(8, activation="relu") for _ in range(3)]
        self.out = layers.Dense(n_classes, activation="softmax")

    def call(self, x):
        for layer in self.block:
            x = layer(x) + (x if x.shape[-1] == 8 else 0)
        return self.out(x)


@public(table)
def subclassed_model_without_training(meta):
    model = WithoutTraining(meta["n_classes_"])
    model(np.zeros((1, 8), np.float32))
    return model


@public(table)
def lazily_built_sequential(meta):
    model = keras.Sequential([layers.Dense(12, activation="relu"), softmax(meta)])
    model.build((None, 8))
    return model


@public(table)
def sequential_inside_subclass(meta):
    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([layers.Dense(8, activation="gelu"), layers.Dropout(0.2)])
            self.head = softmax(meta)

        def call(self, x, training=None):
            return self.head(self.inner(x, training=training))

    model = Outer()
    model(ops.zeros((2, 8)))
    return model


class Counter(layers.Layer):
    """Counts rows above 0, as integers, and cools down with them."""

    def build(self, shape):
        self.count = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="count"
        )

    def call(self, x, training=False):
        if training:
            self.count.assign_add(ops.sum(ops.cast(x[:, 0] > 0, "int32")))
        return x / (1 + 0.01 * ops.cast(self.count, "float32"))


@public(table)
def counter_of_rows(meta):
    hidden = [layers.Dense(8, activation="tanh"), Counter()]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


class VectorQuantizer(layers.Layer):
    """A codebook that is moved towards the rows in `call`, without a gradient."""

    def build(self, shape):
        self.codes = self.add_weight(
            shape=(6, shape[-1]), initializer="random_normal", trainable=False, name="codes"
        )

    def call(self, x, training=False):
        apart = ops.sum(ops.square(x[:, None] - self.codes), axis=-1)
        nearest = ops.one_hot(ops.argmin(apart, axis=-1), 6)
        quantised = ops.matmul(nearest, self.codes)
        if training:
            share = ops.transpose(nearest) / (1 + ops.sum(nearest, axis=0)[:, None])
            new = ops.matmul(share, ops.stop_gradient(x))
            self.codes.assign(0.9 * self.codes + 0.1 * new)
            self.add_loss(0.25 * ops.mean(ops.square(ops.stop_gradient(quantised) - x)))
        return x + ops.stop_gradient(quantised - x)


@public(table)
def vector_quantiser(meta):
    hidden = [layers.Dense(4, activation="tanh"), VectorQuantizer()]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


class InputsByKind(TransformerMixin, BaseEstimator):
    """Numbers and categories, each for an input of their own."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return {"numbers": X[:, :4], "categories": X[:, 4:]}


class TwoInputs(KerasClassifier):
    @property
    def feature_encoder(self):
        return InputsByKind()


@public(tags, wrapper=TwoInputs)
def several_inputs(meta):
    numbers = keras.Input((4,), name="numbers")
    categories = keras.Input((4,), name="categories", dtype="int32")
    embedded = layers.Flatten()(layers.Embedding(6, 3)(categories))
    x = layers.Dense(8, activation="relu")(layers.concatenate([numbers, embedded]))
    inputs = {"numbers": numbers, "categories": categories}
    return keras.Model(inputs, softmax(meta)(x))


@public(table)
def rescaled_logits(meta):
    """A temperature that is learned, on logits."""
    inputs = keras.Input((8,))
    x = scores(meta)(layers.Dense(8, activation="relu")(inputs))
    model = keras.Model(inputs, LayerTemperature()(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


class LayerTemperature(layers.Layer):
    def build(self, shape):
        self.log_t = self.add_weight(shape=(), initializer="zeros", name="log_t")

    def call(self, x):
        return x / ops.exp(self.log_t)


@public(table)
def cosine_head(meta):
    """Directions of features against directions of classes, with a margin in training."""
    inputs = keras.Input((8,))
    x = layers.UnitNormalization()(layers.Dense(8, activation="gelu")(inputs))
    x = layers.Dense(
        meta["n_classes_"], use_bias=False, kernel_constraint=keras.constraints.UnitNorm(axis=0)
    )(x)
    return keras.Model(inputs, layers.Softmax()(8 * x))


@public(table)
def steps_in_one_call(meta):
    """Compiled to run several steps in one call."""
    inputs, outputs = _layers_of_a_perceptron(meta)
    model = keras.Model(inputs, outputs)
    model.compile("adam", SPARSE, steps_per_execution=4)
    return model


@public(table)
def run_eagerly(meta):
    inputs, outputs = _layers_of_a_perceptron(meta)
    model = keras.Model(inputs, outputs)
    model.compile("adam", SPARSE, run_eagerly=True)
    return model
