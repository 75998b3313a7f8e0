"""The suites, and how each of them is run.

A suite is a folder of two modules. ``measure`` has ``cells(quick)``, which returns the arguments of
every cell by its name, and ``measure(**arguments)``, which measures one cell in a process of its
own and returns what JSON can hold. ``report`` has ``report(records, quick, out)``, which draws
figures and returns parts of a page, and the bars.
"""

from dataclasses import dataclass

__all__ = ["SUITES", "Suite"]


@dataclass(frozen=True)
class Suite:
    """How the cells of a suite are run.

    Attributes
    ----------
    at_a_time : int
        How many cells run at a time: one where times are compared.
    is_on_demand : bool
        Whether it runs only where it is asked for by name, and has a page of its own.
    """

    at_a_time: int = 1
    is_on_demand: bool = False


SUITES = {
    "speed": Suite(),
    "quality": Suite(at_a_time=2),
    "divisions": Suite(at_a_time=2),
    "scaling": Suite(),
    "memory": Suite(),
    "workers": Suite(),
    "start": Suite(),
    "large": Suite(),
    "strategies": Suite(at_a_time=2, is_on_demand=True),
    "portfolio": Suite(at_a_time=2, is_on_demand=True),
    "rivals": Suite(is_on_demand=True),
    "regression": Suite(at_a_time=2, is_on_demand=True),
    "joint": Suite(is_on_demand=True),
    "aside": Suite(at_a_time=2, is_on_demand=True),
    "parts": Suite(at_a_time=2, is_on_demand=True),
}
"""All suites by name, in the order of the page."""
