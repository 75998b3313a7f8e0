"""Names of scikit-learn outside of its public interface; written for versions 1.7 to 1.9."""

from typing import Any

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _num_samples as num_samples

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""


def callback_context(estimator: Any) -> Any:
    """Return the context of the callbacks of a fit; None where scikit-learn has no callbacks."""
    begin = getattr(estimator, "_init_callback_context", None)
    return begin(max_subtasks=None) if begin else None


def validate_params(estimator: Any) -> None:
    """Raise InvalidParameterError where a parameter does not satisfy its constraints."""
    estimator._validate_params()
