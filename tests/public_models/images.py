"""Models of images and videos."""

import keras
import numpy as np
from keras import layers, ops

from .registry import grey_images, images, public, scores, softmax, videos


def _pooled(meta, inputs, x):
    return keras.Model(inputs, softmax(meta)(layers.GlobalAveragePooling2D()(x)))


@public(grey_images)
def simple_convnet(meta):
    """The first example of all (mnist_convnet)."""
    hidden = [
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(8, 2, activation="relu"),
        layers.Flatten(),
        layers.Dropout(0.5),
    ]
    return keras.Sequential([keras.Input((8, 8, 1)), *hidden, softmax(meta)])


@public(images)
def augmented_convnet(meta):
    """Augmentation by layers, which is random in training."""
    hidden = [
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        layers.RandomContrast(0.1),
        layers.Rescaling(2.0, offset=-1.0),
        layers.Conv2D(6, 3, activation="relu"),
        layers.SpatialDropout2D(0.1),
        layers.GlobalAveragePooling2D(),
    ]
    return keras.Sequential([keras.Input((8, 8, 3)), *hidden, softmax(meta)])


@public(images)
def flipped_convnet(meta):
    hidden = [
        layers.RandomFlip("horizontal"),
        layers.Conv2D(6, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
    ]
    return keras.Sequential([keras.Input((8, 8, 3)), *hidden, softmax(meta)])


def _residual_block(x, filters, stride=1):
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x)
        shortcut = layers.BatchNormalization()(shortcut)
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(layers.Add()([x, shortcut]))


@public(images)
def small_resnet(meta):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = _residual_block(x, 8, stride=2)
    model = _pooled(meta, inputs, x)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), "sparse_categorical_crossentropy"
    )
    return model


@public(images)
def small_densenet(meta):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    for _ in range(2):
        new = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5)(x))
        new = layers.Conv2D(3, 3, padding="same", use_bias=False)(new)
        x = layers.Concatenate()([x, new])
    x = layers.AveragePooling2D(2)(layers.Conv2D(4, 1)(x))
    return _pooled(meta, inputs, x)


class StochasticDepth(layers.Layer):
    """Drops a branch, row by row."""

    def __init__(self, drop_prob, **kwargs):
        super().__init__(**kwargs)
        self.drop_prob = drop_prob
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, x, training=False):
        if training:
            keep_prob = 1 - self.drop_prob
            shape = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
            kept = keep_prob + keras.random.uniform(shape, 0, 1, seed=self.seed_generator)
            return (x / keep_prob) * ops.floor(kept)
        return x

    def get_config(self):
        return super().get_config() | {"drop_prob": self.drop_prob}


@public(images)
def small_efficientnet(meta):
    """Inverted bottlenecks with squeeze and excitation."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = layers.Activation("swish")(layers.BatchNormalization()(x))
    y = layers.Conv2D(8, 1, use_bias=False)(x)
    y = layers.Activation("swish")(layers.BatchNormalization()(y))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = layers.Activation("swish")(layers.BatchNormalization()(y))
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(y)
    squeezed = layers.Conv2D(2, 1, activation="swish")(squeezed)
    y = layers.Multiply()([y, layers.Conv2D(8, 1, activation="sigmoid")(squeezed)])
    y = layers.BatchNormalization()(layers.Conv2D(4, 1, use_bias=False)(y))
    x = layers.Add()([x, layers.Dropout(0.2, noise_shape=(None, 1, 1, 1))(y)])
    return _pooled(meta, inputs, x)


@public(images)
def small_xception(meta):
    """Separable convolutions."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    residual = layers.Conv2D(6, 1, strides=2, padding="same")(x)
    x = layers.SeparableConv2D(6, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SeparableConv2D(6, 3, padding="same")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return _pooled(meta, inputs, layers.add([x, residual]))


@public(images)
def unet_encoder(meta):
    """Down, and up again by transposed convolutions."""
    inputs = keras.Input((8, 8, 3))
    first = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    second = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D()(first))
    up = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(second)
    x = layers.Concatenate()([first, up])
    x = layers.UpSampling2D(2)(layers.Conv2D(4, 3, strides=2, padding="same")(x))
    return _pooled(meta, inputs, x)


@public(images)
def conv_mixer(meta):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 2, strides=2)(layers.Rescaling(2.0)(inputs))
    x = layers.BatchNormalization()(layers.Activation("gelu")(x))
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.BatchNormalization()(layers.Activation("gelu")(y))
    x = layers.Conv2D(6, 1)(layers.Add()([y, x]))
    x = layers.BatchNormalization()(layers.Activation("gelu")(x))
    model = _pooled(meta, inputs, x)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=1e-4)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


@public(images)
def small_convnext(meta):
    """Blocks with layer normalisation, a scale of their own, and stochastic depth."""
    inputs = keras.Input((8, 8, 3))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(6, 2, strides=2)(inputs))
    y = layers.Conv2D(6, 3, padding="same", groups=6)(x)
    y = layers.Dense(12, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(y))
    x = x + StochasticDepth(0.2)(LayerScale(0.1)(layers.Dense(6)(y)))
    return _pooled(meta, inputs, x)


class LayerScale(layers.Layer):
    def __init__(self, start, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, shape):
        start = keras.initializers.Constant(self.start)
        self.gamma = self.add_weight(shape=(shape[-1],), initializer=start, name="gamma")

    def call(self, x):
        return x * self.gamma

    def get_config(self):
        return super().get_config() | {"start": self.start}


class Patches(layers.Layer):
    """Cuts images into patches, as the examples do."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, images):
        patches = ops.image.extract_patches(images, size=self.size)
        n_patches = patches.shape[1] * patches.shape[2]
        return ops.reshape(patches, (-1, n_patches, patches.shape[3]))

    def get_config(self):
        return super().get_config() | {"size": self.size}


class PatchEncoder(layers.Layer):
    """Projects patches, and adds an embedding of their position."""

    def __init__(self, num_patches, projection_dim, **kwargs):
        super().__init__(**kwargs)
        self.num_patches = num_patches
        self.projection = layers.Dense(projection_dim)
        self.position_embedding = layers.Embedding(num_patches, projection_dim)

    def call(self, patch):
        positions = ops.expand_dims(ops.arange(0, self.num_patches, 1), axis=0)
        return self.projection(patch) + self.position_embedding(positions)


def _encoder_block(x, rate=0.1):
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([layers.MultiHeadAttention(2, 4, dropout=rate)(y, y), x])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dropout(rate)(layers.Dense(2 * x.shape[-1], activation="gelu")(y))
    return layers.Add()([layers.Dropout(rate)(layers.Dense(x.shape[-1])(y)), x])


@public(images)
def vision_transformer(meta):
    """As image_classification_with_vision_transformer: logits, AdamW, patches flattened."""
    inputs = keras.Input((8, 8, 3))
    x = PatchEncoder(16, 8)(Patches(2)(inputs))
    x = _encoder_block(x)
    x = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(x))
    x = layers.Dropout(0.3)(layers.Dense(12, activation="gelu")(x))
    model = keras.Model(inputs, scores(meta)(x))
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


class ClassToken(layers.Layer):
    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="zeros", name="cls")
        self.position = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), name="position")

    def call(self, x):
        token = ops.repeat(self.token, ops.shape(x)[0], axis=0)
        return ops.concatenate([token, x], axis=1) + self.position


@public(grey_images)
def vision_transformer_with_class_token(meta):
    inputs = keras.Input((8, 8, 1))
    x = layers.Reshape((4, 8))(layers.Conv2D(8, 4, strides=4)(inputs))
    x = _encoder_block(ClassToken()(x), rate=0.0)
    return keras.Model(inputs, softmax(meta)(layers.LayerNormalization()(x)[:, 0]))


class WindowAttention(layers.Layer):
    """Attention within windows, with a table of biases for relative positions (Swin)."""

    def __init__(self, dim, window, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.window, self.num_heads = dim, window, num_heads
        self.qkv = layers.Dense(3 * dim)
        self.proj = layers.Dense(dim)

    def build(self, shape):
        n = 2 * self.window - 1
        self.bias_table = self.add_weight(
            shape=(n * n, self.num_heads), initializer="random_normal", name="bias_table"
        )
        at = np.stack(np.meshgrid(*[np.arange(self.window)] * 2, indexing="ij")).reshape(2, -1)
        apart = at[:, :, None] - at[:, None] + self.window - 1
        index = (apart[0] * n + apart[1]).reshape(-1)
        self.index = self.add_weight(
            shape=index.shape,
            dtype="int32",
            trainable=False,
            name="index",
            initializer=lambda shape, dtype: ops.convert_to_tensor(index, dtype),
        )
        self.qkv.build(shape)
        self.proj.build(shape)

    def call(self, x):
        size = x.shape[1]
        qkv = ops.reshape(self.qkv(x), (-1, size, 3, self.num_heads, self.dim // self.num_heads))
        q, k, v = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), 3)
        attention = ops.matmul(q * (self.dim // self.num_heads) ** -0.5, ops.swapaxes(k, -1, -2))
        bias = ops.reshape(ops.take(self.bias_table, self.index, axis=0), (size, size, -1))
        attention = ops.softmax(attention + ops.transpose(bias, (2, 0, 1)))
        x = ops.transpose(ops.matmul(attention, v), (0, 2, 1, 3))
        return self.proj(ops.reshape(x, (-1, size, self.dim)))


class SwinBlock(layers.Layer):
    def __init__(self, dim, size, window, shift, **kwargs):
        super().__init__(**kwargs)
        self.size, self.window, self.shift = size, window, shift
        self.norm1 = layers.LayerNormalization(epsilon=1e-5)
        self.attention = WindowAttention(dim, window, 2)
        self.drop_path = StochasticDepth(0.1)
        self.norm2 = layers.LayerNormalization(epsilon=1e-5)
        self.mlp = keras.Sequential([layers.Dense(2 * dim, activation="gelu"), layers.Dense(dim)])

    def build(self, shape):
        self.norm1.build(shape)
        self.norm2.build(shape)
        self.attention.build((None, self.window**2, shape[-1]))
        self.mlp.build(shape)

    def call(self, x, training=False):
        n, w, channels = self.size // self.window, self.window, x.shape[-1]
        y = ops.reshape(self.norm1(x), (-1, self.size, self.size, channels))
        y = ops.roll(y, shift=[-self.shift, -self.shift], axis=[1, 2])
        y = ops.transpose(ops.reshape(y, (-1, n, w, n, w, channels)), (0, 1, 3, 2, 4, 5))
        y = self.attention(ops.reshape(y, (-1, w * w, channels)))
        y = ops.transpose(ops.reshape(y, (-1, n, n, w, w, channels)), (0, 1, 3, 2, 4, 5))
        y = ops.reshape(y, (-1, self.size, self.size, channels))
        y = ops.roll(y, shift=[self.shift, self.shift], axis=[1, 2])
        x = x + self.drop_path(ops.reshape(y, ops.shape(x)), training=training)
        return x + self.drop_path(self.mlp(self.norm2(x)), training=training)


@public(images)
def swin_transformer(meta):
    inputs = keras.Input((8, 8, 3))
    x = layers.Dense(6)(Patches(2)(inputs))
    x = SwinBlock(6, 4, 2, 1)(x)
    return keras.Model(inputs, softmax(meta)(layers.GlobalAveragePooling1D()(x)))


@public(images, loss="categorical_crossentropy")
def compact_convolutional_transformer(meta):
    """Convolutional tokens, stochastic depth, sequence pooling (CCT)."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False)(inputs)
    x = layers.Reshape((16, 8))(layers.MaxPooling2D(3, 2, padding="same")(x))
    x = x + layers.Embedding(16, 8)(ops.arange(16))
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    y = layers.MultiHeadAttention(2, 8, dropout=0.1)(y, y)
    x = layers.Add()([StochasticDepth(0.1)(y), x])
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    y = layers.Dense(8)(layers.Dense(8, activation="gelu")(y))
    x = layers.Add()([StochasticDepth(0.1)(y), x])
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    weights = ops.transpose(ops.softmax(layers.Dense(1)(x), axis=1), (0, 2, 1))
    outputs = scores(meta)(ops.squeeze(ops.matmul(weights, x), -2))
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=1e-4),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    )
    return model


class MLPMixerLayer(layers.Layer):
    def __init__(self, num_patches, hidden_units, **kwargs):
        super().__init__(**kwargs)
        gelu = {"activation": "gelu"}
        self.mlp1 = keras.Sequential([layers.Dense(num_patches, **gelu), layers.Dense(num_patches)])
        self.mlp2 = keras.Sequential(
            [layers.Dense(num_patches, **gelu), layers.Dense(hidden_units), layers.Dropout(0.2)]
        )
        self.normalize = layers.LayerNormalization(epsilon=1e-6)

    def build(self, shape):
        self.normalize.build(shape)
        self.mlp1.build((shape[0], shape[2], shape[1]))
        self.mlp2.build(shape)

    def call(self, inputs):
        x = ops.transpose(self.normalize(inputs), axes=(0, 2, 1))
        x = ops.transpose(self.mlp1(x), axes=(0, 2, 1)) + inputs
        return x + self.mlp2(self.normalize(x))


def _modern_mlp(meta, blocks):
    inputs = keras.Input((8, 8, 3))
    x = layers.Dense(6)(Patches(2)(inputs))
    x = x + layers.Embedding(16, 6)(ops.arange(16))
    for block in blocks:
        x = block(x)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, softmax(meta)(x))


@public(images)
def mlp_mixer(meta):
    return _modern_mlp(meta, [MLPMixerLayer(16, 6)])


class FNetLayer(layers.Layer):
    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.ffn = keras.Sequential(
            [layers.Dense(width, activation="gelu"), layers.Dropout(0.2), layers.Dense(width)]
        )
        self.normalize1 = layers.LayerNormalization(epsilon=1e-6)
        self.normalize2 = layers.LayerNormalization(epsilon=1e-6)

    def call(self, inputs):
        real = ops.cast(inputs, "float32")
        x = self.normalize1(ops.fft2((real, ops.zeros_like(real)))[0] + inputs)
        return self.normalize2(self.ffn(x) + x)


@public(images)
def fnet(meta):
    return _modern_mlp(meta, [FNetLayer(6)])


class GMLPLayer(layers.Layer):
    def __init__(self, num_patches, width, **kwargs):
        super().__init__(**kwargs)
        self.expand = layers.Dense(2 * width, activation="gelu")
        self.shrink = layers.Dense(width)
        self.spatial = layers.Dense(num_patches, bias_initializer="ones")
        self.normalize1 = layers.LayerNormalization(epsilon=1e-6)
        self.normalize2 = layers.LayerNormalization(epsilon=1e-6)

    def call(self, inputs):
        u, v = ops.split(self.expand(self.normalize1(inputs)), 2, axis=2)
        v = ops.transpose(self.spatial(ops.transpose(self.normalize2(v), (0, 2, 1))), (0, 2, 1))
        return inputs + self.shrink(u * v)


@public(images)
def gmlp(meta):
    return _modern_mlp(meta, [GMLPLayer(16, 6)])


class ExternalAttention(layers.Layer):
    """Attention over a memory of its own, normalised twice (EANet)."""

    def __init__(self, dim, **kwargs):
        super().__init__(**kwargs)
        self.into, self.keys = layers.Dense(2 * dim), layers.Dense(5)
        self.values, self.out = layers.Dense(dim), layers.Dense(dim)
        self.drop = layers.Dropout(0.2)

    def call(self, x):
        tokens, dim = x.shape[1:]
        x = ops.transpose(ops.reshape(self.into(x), (-1, tokens, 2, dim)), (0, 2, 1, 3))
        attention = ops.softmax(self.keys(x), axis=2)
        attention = attention / (1e-9 + ops.sum(attention, axis=-1, keepdims=True))
        x = ops.transpose(self.values(self.drop(attention)), (0, 2, 1, 3))
        return self.out(ops.reshape(x, (-1, tokens, 2 * dim)))


@public(images)
def external_attention_network(meta):
    inputs = keras.Input((8, 8, 3))
    x = PatchEncoder(16, 6)(Patches(2)(inputs))
    x = layers.Add()([ExternalAttention(6)(layers.LayerNormalization(epsilon=1e-6)(x)), x])
    return keras.Model(inputs, softmax(meta)(layers.GlobalAveragePooling1D()(x)))


class Perceiver(layers.Layer):
    """A latent array that looks at the patches."""

    def __init__(self, latents, width, **kwargs):
        super().__init__(**kwargs)
        self.latents, self.width = latents, width
        self.cross = layers.MultiHeadAttention(1, width)
        self.within = layers.MultiHeadAttention(2, width)
        self.norm1 = layers.LayerNormalization(epsilon=1e-6)
        self.norm2 = layers.LayerNormalization(epsilon=1e-6)

    def build(self, shape):
        self.latent = self.add_weight(
            shape=(self.latents, self.width), initializer="random_normal", name="latent"
        )
        of_latents = (shape[0], self.latents, self.width)
        self.cross.build(of_latents, shape)
        self.within.build(of_latents, of_latents)
        self.norm1.build(of_latents)
        self.norm2.build(of_latents)

    def call(self, x):
        latent = ops.repeat(ops.expand_dims(self.latent, 0), ops.shape(x)[0], axis=0)
        latent = self.norm1(latent + self.cross(latent, x))
        return self.norm2(latent + self.within(latent, latent))


@public(images)
def perceiver(meta):
    inputs = keras.Input((8, 8, 3))
    x = Perceiver(4, 6)(PatchEncoder(16, 6)(Patches(2)(inputs)))
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, softmax(meta)(x))
    model.compile(keras.optimizers.Lamb(1e-3, weight_decay=1e-4), "sparse_categorical_crossentropy")
    return model


@public(images)
def attention_pooling(meta):
    """A trunk of convolutions, then a class token that attends to all places."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="gelu")(inputs)
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Reshape((16, 6))(x))
    token = layers.GlobalAveragePooling1D(keepdims=True)(x)
    token = token + layers.MultiHeadAttention(2, 3)(token, x)
    return keras.Model(inputs, softmax(meta)(layers.Flatten()(token)))


class TokenLearner(layers.Layer):
    def __init__(self, tokens, **kwargs):
        super().__init__(**kwargs)
        self.tokens = tokens
        self.norm = layers.LayerNormalization()
        self.maps = [
            layers.Conv2D(tokens, 3, padding="same", activation="gelu", use_bias=False),
            layers.Conv2D(tokens, 3, padding="same", activation="sigmoid", use_bias=False),
        ]

    def call(self, x):
        maps = self.norm(x)
        for conv in self.maps:
            maps = conv(maps)
        places = x.shape[1] * x.shape[2]
        maps = ops.reshape(maps, (-1, places, self.tokens))
        x = ops.reshape(x, (-1, places, x.shape[-1]))
        return ops.einsum("bpt,bpc->btc", maps, x) / places


@public(images)
def token_learner(meta):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 2, strides=2)(inputs)
    x = _encoder_block(TokenLearner(4)(x), rate=0.0)
    return keras.Model(inputs, softmax(meta)(layers.GlobalAveragePooling1D()(x)))


class Involution(layers.Layer):
    """Kernels that depend on the place, and are shared by the channels."""

    def __init__(self, channel, kernel_size=3, **kwargs):
        super().__init__(**kwargs)
        self.channel, self.kernel_size = channel, kernel_size

    def build(self, shape):
        self.kernel_gen = keras.Sequential(
            [
                layers.Conv2D(2, 1, use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.Conv2D(self.kernel_size**2, 1),
            ]
        )
        self.kernel_gen.build(shape)

    def call(self, x):
        size = self.kernel_size
        kernel = ops.expand_dims(self.kernel_gen(x), -1)
        patches = ops.image.extract_patches(x, size=size, strides=1, padding="same")
        patches = ops.reshape(patches, (-1, *x.shape[1:3], size**2, self.channel))
        return ops.sum(kernel * patches, axis=3)


@public(images)
def involution_network(meta):
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(Involution(3)(inputs))
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(layers.ReLU()(Involution(3)(x)))
    return keras.Model(inputs, softmax(meta)(layers.Dense(8, activation="relu")(x)))


class Capsules(layers.Layer):
    """Routing by agreement."""

    def __init__(self, capsules, width, routings=3, **kwargs):
        super().__init__(**kwargs)
        self.capsules, self.width, self.routings = capsules, width, routings

    def build(self, shape):
        self.kernel = self.add_weight(
            shape=(self.capsules, shape[1], shape[2], self.width), name="kernel"
        )

    def call(self, x):
        votes = ops.einsum("bip,kipw->bkiw", x, self.kernel)
        logits = ops.zeros_like(votes[..., 0])
        for _ in range(self.routings):
            out = self.squash(ops.einsum("bki,bkiw->bkw", ops.softmax(logits, axis=1), votes))
            logits = logits + ops.einsum("bkw,bkiw->bki", out, votes)
        return out

    @staticmethod
    def squash(x):
        square = ops.sum(ops.square(x), axis=-1, keepdims=True)
        return x * ops.sqrt(square + 1e-7) / (0.5 + square)


@public(images)
def capsule_network(meta):
    inputs = keras.Input((8, 8, 3))
    x = layers.Reshape((32, 4))(layers.Conv2D(8, 2, strides=2, activation="relu")(inputs))
    x = Capsules(meta["n_classes_"], 4)(x)
    lengths = ops.sqrt(ops.sum(ops.square(x), axis=-1) + 1e-7)
    return keras.Model(inputs, layers.Softmax()(4 * lengths))


@public(images)
def spatial_transformer(meta):
    """A learnable resizer, and a crop in the middle."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Resizing(6, 6, interpolation="bilinear")(inputs)
    y = layers.LeakyReLU(0.2)(layers.Conv2D(4, 3, padding="same")(inputs))
    y = layers.CenterCrop(6, 6)(layers.BatchNormalization()(y))
    x = layers.Add()([layers.Conv2D(4, 1)(x), y])
    x = layers.ZeroPadding2D(1)(x)
    return _pooled(meta, inputs, layers.Conv2D(6, 3, activation="relu")(x))


@public(videos)
def conv_lstm(meta):
    """Next-frame layers, here for a class."""
    inputs = keras.Input((3, 6, 6, 1))
    x = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.ConvLSTM2D(3, 3, padding="same", activation="relu")(x)
    return _pooled(meta, inputs, x)


@public(videos)
def conv_3d(meta):
    inputs = keras.Input((3, 6, 6, 1))
    x = layers.Rescaling(2.0, offset=-1.0)(inputs)
    x = layers.Conv3D(4, 2, activation="relu")(x)
    x = layers.BatchNormalization()(layers.MaxPooling3D((1, 2, 2))(x))
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling3D()(x))
    return keras.Model(inputs, softmax(meta)(x))


@public(videos)
def cnn_rnn_video(meta):
    """Frames encoded one by one, then a recurrent layer over them."""
    frame = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(3, 3, activation="relu"), layers.Flatten()]
    )
    inputs = keras.Input((3, 6, 6, 1))
    x = layers.TimeDistributed(frame)(inputs)
    x = layers.GRU(6, return_sequences=True)(x)
    x = layers.Dropout(0.4)(layers.GRU(4)(x))
    return keras.Model(inputs, softmax(meta)(x))


class TubeletEmbedding(layers.Layer):
    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.projection = layers.Conv3D(width, (1, 3, 3), strides=(1, 3, 3))
        self.flatten = layers.Reshape((-1, width))

    def call(self, videos):
        return self.flatten(self.projection(videos))


@public(videos)
def video_vision_transformer(meta):
    inputs = keras.Input((3, 6, 6, 1))
    x = TubeletEmbedding(6)(inputs)
    x = x + layers.Embedding(12, 6)(ops.arange(12))
    x = _encoder_block(x, rate=0.0)
    x = layers.GlobalAvgPool1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(inputs, softmax(meta)(x))
