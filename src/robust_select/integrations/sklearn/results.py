"""``cv_results_``: what the search found, one row a candidate, in the words of ``GridSearchCV`` and a few more.

Called by ``RobustSearchCV``. Computes nothing that is not in the result.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_select.integrations.sklearn.fitting import Fit
from robust_select.select.result import Result


def cv_results(
    result: Result, params: Sequence[Mapping[str, Any]], fits: Mapping[tuple[int, int], Fit]
) -> dict[str, Any]:
    """Write a result as scikit-learn does.

    Args:
        result: of the search, scores the greater the better.
        params: (C,) of the candidates.
        fits: by candidate and replicate.

    Returns:
        Arrays of length C: ``params``, ``param_...``, ``split0_test_score`` ... (nan where not trained or failed),
        ``mean_test_score``, ``std_test_score``, ``rank_test_score``, ``mean_fit_time``, ``std_fit_time``,
        ``mean_score_time``, ``std_score_time``; and ``criterion`` in units of the score, ``n_resamples``,
        ``n_failed`` and ``discarded_at``, the step that discarded the candidate, 0 for those left.
    """
    n_candidates, n_replicates = result.table.scores.shape
    scores = np.where(np.isinf(result.table.scores), np.nan, result.table.scores)
    n_trained = np.count_nonzero(~np.isnan(result.table.scores), axis=1)
    fit_seconds, score_seconds = np.full((2, n_candidates, n_replicates), np.nan)
    for asked, fit in fits.items():
        if fit.error is None:
            fit_seconds[asked], score_seconds[asked] = fit.fit_seconds, fit.score_seconds
    found: dict[str, Any] = {}
    for name, values in (("fit_time", fit_seconds), ("score_time", score_seconds)):
        found[f"mean_{name}"], found[f"std_{name}"] = _mean_and_std(values)
    for key in sorted({key for item in params for key in item}):
        column = np.ma.MaskedArray(np.empty(n_candidates, dtype=object), mask=True)
        for row, item in enumerate(params):
            if key in item:
                column[row] = item[key]
        found[f"param_{key}"] = column
    found["params"] = list(params)
    for replicate in range(n_replicates):
        found[f"split{replicate}_test_score"] = scores[:, replicate]
    found["mean_test_score"], found["std_test_score"] = _mean_and_std(scores)
    found["rank_test_score"] = _ranks(result)
    losses = result.table.losses(result.direction)
    with np.errstate(invalid="ignore"):
        found["criterion"] = result.criterion.in_score_units(result.criterion(losses), result.direction)
    found["n_resamples"] = n_trained
    found["n_failed"] = np.count_nonzero(np.isinf(result.table.scores), axis=1)
    found["discarded_at"] = np.array([step or 0 for step in result.discarded_at])
    return found


def _mean_and_std(values: Any) -> tuple[Any, Any]:
    """(C,) means and (C,) standard deviations (ddof=0, as scikit-learn's) of what is known; nan where nothing is."""
    masked = np.ma.masked_invalid(values)
    return np.ma.filled(masked.mean(axis=1), np.nan), np.ma.filled(masked.std(axis=1), np.nan)


def _ranks(result: Result) -> Any:
    """(C,) from 1: those left in their order, then the discarded, the later the better, then by the criterion."""
    names = result.table.candidates
    place = {name: row for row, name in enumerate(result.remaining)}
    by_criterion = np.empty(len(names), dtype=int)
    by_criterion[result.criterion.order(result.table.losses(result.direction))] = np.arange(len(names))
    keys = [
        (0, place[name], 0) if name in place else (1, -(step or 0), int(by_criterion[row]))
        for row, (name, step) in enumerate(zip(names, result.discarded_at, strict=True))
    ]
    ranks = np.empty(len(names), dtype=np.int32)
    ranks[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(1, len(names) + 1)
    return ranks
