"""``RobustSearchCV``: a search that trains its candidates on one resample after the other until one is surely good.

Called by users of scikit-learn. Knows nothing of ledgers; for a search that survives a crash there is ``Study``.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from robust_select.core.candidates import Candidate, as_candidates
from robust_select.core.errors import InputError
from robust_select.core.instances import Seeds, seeds_for
from robust_select.core.tables import Table
from robust_select.integrations.sklearn.fitting import Fit, fit_and_score
from robust_select.integrations.sklearn.resampling import Splits
from robust_select.integrations.sklearn.results import cv_results
from robust_select.select.result import Result, result_of
from robust_select.select.rules import Rule, TopTwo
from robust_select.select.selection import Selection
from robust_select.stats.criteria import Criterion, criterion

_MOST_INSTANCES = 50  # of one candidate by default: a search ends, also where the two best are equal
_BATCH = 4  # trainings between two decisions by default; not the number of cores, on which results must not depend


def _best_has(name: str) -> Any:
    """Offer a method where the best estimator, or before the fit the given one, has it."""

    def check(search: "RobustSearchCV") -> bool:
        getattr(search.best_estimator_ if hasattr(search, "best_estimator_") else search.estimator, name)
        return True

    return check


class RobustSearchCV(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Search for the parameters that stay good when the estimator is trained again.

    Candidates are trained on one resample of the data after the other, all on the same ones, so that scores pair;
    the rule says who is trained further. Where the estimator, or a step of a pipeline, has a ``random_state`` that
    is None, each resample brings another one: the spread of initial weights counts as well. A fit that raises
    counts as the worst score.

    Args:
        estimator: any estimator of scikit-learn, pipelines too.
        param_grid: dictionary of lists (or list of such), all combinations; or distributions, with ``n_candidates``.
        rule: who goes on; by default ``TopTwo`` with at most 50 resamples of a candidate.
        criterion: by which candidates are ranked: a name, or what ``criterion`` gives. Scores are losses negated.
        n_candidates: draw so many candidates at random; None takes all combinations.
        resampling: a splitter such as ``RepeatedKFold``, or the share to hold out of random (stratified) splits,
            a quarter by default.
        scoring: name of a scorer, or a callable ``scorer(estimator, X, y)``; None for the estimator's own.
        n_jobs: through joblib. Results do not depend on it.
        refit: whether to fit the selected candidate on all data in the end.
        random_state: of the resamples, the initial weights and the draw of candidates; None for another each time.

    Attributes:
        best_params_, best_index_, best_score_: of the selected candidate; its mean score over its resamples, which
            flatters the winner: ``result_.honest()`` does not.
        best_estimator_: fitted on all data, if ``refit``.
        cv_results_: one row a candidate, see ``results``.
        result_: the ``Result`` with confidence, steps and spread; it can be reported as that of a study.
        n_splits_: how many resamples the most trained candidate had.
        scorer_, multimetric_, refit_time_, n_features_in_, feature_names_in_, classes_: as in ``GridSearchCV``.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> tree = DecisionTreeClassifier(random_state=0)
        >>> search = RobustSearchCV(tree, {"max_depth": [1, 3]}, random_state=0).fit(X, y)
        >>> search.best_params_, bool(search.predict(X[:1])[0] == y[0])
        ({'max_depth': 3}, True)
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        rule: Rule | None = None,
        criterion: str | Criterion = "q3+iqr",
        n_candidates: int | None = None,
        resampling: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool = True,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.rule = rule
        self.criterion = criterion
        self.n_candidates = n_candidates
        self.resampling = resampling
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, **fit_params: Any) -> "RobustSearchCV":
        """Search, then fit the selected candidate on all data.

        Args:
            X: (N, F) examples.
            y: (N,) targets, where there are any.
            groups: (N,) for a splitter that takes them.
            fit_params: for the estimator's ``fit``; what is as long as the data is resampled with it.

        Raises:
            InputError: parameters, a rule, a criterion or resampling that cannot be used.
        """
        if y is None and get_tags(self.estimator).target_tags.required:
            raise InputError(f"{type(self.estimator).__name__} requires y to be passed, but the target y is None")
        X, y, groups = indexable(X, y, groups)
        self.scorer_ = check_scoring(self.estimator, scoring=self.scoring)
        seed = _seed(self.random_state)
        params = self._params(seed)
        candidates = _named(params)
        splits = Splits(self.resampling, X, y, groups, is_classifier(self.estimator))
        rule = TopTwo(max_instances=_MOST_INSTANCES, batch=_BATCH) if self.rule is None else self.rule
        by = self.criterion if isinstance(self.criterion, Criterion) else criterion(self.criterion)
        names = [item.name for item in candidates]
        selection = Selection(names, rule, by, "maximize", n_available=splits.n_available)
        fits = self._run(selection, params, splits, seed, X, y, fit_params)
        table = Table(
            tuple(names), selection.scores, selection.seconds, tuple(dict(item.params) for item in candidates)
        )
        self.result_: Result = result_of(selection, table)
        self.best_index_ = names.index(self.result_.selected)
        self.best_params_ = params[self.best_index_]
        self.cv_results_ = cv_results(self.result_, params, fits)
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        self.n_splits_ = self.result_.table.n_replicates
        self.multimetric_ = False
        if self.refit:
            self._refit(X, y, seed, fit_params)
        return self

    def _run(
        self,
        selection: Selection,
        params: Sequence[Mapping[str, Any]],
        splits: Splits,
        seed: int,
        X: Any,
        y: Any,
        fit_params: Mapping[str, Any],
    ) -> dict[tuple[int, int], Fit]:
        """Train what the selection asks for until it is finished."""
        fits: dict[tuple[int, int], Fit] = {}
        with Parallel(n_jobs=self.n_jobs) as parallel:
            while asked := selection.ask():
                seeds = {replicate: seeds_for(seed, replicate) for _, replicate in asked}
                found = parallel(
                    delayed(fit_and_score)(
                        _prepared(self.estimator, params[position], seeds[replicate]),
                        X,
                        y,
                        splits(replicate, seeds[replicate]),
                        self.scorer_,
                        fit_params,
                    )
                    for position, replicate in asked
                )
                fits.update(zip(asked, found, strict=True))
                errors = [fit.error for fit in fits.values()]
                if errors[0] is not None and all(error is not None for error in errors):
                    raise errors[0]  # nothing fits: the data or the estimator is at fault, not the candidates
                for (position, replicate), fit in zip(asked, found, strict=True):
                    selection.tell(position, replicate, fit.score, fit.fit_seconds + fit.score_seconds)
        return fits

    def _refit(self, X: Any, y: Any, seed: int, fit_params: Mapping[str, Any]) -> None:
        best = _prepared(self.estimator, self.best_params_, seeds_for(seed, 0))
        started = time.perf_counter()
        self.best_estimator_ = best.fit(X, **fit_params) if y is None else best.fit(X, y, **fit_params)
        self.refit_time_ = time.perf_counter() - started
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_

    def _params(self, seed: int) -> list[dict[str, Any]]:
        """List the candidates' parameters."""
        try:
            if self.n_candidates is None:
                return [dict(params) for params in ParameterGrid(self.param_grid)]
            drawn = ParameterSampler(self.param_grid, self.n_candidates, random_state=seed)
            return [dict(params) for params in drawn]
        except (TypeError, ValueError) as error:
            hint = "" if self.n_candidates is not None else "; distributions need n_candidates=..."
            raise InputError(f"expected a dictionary of lists as param_grid, came an error: {error}{hint}") from error

    def _best(self, method: str) -> Any:
        check_is_fitted(self)
        if not self.refit:
            raise NotFittedError(f"expected refit=True to call {method}, came refit={self.refit!r}")
        return getattr(self.best_estimator_, method)

    @available_if(_best_has("predict"))  # type: ignore[untyped-decorator]
    def predict(self, X: Any) -> Any:
        """Predict with the best estimator."""
        return self._best("predict")(X)

    @available_if(_best_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Predict probabilities with the best estimator."""
        return self._best("predict_proba")(X)

    @available_if(_best_has("predict_log_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Any:
        """Predict logarithms of probabilities with the best estimator."""
        return self._best("predict_log_proba")(X)

    @available_if(_best_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        """Give the decision function of the best estimator."""
        return self._best("decision_function")(X)

    @available_if(_best_has("score_samples"))  # type: ignore[untyped-decorator]
    def score_samples(self, X: Any) -> Any:
        """Score each sample with the best estimator."""
        return self._best("score_samples")(X)

    @available_if(_best_has("transform"))  # type: ignore[untyped-decorator]
    def transform(self, X: Any) -> Any:
        """Transform with the best estimator."""
        return self._best("transform")(X)

    @available_if(_best_has("inverse_transform"))  # type: ignore[untyped-decorator]
    def inverse_transform(self, X: Any) -> Any:
        """Transform back with the best estimator."""
        return self._best("inverse_transform")(X)

    def score(self, X: Any, y: Any = None) -> float:
        """Score the best estimator by the scorer of the search."""
        self._best("fit")
        return float(self.scorer_(self.best_estimator_, X, y))

    @property
    def classes_(self) -> Any:
        """(n_classes,) labels, of a classifier."""
        return self._best("classes_")

    @property
    def n_features_in_(self) -> int:
        """Number of features seen by the fit, where the best estimator says."""
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(f"{type(self).__name__!r} object has no n_features_in_ before it is fitted")
        return int(self.best_estimator_.n_features_in_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        tags.transformer_tags = inner.transformer_tags
        tags.target_tags = inner.target_tags
        tags.input_tags.pairwise = inner.input_tags.pairwise
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.array_api_support = False
        return tags


def _seed(random_state: Any) -> int:
    """Turn what scikit-learn calls a random state into a seed."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, (bool, str)) or not isinstance(random_state, (int, np.integer)) or random_state < 0:
        raise InputError(f"expected random_state as a whole number from 0 or None, came {random_state!r}")
    return int(random_state)


def _named(params: Sequence[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    """Name candidates after their parameters; estimators among these are written as scikit-learn shows them."""
    if not params:
        raise InputError("expected at least one combination of parameters, came an empty param_grid")
    plain = [{key: _shown(value) for key, value in item.items()} for item in params]
    if len(pd.Series([repr(item) for item in plain]).unique()) < len(plain):
        raise InputError("expected combinations of parameters that differ, came some twice in param_grid")
    return as_candidates([item or {"parameters": "as given"} for item in plain])


def _shown(value: Any) -> Any:
    is_plain = value is None or isinstance(value, (bool, int, float, str))
    if isinstance(value, np.generic):
        return value.item()
    return value if is_plain else " ".join(repr(value).split())


def _prepared(estimator: Any, params: Mapping[str, Any], seeds: Seeds) -> Any:
    """Clone the estimator with a candidate's parameters and, where its random states are None, this instance's."""
    made = clone(estimator).set_params(**{key: clone(value, safe=False) for key, value in params.items()})
    names = [key for key in made.get_params() if key == "random_state" or key.endswith("__random_state")]
    return made.set_params(**{key: seeds.initial_weights for key in names if made.get_params()[key] is None})
