"""The committed results of images, by a second way to compute, and what the documentation says of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "validation" / "images" / "results"


def curves(name):
    """(C, R, E) losses, sorted by name of the candidate and replicate."""
    frame = pd.read_csv(RESULTS / f"{name}.csv").sort_values(["candidate", "replicate"])
    epochs = frame.filter(regex=r"^epoch_\d+$").to_numpy()
    assert not np.isnan(epochs).any()
    np.testing.assert_array_equal(epochs[:, -1], frame["score"])
    return epochs.reshape(frame["candidate"].nunique(), -1, epochs.shape[1])


@pytest.mark.parametrize(
    ("problem", "schedules", "n_candidates", "n_epochs"),
    [
        ("digits", {"one-cycle": "one-cycle", "constant": "constant"}, 36, 50),
        ("fashion", {"one-cycle": "one-cycle-1000", "constant": "constant-1000"}, 18, 20),
    ],
)
def test_tau_by_epoch_is_that_of_scipy(problem, schedules, n_candidates, n_epochs):
    found = json.loads((RESULTS / f"{problem}.json").read_text())
    for schedule, name in schedules.items():
        losses = curves(f"{problem}-{name}")
        assert losses.shape == (n_candidates, found["replicates"], n_epochs)
        for row in found["epochs"][schedule]["by epoch"]:
            at = row["epoch"] - 1
            taus = [kendalltau(losses[:, r, at], losses[:, r, -1]).statistic for r in range(losses.shape[1])]
            assert row["tau"] == pytest.approx(np.mean(taus), abs=2e-4)


def test_sizes_of_training_samples_are_compared_as_scipy_does():
    found = json.loads((RESULTS / "fashion.json").read_text())["sizes"]
    large = curves("fashion-one-cycle-2000")[:, :, -1]
    for name, row in found.items():
        small = curves(f"fashion-one-cycle-{name.split()[0]}")[:, :, -1]
        taus = [kendalltau(small[:, r], large[:, r]).statistic for r in range(large.shape[1])]
        assert row["tau"] == pytest.approx(taus, abs=2e-4)


def test_the_documentation_says_what_was_found():
    page = (ROOT / "docs" / "images.md").read_text(encoding="utf-8")
    for problem, second in (("digits", "lost"), ("fashion", "overlap")):
        part = page.partition(f"stability.py {problem}`, two cores")[2].partition("\n## ")[0]
        rows = [
            [float(cell) for cell in line.strip("| ").split("|")] for line in part.splitlines() if line[2:3].isdigit()
        ]
        assert len(rows) >= 6
        found = json.loads((RESULTS / f"{problem}.json").read_text())["epochs"]
        for epoch, *said in rows:
            told = [found[schedule]["by epoch"][int(epoch) - 1] for schedule in ("one-cycle", "constant")]
            expected = [each[key] for each in told for key in ("tau", second)]
            assert said == pytest.approx(expected, abs=0.00501)
