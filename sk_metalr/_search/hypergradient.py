"""Learning rates that move along the gradient of the held-out loss."""

from .._space import SCHEDULE, StrategySpace
from .random import RandomSearch


class Hypergradient(RandomSearch):
    """Every candidate moves its own learning rate after each epoch.

    After an epoch, the logarithm of the rate rises where the epoch moved the weights along the
    descent of the held-out loss, and falls where it moved them against it, in proportion to the
    cosine between the two. Every refit follows the chosen candidate's trajectory, its geometric
    mean over splits.

    References
    ----------
    Baydin et al., "Online learning rate adaptation with hypergradient descent", 2018,
    arXiv:1703.04782. Franceschi et al., "Forward and reverse gradient-based hyperparameter
    optimization", 2017, arXiv:1703.01785.

    Examples
    --------
    >>> from sk_metalr import Hypergradient, MetaLRClassifier
    >>> MetaLRClassifier(search=Hypergradient())
    MetaLRClassifier(search=Hypergradient())
    """

    adapts_rates = True

    def check(self, space: StrategySpace) -> None:
        """Raise ValueError where rates are to follow other schedules."""
        levels = space.levels.get(SCHEDULE, [])
        if any(not level.value.is_constant for level in levels):
            raise ValueError(
                "The 'schedule' values of param_distributions must be left out for "
                "search='hypergradient', which learns a schedule itself."
            )
