"""Which small network fits a noisy curve best, whatever its initial weights and training sample?

Run it: python examples/torch_study.py [workers]. It takes a few seconds; run again, it goes on where it was.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import robust_select as rs
from robust_select.train.nn import Data, TorchTrainer, keep_checkpoints, load_instance


def load() -> Data:
    """Make the data: 2,000 examples to draw training samples from, 500 that nobody trains on."""
    rng = np.random.default_rng(1)
    inputs = rng.uniform(-2, 2, size=(2500, 2))
    targets = np.sin(3 * inputs[:, 0]) * inputs[:, 1] + 0.1 * rng.normal(size=2500)
    return Data(inputs[:2000], targets[:2000], inputs[2000:], targets[2000:])


def build(params: Mapping[str, Any]) -> nn.Module:
    """Build an ordinary module; it never sees that several are trained as one."""
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[params["activation"]]
    return nn.Sequential(nn.Linear(2, params["width"]), activation(), nn.Linear(params["width"], 1))


def main(folder: Path, workers: int) -> None:
    """Run the study, and load a network of the selected candidate."""
    trainer = TorchTrainer(
        build, load, score="rmse", defaults={"epochs": 10, "n_train": 500}, checkpoints=folder / "weights"
    )
    study = rs.Study(
        rs.grid(width=[16, 32], activation=["relu", "tanh"], lr=[0.003, 0.03]),  # lr overrides the trainer's default
        trainer,
        criterion="q3+iqr",
        rule=rs.Halving(warmup=8),
        ledger=folder / "study.db",
    )
    result = study.run(workers=workers)
    print("selected:", result.selected)
    keep_checkpoints(folder / "weights", result.selected)
    params = next(candidate.params for candidate in study.candidates if candidate.name == result.selected)
    print(
        "replicate 0 of the selected candidate:", load_instance(build, params, folder / "weights", result.selected, 0)
    )


if __name__ == "__main__":
    home = Path(tempfile.gettempdir()) / "robust-select-example"
    home.mkdir(exist_ok=True)
    main(home, int(sys.argv[1]) if len(sys.argv) > 1 else 1)
