"""Models of tables: rows of numbers and categories."""

import keras
import numpy as np
from keras import layers, ops

from .registry import imbalanced, pairs, public, scores, softmax, table, tags, two_classes


def _columns(inputs, at, n_categories=6, width=4):
    """Embed the columns of categories, each by a table of its own: (batch, n_columns, width)."""
    embedded = [layers.Embedding(n_categories, width)(ops.cast(inputs[:, i], "int32")) for i in at]
    return ops.stack(embedded, axis=1)


def _transformer_block(x, n_heads=2, rate=0.1):
    attended = layers.MultiHeadAttention(n_heads, x.shape[-1] // n_heads, dropout=rate)(x, x)
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, attended]))
    hidden = layers.Dense(2 * x.shape[-1], activation="gelu")(x)
    hidden = layers.Dropout(rate)(layers.Dense(x.shape[-1])(hidden))
    return layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, hidden]))


@public(tags)
def tab_transformer(meta):
    """Contextual embeddings of categories, beside normalised numbers (TabTransformer)."""
    inputs = keras.Input((8,))
    categories = _columns(inputs, range(4, 8))
    position = layers.Embedding(4, 4)(ops.arange(4))
    x = categories + position
    x = _transformer_block(x)
    numbers = layers.LayerNormalization(epsilon=1e-6)(inputs[:, :4])
    x = layers.Concatenate()([layers.Flatten()(x), numbers])
    x = layers.Dropout(0.1)(layers.Dense(16, activation="selu")(x))
    return keras.Model(inputs, softmax(meta)(x))


class FeatureTokenizer(layers.Layer):
    """A token for each number, and one for the class in front of them (FT-Transformer)."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def build(self, shape):
        self.weight = self.add_weight(shape=(shape[-1], self.width), name="weight")
        self.bias = self.add_weight(shape=(shape[-1], self.width), name="bias")
        self.token = self.add_weight(shape=(1, 1, self.width), initializer="zeros", name="token")

    def call(self, x):
        tokens = x[:, :, None] * self.weight + self.bias
        first = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, self.width))
        return ops.concatenate([first, tokens], axis=1)

    def get_config(self):
        return super().get_config() | {"width": self.width}


@public(table)
def ft_transformer(meta):
    """Compiled with AdamW, as its authors do."""
    inputs = keras.Input((8,))
    x = FeatureTokenizer(8)(inputs)
    x = _transformer_block(x, rate=0.0)
    outputs = softmax(meta)(ops.relu(layers.LayerNormalization()(x[:, 0])))
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=1e-2)
    optimizer.exclude_from_weight_decay(var_names=["bias", "token"])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


class GatedLinearUnit(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.linear = layers.Dense(units)
        self.sigmoid = layers.Dense(units, activation="sigmoid")

    def build(self, shape):
        self.linear.build(shape)
        self.sigmoid.build(shape)

    def call(self, inputs):
        return self.linear(inputs) * self.sigmoid(inputs)


class GatedResidualNetwork(layers.Layer):
    def __init__(self, units, dropout_rate=0.15, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.elu_dense = layers.Dense(units, activation="elu")
        self.linear_dense = layers.Dense(units)
        self.dropout = layers.Dropout(dropout_rate)
        self.gated_linear_unit = GatedLinearUnit(units)
        self.layer_norm = layers.LayerNormalization()
        self.project = layers.Dense(units)

    def build(self, shape):
        hidden = (*shape[:-1], self.units)
        self.elu_dense.build(shape)
        if shape[-1] != self.units:
            self.project.build(shape)
        for layer in (self.linear_dense, self.gated_linear_unit, self.layer_norm):
            layer.build(hidden)

    def call(self, inputs):
        x = self.elu_dense(inputs)
        x = self.linear_dense(x)
        x = self.dropout(x)
        if inputs.shape[-1] != self.units:
            inputs = self.project(inputs)
        x = inputs + self.gated_linear_unit(x)
        return self.layer_norm(x)


class VariableSelection(layers.Layer):
    def __init__(self, num_features, units, **kwargs):
        super().__init__(**kwargs)
        self.grns = [GatedResidualNetwork(units) for _ in range(num_features)]
        self.grn_concat = GatedResidualNetwork(units)
        self.softmax = layers.Dense(num_features, activation="softmax")
        self.units = units

    def build(self, shapes):
        for grn, shape in zip(self.grns, shapes, strict=True):
            grn.build(shape)
        self.grn_concat.build((None, sum(shape[-1] for shape in shapes)))
        self.softmax.build((None, self.units))

    def call(self, inputs):
        v = self.grn_concat(ops.concatenate(inputs, axis=-1))
        v = ops.expand_dims(self.softmax(v), axis=-1)
        x = ops.stack([grn(one) for grn, one in zip(self.grns, inputs, strict=True)], axis=1)
        return ops.squeeze(ops.matmul(ops.transpose(v, axes=[0, 2, 1]), x), axis=1)


@public(table)
def variable_selection_network(meta):
    inputs = keras.Input((8,))
    features = [layers.Dense(6)(inputs[:, i : i + 4]) for i in range(0, 8, 4)]
    return keras.Model(inputs, softmax(meta)(VariableSelection(2, 6)(features)))


@public(table)
def gated_residual_network(meta):
    inputs = keras.Input((8,))
    x = GatedResidualNetwork(6)(inputs)
    return keras.Model(inputs, softmax(meta)(x))


class NeuralDecisionTree(keras.Model):
    """A model inside a model, with a random mask of features that is no variable."""

    def __init__(self, depth, num_features, used_features_rate, num_classes):
        super().__init__()
        self.depth = depth
        self.num_leaves = 2**depth
        self.num_classes = num_classes
        num_used_features = int(num_features * used_features_rate)
        one_hot = np.eye(num_features)
        sampled = np.random.choice(  # noqa: NPY002
            np.arange(num_features), num_used_features, replace=False
        )
        self.used_features_mask = ops.convert_to_tensor(one_hot[sampled], dtype="float32")
        self.pi = self.add_weight(
            initializer="random_normal", shape=[self.num_leaves, num_classes], trainable=True
        )
        self.decision_fn = layers.Dense(self.num_leaves, activation="sigmoid")

    def call(self, features):
        batch_size = ops.shape(features)[0]
        features = ops.matmul(features, ops.transpose(self.used_features_mask))
        decisions = ops.expand_dims(self.decision_fn(features), axis=2)
        decisions = ops.concatenate([decisions, 1 - decisions], axis=2)
        mu = ops.ones([batch_size, 1, 1])
        begin_idx, end_idx = 1, 2
        for level in range(self.depth):
            mu = ops.reshape(mu, [batch_size, -1, 1])
            mu = ops.tile(mu, (1, 1, 2))
            mu = mu * decisions[:, begin_idx:end_idx, :]
            begin_idx, end_idx = end_idx, end_idx + 2 ** (level + 1)
        mu = ops.reshape(mu, [batch_size, self.num_leaves])
        return ops.matmul(mu, ops.softmax(self.pi))


@public(table)
def neural_decision_tree(meta):
    inputs = keras.Input((8,))
    features = layers.BatchNormalization()(inputs)
    return keras.Model(inputs, NeuralDecisionTree(3, 8, 1.0, meta["n_classes_"])(features))


@public(table)
def neural_decision_forest(meta):
    inputs = keras.Input((8,))
    features = layers.BatchNormalization()(inputs)
    trees = [NeuralDecisionTree(3, 8, 0.5, meta["n_classes_"])(features) for _ in range(2)]
    return keras.Model(inputs, layers.Average()(trees))


class RandomFourierFeatures(layers.Layer):
    """Draws constants when it is built."""

    def build(self, shape):
        drawn = np.random.normal(0, 0.3, (shape[-1], 32))  # noqa: NPY002
        self.projection = ops.convert_to_tensor(drawn.astype("float32"))

    def call(self, x):
        return ops.cos(ops.matmul(x, self.projection))


@public(table)
def random_fourier_features(meta):
    return keras.Sequential([keras.Input((8,)), RandomFourierFeatures(), softmax(meta)])


@public(tags)
def wide_and_deep(meta):
    inputs = keras.Input((8,))
    flags = ops.one_hot(ops.cast(inputs[:, 4:], "int32"), 6)
    wide = layers.BatchNormalization()(layers.Flatten()(flags))
    deep = layers.Concatenate()([inputs[:, :4], layers.Flatten()(_columns(inputs, range(4, 8)))])
    deep = layers.BatchNormalization()(layers.Dense(12, use_bias=False)(deep))
    deep = layers.Dropout(0.1)(layers.ReLU()(deep))
    return keras.Model(inputs, softmax(meta)(layers.concatenate([wide, deep])))


@public(tags)
def deep_and_cross(meta):
    inputs = keras.Input((8,))
    x0 = layers.concatenate([inputs[:, :4], layers.Flatten()(_columns(inputs, range(4, 8)))])
    cross = x0
    for _ in range(2):
        cross = x0 * layers.Dense(x0.shape[-1])(cross) + cross
    cross = layers.BatchNormalization()(cross)
    deep = layers.Dense(12, activation="relu")(x0)
    return keras.Model(inputs, softmax(meta)(layers.concatenate([cross, deep])))


@public(table)
def batch_normalised_perceptron(meta):
    """Dense layers whose bias the normalisation takes out again."""
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(0.3),
            layers.Dense(16, activation="relu", kernel_regularizer="l2"),
            softmax(meta),
        ]
    )


@public(table)
def self_normalising_network(meta):
    dense = {"activation": "selu", "kernel_initializer": "lecun_normal"}
    hidden = [layers.Dense(16, **dense), layers.AlphaDropout(0.1), layers.Dense(16, **dense)]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


@public(table)
def noisy_perceptron(meta):
    hidden = [
        layers.GaussianNoise(0.2),
        layers.Dense(16, activation="tanh"),
        layers.GaussianDropout(0.2),
        layers.Dense(16, activation="softplus"),
        layers.Dropout(0.2),
    ]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


@public(table)
def mixed_activations(meta):
    inputs = keras.Input((8,))
    names = ["elu", "gelu", "swish", "mish", "hard_sigmoid", "softsign", "relu6", "exponential"]
    x = layers.concatenate([layers.Dense(3, activation=name)(inputs) for name in names])
    x = layers.PReLU()(layers.Dense(8)(x))
    x = layers.LeakyReLU(0.1)(layers.Dense(8)(x))
    x = layers.Dense(8, activation=lambda x: ops.sin(3 * x))(x)
    return keras.Model(inputs, softmax(meta)(x))


@public(table)
def mixture_of_experts(meta):
    inputs = keras.Input((8,))
    experts = [layers.Dense(8, activation="relu")(inputs) for _ in range(4)]
    gate = layers.Dense(4, activation="softmax")(inputs)
    x = ops.einsum("be,beu->bu", gate, ops.stack(experts, axis=1))
    return keras.Model(inputs, softmax(meta)(x))


class Router(layers.Layer):
    """Sends each row to one expert, and adds a loss that keeps the experts busy (Switch)."""

    def __init__(self, num_experts, units, **kwargs):
        super().__init__(**kwargs)
        self.num_experts = num_experts
        self.route = layers.Dense(num_experts)
        self.experts = [layers.Dense(units, activation="relu") for _ in range(num_experts)]

    def call(self, x, training=False):
        probability = ops.softmax(self.route(x))
        chosen = ops.one_hot(ops.argmax(probability, axis=-1), self.num_experts)
        if training:
            density = ops.mean(chosen, axis=0)
            self.add_loss(0.1 * ops.mean(density * ops.mean(probability, axis=0)))
        outputs = ops.stack([expert(x) for expert in self.experts], axis=1)
        return ops.sum(outputs * (chosen * probability)[:, :, None], axis=1)


@public(table)
def switch_routing(meta):
    inputs = keras.Input((8,))
    return keras.Model(inputs, softmax(meta)(Router(3, 8)(inputs)))


@public(pairs, loss="binary_crossentropy")
def siamese_twins(meta):
    """One encoder for both halves of a row."""
    inputs = keras.Input((8,))
    encoder = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, activation="tanh"), layers.Dense(4)]
    )
    left, right = encoder(inputs[:, :4]), encoder(inputs[:, 4:])
    distance = ops.sqrt(ops.sum(ops.square(left - right), axis=1, keepdims=True) + 1e-6)
    distance = layers.BatchNormalization()(distance)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(distance))


@public(pairs, loss="binary_crossentropy")
def cosine_twins(meta):
    inputs = keras.Input((8,))
    shared = layers.Dense(6, activation="tanh")
    product = layers.Dot(axes=1, normalize=True)([shared(inputs[:, :4]), shared(inputs[:, 4:])])
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(product))


@public(two_classes, loss="binary_crossentropy")
def one_sigmoid(meta):
    hidden = [layers.Dense(16, activation="relu"), layers.Dense(1, activation="sigmoid")]
    return keras.Sequential([keras.Input((8,)), *hidden])


@public(two_classes)
def one_logit(meta):
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(1)]
    )
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    return model


@public(imbalanced, loss="binary_crossentropy", class_weight="balanced")
def credit_card_fraud(meta):
    hidden = [
        layers.Dense(16, activation="relu"),
        layers.Dropout(0.3),
        layers.Dense(1, activation="sigmoid"),
    ]
    return keras.Sequential([keras.Input((8,)), *hidden])


@public(table, metrics=["accuracy"])
def with_a_metric(meta):
    return keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), softmax(meta)])


@public(table)
def logits(meta):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), scores(meta)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.RMSprop(1e-3), loss)
    return model


class WeightNormalised(layers.Layer):
    """A dense layer with direction and length of its weights apart."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.v = self.add_weight(shape=(shape[-1], self.units), name="v")
        self.g = self.add_weight(shape=(self.units,), initializer="ones", name="g")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", name="b")

    def call(self, x):
        length = ops.sqrt(ops.sum(ops.square(self.v), axis=0))
        return ops.tanh(ops.matmul(x, self.v * self.g / length) + self.b)


@public(table)
def weight_normalisation(meta):
    return keras.Sequential([keras.Input((8,)), WeightNormalised(12), softmax(meta)])


@public(table)
def spectral_normalisation(meta):
    hidden = [
        layers.SpectralNormalization(layers.Dense(12, activation="relu")),
        layers.SpectralNormalization(layers.Dense(12, activation="relu"), power_iterations=2),
    ]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


@public(table)
def group_normalisation(meta):
    hidden = [layers.Dense(12, activation="relu"), layers.GroupNormalization(3)]
    hidden += [layers.Dense(12, activation="relu"), layers.RMSNormalization()]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


@public(table)
def adapted_normalisation(meta):
    """Constants that the layer has learned from data, no variables of the model."""
    normalise = layers.Normalization()
    normalise.adapt(3 * table()[0] + 1)
    return keras.Sequential(
        [keras.Input((8,)), normalise, layers.Dense(12, activation="relu"), softmax(meta)]
    )


@public(table)
def unit_columns(meta):
    """Columns of length 1 over the rows of a batch."""
    hidden = [layers.UnitNormalization(axis=0), layers.Dense(12, activation="relu")]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


@public(table)
def softmax_over_rows(meta):
    """Attention among the rows of a batch."""
    inputs = keras.Input((8,))
    weights = layers.Softmax(axis=0)(layers.Dense(8)(inputs))
    return keras.Model(inputs, softmax(meta)(layers.Dense(12, activation="relu")(inputs * weights)))


def rows_with_zeros():
    X, y = table()
    X = X.copy()
    X[::5] = 0
    return X, y


@public(rows_with_zeros)
def masked_rows(meta):
    """A mask that reaches the loss: rows of zeros do not count in training."""
    hidden = [layers.Masking(), layers.Dense(12, activation="relu")]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


@public(table)
def standardising_lambda(meta):
    hidden = [
        layers.Lambda(lambda x: (x - ops.mean(x, axis=1, keepdims=True)) / 2),
        layers.Dense(12, activation="relu"),
    ]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


@public(tags)
def encoded_categories(meta):
    """Preprocessing layers inside the model."""
    inputs = keras.Input((8,))
    flags = layers.CategoryEncoding(6, output_mode="multi_hot")(ops.cast(inputs[:, 4:], "int32"))
    bins = layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0], output_mode="int")(inputs[:, :4])
    bins = layers.Flatten()(layers.Embedding(4, 3)(bins))
    x = layers.Dense(12, activation="relu")(layers.concatenate([flags, bins]))
    return keras.Model(inputs, softmax(meta)(x))


@public(table)
def neural_additive_model(meta):
    inputs = keras.Input((8,))
    parts = [
        layers.Dense(meta["n_classes_"])(layers.Dense(5, activation="relu")(inputs[:, i : i + 2]))
        for i in range(0, 8, 2)
    ]
    return keras.Model(inputs, layers.Softmax()(layers.Add()(parts)))


@public(table)
def highway_network(meta):
    inputs = keras.Input((8,))
    x = layers.Dense(8, activation="relu")(inputs)
    for _ in range(2):
        gate = layers.Dense(8, activation="sigmoid", bias_initializer="ones")(x)
        x = gate * layers.Dense(8, activation="relu")(x) + (1 - gate) * x
    return keras.Model(inputs, softmax(meta)(x))


class RadialBasis(layers.Layer):
    def build(self, shape):
        self.centres = self.add_weight(shape=(10, shape[-1]), initializer="random_normal")
        self.widths = self.add_weight(shape=(10,), initializer="ones")

    def call(self, x):
        apart = ops.sum(ops.square(x[:, None] - self.centres), axis=-1)
        return ops.exp(-ops.softplus(self.widths) * apart / 8)


@public(table)
def radial_basis(meta):
    return keras.Sequential([keras.Input((8,)), RadialBasis(), softmax(meta)])


@public(table)
def monotonic_network(meta):
    """Constraints, one of them with an axis."""
    hidden = [
        layers.Dense(12, activation="relu", kernel_constraint="non_neg"),
        layers.Dense(12, activation="relu", kernel_constraint=keras.constraints.MaxNorm(1.0)),
        layers.Dense(12, activation="relu", kernel_constraint=keras.constraints.UnitNorm(axis=1)),
    ]
    return keras.Sequential([keras.Input((8,)), *hidden, softmax(meta)])


class GraphConvolution(layers.Layer):
    """Messages along the edges of a fixed graph."""

    def __init__(self, edges, units, **kwargs):
        super().__init__(**kwargs)
        self.sources, self.targets = ops.convert_to_tensor(np.transpose(edges))
        self.prepare = layers.Dense(units, activation="relu")
        self.update = layers.Dense(units, activation="relu")

    def call(self, nodes):
        messages = ops.take(self.prepare(nodes), self.sources, axis=1)
        messages = ops.transpose(messages, (1, 0, 2))
        gathered = ops.segment_sum(messages, self.targets, num_segments=nodes.shape[1])
        return self.update(ops.concatenate([nodes, ops.transpose(gathered, (1, 0, 2))], axis=-1))


@public(table)
def graph_convolution(meta):
    inputs = keras.Input((8,))
    edges = [(0, 1), (1, 2), (2, 3), (3, 0), (1, 0), (2, 0)]
    x = GraphConvolution(edges, 6)(layers.Reshape((4, 2))(inputs))
    x = layers.GlobalAveragePooling1D()(GraphConvolution(edges, 6)(x))
    return keras.Model(inputs, softmax(meta)(x))


def _sparsemax(x):
    ordered = -ops.sort(-x, axis=-1)
    sums = ops.cumsum(ordered, axis=-1)
    number = ops.arange(1, x.shape[-1] + 1, dtype="float32")
    in_support = ops.cast(1 + number * ordered > sums, "float32")
    size = ops.sum(in_support, axis=-1, keepdims=True)
    threshold = (ops.sum(in_support * ordered, axis=-1, keepdims=True) - 1) / size
    return ops.relu(x - threshold)


@public(table)
def tabnet(meta):
    """Steps that look at few columns each, chosen by a sparse attention."""
    inputs = keras.Input((8,))
    x = layers.BatchNormalization()(inputs)
    prior, total = ops.ones_like(x), 0
    for _ in range(2):
        mask = _sparsemax(layers.BatchNormalization()(layers.Dense(8, use_bias=False)(x)) * prior)
        prior = prior * (1.5 - mask)
        hidden = layers.Dense(12, use_bias=False)(x * mask)
        hidden = layers.BatchNormalization(momentum=0.9)(hidden)
        hidden = hidden[:, :6] * ops.sigmoid(hidden[:, 6:])
        total = total + ops.relu(hidden)
    return keras.Model(inputs, softmax(meta)(total))
