"""Makes the tables of this folder: four small networks on scanned digits, six trainings each.

Run by hand, ``python examples/tables/make.py``; needs the extras ``optuna`` and ``sklearn``. optuna.csv is what
``study.trials_dataframe().to_csv`` of a real study writes. Ray Tune and W&B are not installed here: ray.csv and
wandb.csv hold the same trainings under the column names that their documentation gives for ``get_dataframe().to_csv``
and for the export of a project's table of runs.
"""

import datetime
import warnings
from pathlib import Path

import optuna
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).parent
N_REPLICATES = 6
GRID = [{"lr": lr, "width": width} for lr in (0.001, 0.01) for width in (8, 32)]
RAISES = 3, 5  # configuration and replicate of a training that fails, as some do


def train(trial: optuna.Trial) -> float:
    """Train once; the error rate on held-out digits. The replicate, no parameter, decides sample and weights."""
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    width = trial.suggest_int("width", 4, 64)
    replicate = trial.user_attrs["replicate"]
    if ({"lr": lr, "width": width}, replicate) == (GRID[RAISES[0]], RAISES[1]):
        raise MemoryError("a node went away")
    images, labels = load_digits(return_X_y=True)
    fit, held_out, fit_labels, held_out_labels = train_test_split(
        images / 16, labels, train_size=300, random_state=replicate
    )
    network = MLPClassifier((width,), learning_rate_init=lr, max_iter=30, random_state=replicate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(fit, fit_labels)
    return 1 - float(network.score(held_out, held_out_labels))


def main() -> None:
    """Train, write the three tables."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="minimize")
    for replicate in range(N_REPLICATES):
        for params in GRID:
            study.enqueue_trial(params, user_attrs={"replicate": replicate})
    study.optimize(train, n_trials=N_REPLICATES * len(GRID), catch=(MemoryError,))
    study.trials_dataframe().to_csv(HERE / "optuna.csv", index=False)
    trials = study.trials
    began = datetime.datetime(2026, 11, 2, 9, 0)
    seconds = [trial.duration.total_seconds() if trial.duration else 0.0 for trial in trials]
    ray = pd.DataFrame(
        {
            "error_rate": [trial.value for trial in trials],
            "timestamp": [int(began.timestamp()) + trial.number for trial in trials],
            "done": [trial.value is not None for trial in trials],
            "training_iteration": 1,
            "trial_id": [f"3f0c1_{trial.number:05d}" for trial in trials],
            "date": [f"{began + datetime.timedelta(seconds=trial.number):%Y-%m-%d_%H-%M-%S}" for trial in trials],
            "time_this_iter_s": seconds,
            "time_total_s": seconds,
            "pid": 4242,
            "hostname": "node-1",
            "node_ip": "127.0.0.1",
            "time_since_restore": seconds,
            "iterations_since_restore": 1,
            "config/lr": [trial.params["lr"] for trial in trials],
            "config/seed": [trial.user_attrs["replicate"] for trial in trials],
            "config/width": [trial.params["width"] for trial in trials],
            "logdir": [f"train_3f0c1_{trial.number:05d}" for trial in trials],
        }
    )
    ray[ray["done"]].to_csv(HERE / "ray.csv", index=False)  # a trial that raised reports nothing
    wandb = pd.DataFrame(
        {
            "Name": [f"run-{trial.number + 1}" for trial in trials],
            "State": ["crashed" if trial.value is None else "finished" for trial in trials],
            "Notes": "-",
            "User": "someone",
            "Tags": "",
            "Created": [
                f"{began + datetime.timedelta(seconds=trial.number):%Y-%m-%dT%H:%M:%S.000Z}" for trial in trials
            ],
            "Runtime": [max(1, round(took)) for took in seconds],
            "Sweep": "",
            "lr": [trial.params["lr"] for trial in trials],
            "seed": [trial.user_attrs["replicate"] for trial in trials],
            "width": [trial.params["width"] for trial in trials],
            "val/error": [trial.value for trial in trials],
        }
    )
    wandb.iloc[::-1].to_csv(HERE / "wandb.csv", index=False)  # the newest first


if __name__ == "__main__":
    main()
