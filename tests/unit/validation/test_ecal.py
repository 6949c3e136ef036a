import json
from unittest.mock import create_autospec

import numpy as np
import pandas as pd
import pytest
from validation.ecal import choices, common, criteria, sizes, sources, tables, tpe
from validation.ecal.common import Options

from robust_select import Candidate, Table, read_table
from robust_select.core.instances import Outcome
from robust_select.problems.ecal import space
from robust_select.problems.ecal.architectures import architecture_of


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "HERE", tmp_path)
    return Options(is_quick=False, workers=1)


def train(params, instance):
    return Outcome(params["width"] + instance.replicate, curve=(9.0, params["width"] + instance.replicate))


def test_options_and_where_things_go(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "HERE", tmp_path)
    quick, full = common.read_options("about", ["--quick"]), common.read_options("about", ["--workers", "3"])
    assert (quick.is_quick, full.is_quick, full.workers) == (True, False, 3)
    assert (quick.results, full.results) == (tmp_path / "work" / "quick", tmp_path / "results")
    assert full.work == tmp_path / "work" / "full" != quick.work


def test_everybody_is_trained_and_then_read_back(options, capsys):
    candidates = [Candidate("a", {"width": 1.0, "hidden": [3, 2]}), Candidate("b", {"width": 2.0, "hidden": [3]})]
    table = common.train_all("widths", candidates, train, 3, options)
    np.testing.assert_array_equal(table.scores, [[1, 2, 3], [2, 3, 4]])
    assert table.curves.shape == (2, 3, 2)
    assert "widths: 6 of 6 trainings" in capsys.readouterr().out
    never = create_autospec(train, side_effect=AssertionError)
    never.__qualname__ = train.__qualname__
    again = common.train_all("widths", candidates, never, 3, options)
    never.assert_not_called()
    np.testing.assert_array_equal(again.scores, table.scores)
    common.write_table(table, options.results / "widths.csv")
    read = read_table(options.results / "widths.csv")
    np.testing.assert_array_equal(read.scores, table.scores)
    np.testing.assert_array_equal(read.curves, table.curves)
    assert json.loads(read.params[0]["hidden"]) == [3, 2]
    frame = pd.read_csv(options.results / "widths.csv")
    assert "seconds" not in frame.columns
    common.write_table(table, options.results / "plain.csv", with_curves=False)
    assert not [key for key in pd.read_csv(options.results / "plain.csv") if key.startswith("epoch_")]


def test_numbers_are_rounded_and_infinite_ones_are_null(tmp_path):
    common.write_json({"a": [1.23456789, np.float64(np.inf)], "n": np.int64(3), "t": "x"}, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1.23457, None], "n": 3, "t": "x"}
    common.write_frame(pd.DataFrame({"x": [0.0234567891, np.nan], "n": [1, 2]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "x,n\n0.0234568,1\n,2\n"


def test_criteria_on_a_table_made_by_hand():
    steady, lucky = [2.0, 2.0, 2.0, 2.0], [1.0, 1.5, 1.5, 9.0]
    found = criteria.compare(Table(("steady", "lucky", "bad"), np.array([steady, lucky, [9.5] * 4])), n_splits=5)
    assert {name: row["selected"] for name, row in found["criteria"].items()} == {
        "min": "lucky",
        "median": "lucky",
        "mean": "steady",
        "q3": "steady",
        "q3+iqr": "steady",
        "max": "steady",
    }
    assert found["criteria"]["max"]["rank_by"]["min"] == 2
    assert found["criteria"]["mean"]["tau_with"] == pytest.approx(
        {"min": 1 / 3, "median": 1 / 3, "mean": 1, "q3": 1, "q3+iqr": 1, "max": 1}
    )


def test_criteria_of_a_table_that_never_changes_agree_between_halves():
    scores = np.repeat(np.arange(5.0)[:, None], 6, axis=1)
    found = criteria.compare(Table(tuple("abcde"), scores), n_splits=4)
    assert [row["tau_of_halves"] for row in found["criteria"].values()] == pytest.approx([1] * 6)


def test_a_diverged_instance_makes_the_mean_and_the_maximum_the_worst():
    table = Table(("a", "b"), np.array([[1.0, 1.0, 1.0, np.inf], [2.0, 2.0, 2.0, 2.0]]))
    found = criteria.compare(table, n_splits=2)["criteria"]
    assert (found["median"]["selected"], found["mean"]["selected"], found["max"]["selected"]) == ("a", "b", "b")


def test_sizes_of_networks_and_baselines():
    listed = sizes.networks("x", sizes.SIZES["B"])
    assert len(listed) == 16
    assert len({candidate.name for candidate in listed}) == 16
    assert [candidate.params["resample"] for candidate in listed[:8]] == ["subset"] * 7 + ["bootstrap"]
    assert all(architecture_of(candidate.params).n_parameters > 23_000 for candidate in listed)
    for showers, n_population in (("A", 12_000), ("B", 27_516)):
        assert sizes.SIZES[showers][-1] == n_population
        assert len(sizes.SIZES[showers]) == 8
        assert sizes.SIZES[showers][0] == 100
    assert [candidate.params["baseline"] for candidate in sizes.formulas("x", "A", (100, 200))] == [
        "parametric",
        "parametric",
        "xgboost",
        "xgboost",
    ]


def test_scores_are_sorted_by_name_and_size():
    params = (
        {"model": "Model 1", "n_train": 100, "epochs": 20},
        {"model": "Model 1", "n_train": 8000, "epochs": 10},
        {"baseline": "xgboost", "n_train": 100},
    )
    found = sizes._by_size(Table(("a", "b", "c"), np.array([[3.0, 4.0], [1.0, 2.0], [5.0, 6.0]]), params=params))
    assert {name: {size: list(scores) for size, scores in rows.items()} for name, rows in found.items()} == {
        "Model 1": {100: [3.0, 4.0], 8000: [1.0, 2.0]},
        "XGBoost": {100: [5.0, 6.0]},
    }


def test_a_choice_on_each_axis_is_a_place_in_the_space():
    everybody = space()
    rng = np.random.default_rng(0)
    for _ in range(200):
        choice = {name: int(rng.integers(n)) for name, n in tpe.AXES.items()}
        params = everybody[tpe.position(choice)].params
        assert params["activation"] == ("relu", "prelu")[choice["activation"]]
        assert params["joined"] == ("none", "sum", "barycentre", "both")[choice["joined"]]
        optimisers = ("adadelta", "adam", "adamw", "nadam", "rmsprop", "sgd")
        assert params["optimiser"] == optimisers[choice["optimiser"]]
        assert (params["batch_size"], params["weight_decay"]) == ((32, 0.0), (32, 0.1), (64, 0.01))[
            choice["batch_and_decay"]
        ]
    assert np.prod(list(tpe.AXES.values())) == len(everybody)


def test_optuna_searches_the_space_with_as_many_trainings_as_asked(options):
    trained = []

    def score(params, instance):
        trained.append((instance.candidate, instance.replicate))
        return (0.0 if params["joined"] == "sum" else 1.0) + instance.rng("initial_weights").random()

    found, best = tpe.search(score, 24, options)
    assert len(trained) == 24
    assert [replicate for _, replicate in trained] == list(range(24))
    assert found.params["joined"] == "sum"
    assert best < 1
    again, same = tpe.search(score, 24, options)  # all trials are kept
    assert (again, same, len(trained)) == (found, best, 24)


def test_robust_selection_spends_the_same_number(options):
    def score(params, instance):
        return float(len(params["hidden"])) + 0.01 * instance.rng("initial_weights").random()

    selected, value, n_seen = tpe.select(score, 60, 10, options)
    assert len(selected.params["hidden"]) == 1
    assert 1 < value < 1.02
    assert n_seen > 1


def test_winners_are_compared_on_fresh_instances():
    rng = np.random.default_rng(1)
    scores = np.stack([0.03 + 0.004 * rng.random(30), np.r_[0.02 + 0.001 * rng.random(29), 0.9]])
    found = tpe.compare(Table(("TPE", "robust selection"), scores))
    assert found["more_robust_by_q3+iqr"] == "robust selection"
    assert found["dead"] == {"TPE": 0, "robust selection": 1}
    value, low, high = found["criteria"]["TPE"]["median"]
    assert low < value == np.median(scores[0]) < high
    assert found["pair"]["shared"] == 30
    json.dumps(common._plain(found))


def test_sources_are_summarised_with_the_dead_counted_apart():
    rng = np.random.default_rng(2)
    scores = np.stack([0.03 + 0.001 * rng.normal(size=12), np.r_[0.9, np.inf, 0.03 + 0.002 * rng.normal(size=10)]])
    rows = sources.summarise({"both": Table(("Model 1", "Model 2"), scores)})
    assert [(row["candidate"], row["varies"], row["dead"]) for row in rows] == [
        ("Model 1", "both", 0),
        ("Model 2", "both", 2),
    ]
    assert rows[1]["std_of_the_others"] == pytest.approx(scores[1, 2:].std(ddof=1))
    assert rows[0]["median"][0] == pytest.approx(np.median(scores[0]))


def test_what_the_comparisons_train():
    listed = choices.optimisers()
    assert len(listed) == 18
    assert len({candidate.params["optimiser"] for candidate in listed}) == 6
    assert len(choices.activations()) == 7
    assert {name for name, _ in tables.TABLES} == {"energy", "position"}
    assert dict(tables.TABLES)["energy"] >= 96
