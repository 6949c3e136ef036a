"""The committed results of the calorimeter are what the documentation says of them, by a second way to compute."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from validation.ecal.common import HERE

from robust_select import Halving, TopTwo, read_table, replay

RESULTS = HERE / "results"
PUBLISHED = ("Model 1", "Model 2", "NAS 1", "NAS 2")


@pytest.fixture(scope="module")
def energy():
    return read_table(RESULTS / "energy_b.csv")


@pytest.fixture(scope="module")
def frame():
    return pd.read_csv(RESULTS / "energy_b.csv")


@pytest.mark.parametrize(("name", "n_candidates"), [("energy_b.csv", 96), ("position_b.csv", 32)])
def test_exhaustive_tables_are_complete_with_curves(name, n_candidates):
    table = read_table(RESULTS / name)
    assert table.scores.shape == (n_candidates, 20)
    assert table.curves.shape == (n_candidates, 20, 8)
    is_complete = np.isfinite(table.scores)
    assert not np.isnan(table.scores).any()
    assert is_complete.mean() > 0.98  # the others have diverged, and are there as such
    np.testing.assert_array_equal(table.curves[is_complete][:, -1], table.scores[is_complete])


def test_criteria_chosen_are_those_of_pandas(frame):
    scores = frame.groupby("candidate")["score"]
    quartiles = scores.quantile([0.25, 0.75]).unstack()
    values = pd.DataFrame(
        {
            "min": scores.min(),
            "median": scores.median(),
            "mean": scores.mean(),
            "q3": quartiles[0.75],
            "q3+iqr": 2 * quartiles[0.75] - quartiles[0.25],
            "max": scores.max(),
        }
    )
    found = json.loads((RESULTS / "criteria.json").read_text())
    assert (found["candidates"], found["replicates"]) == (96, 20)
    assert {name: row["selected"] for name, row in found["criteria"].items()} == values.idxmin().to_dict()
    for name, row in found["criteria"].items():
        assert row["value"] == pytest.approx(values[name].min(), rel=1e-4)
    assert values["q3+iqr"].rank()["Model 2"] == 3


def test_halving_on_the_real_table_is_algorithm_1(energy, frame):
    scores = frame.pivot(index="candidate", columns="replicate", values="score").loc[list(energy.candidates)]
    alive, trainings = list(scores.index), 0
    for step in range(scores.shape[1]):
        trainings += len(alive)
        if step + 1 >= 4:
            alive = list(scores.loc[alive].iloc[:, : step + 1].mean(axis=1).nsmallest(len(alive) // 2).index)
        if len(alive) == 1:
            break
    found = replay(energy, Halving(warmup=4), "mean")
    assert (found.selected, found.trainings) == (alive[0], trainings)


def test_the_default_rule_finds_one_of_the_best_of_the_real_table(energy):
    values = energy.scores.mean(axis=1)
    good = {name for name, value in zip(energy.candidates, values, strict=True) if value <= values.min() + 0.001}
    found = replay(energy, TopTwo(tolerance=0.001), "mean")
    assert found.selected in good
    assert found.trainings < energy.scores.size


def test_initial_weights_make_most_of_the_spread():
    rows = pd.read_csv(RESULTS / "sources.csv")
    alive = rows[rows["score"] < 0.5]
    spread = alive.groupby(["candidate", "varies"])["score"].std().unstack()
    assert (rows.groupby(["candidate", "varies"]).size() == 200).all()
    assert (spread["initial weights alone"] > 2 * spread["sampling alone"]).all()
    stated = {
        (row["candidate"], row["varies"]): row["std_of_the_others"]
        for row in json.loads((RESULTS / "sources.json").read_text())["rows"]
    }
    for (name, varies), value in stated.items():
        assert spread.loc[name, varies] == pytest.approx(value, rel=1e-4)


def test_the_documented_table_of_sizes_is_that_of_the_results():
    text = (HERE.parents[1] / "docs" / "calorimeter.md").read_text(encoding="utf-8")
    row = r"^\| (?:(energy|position), ([AB])(?:, cm)?)? ?\| (Model \d) \| (\d[.\d]* \(.+\)) \|$"
    rows = re.findall(row, text, re.MULTILINE)
    scores = pd.read_csv(RESULTS / "sizes.csv")
    n_compared, target, showers = 0, "", ""
    for first, name, model, cells in rows:
        target, showers = ({"energy": "energy", "position": "x"}[first], name) if first else (target, showers)
        sizes = (100, 1_000 if showers == "A" else 1_500, 8_000, 12_000 if showers == "A" else 27_516)
        for size, cell in zip(sizes, cells.split(" | "), strict=True):
            found = scores.query(
                f"target == '{target}' and showers == '{showers}' and name == '{model}' and n_train == {size}"
            )["score"]
            assert len(found) == 8
            low, high = found.quantile([0.25, 0.75])
            for stated, value in zip(cell.rstrip(")").split(" ("), (found.median(), high - low), strict=True):
                assert float(stated) == pytest.approx(value, abs=0.51 * 10 ** -len(stated.partition(".")[2])), cell
                n_compared += 1
    assert n_compared == 2 * 4 * 8


def test_the_sum_of_all_cells_is_joined_in_most_of_the_best(frame):
    quartiles = frame.groupby("candidate")["score"].quantile([0.25, 0.75]).unstack()
    best = (2 * quartiles[0.75] - quartiles[0.25]).nsmallest(10).index
    joined = frame.groupby("candidate")["joined"].first()
    assert joined[best].str.contains("sum").mean() > joined.str.contains("sum").mean()
    assert set(PUBLISHED) <= set(joined.index)
