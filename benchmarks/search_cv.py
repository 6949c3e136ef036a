"""RobustSearchCV against scikit-learn's own searches, on five of its data sets: fits, and what the winner is worth.

Each search is run with several random states on the same data, estimators and candidates. What a winner is worth is
its q3+iqr error over fresh resamples, which no search saw: every candidate is fitted on the same 100 of them
, and a winner is charged with what it is worse than the best by.

    python benchmarks/search_cv.py [--states 20] [--fresh 100] [--jobs 2] [--save]

Prints one row a data set and search; ``--save`` writes benchmarks/results/search_cv.{csv,json}.
"""

import argparse
import json
import platform
import time
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
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


def worth(estimator: Any, grid: Any, X: Any, y: Any, n_fresh: int, jobs: int) -> rs.Table:
    """Fit every candidate on the same fresh resamples."""
    every = RobustSearchCV(estimator, grid, rule=rs.Exhaustive(n_fresh), refit=False, n_jobs=jobs, random_state=10**6)
    return every.fit(X, y).result_.table


def main() -> None:
    """Run the searches and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=20, help="random states of each search")
    parser.add_argument("--fresh", type=int, default=100, help="fresh resamples of each candidate")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="data sets")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = []
    for name, (X, y, estimator, grid) in problems().items():
        if arguments.only and name not in arguments.only:
            continue
        began = time.perf_counter()
        table = worth(estimator, grid, X, y, arguments.fresh, arguments.jobs)
        params = [dict(item) for item in ParameterGrid(grid)]
        losses = table.losses("maximize")
        values = {by: rs.criterion(by)(losses) for by in ("mean", "q3+iqr")}
        best = {by: found.min() for by, found in values.items()}
        for state in range(arguments.states):
            made = searches(estimator, grid, state, name != "diabetes")
            for label, search in made.items():
                search.set_params(n_jobs=arguments.jobs, refit="Halving" in label)
                search.fit(X, y)
                chosen = params.index(search.best_params_)
                rows.append(
                    {
                        "data": name,
                        "search": label,
                        "state": state,
                        "fits": n_fits(search),
                        **{f"worse {by}": found[chosen] - best[by] for by, found in values.items()},
                    }
                )
        print(f"{name}: {len(params)} candidates, {time.perf_counter() - began:.0f} s", flush=True)
    frame = pd.DataFrame(rows)
    summary = frame.groupby(["data", "search"], sort=False).agg(
        fits=("fits", "mean"),
        worse_mean=("worse mean", "mean"),
        worse_q3_iqr=("worse q3+iqr", "mean"),
        at_most_tolerance=("worse q3+iqr", lambda column: float((column <= TOLERANCE).mean())),
    )
    print(summary.round(4).to_string())
    overall = summary.groupby("search", sort=False).agg(
        {"fits": "sum", "worse_mean": "mean", "worse_q3_iqr": "mean", "at_most_tolerance": "mean"}
    )
    print(overall.round(4).to_string())
    if arguments.save:
        frame.to_csv(RESULTS / "search_cv.csv", index=False, float_format="%.6g")
        about = {
            "date": date.today().isoformat(),
            "python": platform.python_version(),
            "scikit-learn": sklearn.__version__,
            "robust_select": rs.__version__,
            "states": arguments.states,
            "fresh": arguments.fresh,
            "tolerance": TOLERANCE,
        }
        summary_rows = summary.reset_index().to_dict("records")
        (RESULTS / "search_cv.json").write_text(
            json.dumps({"about": about, "summary": summary_rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
