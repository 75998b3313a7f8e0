"""Models of texts, series and sets of points."""

import keras
import numpy as np
from keras import layers, ops

from .registry import clouds, public, sequences, softmax, texts

VOCABULARY = 30


@public(texts)
def bidirectional_lstm(meta):
    """Padded text (bidirectional_lstm_imdb)."""
    inputs = keras.Input((12,), dtype="int32")
    x = layers.Embedding(VOCABULARY, 6, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(4))(x)
    return keras.Model(inputs, softmax(meta)(x))


@public(texts)
def lstm_on_text(meta):
    hidden = [layers.Embedding(VOCABULARY, 6), layers.LSTM(6, dropout=0.2, recurrent_dropout=0.2)]
    return keras.Sequential([keras.Input((12,)), *hidden, softmax(meta)])


@public(texts)
def gru_on_padded_text(meta):
    hidden = [layers.Embedding(VOCABULARY, 6, mask_zero=True), layers.GRU(6)]
    return keras.Sequential([keras.Input((12,)), *hidden, softmax(meta)])


@public(sequences)
def stacked_lstm(meta):
    hidden = [layers.LSTM(6, return_sequences=True), layers.LSTM(6), layers.Dropout(0.2)]
    return keras.Sequential([keras.Input((10, 3)), *hidden, softmax(meta)])


@public(sequences)
def gru_after_dense(meta):
    hidden = [layers.Dense(6, activation="relu"), layers.GRU(6)]
    return keras.Sequential([keras.Input((10, 3)), *hidden, softmax(meta)])


@public(sequences)
def gru_after_conv(meta):
    hidden = [
        layers.Conv1D(6, 3, activation="relu"),
        layers.MaxPooling1D(2),
        layers.GRU(6, reset_after=False),
    ]
    return keras.Sequential([keras.Input((10, 3)), *hidden, softmax(meta)])


@public(sequences)
def simple_rnn_of_cells(meta):
    cells = [layers.SimpleRNNCell(4), layers.LSTMCell(4)]
    hidden = [layers.RNN(cells), layers.Dense(6, activation="relu")]
    return keras.Sequential([keras.Input((10, 3)), *hidden, softmax(meta)])


class MinimalRNNCell(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(
            shape=(self.units, self.units), initializer="orthogonal", name="recurrent"
        )

    def call(self, inputs, states):
        output = ops.tanh(ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.recurrent))
        return output, [output]


@public(sequences)
def own_recurrent_cell(meta):
    hidden = [layers.Dense(4), layers.RNN(MinimalRNNCell(5))]
    return keras.Sequential([keras.Input((10, 3)), *hidden, softmax(meta)])


@public(sequences)
def encoder_decoder(meta):
    """A recurrent layer that starts from the state of another, and attends to it."""
    inputs = keras.Input((10, 3))
    encoded, h, c = layers.LSTM(5, return_sequences=True, return_state=True)(inputs)
    decoded = layers.LSTM(5, return_sequences=True)(inputs[:, ::-1], initial_state=[h, c])
    context = layers.Attention()([decoded, encoded])
    x = layers.GlobalMaxPooling1D()(layers.concatenate([decoded, context]))
    return keras.Model(inputs, softmax(meta)(x))


@public(sequences)
def temporal_convolutions(meta):
    """Causal, dilated, residual (TCN)."""
    inputs = keras.Input((10, 3))
    x = inputs
    for dilation in (1, 2, 4):
        y = layers.Conv1D(6, 2, padding="causal", dilation_rate=dilation, activation="relu")(x)
        y = layers.SpatialDropout1D(0.1)(y)
        x = layers.add([y, x if x.shape[-1] == 6 else layers.Conv1D(6, 1)(x)])
    return keras.Model(inputs, softmax(meta)(x[:, -1]))


@public(sequences)
def timeseries_from_scratch(meta):
    """A fully convolutional network (timeseries_classification_from_scratch)."""
    inputs = keras.Input((10, 3))
    x = inputs
    for _ in range(2):
        x = layers.Conv1D(6, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    model = keras.Model(inputs, softmax(meta)(layers.GlobalAveragePooling1D()(x)))
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
    return model


@public(sequences)
def timeseries_transformer(meta):
    inputs = keras.Input((10, 3))
    x = layers.Conv1D(filters=6, kernel_size=1)(inputs)
    y = layers.MultiHeadAttention(key_dim=4, num_heads=2, dropout=0.1)(x, x)
    residual = layers.Dropout(0.1)(layers.LayerNormalization()(y)) + x
    y = layers.Conv1D(filters=8, kernel_size=1, activation="relu")(residual)
    y = layers.Conv1D(filters=6, kernel_size=1)(layers.Dropout(0.1)(y))
    x = layers.LayerNormalization()(y) + residual
    x = layers.GlobalAveragePooling1D(data_format="channels_last")(x)
    x = layers.Dropout(0.4)(layers.Dense(8, activation="relu")(x))
    return keras.Model(inputs, softmax(meta)(x))


@public(sequences)
def separable_series(meta):
    hidden = [
        layers.SeparableConv1D(6, 3, activation="relu"),
        layers.DepthwiseConv1D(3, activation="relu"),
        layers.AveragePooling1D(2),
        layers.Flatten(),
    ]
    return keras.Sequential([keras.Input((10, 3)), *hidden, softmax(meta)])


@public(sequences)
def speech_of_frequencies(meta):
    """The spectrum as features."""
    inputs = keras.Input((10, 3))
    real, imaginary = ops.rfft(ops.transpose(inputs, (0, 2, 1)))
    x = layers.Flatten()(ops.log1p(real**2 + imaginary**2))
    x = layers.Dense(8, activation="relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, softmax(meta)(x))


@public(sequences)
def grouped_query_attention(meta):
    inputs = keras.Input((10, 3))
    x = layers.EinsumDense("abc,cd->abd", output_shape=(10, 8), bias_axes="d")(inputs)
    x = x + layers.GroupQueryAttention(4, 4, 2)(x, x, use_causal_mask=True)
    x = layers.Flatten()(layers.RMSNormalization()(x))
    return keras.Model(inputs, softmax(meta)(x))


class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim, **kwargs):
        super().__init__(**kwargs)
        self.token_emb = layers.Embedding(input_dim=vocab_size, output_dim=embed_dim)
        self.pos_emb = layers.Embedding(input_dim=maxlen, output_dim=embed_dim)

    def call(self, x):
        positions = ops.arange(start=0, stop=ops.shape(x)[-1], step=1)
        return self.token_emb(x) + self.pos_emb(positions)


class TransformerBlock(layers.Layer):
    """As in text_classification_with_transformer: its parts are built by their first call."""

    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.ffn = keras.Sequential(
            [layers.Dense(ff_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, inputs):
        out1 = self.layernorm1(inputs + self.dropout1(self.att(inputs, inputs)))
        return self.layernorm2(out1 + self.dropout2(self.ffn(out1)))


@public(texts)
def text_transformer(meta):
    inputs = keras.Input((12,))
    x = TokenAndPositionEmbedding(12, VOCABULARY, 6)(inputs)
    x = layers.GlobalAveragePooling1D()(TransformerBlock(6, 2, 8)(x))
    x = layers.Dropout(0.1)(layers.Dense(8, activation="relu")(layers.Dropout(0.1)(x)))
    return keras.Model(inputs, softmax(meta)(x))


@public(texts)
def functional_text_transformer(meta):
    """Positions are constants of the graph; padding is masked in attention and pooling."""
    inputs = keras.Input((12,))
    x = layers.Embedding(VOCABULARY, 6, mask_zero=True)(inputs)
    x = layers.Add()([x, layers.Embedding(12, 6)(ops.arange(12)[None])])
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 3)(x, x))
    return keras.Model(inputs, softmax(meta)(layers.GlobalAveragePooling1D()(x)))


@public(texts)
def bag_of_vectors(meta):
    """An embedding, pooled, padding left out."""
    hidden = [layers.Embedding(VOCABULARY, 6, mask_zero=True), layers.GlobalAveragePooling1D()]
    return keras.Sequential([keras.Input((12,)), *hidden, softmax(meta)])


def vectorised():
    """Return what a TextVectorization layer makes of texts, and their classes."""
    words = np.array([""] + [f"word{i}" for i in range(1, VOCABULARY)])
    tokens, y = texts()
    documents = [" ".join(words[row.astype(int)]).strip() for row in tokens]
    vectorise = layers.TextVectorization(max_tokens=20, output_sequence_length=12)
    vectorise.adapt(documents)
    return np.asarray(vectorise(documents)).astype(np.float32), y


@public(vectorised)
def vectorised_text(meta):
    """As text_classification_from_scratch."""
    inputs = keras.Input((None,), dtype="int64")
    x = layers.Dropout(0.5)(layers.Embedding(20, 6)(inputs))
    x = layers.Conv1D(6, 3, padding="valid", activation="relu", strides=2)(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dropout(0.5)(layers.Dense(8, activation="relu")(x))
    return keras.Model(inputs, softmax(meta)(x))


def counted():
    """Return how often a document has each token, and its class."""
    tokens, y = texts()
    counts = [np.bincount(row.astype(int), minlength=VOCABULARY) for row in tokens]
    return np.array(counts, np.float32), y


@public(counted)
def bag_of_words(meta):
    hidden = [layers.Dense(8, activation="relu"), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input((VOCABULARY,)), *hidden, softmax(meta)])


@public(texts)
def character_convnet(meta):
    """Characters one-hot, convolutions of several widths side by side."""
    inputs = keras.Input((12,))
    x = ops.one_hot(ops.cast(inputs, "int32"), VOCABULARY)
    widths = [layers.Conv1D(4, size, activation="relu")(x) for size in (2, 3, 4)]
    x = layers.concatenate([layers.GlobalMaxPooling1D()(one) for one in widths])
    return keras.Model(inputs, softmax(meta)(layers.Dropout(0.3)(x)))


@public(texts)
def hierarchical_attention(meta):
    """Words pooled by a learned context, above a recurrent layer."""
    inputs = keras.Input((12,))
    x = layers.Embedding(VOCABULARY, 6)(inputs)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="sum")(x)
    weights = layers.Softmax(axis=1)(layers.Dense(1)(layers.Dense(4, activation="tanh")(x)))
    x = layers.Flatten()(layers.Dot(axes=1)([weights, x]))
    return keras.Model(inputs, softmax(meta)(x))


def _conv_bn(x, filters):
    x = layers.Conv1D(filters, kernel_size=1, padding="valid", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization(momentum=0.0)(x))


class OrthogonalRegularizer(keras.regularizers.Regularizer):
    def __init__(self, num_features, l2reg=0.001):
        self.num_features = num_features
        self.l2reg = l2reg

    def __call__(self, x):
        x = ops.reshape(x, (-1, self.num_features, self.num_features))
        xxt = ops.tensordot(x, x, axes=(2, 2))
        xxt = ops.reshape(xxt, (-1, self.num_features, self.num_features))
        return ops.sum(self.l2reg * ops.square(xxt - ops.eye(self.num_features)))


def _tnet(inputs, num_features):
    bias = keras.initializers.Constant(np.eye(num_features).flatten())
    x = layers.GlobalMaxPooling1D()(_conv_bn(_conv_bn(inputs, 4), 8))
    x = layers.Dense(
        num_features * num_features,
        kernel_initializer="zeros",
        bias_initializer=bias,
        activity_regularizer=OrthogonalRegularizer(num_features),
    )(x)
    transformation = layers.Reshape((num_features, num_features))(x)
    return layers.Dot(axes=(2, 1))([inputs, transformation])


@public(clouds)
def point_net(meta):
    """Clouds of points, turned by a network with an orthogonal regulariser of its activity."""
    inputs = keras.Input((16, 3))
    x = _conv_bn(_tnet(inputs, 3), 4)
    x = layers.GlobalMaxPooling1D()(_conv_bn(_tnet(x, 4), 8))
    x = layers.Dropout(0.3)(layers.Dense(8, activation="relu")(x))
    return keras.Model(inputs, softmax(meta)(x))


@public(clouds)
def deep_sets(meta):
    inputs = keras.Input((16, 3))
    x = layers.Dense(6, activation="elu")(layers.Dense(6, activation="elu")(inputs))
    x = ops.sum(x, axis=1)
    return keras.Model(inputs, softmax(meta)(layers.Dense(6, activation="elu")(x)))


class MILAttention(layers.Layer):
    """Attention over the instances of a bag, with gates (attention_mil_classification)."""

    def __init__(self, dim, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim

    def build(self, shape):
        settings = {"initializer": "glorot_uniform", "regularizer": keras.regularizers.L2(0.01)}
        self.v = self.add_weight(shape=(shape[-1], self.dim), name="v", **settings)
        self.w = self.add_weight(shape=(self.dim, 1), name="w", **settings)
        self.u = self.add_weight(shape=(shape[-1], self.dim), name="u", **settings)

    def call(self, x):
        hidden = ops.tanh(ops.tensordot(x, self.v, axes=1))
        hidden = hidden * ops.sigmoid(ops.tensordot(x, self.u, axes=1))
        return ops.softmax(ops.tensordot(hidden, self.w, axes=1), axis=1)


@public(clouds)
def attention_over_instances(meta):
    inputs = keras.Input((16, 3))
    x = layers.Dense(6, activation="relu")(inputs)
    x = ops.sum(MILAttention(4)(x) * x, axis=1)
    return keras.Model(inputs, softmax(meta)(x))
