"""Which examples an instance trains on and which it is scored on: the same for all candidates, so scores pair.

Called by ``RobustSearchCV``. Knows nothing of estimators.
"""

from typing import Any

import numpy as np
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.multiclass import type_of_target

from robust_select.core.errors import InputError
from robust_select.core.instances import Seeds
from robust_select.core.protocols import Ints

_TEST_SHARE = 0.25


class Splits:
    """The training and test rows of each replicate, made when first asked for.

    Args:
        resampling: a splitter of scikit-learn, which has so many replicates as it has splits; or the share of the
            examples to hold out, drawn anew for each of any number of replicates; None for a quarter.
        X: (N, F) the examples.
        y: (N,) their targets, or None.
        groups: (N,) for splitters that take them.
        is_classifier: whether shares keep the proportions of the classes.

    Raises:
        InputError: neither a splitter nor a share between 0 and 1, or fewer than two splits.

    Example:
        >>> splits = Splits(0.5, np.zeros((4, 1)), None, None, False)
        >>> [len(rows) for rows in splits(0, Seeds(1, 2, 3))]
        [2, 2]
    """

    def __init__(self, resampling: Any, X: Any, y: Any, groups: Any, is_classifier: bool) -> None:
        self.n_available: int | None = None
        self._known: dict[int, tuple[Ints, Ints]] = {}
        if hasattr(resampling, "split"):
            self._known = dict(enumerate(resampling.split(X, y, groups)))
            self.n_available = len(self._known)
            if self.n_available < 2:
                raise InputError(f"expected resampling with at least 2 splits, came {resampling!r}")
            return
        share = _TEST_SHARE if resampling is None else resampling
        if isinstance(share, bool) or not isinstance(share, (float, np.floating)) or not 0 < share < 1:
            raise InputError(
                f"expected a splitter such as RepeatedKFold(), or the share to hold out, came resampling={share!r}"
            )
        kind = StratifiedShuffleSplit if is_classifier and _is_stratifiable(y, float(share)) else ShuffleSplit
        self._kind, self._share, self._rows, self._labels = kind, float(share), np.zeros(len(_rows(X))), y

    def __call__(self, replicate: int, seeds: Seeds) -> tuple[Ints, Ints]:
        """Give the (n,) training rows and the (m,) test rows of a replicate."""
        if replicate not in self._known:
            splitter = self._kind(n_splits=1, test_size=self._share, random_state=seeds.training_sample)
            self._known[replicate] = next(splitter.split(self._rows, self._labels))
        return self._known[replicate]


def _rows(X: Any) -> Any:
    """Give something as long as there are examples; sparse matrices have no length."""
    return range(X.shape[0]) if hasattr(X, "shape") else X


def _is_stratifiable(y: Any, share: float) -> bool:
    """Tell whether every class can be in both parts."""
    if type_of_target(y) not in {"binary", "multiclass"}:
        return False
    counts = np.unique(np.asarray(y), return_counts=True)[1]
    n_held_out = int(np.ceil(share * counts.sum()))
    return bool(counts.min() >= 2 and len(counts) <= min(n_held_out, counts.sum() - n_held_out))
