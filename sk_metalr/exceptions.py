"""The warnings and errors that are sk_metalr's own."""

__all__ = [
    "AllDivergedError",
    "EdgeOfSpaceWarning",
    "InterruptedSearchWarning",
    "NoSkillWarning",
    "NotVectorizableError",
]


class AllDivergedError(ValueError):
    """No candidate kept a finite loss; there is nothing to choose from."""


class NotVectorizableError(ValueError):
    """A layer, optimizer or setting of the Keras model cannot be trained as a population."""


class EdgeOfSpaceWarning(UserWarning):
    """The best learning rate is the lowest or the highest that was tried."""


class InterruptedSearchWarning(UserWarning):
    """A search ended before its budget did, and the choice was made on what had been seen."""


class NoSkillWarning(UserWarning):
    """No learning rate did better than always predicting the class frequencies."""
