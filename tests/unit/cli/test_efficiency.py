import json
import math

import numpy as np
import pandas as pd
import pytest

from robust_select.select.rules import DEFAULT_RULE

FAST = ("--repeats", 10, "--workers", 1)
KEYS = {"candidates", "replicates", "truth", "bound", "rules", "default_rule"}
RULES = {
    *("exhaustive", "halving", "top-two", "significance:paired-t:familywise"),
    *("significance:welch", "significance:ks", "significance:bartlett", "significance:fligner"),
}


def test_the_contract(answer, table):
    found = answer("efficiency", table, *FAST)
    assert set(found) == KEYS
    assert (found["candidates"], found["replicates"], found["truth"]) == (3, 4, "good")
    assert set(found["rules"]) == RULES
    for rule in found["rules"].values():
        assert set(rule) == {"trainings_at_confidence", "default", "curve"}
        assert {"trainings", "probability"} <= set(rule["default"])
        assert rule["default"] in rule["curve"]
        able = [point["trainings"] for point in rule["curve"] if point["probability"] >= 0.95]
        assert rule["trainings_at_confidence"] == (min(able) if able else None)
    assert found["rules"]["exhaustive"]["default"] == {"knobs": {"n": 1}, "trainings": 3.0, "probability": 1.0}
    assert found["rules"]["exhaustive"]["trainings_at_confidence"] == 3.0  # good is better in every replicate
    assert found["default_rule"] == DEFAULT_RULE


def test_the_bound(answer, tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("candidate,score_0,score_1\na,0.0,2.0\nb,1.0,7.0\n")
    found = answer("efficiency", path, *FAST, "--confidence", 0.9)
    stds = math.sqrt(2), math.sqrt(18)
    assert found["bound"] == pytest.approx(2 * sum(stds) ** 2 / 3**2 * 0.8 * math.log(9))
    assert answer("efficiency", path, *FAST, "--tolerance", 3)["bound"] == pytest.approx(
        2 * sum(stds) ** 2 / 6**2 * 0.9 * math.log(19)
    )


def test_a_wide_table_of_metrics(answer, tmp_path):
    scores = np.random.default_rng(0).normal([[0.9], [0.5], [0.4]], 0.01, (3, 5))
    wide = pd.DataFrame(scores, columns=[f"acc{n}" for n in range(5)])
    wide.insert(0, "model", ["best", "middle", "last"])
    wide.to_csv(tmp_path / "wide.csv", index=False)
    options = ["--score-prefix", "acc", "--maximize", "--resample", "permutation", "--criterion", "q3+iqr", *FAST]
    assert answer("efficiency", tmp_path / "wide.csv", *options)["truth"] == "best"


def test_seed_and_workers(answer, tmp_path):
    scores = np.arange(4)[:, None] + np.random.default_rng(1).normal(size=(4, 6))
    pd.DataFrame(scores, columns=[f"score_{n}" for n in range(6)]).to_csv(tmp_path / "scores.csv", index=False)
    one = answer("efficiency", tmp_path / "scores.csv", "--repeats", 30, "--workers", 1)
    assert answer("efficiency", tmp_path / "scores.csv", "--repeats", 30, "--workers", 2) == one
    assert answer("efficiency", tmp_path / "scores.csv", "--repeats", 30, "--workers", 1, "--seed", 1) != one


def test_what_cannot_be_decided_is_null(answer, invoke, tmp_path):
    path = tmp_path / "equal.csv"
    path.write_text("candidate,score_0,score_1\na,1,2\nb,1,2\n")
    found = answer("efficiency", path, *FAST, "--repeats", 2)
    assert found["bound"] is None
    assert "the two best are equal" in invoke("efficiency", path, *FAST, "--repeats", 2).stdout
    assert "No bound is known" in invoke("efficiency", path, *FAST, "--repeats", 2, "--criterion", "max").stdout


def test_what_readers_see(invoke, table, tmp_path):
    done = invoke("efficiency", table, *FAST, "--tolerance", 0.02, "--json", tmp_path / "out.json")
    assert done.exit_code == 0
    assert "good is the best of 3 candidates over 4 replicates, 1 more within the tolerance of it" in done.stdout
    assert f"{DEFAULT_RULE} (default)" in done.stdout
    assert "not reached" in done.stdout or "100.0 %" in done.stdout
    assert "whatever the table takes fewer than" in done.stdout
    assert set(json.loads((tmp_path / "out.json").read_text())) == KEYS
    quiet = invoke("efficiency", table, *FAST, "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--criterion", "average"], ["'average'", "q3+iqr"]),
        (["--resample", "jackknife"], ["'jackknife'", "bootstrap, permutation"]),
        (["--repeats", 0], ["repeats=0", "at least 1"]),
        (["--tolerance", -0.1], ["tolerance=-0.1"]),
        (["--confidence", 1.5], ["confidence=1.5", "between 0 and 1"]),
        (["--seed", -1], ["seed=-1"]),
        (["--workers", 0], ["workers=0"]),
        (["--score-prefix", "acc"], ["acc0, acc1"]),
        (["--json", "nowhere/out.json"], ["nowhere"]),
    ],
)
def test_bad_options(invoke, table, options, texts):
    done = invoke("efficiency", table, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert all(text in done.stderr for text in texts)


def test_a_table_without_full_replicates(invoke, tmp_path):
    path = tmp_path / "holes.csv"
    path.write_text("candidate,score_0,score_1,score_2\na,1,,2\nb,,1,2\n")
    done = invoke("efficiency", path)
    assert done.exit_code == 2
    assert "expected at least 2 replicates that every candidate has, came 1 of 3" in done.stderr
