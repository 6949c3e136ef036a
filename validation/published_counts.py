"""Published numbers of trainings that halving takes, and the formula for powers of two.

Read by tests and by whoever wants to check a plan by hand. Knows nothing of the library. Source: A. Boldyrev,
F. Ratnikov, A. Shevelev, IEEE Access 2025, doi 10.1109/ACCESS.2025.3578926, and the authors' later talks.
"""

from typing import NamedTuple


class Count(NamedTuple):
    """One published setting and its number of trainings."""

    n_candidates: int
    warmup: int
    final_instances: int
    trainings: int


HALVING = (
    Count(6912, 5, 100, 41_567),
    Count(72, 1, 0, 141),
    Count(72, 3, 0, 285),
    Count(72, 10, 0, 789),
    Count(72, 11, 0, 861),
    Count(72, 12, 0, 933),
)
"""The published counts."""

EXHAUSTIVE = Count(6912, 50, 0, 345_600)
"""What 50 instances of every candidate would take."""


def power_of_two(n_candidates: int, k: int) -> int:
    """Count the trainings of a power of two of candidates at a warm-up of k + 1: (k + 2) M - 2."""
    return (k + 2) * n_candidates - 2
