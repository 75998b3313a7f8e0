"""The warnings and errors that are sk_metalr's own."""

__all__ = [
    "AllDivergedError",
    "BaselineWarning",
    "BudgetWarning",
    "CallbackWarning",
    "CheckpointWarning",
    "EdgeOfSpaceWarning",
    "ExperienceWarning",
    "ForgottenParametersWarning",
    "IgnoredRateWarning",
    "InterruptedSearchWarning",
    "NotVectorizableError",
    "RareClassWarning",
    "RefusedFileError",
    "ScaleWarning",
    "SingleCandidateWarning",
]


class AllDivergedError(ValueError):
    """No candidate kept a finite loss; there is nothing to choose from."""


class NotVectorizableError(ValueError):
    """A layer, optimizer or setting of the Keras model cannot be trained as a population."""


class RefusedFileError(ValueError):
    """A file was not loaded: damaged, altered, of a newer version, or it names unknown code."""


class BudgetWarning(UserWarning):
    """The held-out loss was still falling where the budget of epochs ended."""


class CallbackWarning(UserWarning):
    """A callback of the wrapped estimator sets the learning rate in place of the chosen one."""


class CheckpointWarning(UserWarning):
    """A search could not be saved, and goes on without."""


class EdgeOfSpaceWarning(UserWarning):
    """The best learning rate is the lowest or the highest that was tried."""


class ExperienceWarning(UserWarning):
    """A line of an experience cannot be read, or a task is unlike all that it holds."""


class ForgottenParametersWarning(UserWarning):
    """Parameters of a saved estimator could not be stored; they are back at their defaults."""


class IgnoredRateWarning(UserWarning):
    """The wrapped estimator was given a learning rate, which the search replaces."""


class InterruptedSearchWarning(UserWarning):
    """A search ended before its budget did, and the choice was made on what had been seen."""


class BaselineWarning(UserWarning):
    """No candidate did better than the best constant prediction, such as the class frequencies."""


class RareClassWarning(UserWarning):
    """A class has too few rows, or groups, to be held out; it is trained on in every split."""


class ScaleWarning(UserWarning):
    """Features are so large or so small that the network was hard to train, or are rounded."""


class SingleCandidateWarning(UserWarning):
    """A single learning rate was drawn at random, so that nothing was chosen."""
