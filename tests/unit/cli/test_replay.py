import json
from unittest.mock import create_autospec

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import robust_select.report.page
from robust_select.core.tables import Table
from robust_select.report.page import write_page

KEYS = {
    *("rule", "test", "criterion", "direction", "warmup", "alpha", "order", "steps", "selected", "remaining"),
    *("trainings", "seconds"),
}
STEP_KEYS = {"step", "instances_used", "best", "best_value", "kept", "removed", "trainings", "seconds"}


def test_the_contract(answer, table):
    found = answer("replay", table, "--rule", "halving", "--warmup", 1)
    assert set(found) == KEYS
    assert all(set(step) == STEP_KEYS for step in found["steps"])
    assert (found["rule"], found["test"], found["alpha"], found["warmup"]) == ("halving", None, None, 1)
    assert (found["criterion"], found["direction"], found["order"]) == ("mean", "minimize", [0, 1, 2, 3])
    assert found["steps"] == [
        {
            "step": 1,
            "instances_used": 1,
            "best": "good",
            "best_value": 0.10,
            "kept": ["good"],
            "removed": ["close", "bad"],
            "trainings": 3,
            "seconds": 6.0,
        }
    ]
    assert (found["selected"], found["remaining"], found["trainings"], found["seconds"]) == ("good", ["good"], 3, 6.0)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_welch_keeps_those_that_scipy_does_not_reject(answer, tmp_path, direction):
    rng = np.random.default_rng(5)
    scores = rng.normal(rng.normal(0, 1, (30, 1)), 0.7, (30, 8))
    wide = pd.DataFrame(scores, columns=[f"acc{n}" for n in range(8)])
    wide.insert(0, "model", [f"m{n}" for n in range(30)])
    wide.to_csv(tmp_path / "wide.csv", index=False)
    order = [3, 0, 7, 1, 5, 2, 6, 4]
    options = ["--maximize"] if direction == "maximize" else []
    found = answer(
        *["replay", tmp_path / "wide.csv", "--rule", "significance", "--test", "welch", "--alpha", 0.05],
        *["--warmup", 2, "--order", ",".join(map(str, order)), "--score-prefix", "acc", *options],
    )
    assert (found["test"], found["alpha"], found["order"]) == ("welch", 0.05, order)
    losses = (-scores if direction == "maximize" else scores)[:, order]
    alive = np.arange(30)
    assert found["steps"]
    for n, step in enumerate(found["steps"], start=2):
        seen = losses[alive, :n]
        best = seen[seen.mean(axis=1).argmin()]
        kept = [row for row, own in zip(alive, seen, strict=True) if own is best or _welch(own, best) >= 0.05]
        assert (step["step"], step["instances_used"]) == (n, n)
        assert step["kept"] == [f"m{row}" for row in kept]
        alive = np.array(kept)


def _welch(own, best):
    return 1.0 if np.array_equal(own, best) else stats.ttest_ind(own, best, equal_var=False).pvalue


def test_the_seed_shuffles_the_replicates_unless_an_order_is_given(answer, table):
    shuffled = answer("replay", table, "--rule", "halving", "--warmup", 2, "--seed", 3)["order"]
    assert sorted(shuffled) == [0, 1, 2, 3]
    assert shuffled == np.random.default_rng(3).permutation(4).tolist() != [0, 1, 2, 3]
    both = answer("replay", table, "--rule", "halving", "--warmup", 2, "--seed", 3, "--order", "2,0")
    assert both["order"] == [2, 0]


def test_replicates_hides_the_last_ones(answer, table):
    found = answer("replay", table, "--rule", "exhaustive", "--replicates", 2, "--order", "3,1,0")
    assert (found["order"], found["warmup"], found["trainings"]) == ([3, 1], 2, 6)


def test_exhaustive_reveals_everything_unless_told_how_much(answer, table):
    assert answer("replay", table, "--rule", "exhaustive")["trainings"] == 12
    assert answer("replay", table, "--rule", "exhaustive", "--instances", 1)["trainings"] == 3


def test_halving_warms_up_with_two_by_default(answer, table):
    assert answer("replay", table)["warmup"] == 2


def test_tolerance_goes_to_the_criterion_that_takes_one(answer, table):
    options = ["--rule", "exhaustive", "--criterion", "std-within-tolerance"]
    assert answer("replay", table, *options, "--tolerance", 0)["selected"] == "good"
    assert answer("replay", table, *options, "--tolerance", 0.05)["selected"] == "close"


def test_numbers_that_are_infinite_or_not_known_are_null(answer, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("candidate,replicate,score\na,0,nan\nb,0,inf\n")
    found = answer("replay", path, "--rule", "exhaustive")
    assert found["steps"][0]["best_value"] is None
    assert found["seconds"] is None


def test_the_summary_shows_names_as_they_are(invoke, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(
        "candidate,replicate,score\n[relu] :smile:,0,1\n[relu] :smile:,1,2\n"
        "<b>x</b>\x1b[2J,0,3\n<b>x</b>\x1b[2J,1,4\n"
    )
    shown = invoke("replay", path, "--rule", "halving", "--warmup", 2).stdout
    assert "[relu] :smile: was selected from 2 candidates" in shown
    assert "<b>x</b>\ufffd[2J" in shown
    assert "\x1b" not in shown


def test_quiet_shows_nothing(invoke, table):
    done = invoke("replay", table, "--quiet")
    assert (done.exit_code, done.output) == (0, "")


def test_html_and_figures(invoke, table, tmp_path, monkeypatch):
    spy = create_autospec(write_page)
    monkeypatch.setattr(robust_select.report.page, "write_page", spy)
    done = invoke(
        *["replay", table, "--rule", "halving", "--warmup", 2, "--html", tmp_path / "page.html"],
        *["--figures", tmp_path / "figures", "--format", "svg"],
    )
    assert done.exit_code == 0
    (result, path), options = spy.call_args
    assert (result.selected, path) == ("good", tmp_path / "page.html")
    assert options["provenance"]["Table"] == str(table)
    assert options["provenance"]["Command"].startswith("robust-select replay ")
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == [
        "04-criterion-fractions.svg",
        "10-selection-path.svg",
        "11-score-densities.svg",
        "12-by-step.svg",
        "12-trainings.svg",
        "14-top-n.svg",
        "15-step-times.svg",
        "16-mean-spread.svg",
    ]
    assert all(name in done.stdout for name in [*names, "page.html"])


def test_the_page_gets_curves_in_the_order_of_the_replay(invoke, tmp_path, monkeypatch):
    spy = create_autospec(write_page)
    monkeypatch.setattr(robust_select.report.page, "write_page", spy)
    curves = np.random.default_rng(0).uniform(size=(3, 5, 4))
    written = Table(("a", "b", "c"), curves[..., -1], curves=curves)
    written.to_frame().to_csv(tmp_path / "curves.csv", index=False)
    done = invoke("replay", tmp_path / "curves.csv", "--order", "4,0,2", "--html", tmp_path / "page.html")
    assert done.exit_code == 0, done.stderr
    result, given = spy.call_args.args[0], spy.call_args.kwargs["curves"]
    np.testing.assert_allclose(given.curves, curves[:, [4, 0, 2]])
    used = result.table.scores
    known = ~np.isnan(used)
    np.testing.assert_array_equal(given.scores[:, : used.shape[1]][known], used[known])
    done = invoke("replay", tmp_path / "curves.csv", "--figures", tmp_path / "figures", "--format", "svg")
    assert (tmp_path / "figures" / "07-curves.svg").is_file()
    assert "have no curves" not in done.stdout


def test_json_file_and_standard_output_are_the_same(invoke, table, tmp_path):
    printed = invoke("replay", table, "--json", "-").stdout
    invoke("replay", table, "--json", tmp_path / "out.json")
    assert json.loads(printed) == json.loads((tmp_path / "out.json").read_text())


def test_a_large_table_of_which_nobody_is_discarded(answer, invoke, tmp_path):
    scores = np.random.default_rng(0).normal(size=(30_000, 2))
    pd.DataFrame(scores, columns=["score_0", "score_1"]).to_csv(tmp_path / "large.csv", index=False)
    found = answer("replay", tmp_path / "large.csv", "--rule", "exhaustive")
    assert "of 30,000" in invoke("replay", tmp_path / "large.csv", "--rule", "exhaustive").stdout
    assert found["selected"] == str(scores.mean(axis=1).argmin())
    assert len(found["remaining"]) == 30_000


def test_all_replicates_of_a_table_may_be_used(answer, tmp_path):
    scores = np.tile([[0.0, 1.0], [1.0, 0.0]], 35)
    wide = pd.DataFrame(scores, columns=[f"score_{n}" for n in range(70)])
    wide.to_csv(tmp_path / "wide.csv", index=False)
    found = answer("replay", tmp_path / "wide.csv", "--rule", "significance", "--test", "welch")
    assert found["steps"][-1]["instances_used"] == 70
    assert found["trainings"] == 140
