"""RobustSearchCV against scikit-learn's own searches, on five of its data sets: fits, and what the winner is worth.

Each search is run with several random states, the same for all of them, on the same data, estimators and candidates.
What a winner is worth is its error over fresh resamples of these data, which no search saw: every candidate is fitted
on the same 100 of them, each with random numbers of its own, and a winner is charged with what it is worse than the
best by, in the mean and in q3+iqr. Searches are compared in pairs, state by state.

    python benchmarks/search_cv.py [--states 5] [--fresh 100] [--jobs 2] [--save]

A run ends the same whatever the number of jobs. ``--save`` writes benchmarks/results/search_cv.csv, a row a search
and state, and .txt, what is printed.
"""

import argparse
import platform
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from joblib import Parallel, delayed
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    ParameterGrid,
    RandomizedSearchCV,
    RepeatedKFold,
    RepeatedStratifiedKFold,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import robust_select as rs
from robust_select.integrations.sklearn import RobustSearchCV

RESULTS = Path(__file__).parent / "results"
TOLERANCE = 0.005  # accuracy or R2: half a point does not matter
MLP = make_pipeline(StandardScaler(), MLPClassifier(max_iter=60))
MLP_GRID = {
    "mlpclassifier__hidden_layer_sizes": [(4,), (16,), (64,)],
    "mlpclassifier__alpha": [1e-4, 1e-1],
    "mlpclassifier__learning_rate_init": [1e-3, 1e-2, 1e-1],
}
SVC_GRID = {"svc__C": [0.01, 0.1, 1, 10, 100], "svc__gamma": ["scale", 1e-3, 1e-2, 1e-1]}
FOREST_GRID = {"max_features": [0.1, 0.3, 1.0], "min_samples_leaf": [1, 5, 20], "n_estimators": [10, 40]}


def problems() -> dict[str, tuple[Any, Any, Any, Any]]:
    """List the data sets, each with an estimator and its grid."""
    svc = make_pipeline(StandardScaler(), SVC())
    return {
        "iris": (*datasets.load_iris(return_X_y=True), svc, SVC_GRID),
        "wine": (*datasets.load_wine(return_X_y=True), MLP, MLP_GRID),
        "breast cancer": (*datasets.load_breast_cancer(return_X_y=True), svc, SVC_GRID),
        "digits": (*_subset(*datasets.load_digits(return_X_y=True), 500), RandomForestClassifier(), FOREST_GRID),
        "diabetes": (*datasets.load_diabetes(return_X_y=True), RandomForestRegressor(), FOREST_GRID),
    }


def _subset(X: Any, y: Any, n: int) -> tuple[Any, Any]:
    rows = np.random.default_rng(0).permutation(len(y))[:n]
    return X[rows], y[rows]


def searches(estimator: Any, grid: Any, state: int, is_classifier: bool) -> dict[str, Any]:
    """Make every search with a random state; the folds of scikit-learn's are shuffled with it."""
    n = len(ParameterGrid(grid))
    folds = RepeatedStratifiedKFold if is_classifier else RepeatedKFold

    def cv(n_repeats: int) -> Any:
        return folds(n_splits=4, n_repeats=n_repeats, random_state=state)

    return {
        "GridSearchCV, 4 folds": GridSearchCV(estimator, grid, cv=cv(1)),
        "GridSearchCV, 4 folds x 5": GridSearchCV(estimator, grid, cv=cv(5)),
        "HalvingGridSearchCV": HalvingGridSearchCV(estimator, grid, cv=cv(1), random_state=state),
        "RandomizedSearchCV, half": RandomizedSearchCV(estimator, grid, n_iter=n // 2, cv=cv(1), random_state=state),
        "RobustSearchCV": RobustSearchCV(
            estimator, grid, rule=rs.TopTwo(tolerance=TOLERANCE, max_instances=50, batch=4), random_state=state
        ),
        "RobustSearchCV, mean": RobustSearchCV(
            estimator,
            grid,
            rule=rs.TopTwo(tolerance=TOLERANCE, max_instances=50, batch=4),
            criterion="mean",
            random_state=state,
        ),
    }


def n_fits(search: Any) -> int:
    """Count the fits of a search, the last one on all data left out."""
    if isinstance(search, RobustSearchCV):
        return search.result_.trainings
    if isinstance(search, HalvingGridSearchCV):
        return int(sum(search.n_candidates_) * search.cv.get_n_splits())
    return int(len(search.cv_results_["params"]) * search.n_splits_)


def worth(name: str, n_fresh: int, jobs: int) -> dict[str, Any]:
    """Fit every candidate on the same fresh resamples; what each is worse than the best by, by criterion."""
    X, y, estimator, grid = problems()[name]
    every = RobustSearchCV(estimator, grid, rule=rs.Exhaustive(n_fresh), refit=False, n_jobs=jobs, random_state=10**6)
    losses = every.fit(X, y).result_.table.losses("maximize")
    values = {by: rs.criterion(by)(losses) for by in ("mean", "q3+iqr")}
    return {by: found - found.min() for by, found in values.items()}


def search_all(name: str, state: int, worse: dict[str, Any]) -> list[dict[str, Any]]:
    """Run every search with a random state, in one process: an estimator's numbers come from numpy's global state."""
    X, y, estimator, grid = problems()[name]
    params = [dict(item) for item in ParameterGrid(grid)]
    rows = []
    for label, search in searches(estimator, grid, state, name != "diabetes").items():
        np.random.seed(state)  # noqa: NPY002  scikit-learn draws from it where random_state is None
        search.set_params(n_jobs=1, refit="Halving" in label)
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            search.fit(X, y)
        chosen = params.index(search.best_params_)
        found = {f"worse {by}": values[chosen] for by, values in worse.items()}
        seconds = time.perf_counter() - began
        rows.append({"data": name, "search": label, "state": state, "fits": n_fits(search), **found, "s": seconds})
    return rows


def of_states(frame: pd.DataFrame) -> str:
    """Give a row a data set and search: means and standard deviations over the states."""
    found = frame.groupby(["data", "search"], sort=False).agg(
        fits=("fits", "mean"),
        mean=("worse mean", "mean"),
        mean_sd=("worse mean", "std"),
        q3_iqr=("worse q3+iqr", "mean"),
        q3_iqr_sd=("worse q3+iqr", "std"),
    )
    return str(found.round({"fits": 1, "mean": 4, "mean_sd": 4, "q3_iqr": 4, "q3_iqr_sd": 4}).to_string())


def of_all(frame: pd.DataFrame) -> str:
    """Give a row a search: fits of all data sets together, and the means over data sets and states."""
    each = frame.groupby(["data", "search"], sort=False)[["fits", "worse mean", "worse q3+iqr"]].mean()
    found = each.groupby("search", sort=False).agg({"fits": "sum", "worse mean": "mean", "worse q3+iqr": "mean"})
    return str(found.round({"fits": 0, "worse mean": 4, "worse q3+iqr": 4}).to_string())


def of_pairs(frame: pd.DataFrame, ours: str, by: str) -> str:
    """Compare every search with one of ours, data set by data set and state by state."""
    wide = frame.pivot_table(index=["data", "state"], columns="search", values=f"worse {by}", sort=False)
    rows = []
    for label in wide.columns:
        if label == ours:
            continue
        difference = wide[label] - wide[ours]
        by_data = difference.groupby("data").mean()
        rows.append(
            {
                "search": label,
                "worse by": difference.mean(),
                "sd": difference.std(),
                "of data sets from": by_data.min(),
                "to": by_data.max(),
                "ours better": int((difference > TOLERANCE).sum()),
                "close": int((difference.abs() <= TOLERANCE).sum()),
                "ours worse": int((difference < -TOLERANCE).sum()),
            }
        )
    return str(pd.DataFrame(rows).set_index("search").round(4).to_string())


def main() -> None:
    """Run the searches and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=5, help="random states of each search")
    parser.add_argument("--fresh", type=int, default=100, help="fresh resamples of each candidate")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="data sets")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    names = [name for name in problems() if not arguments.only or name in arguments.only]
    worse = {}
    for name in names:
        began = time.perf_counter()
        worse[name] = worth(name, arguments.fresh, arguments.jobs)
        print(f"{name}: fresh resamples, {time.perf_counter() - began:.0f} s", flush=True)
    tasks = [(name, state) for state in range(arguments.states) for name in names]
    parallel = Parallel(n_jobs=arguments.jobs, verbose=5)
    found = parallel(delayed(search_all)(name, state, worse[name]) for name, state in tasks)
    frame = pd.DataFrame([row for rows in found for row in rows])
    frame["data"] = pd.Categorical(frame["data"], names)
    frame = frame.sort_values(["data", "state"], kind="stable").astype({"data": str})
    text = "\n\n".join(
        [
            f"{arguments.states} random states, {arguments.fresh} fresh resamples; "
            f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}, robust-select {rs.__version__}",
            "What the winner is worse than the best by, over fresh resamples, in the mean and in q3+iqr "
            f"(1 - accuracy; diabetes: 1 - R2); sd over the states:\n{of_states(frame)}",
            f"All data sets: fits together, means of the rest:\n{of_all(frame)}",
            "Paired, the same data and state: by how much a search is worse in the mean than RobustSearchCV, mean; "
            f"close: by {TOLERANCE} at most:\n{of_pairs(frame, 'RobustSearchCV, mean', 'mean')}",
            f"The same for q3+iqr and RobustSearchCV:\n{of_pairs(frame, 'RobustSearchCV', 'q3+iqr')}",
        ]
    )
    print(text)
    if arguments.save:
        frame.drop(columns="s").to_csv(
            RESULTS / "search_cv.csv", index=False, float_format="%.6g", lineterminator="\n"
        )
        (RESULTS / "search_cv.txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
