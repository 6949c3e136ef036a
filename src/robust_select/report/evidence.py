"""What the page draws of single candidates and of how sure the choice is: histograms, curves, the top N.

Called by ``report.data``. Computes nothing that belongs to analysis; knows nothing of HTML.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from robust_select.analysis.chosen import top_n_of_result, why_no_top_n
from robust_select.analysis.curves import curve_band
from robust_select.analysis.histograms import score_bins
from robust_select.core.protocols import Floats, Ints
from robust_select.core.tables import Table
from robust_select.report.numbers import plain_numbers
from robust_select.select.result import Result

ENOUGH_FOR_BARS = 5
"""Of so many finite scores a histogram is drawn; fewer are shown one by one."""

_CURVE_DIGITS = 4
_MOST_EPOCHS = 200  # of a longer curve so many are drawn, evenly spread
_MOST_OF_BANDS = 150_000  # numbers on the page: it stays small enough for an e-mail
_MOST_OF_CURVES = 200_000
_N_DRAWS = 1000
_SURE = 0.9995


def bins_data(scores: Floats) -> list[dict[str, Any] | None]:
    """Count each candidate's scores in bins.

    Args:
        scores: (C, R) in the order of the page.

    Returns:
        C times the two ends and the counts between them; None where there is no histogram to draw.

    Example:
        >>> bins_data(np.array([[1.0, 2.0, 2.0, 2.0, 3.0], [1.0, np.nan, np.nan, np.nan, np.nan]]))
        [{'ends': [1.0, 3.0], 'counts': [1, 0, 3, 0, 1]}, None]
    """
    found: list[dict[str, Any] | None] = []
    for row in scores:
        edges, counts = score_bins(row)
        is_enough = counts.sum() >= ENOUGH_FOR_BARS
        found.append({"ends": plain_numbers(edges[[0, -1]]), "counts": counts.tolist()} if is_enough else None)
    return found


def curves_data(table: Table, names: list[str]) -> dict[str, Any] | None:
    """Gather the curves of each candidate's instances, as many as a page can hold.

    All of them or none of a candidate; the first ones of the page have them for sure, those after them their median
    and quartiles.

    Args:
        table: with curves, or without.
        names: of the candidates, in the order of the page.

    Returns:
        The epochs that are drawn, from 1, and for each candidate ``median``, ``q1``, ``q3``, ``nCurves``, ``nBroken``
        and ``curves``, which is None where there was no room; None where a candidate has none. None without curves.
    """
    if table.curves is None or np.isnan(table.curves).all():
        return None
    n_epochs = table.curves.shape[2]
    drawn = np.unique(np.linspace(0, n_epochs - 1, min(n_epochs, _MOST_EPOCHS)).round().astype(np.int64))
    position = {name: row for row, name in enumerate(table.candidates)}
    n_of_bands = n_of_curves = 0
    found: list[dict[str, Any] | None] = []
    for name in names:
        row = position.get(name)
        own = None if row is None else table.curves[row]
        if own is None or np.isnan(own).all() or n_of_bands + 3 * len(drawn) > _MOST_OF_BANDS:
            found.append(None)
            continue
        band = curve_band(own)
        n_of_bands += 3 * len(drawn)
        has_room = n_of_curves + len(band.curves) * len(drawn) <= _MOST_OF_CURVES
        n_of_curves += len(band.curves) * len(drawn) if has_room else 0
        found.append(
            {
                **{key: _drawn(getattr(band, key), drawn) for key in ("median", "q1", "q3")},
                "nCurves": len(band.curves),
                "nBroken": band.n_broken,
                "curves": [_drawn(curve, drawn) for curve in band.curves] if has_room else None,
            }
        )
    return {"epochs": (drawn + 1).tolist(), "of": found}


def count_unused(curves: Table, result: Result) -> int:
    """Count the instances with a curve that the selection never asked for; they, too, tell of rank stability."""
    used = used_curves(curves, result)
    if curves.curves is None or used.curves is None:
        return 0
    has_curve, is_used = (~np.isnan(found).all(axis=2) for found in (curves.curves, used.curves))
    return int(has_curve.sum() - is_used.sum())


def used_curves(curves: Table, result: Result) -> Table:
    """Leave out the curves of instances that the selection never asked for; a replayed table holds such.

    Args:
        curves: scores with curves, replicates numbered as the result numbers them.
        result: of the selection.

    Returns:
        The same scores; curves (C, R, E) are nan where the selection has neither a score nor an instance stopped by
        its epochs.

    Example:
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> scores = np.array([[1.0, 1.1, 1.2], [5.0, 5.1, 5.3]])
        >>> table = Table(("a", "b"), scores, curves=scores[:, :, None])
        >>> used = used_curves(table, replay(table, Halving(warmup=2), criterion("mean")))
        >>> used.curves[:, :, 0].tolist()
        [[1.0, 1.1, nan], [5.0, 5.1, nan]]
    """
    if curves.curves is None:
        return curves
    known = ~np.isnan(result.table.scores) | result.table.is_stopped
    position = {name: row for row, name in enumerate(result.table.candidates)}
    is_used = np.zeros(curves.scores.shape, dtype=bool)
    n = min(known.shape[1], curves.n_replicates)
    for row, name in enumerate(curves.candidates):
        if name in position:
            is_used[row, :n] = known[position[name], :n]
    return curves if is_used.all() else replace(curves, curves=np.where(is_used[:, :, None], curves.curves, np.nan))


def with_curves(result: Result, curves: Table) -> Result:
    """Give a result the curves of the instances that it used; a replay does not carry them along.

    Args:
        result: of a selection.
        curves: of the same candidates, replicates numbered as the result numbers them.

    Returns:
        The same result; its table has curves where ``curves`` has any.

    Example:
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> scores = np.array([[1.0, 1.1, 1.2], [5.0, 5.1, 5.3]])
        >>> table = Table(("a", "b"), scores, curves=scores[:, :, None])
        >>> with_curves(replay(table, Halving(warmup=2), criterion("mean")), table).table.curves.shape
        (2, 2, 1)
    """
    used = used_curves(curves, result).curves
    if used is None:
        return result
    n = result.table.n_replicates
    padded = np.full((len(used), max(0, n - used.shape[1]), used.shape[2]), np.nan)
    return replace(result, table=replace(result.table, curves=np.concatenate([used[:, :n], padded], axis=1)))


def _drawn(values: Floats, epochs: Ints) -> list[float | str | None]:
    return plain_numbers(values[epochs], _CURVE_DIGITS)


def top_n_data(result: Result) -> dict[str, Any] | None:
    """Say how likely the true best is among the first N of the page, or why that cannot be said.

    Returns:
        ``probabilities`` for N from 1 on, until nothing is missing of 1, the rule's ``tolerance``, whether the rule
        quotes a probability of its own, and the number of fresh instances; or ``problem``. None for one candidate.

    Example:
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Exhaustive
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.1, 1.2], [5.0, 5.1, 5.3]]))
        >>> top_n_data(replay(table, Exhaustive(3), criterion("mean")))["probabilities"]
        [1.0]
    """
    if result.table.n_candidates < 2:
        return None
    found = top_n_of_result(result, _N_DRAWS)
    if found is None:
        return {"problem": why_no_top_n(result)}
    known = found.probabilities[0]
    n_drawn = min(len(known), int(np.count_nonzero(known < _SURE)) + 1)
    return {
        "probabilities": [round(share, 3) for share in known[:n_drawn].tolist()],
        "tolerance": result.tolerance or 0.0,
        "isQuoted": result.confidence is not None,
        "nFresh": result.fresh,
    }
