"""RobustSearchCV: at home in scikit-learn, equal to GridSearchCV where it must be, paired, reproducible."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_diabetes, load_iris, make_classification
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RepeatedKFold, ShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

import robust_select as rs
from robust_select.integrations.sklearn import RobustSearchCV
from robust_select.integrations.sklearn.resampling import Splits

IRIS = load_iris(return_X_y=True)
TWICE = rs.Exhaustive(2)


@pytest.mark.parametrize(
    "search",
    [
        RobustSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, rule=TWICE, criterion="mean", random_state=0),
        RobustSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, rule=TWICE, criterion="mean", random_state=0),
    ],
    ids=["classifier", "regressor"],
)
def test_it_passes_the_checks_of_scikit_learn(search):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks give odd data to scikit-learn's own functions, which warn
        found = check_estimator(search, on_fail=None, on_skip=None)
    failed = [(item["check_name"], item["exception"]) for item in found if item["status"] == "failed"]
    assert failed == []
    assert sum(item["status"] == "passed" for item in found) > 30


@pytest.mark.parametrize("splitter", [KFold(4, shuffle=True, random_state=3), RepeatedKFold(n_splits=3, n_repeats=2)])
def test_every_split_of_everybody_is_a_grid_search(splitter):
    splitter = ShuffleSplit(5, random_state=1) if not hasattr(splitter, "split") else splitter
    if isinstance(splitter, RepeatedKFold):
        splitter.random_state = 5
    n_splits = splitter.get_n_splits()
    grid = {"C": [0.1, 1.0, 10.0], "gamma": [0.1, "scale"]}
    ours = RobustSearchCV(SVC(), grid, rule=rs.Exhaustive(n_splits), criterion="mean", resampling=splitter)
    ours.fit(*IRIS)
    theirs = GridSearchCV(SVC(), grid, cv=splitter).fit(*IRIS)
    for split in range(n_splits):
        name = f"split{split}_test_score"
        assert ours.cv_results_[name] == pytest.approx(theirs.cv_results_[name])
    assert ours.cv_results_["mean_test_score"] == pytest.approx(theirs.cv_results_["mean_test_score"])
    assert ours.cv_results_["std_test_score"] == pytest.approx(theirs.cv_results_["std_test_score"])
    assert ours.best_score_ == pytest.approx(theirs.best_score_)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    assert ours.cv_results_["param_gamma"].tolist() == theirs.cv_results_["param_gamma"].tolist()
    assert ours.n_splits_ == n_splits


def test_candidates_share_their_resamples():
    search = RobustSearchCV(
        KeepsRows(), {"which": [1, 2, 3]}, rule=rs.Exhaustive(4), criterion="mean", random_state=1
    )
    search.fit(np.arange(40.0)[:, None], np.arange(40) % 2)
    scores = search.result_.table.scores
    assert (scores == scores[0]).all()  # the score is a number made of the rows trained on
    assert len(np.unique(scores[0])) == 4


class KeepsRows(ClassifierMixin, BaseEstimator):
    def __init__(self, which=1):
        self.which = which

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.rows_ = X[:, 0]
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def score(self, X, y):
        assert not set(X[:, 0]) & set(self.rows_)
        assert y.mean() == 0.5  # stratified
        return float(np.sum(self.rows_ * np.arange(1, len(self.rows_) + 1)) % 1009)


def test_random_states_that_are_none_change_with_the_instance_and_others_do_not():
    X, y = make_classification(200, random_state=0)
    halves = [(np.arange(100), np.arange(100, 200))] * 4
    splitter = Fixed(halves)
    free = make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=20))
    held = clone(free).set_params(mlpclassifier__random_state=0)
    grid = {"mlpclassifier__alpha": [1e-4, 1e-3]}
    spread = {}
    for name, estimator in (("free", free), ("held", held)):
        search = RobustSearchCV(
            estimator, grid, rule=rs.Exhaustive(4), criterion="mean", resampling=splitter, refit=False, random_state=0
        ).fit(X, y)
        spread[name] = search.result_.table.scores.std(axis=1)
    assert (spread["held"] == 0).all()
    assert (spread["free"] > 0).all()


class Fixed:
    def __init__(self, splits):
        self.splits = splits

    def split(self, X, y=None, groups=None):
        return iter(self.splits)

    def get_n_splits(self, X=None, y=None, groups=None):
        return len(self.splits)


def test_the_same_random_state_gives_the_same_search_with_two_jobs():
    grid = {"max_depth": [1, 2, 5], "splitter": ["best", "random"]}
    found = [
        RobustSearchCV(DecisionTreeClassifier(), grid, n_jobs=n_jobs, random_state=7, rule=rs.Halving(warmup=3)).fit(
            *IRIS
        )
        for n_jobs in (None, 2)
    ]
    one, two = (pd.DataFrame(search.cv_results_) for search in found)
    same = [name for name in one.columns if "time" not in name]
    pd.testing.assert_frame_equal(one[same], two[same])
    assert found[0].best_params_ == found[1].best_params_


def test_the_worse_are_trained_less_and_ranked_lower():
    search = RobustSearchCV(SVC(), {"C": [1e-3, 1.0], "gamma": [1e-3, 0.1]}, random_state=0).fit(*IRIS)
    found = search.cv_results_
    assert search.best_params_ == {"C": 1.0, "gamma": 0.1}
    assert found["rank_test_score"][search.best_index_] == 1
    assert sorted(found["rank_test_score"]) == [1, 2, 3, 4]
    assert found["n_resamples"].sum() == search.result_.trainings < 4 * 50
    assert found["n_resamples"][0] < found["n_resamples"][search.best_index_]
    assert found["discarded_at"][search.best_index_] == 0
    means = [np.nanmean(row) for row in search.result_.table.scores]
    assert found["mean_test_score"] == pytest.approx(means)
    assert search.result_.confidence > 0.95
    low, high = search.result_.honest().mean.low, search.result_.honest().mean.high
    assert low < search.best_score_ < high


def test_distributions_are_drawn():
    search = RobustSearchCV(
        Ridge(), {"alpha": stats.loguniform(1e-3, 1e3)}, n_candidates=5, rule=TWICE, criterion="mean", random_state=4
    ).fit(*load_diabetes(return_X_y=True))
    alphas = [item["alpha"] for item in search.cv_results_["params"]]
    assert len(set(alphas)) == 5
    again = clone(search).fit(*load_diabetes(return_X_y=True))
    assert [item["alpha"] for item in again.cv_results_["params"]] == alphas


def test_a_grid_may_be_a_list_of_grids_and_hold_estimators():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    grid = [{"logisticregression": [LogisticRegression(C=0.1), SVC()]}, {"standardscaler": ["passthrough"]}]
    search = RobustSearchCV(pipeline, grid, rule=TWICE, criterion="mean", random_state=0).fit(*IRIS)
    assert search.cv_results_["param_standardscaler"].mask.tolist() == [True, True, False]
    assert search.best_estimator_.predict(IRIS[0][:2]).shape == (2,)


def test_a_candidate_that_cannot_be_fitted_is_the_worst():
    grid = {"solver": ["lbfgs", "liblinear"], "penalty": ["l2"], "C": [1.0, -1.0]}
    X, y = make_classification(100, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        search = RobustSearchCV(LogisticRegression(), grid, rule=TWICE, criterion="mean", random_state=0).fit(X, y)
    is_bad = np.array([item["C"] < 0 for item in search.cv_results_["params"]])
    assert np.isnan(search.cv_results_["mean_test_score"][is_bad]).all()
    assert search.cv_results_["n_failed"].tolist() == [2 if bad else 0 for bad in is_bad]
    assert search.cv_results_["rank_test_score"][is_bad].min() > search.cv_results_["rank_test_score"][~is_bad].max()


def test_where_nothing_fits_the_error_is_that_of_the_estimator():
    with pytest.raises(ValueError, match="'C' parameter"):
        RobustSearchCV(SVC(), {"C": [-1.0, -2.0]}, rule=TWICE, criterion="mean").fit(*IRIS)


def test_groups_and_weights_are_split_with_the_data():
    X, y = make_classification(120, random_state=0)
    groups = np.repeat(np.arange(12), 10)
    weights = np.linspace(0.1, 1, 120)
    search = RobustSearchCV(
        NeedsWeights(), {"which": [1, 2]}, rule=rs.Exhaustive(3), criterion="mean", resampling=GroupKFold(3)
    ).fit(np.column_stack([X, groups, weights]), y, groups=groups, sample_weight=weights)
    assert search.n_splits_ == 3


class NeedsWeights(ClassifierMixin, BaseEstimator):
    def __init__(self, which=1):
        self.which = which

    def fit(self, X, y, sample_weight=None):
        assert np.array_equal(X[:, -1], sample_weight)
        self.classes_ = np.unique(y)
        self.groups_ = set(X[:, -2])
        return self

    def score(self, X, y):
        assert not self.groups_ & set(X[:, -2])
        return 1.0 / self.which


def test_without_refit_there_is_no_best_estimator():
    search = RobustSearchCV(SVC(), {"C": [1.0, 2.0]}, rule=TWICE, criterion="mean", refit=False).fit(*IRIS)
    assert not hasattr(search, "best_estimator_")
    assert search.best_params_ in ({"C": 1.0}, {"C": 2.0})
    with pytest.raises(NotFittedError, match="refit=True"):
        search.predict(IRIS[0])


def test_methods_are_those_of_the_estimator():
    search = RobustSearchCV(SVC(), {"C": [1.0, 2.0]}, rule=TWICE, criterion="mean", random_state=0)
    assert hasattr(search, "decision_function")
    assert not hasattr(search, "transform")
    with pytest.raises(NotFittedError):
        search.predict(IRIS[0])
    search.fit(*IRIS)
    assert search.n_features_in_ == 4
    assert search.classes_.tolist() == [0, 1, 2]
    assert np.array_equal(search.predict(IRIS[0]), search.best_estimator_.predict(IRIS[0]))
    assert search.score(*IRIS) == search.best_estimator_.score(*IRIS)
    restored = pickle.loads(pickle.dumps(search))  # noqa: S301  made a moment ago
    assert np.array_equal(restored.predict(IRIS[0]), search.predict(IRIS[0]))


def test_a_transformer_is_searched_without_targets():
    search = RobustSearchCV(PCA(), {"n_components": [1, 2]}, rule=TWICE, criterion="mean", random_state=0)
    search.fit(IRIS[0])
    assert search.best_params_ == {"n_components": 2}  # the likelihood of held-out data
    found = search.transform(IRIS[0])
    assert np.array_equal(found, search.best_estimator_.transform(IRIS[0]))
    assert search.inverse_transform(found).shape == IRIS[0].shape
    assert search.score_samples(IRIS[0]).shape == (150,)


def test_a_scorer_by_name_ranks():
    X, y = load_diabetes(return_X_y=True)
    search = RobustSearchCV(
        Ridge(),
        {"alpha": [0.1, 1e4]},
        scoring="neg_mean_absolute_error",
        rule=TWICE,
        criterion="mean",
        random_state=0,
    ).fit(X, y)
    assert search.best_params_ == {"alpha": 0.1}
    assert search.best_score_ < 0
    assert search.score(X, y) == pytest.approx(-np.abs(search.predict(X) - y).mean())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"param_grid": {}}, None),
        ({"param_grid": {"C": stats.uniform(0, 1)}}, "n_candidates"),
        ({"param_grid": {"C": [1.0, 1.0]}}, "twice"),
        ({"resampling": 1.5}, "resampling=1.5"),
        ({"resampling": 3}, "resampling=3"),
        ({"resampling": Fixed([(np.arange(100), np.arange(100, 150))])}, "at least 2 splits"),
        ({"random_state": "x"}, "random_state"),
        ({"criterion": "best"}, "best"),
    ],
)
def test_what_cannot_be_used_is_refused(changes, words):
    settings = {"param_grid": {"C": [1.0, 2.0]}, "rule": TWICE, "criterion": "mean", **changes}
    search = RobustSearchCV(SVC(), settings.pop("param_grid"), **settings)
    if words is None:
        assert len(search.fit(*IRIS).cv_results_["params"]) == 1  # as GridSearchCV: one combination, the defaults
        return
    with pytest.raises(rs.InputError, match=words):
        search.fit(*IRIS)


def test_rare_classes_are_not_stratified():
    y = np.array([0] * 30 + [1])
    splits = Splits(None, np.zeros((31, 1)), y, None, True)
    train, test = splits(0, rs.seeds_for(0, 0))
    assert sorted([*train, *test]) == list(range(31))
    assert splits(0, rs.seeds_for(0, 0))[0] is train


def test_the_package_is_not_loaded_with_the_library_and_its_absence_names_the_command():
    code = (
        "import sys, robust_select, robust_select.integrations\n"
        "assert 'sklearn' not in sys.modules\n"
        "sys.modules['sklearn'] = None\n"
        "try:\n    import robust_select.integrations.sklearn\n"
        "except robust_select.MissingExtraError as error:\n    print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 'pip install "robust-select[sklearn]"' in out
