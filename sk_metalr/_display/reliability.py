"""Display of how reliable predicted probabilities are, before and after calibration."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.utils import check_consistent_length

from . import drawing


class ReliabilityCurve(NamedTuple):
    """How often the most probable class is right, against how probable it is.

    Attributes
    ----------
    confidence, accuracy : ndarray of shape (n_bins,)
        Mean probability of the most probable class, and the fraction of rows that are of it, in
        each bin that holds rows.
    error : float, the expected calibration error
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


@dataclass(kw_only=True, eq=False, repr=False)
class ReliabilityDisplay:
    """Reliability diagram: how often a prediction is right, against how sure it is.

    The closer to the diagonal, the better probabilities are calibrated; below it, predictions are
    too sure. With more than two classes, the most probable class of each row counts. Create one
    with :meth:`from_estimator`.

    Parameters
    ----------
    curves : dict of str to ReliabilityCurve
        Curves by their labels.

    Attributes
    ----------
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        The axes it was drawn on, and their figure.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : The same for the positive class of two.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", 2017, arXiv:1706.04599, section 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_metalr import MetaLRClassifier, ReliabilityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> fitted = MetaLRClassifier(n_candidates=4, cv=0.2, random_state=0).fit(X[::2], y[::2])
    >>> display = ReliabilityDisplay.from_estimator(fitted, X[1::2], y[1::2])
    >>> list(display.curves)
    ['before calibration', 'after calibration']
    """

    curves: dict[str, ReliabilityCurve]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_bins: int = 10,
        strategy: str = "uniform",
        ax: Any = None,
    ) -> "ReliabilityDisplay":
        """Draw the reliability of a fitted classifier on rows that it has not seen.

        Parameters
        ----------
        estimator : MetaLRClassifier, sklearn.pipeline.Pipeline or another meta-estimator
            Fitted, with a method ``predict_proba``; a Pipeline or a search must end in a
            MetaLRClassifier.
        X, y : array-like of shape (n_samples, ...), and (n_samples,)
            Features and labels; those that it was fitted on flatter it.
        n_bins : int, default=10
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Whether bins are of one width, or hold as many rows each.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        display : ReliabilityDisplay
            The display, drawn.
        """
        fitted = drawing.fitted_classifier(estimator, cls.__name__)
        check_consistent_length(X, y)
        if not hasattr(fitted, "classes_"):
            raise TypeError(
                f"{cls.__name__} takes a classifier, whose probabilities are right or wrong. Got a "
                f"{type(fitted).__name__} instead; see sklearn.metrics.PredictionErrorDisplay."
            )
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            raise TypeError(
                f"{cls.__name__} takes a classifier of one class a row. Got one of several labels "
                "instead; see sklearn.calibration.CalibrationDisplay, label by label."
            )
        probabilities = np.asarray(estimator.predict_proba(X), np.float64)
        # Dividing by a temperature is undone by multiplying.
        logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
        before = softmax(fitted.temperature_ * logits, axis=1)
        of = {"before calibration": before, "after calibration": probabilities}
        if fitted.temperature_ == 1.0:
            of = {"as predicted": probabilities}
        is_class = np.reshape(y, (-1, 1)) == fitted.classes_
        curves = {label: _curve(is_class, one, n_bins, strategy) for label, one in of.items()}
        return cls(curves=curves).plot(ax)

    def plot(self, ax: Any = None) -> "ReliabilityDisplay":
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        self : ReliabilityDisplay
            The display, drawn.
        """
        self.ax_ = drawing.new_axes(ax)
        self.figure_ = self.ax_.figure
        self.ax_.plot([0, 1], [0, 1], ":", color="0.4", label="perfectly calibrated")
        styles = zip(("0.55", "#0072B2"), "^s", strict=True)
        for (label, curve), (colour, marker) in zip(self.curves.items(), styles, strict=False):
            text = f"{label} (expected error {curve.error:.3f})"
            self.ax_.plot(curve.confidence, curve.accuracy, f"{marker}-", color=colour, label=text)
        self.ax_.set(xlim=(0, 1.02), ylim=(0, 1.02))
        self.ax_.set(xlabel="mean predicted probability", ylabel="fraction of rows it is right on")
        self.ax_.legend(fontsize="small", loc="upper left")
        return self


def _curve(
    is_class: np.ndarray, probabilities: np.ndarray, n_bins: int, strategy: str
) -> ReliabilityCurve:
    """Return the curve of probabilities (n_rows, n_classes); `is_class` holds each row's class."""
    from sklearn.calibration import calibration_curve  # which imports much

    rows, best = np.arange(len(probabilities)), probabilities.argmax(axis=1)
    confidence, is_right = probabilities[rows, best].clip(0.0, 1.0), is_class[rows, best]
    if is_right.all() or not is_right.any():  # scikit-learn's asks for both
        accuracy, mean = np.array([is_right.mean()]), np.array([confidence.mean()])
    else:
        accuracy, mean = calibration_curve(
            is_right, confidence, n_bins=n_bins, strategy=strategy, pos_label=True
        )
    number = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(number, is_right - confidence, n_bins)
    return ReliabilityCurve(mean, accuracy, float(np.abs(gaps).sum() / len(rows)))
