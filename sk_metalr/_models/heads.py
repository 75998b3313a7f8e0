"""Heads: what a task asks of the outputs of a model, and of the loss that it trains on."""

import keras
import numpy as np
from scikeras.wrappers import BaseWrapper

from .._keras import output_activation
from .._task import Classification, MultiLabel, OneHot, Regression, Task
from .._task.losses import ON_CATEGORIES, SCORES, loss_name, unwrapped
from .keras_model import is_builtin, loss_of

OF_PROBABILITIES = "crossentropy"
"""What the names of losses of probabilities or logits have in common."""


def takes_one_hot(model: keras.Model) -> bool:
    """Tell whether a model trains on one-hot targets of classes."""
    return loss_name(loss_of(model)) in ON_CATEGORIES


def check_head(
    task: Task, opened: BaseWrapper, outputs: np.ndarray, y: np.ndarray, targets: np.ndarray
) -> None:
    """Raise ValueError where a compiled model does not suit a task.

    Its `outputs` for a few rows are of shape (n_rows, n), its encoded `targets` of (n_rows, ...),
    and `y` holds the targets of all training rows as they were given.
    """
    model, width = opened.model_, outputs.shape[1]
    if isinstance(task, Regression):
        _check_regression(task, model, width)
    elif isinstance(task, MultiLabel):
        _check_labels(model, outputs, y.shape[1], targets)
    elif isinstance(task, OneHot):
        _check_width(model, outputs, y.shape[1], targets)
    elif isinstance(task, Classification):
        _check_classes(opened, outputs, np.unique(y), targets)


def _check_regression(task: Regression, model: keras.Model, width: int) -> None:
    loss = loss_of(model)
    if width != task.n_outputs:
        raise ValueError(
            f"The wrapped Keras model has an output of width {width} but y has {task.n_outputs} "
            f"numbers in a row. Give its last layer {task.n_outputs} units; a model-building "
            'function finds their number in meta["n_outputs_"].'
        )
    name = loss_name(loss)
    if (OF_PROBABILITIES in name or name in SCORES) and task.scales:
        raise ValueError(
            f"The wrapped Keras model is trained with the loss {_given_name(model)!r}, of classes; "
            "use 'mean_squared_error' or another loss of numbers, or MetaLRClassifier. (Targets "
            "that are probabilities take standardize=False.)"
        )
    if output_activation(model) == "softmax" and width == 1:
        raise ValueError(
            "The wrapped Keras model ends in a softmax over one unit, which is always 1. Give its "
            "last layer no activation."
        )


def _check_labels(
    model: keras.Model, outputs: np.ndarray, n_labels: int, targets: np.ndarray
) -> None:
    """Check the head of a model of several labels a row."""
    if np.shape(targets) != (len(outputs), n_labels):
        raise ValueError(
            f"The target encoder of the wrapped KerasClassifier makes {np.shape(targets)} of "
            f"{len(outputs)} rows with {n_labels} labels; let it leave them as they are."
        )
    width, name = outputs.shape[1], loss_name(loss_of(model))
    if width != n_labels:
        raise ValueError(
            f"The wrapped Keras model has an output of width {width} but y has {n_labels} labels. "
            f"Give its last layer {n_labels} units; a model-building function finds their number "
            'in meta["n_classes_"].'
        )
    if not is_builtin(loss_of(model)):
        return
    if not name.startswith("binary"):
        raise ValueError(
            f"Several labels in a row do not go with the loss {_given_name(model)!r}; use "
            "'binary_crossentropy', and a sigmoid for each label. If each row has one label, give "
            "classes: y.argmax(axis=1)."
        )
    in_range = ((outputs >= 0) & (outputs <= 1)).all()
    is_probability = in_range and output_activation(model) != "softmax"
    has_logits = getattr(loss_of(model), "from_logits", False)
    if not (has_logits or is_probability) and np.isfinite(outputs).all():
        raise ValueError(
            "The outputs of the wrapped Keras model are no probabilities of labels. Give its last "
            "layer activation='sigmoid', or compile it with a loss that has from_logits=True."
        )


def _check_classes(
    opened: BaseWrapper, outputs: np.ndarray, classes: np.ndarray, targets: np.ndarray
) -> None:
    """Check the head of a model of one class a row."""
    if not np.array_equal(opened.classes_, classes):
        raise ValueError(
            f"The target encoder of the wrapped KerasClassifier has the classes {opened.classes_} "
            f"where y has {classes}; let it keep them sorted."
        )
    _check_width(opened.model_, outputs, len(classes), targets)


def _check_width(
    model: keras.Model, outputs: np.ndarray, n_classes: int, targets: np.ndarray
) -> None:
    """Check that a model has as many outputs as there are classes, and a loss that suits them."""
    width = outputs.shape[1]
    if width != n_classes and not (width == 1 and n_classes == 2):
        expected = "1 or 2" if n_classes == 2 else str(n_classes)
        raise ValueError(
            f"The wrapped Keras model has an output of width {width} but y has {n_classes} "
            f"classes. Give its last layer {expected} units; a model-building function finds the "
            'number of classes in meta["n_classes_"].'
        )
    check_loss(model, width, np.shape(targets)[-1])
    check_outputs(model, outputs)


def check_loss(model: keras.Model, width: int, target_width: int) -> None:
    """Raise ValueError where the loss of a compiled model does not suit its outputs, which have
    `width` columns, or the encoded targets, which have `target_width`.
    """
    if not is_builtin(loss_of(model)):
        return
    given = _given_name(model)
    name = given.lower().replace("_", "")
    if OF_PROBABILITIES not in name and name not in SCORES:
        raise ValueError(
            f"The wrapped Keras model is trained with the loss {given!r}; its outputs are "
            "read as class probabilities, so use a cross-entropy."
        )
    is_binary = name.startswith("binary") or name in ("hinge", "squaredhinge")
    if (width == 1) != is_binary:
        right = "binary" if width == 1 else "sparse_categorical"
        raise ValueError(
            f"An output of width {width} does not go with the loss {given!r}; use "
            f"'{right}_crossentropy'."
        )
    if name in ON_CATEGORIES and target_width != width:
        raise ValueError(
            f"The loss {given!r} needs one-hot targets, of which the target encoder of the wrapped "
            "KerasClassifier makes something else; use 'sparse_categorical_crossentropy'."
        )


def check_outputs(model: keras.Model, outputs: np.ndarray) -> None:
    """Raise ValueError where outputs of a compiled model are neither logits nor probabilities:
    those for a few rows, of shape (n_samples, n_classes) or (n_samples, 1).
    """
    ends_in = output_activation(model)
    if loss_name(loss_of(model)) in SCORES and ends_in in ("sigmoid", "softmax"):
        raise ValueError(
            f"The loss {_given_name(model)!r} is of scores on both sides of 0, and the wrapped "
            f"Keras model ends in a {ends_in}. Give its last layer no activation, or tanh."
        )
    if Classification().suited(loss_of(model)).from_logits or not np.isfinite(outputs).all():
        return
    in_range = ((outputs >= 0) & (outputs <= 1)).all()
    if outputs.shape[1] == 1:
        activation = "sigmoid"
        is_probability = in_range and ends_in != "softmax"  # which is 1 over one unit
    else:
        activation = "softmax"
        is_probability = in_range and np.allclose(outputs.sum(axis=1), 1, atol=1e-2)
    if not is_probability:
        raise ValueError(
            "The outputs of the wrapped Keras model are no probabilities. Give its last layer "
            f"activation='{activation}', or compile it with a loss that has from_logits=True."
        )


def _given_name(model: keras.Model) -> str:
    """Return the name of a model's loss as its user knows it."""
    loss = unwrapped(loss_of(model))
    return str(getattr(loss, "__name__", type(loss).__name__))
