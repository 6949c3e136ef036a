"""One fit of one candidate on one resample, by scikit-learn's own machinery, so data are split as users know it.

Called by ``RobustSearchCV``, in whatever process joblib runs it. Knows nothing of the search.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate

from robust_select.core.protocols import Ints


@dataclass(frozen=True)
class Fit:
    """What a fit came to.

    Attributes:
        score: the greater the better; nan if it raised.
        fit_seconds: of the fit.
        score_seconds: of the scoring.
        error: what it raised.
    """

    score: float
    fit_seconds: float
    score_seconds: float
    error: Exception | None = None


def fit_and_score(
    estimator: Any, X: Any, y: Any, rows: tuple[Ints, Ints], scorer: Any, fit_params: Mapping[str, Any]
) -> Fit:
    """Fit on some rows and score on others; whatever the estimator raises is kept.

    Args:
        estimator: unfitted.
        X: (N, F) all examples.
        y: (N,) all targets, or None.
        rows: training and test rows.
        scorer: as ``check_scoring`` gives it.
        fit_params: for ``fit``; what is as long as the data is resampled with it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a candidate's own business: its score tells
            found = cross_validate(
                estimator, X, y, cv=[rows], scoring=scorer, params=dict(fit_params) or None, error_score="raise"
            )
    except Exception as error:  # noqa: BLE001  the estimator is the user's: it may raise anything
        return Fit(math.nan, 0.0, 0.0, error)
    return Fit(float(found["test_score"][0]), float(found["fit_time"][0]), float(found["score_time"][0]))
