"""A study of scikit-learn models on scanned digits, watched in MLflow while it runs.

Run it: python examples/mlflow_study.py [tracking URI]. Needs the extras mlflow and sklearn. Stop it with Ctrl-C and
run it again: it goes on where it was, in the same runs. Without a URI all of it is in the folder that it names;
there, look at the runs: mlflow ui --backend-store-uri sqlite:///mlflow.db.
"""

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import robust_select as rs
from robust_select.integrations.mlflow import LiveLog


def train(params: Mapping[str, Any], instance: rs.Instance) -> float:
    """Train a forest on a sample of its own; the error rate on digits that it has not seen."""
    images, labels = load_digits(return_X_y=True)
    known, unseen, known_labels, unseen_labels = train_test_split(
        images, labels, train_size=400, random_state=instance.seeds.training_sample
    )
    forest = RandomForestClassifier(random_state=instance.seeds.initial_weights, **params)
    return 1 - float(forest.fit(known, known_labels).score(unseen, unseen_labels))


def main(folder: Path, tracking_uri: str) -> None:
    """Run the study."""
    study = rs.Study(
        rs.grid(n_estimators=[10, 30], max_features=[0.1, 0.3], min_samples_leaf=[1, 5]),
        train,
        criterion="q3+iqr",
        rule=rs.TopTwo(tolerance=0.01, max_instances=12),
        ledger=folder / "study.db",
        name="forests on digits",
    )
    with LiveLog(study, tracking_uri, every=2) as log:
        for step in study.steps():
            log(step)
            print(f"step {step.step}: {step.best} leads with {step.best_value:.4f}, {len(step.kept)} are left")
    print("selected:", study.result.selected)
    print("run:", log.run_id)


if __name__ == "__main__":
    home = Path(tempfile.gettempdir()) / "robust-select-mlflow"
    home.mkdir(exist_ok=True)
    if len(sys.argv) > 1:
        main(home, sys.argv[1])
    else:
        os.chdir(home)  # there MLflow keeps the files of runs that a SQLite store lists
        print("folder:", home)
        main(home, "sqlite:///mlflow.db")
