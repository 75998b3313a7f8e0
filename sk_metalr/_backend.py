"""The backend of Keras, checked before anything is built with it."""

import os

WHAT_IS_NEEDED = (
    "sk_metalr trains Keras models with TensorFlow. Before Keras is imported, set the environment "
    "variable KERAS_BACKEND to 'tensorflow', or \"backend\" in ~/.keras/keras.json."
)

try:
    import keras
except (ImportError, ValueError) as error:
    if getattr(error, "name", "") == "keras":
        raise
    named = os.environ.get("KERAS_BACKEND", "the one in ~/.keras/keras.json")
    raise ImportError(
        f"{WHAT_IS_NEEDED} Keras could not be imported with the backend {named!r}: {error}"
    ) from error

if keras.config.backend() != "tensorflow":
    raise ImportError(f"{WHAT_IS_NEEDED} Got the backend {keras.config.backend()!r} instead.")
