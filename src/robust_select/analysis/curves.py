"""The curves of one candidate's instances over the epochs: their median and quartiles at each.

Called by the page and by figure 7. Knows nothing of drawing, nor of where curves come from.
"""

from dataclasses import dataclass

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats


@dataclass(frozen=True)
class CurveBand:
    """The curves of R instances over E epochs.

    Attributes:
        curves: (R, E) scores after each epoch; nan where there is none, infinite ones made nan.
        median: (E,) of the finite scores of each epoch; nan where there is none.
        q1: (E,) first quartile.
        q3: (E,) third quartile.
        n_broken: how many curves hold a value that is not finite before their last finite one, or none that is.
    """

    curves: Floats
    median: Floats
    q1: Floats
    q3: Floats
    n_broken: int


def curve_band(curves: Floats) -> CurveBand:
    """Describe the curves of one candidate; quantiles by numpy's default.

    Args:
        curves: (R, E); rows without any number (instances without a curve) are left out.

    Raises:
        InputError: another shape, or no curve.

    Example:
        >>> curve_band(np.array([[3.0, 1.0], [5.0, 2.0], [np.nan, np.nan]])).median.tolist()
        [4.0, 1.5]
    """
    given = np.asarray(curves, dtype=float)
    if given.ndim != 2 or given.shape[1] == 0:
        raise InputError(f"expected curves of shape (instances, epochs), came shape {given.shape}")
    given = given[~np.isnan(given).all(axis=1)]
    if len(given) == 0:
        raise InputError("expected curves over the epochs, came none: a trainer gives them in Outcome(score, curve)")
    finite = np.where(np.isfinite(given), given, np.nan)
    quartiles = np.full((3, given.shape[1]), np.nan)
    has_any = ~np.isnan(finite).all(axis=0)
    quartiles[:, has_any] = np.nanquantile(finite[:, has_any], [0.25, 0.5, 0.75], axis=0)
    epochs = np.arange(1, given.shape[1] + 1)
    n_last = np.where(np.isfinite(given), epochs, 0).max(axis=1)
    n_broken = int((np.isfinite(given).sum(axis=1) < np.maximum(n_last, 1)).sum())
    return CurveBand(finite, quartiles[1], quartiles[0], quartiles[2], n_broken)
