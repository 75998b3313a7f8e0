"""The experience of other tables."""

from sk_metalr import Experience


def without(table: str) -> Experience:
    """Return the experience that comes along, but for what this table taught."""
    return Experience().merge(one for one in Experience.load("default") if one.source != table)
