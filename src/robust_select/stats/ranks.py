"""Rankings compared: Kendall's tau-b, and how many of the best by one ranking are among the best by another.

Called by analysis, with losses (the smaller the better). Knows nothing of epochs, tables or directions.
"""

import numpy as np
from scipy.stats import rankdata

from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats


def kendall_tau(one: Floats, other: Floats) -> Floats:
    """Give Kendall's tau-b between rankings of the same candidates, many at once.

    Equal losses are ties; all infinite ones are tied, as the worst.

    Reference: Kendall 1945, "The treatment of ties in ranking problems", Biometrika 33.

    Args:
        one: (..., C) losses without nan.
        other: (..., C) losses without nan; leading axes broadcast against those of ``one``.

    Returns:
        (...) from -1, the reverse, over 0, no relation, to 1, the same ranking; nan where one of both ranks nobody,
        because all candidates are tied.

    Raises:
        InputError: fewer than two candidates, different numbers of them, or nan.

    Example:
        >>> kendall_tau(np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]]), np.array([0.1, 0.2, np.inf])).round(4)
        array([1.    , 0.3333])
    """
    first, second = _ranks(one), _ranks(other)
    if first.shape[-1] != second.shape[-1]:
        raise InputError(f"expected the same candidates, came {first.shape[-1]} and {second.shape[-1]} of them")
    first, second = np.broadcast_arrays(first, second)
    shape = first.shape[:-1]
    agreeing, ordered_first, ordered_second = (np.zeros(shape) for _ in range(3))
    for row in range(first.shape[-1] - 1):  # pairs of this candidate and all later ones
        signs = np.sign(first[..., row, None] - first[..., row + 1 :])
        others = np.sign(second[..., row, None] - second[..., row + 1 :])
        agreeing += (signs * others).sum(axis=-1)
        ordered_first += np.abs(signs).sum(axis=-1)
        ordered_second += np.abs(others).sum(axis=-1)
    scale = np.sqrt(ordered_first * ordered_second)
    return np.asarray(np.divide(agreeing, scale, out=np.full(shape, np.nan), where=scale > 0))


def overlap(one: Floats, other: Floats, n_top: int) -> Floats:
    """Give the share of the ``n_top`` best by one ranking that are among the best by another, many at once.

    Among the best by the other is who is no worse than its candidate number ``n_top``. Where candidates are tied for
    the last places among the best by the first, the share is the mean over all ways to choose among them.

    Args:
        one: (..., C) losses without nan: who would be chosen.
        other: (..., C) losses without nan: who should be.
        n_top: how many are chosen, 1 to C.

    Returns:
        (...) from 0 to 1; 1 for a ranking with itself.

    Raises:
        InputError: ``n_top`` out of range, different numbers of candidates, or nan.

    Example:
        >>> overlap(np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 2.0]]), np.array([1.0, 2.0, 3.0, 4.0]), n_top=2)
        array([1. , 0.5])
    """
    first, second = _ranks(one), _ranks(other)
    n_candidates = first.shape[-1]
    if n_candidates != second.shape[-1]:
        raise InputError(f"expected the same candidates, came {n_candidates} and {second.shape[-1]} of them")
    if not 1 <= n_top <= n_candidates:
        raise InputError(f"expected 1 to {n_candidates} at the top, came n_top={n_top}")
    threshold = np.sort(first, axis=-1)[..., n_top - 1, None]
    is_in, is_tied = first < threshold, first == threshold
    share = (n_top - is_in.sum(axis=-1, keepdims=True)) / is_tied.sum(axis=-1, keepdims=True)
    chosen = np.where(is_in, 1.0, np.where(is_tied, share, 0.0))
    is_best = second <= np.sort(second, axis=-1)[..., n_top - 1, None]
    return np.asarray((chosen * is_best).sum(axis=-1) / n_top)


def _ranks(losses: Floats) -> Floats:
    """Turn losses into ranks, equal ones into equal ranks, so that infinite ones can be subtracted."""
    losses = np.asarray(losses, dtype=float)
    if losses.ndim < 1 or losses.shape[-1] < 2:
        raise InputError(f"expected losses of two candidates or more, came shape {losses.shape}")
    if np.isnan(losses).any():
        raise InputError("expected losses of all candidates, came nan: leave out who was not trained")
    return np.asarray(rankdata(losses, method="min", axis=-1), dtype=float)
