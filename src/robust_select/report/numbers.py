"""Numbers as JSON knows them.

Called by what gathers the page's data. Knows nothing of what the numbers mean.
"""

import math

import numpy as np

from robust_select.core.protocols import Floats


def plain_numbers(values: Floats, n_digits: int | None = None) -> list[float | str | None]:
    """Give numbers that JSON knows: None for nan, text for infinite ones, rounded to ``n_digits`` if given.

    Example:
        >>> plain_numbers(np.array([0.123456, np.nan, -np.inf]), 3)
        [0.123, None, '-inf']
    """
    return [plain_number(value, n_digits) for value in np.asarray(values, dtype=float).tolist()]


def plain_number(value: float, n_digits: int | None = None) -> float | str | None:
    """Give one number as ``plain_numbers`` does."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value if n_digits is None else float(f"{value:.{n_digits}g}")
