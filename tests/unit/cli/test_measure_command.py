import json

import numpy as np
import pytest

from robust_select.ledger import open_ledger


def test_a_table(answer, table):
    found = answer("measure", table, "--criterion", "mean", "--resamples", 200)
    assert (found["criterion"], found["best"], found["resamples"], found["confidence"]) == ("mean", "good", 200, 0.95)
    rows = {(row["candidate"], row["criterion"]): row for row in found["criteria"]}
    assert len(rows) == 3 * 9
    assert rows["good", "mean"]["value"] == pytest.approx(0.115)
    assert rows["good", "mean"]["to_halve"] == 12
    assert rows["good", "max"]["low"] is None
    assert [row["b"] for row in found["pairs"]] == ["close", "bad"]
    assert found == answer("measure", table, "--criterion", "mean", "--resamples", 200)


def test_a_table_in_words(invoke, table):
    shown = invoke("measure", table, "--criterion", "mean", "--candidate", "good", "--candidate", "bad").stdout
    assert "good, the best by mean, against the others" in shown
    assert "95 % interval" in shown
    assert "close" not in shown
    assert "pitman-morgan" in shown


def test_many_candidates_are_shown_in_part(invoke, tmp_path):
    path = tmp_path / "scores.csv"
    rows = [f"m{row:02d},{n},{row + (n * 7 + row) % 5 / 10}" for row in range(15) for n in range(4)]
    path.write_text("\n".join(["candidate,replicate,score", *rows]))
    shown = invoke("measure", path, "--resamples", 50).stdout
    assert "The 10 closest of 15" in shown
    assert "m09" in shown
    assert "m10" not in shown


def test_a_maximised_table(answer, table):
    assert answer("measure", table, "--maximize", "--criterion", "mean")["best"] == "bad"


def test_a_study_file_is_trained_and_goes_on(invoke, answer, study_file, trained):
    options = ["measure", study_file, "--instances", 3, "--candidate", "four", "--candidate", "two"]
    found = answer(*options, "--resamples", 100)
    assert (found["criterion"], found["best"]) == ("mean", "two")
    assert sorted(trained()) == sorted(f"{name} {n}" for name in ("two", "four") for n in range(3))
    assert answer(*options, "--resamples", 100) == found
    assert len(trained()) == 6
    assert invoke("run", study_file, "--quiet").exit_code == 0
    with open_ledger(study_file.with_suffix(".db"), must_exist=True) as ledger:
        names = ledger.names()
    assert len(names) == 2
    assert "measure widths, 3 times" in names[0]
    assert names[1] == "widths"


def test_the_card_of_the_best_one_in_every_form(invoke, table, tmp_path):
    for ending in ("md", "tex", "json"):
        path = tmp_path / f"card.{ending}"
        done = invoke("measure", table, "--criterion", "mean", "--resamples", 200, "--card", path)
        assert done.exit_code == 0
        assert done.stdout.endswith(f"Written: {path}\n")
    found = json.loads((tmp_path / "card.json").read_text())
    assert (found["candidate"], found["evidence"]["instances"]) == ("good", 4)
    assert found["score"]["value"] == pytest.approx(0.115)
    assert found["systematic"]["value"] == pytest.approx(np.std([0.10, 0.12, 0.11, 0.13], ddof=1))
    assert found["conditions"] == {"Table": "scores.csv"}
    assert "flatter" in found["caveats"][0]
    assert "good" in (tmp_path / "card.md").read_text()
    assert r"\begin{tabular}" in (tmp_path / "card.tex").read_text()


def test_the_card_of_one_candidate_of_a_study_file(invoke, study_file, tmp_path):
    path = tmp_path / "card.json"
    options = ["--instances", 3, "--candidate", "four", "--resamples", 50, "--quiet", "--card", path]
    assert invoke("measure", study_file, *options).stdout == ""
    found = json.loads(path.read_text())
    assert (found["candidate"], found["selection"]["candidates"]) == ("four", 1)
    assert found["conditions"]["Seed"] == "7"
    assert "Rule" not in found["conditions"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--card", "card.pdf"], ".md, .tex, .json"),
        (["--card", "nowhere/card.md"], "expected a folder"),
        (["--sources", "--card", "card.md"], "no --card with --sources"),
    ],
)
def test_a_card_that_cannot_be_is_refused_before_anything_is_trained(invoke, study_file, trained, options, words):
    done = invoke("measure", study_file, *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert trained() == []


def test_all_candidates_by_default(answer, study_file, trained):
    found = answer("measure", study_file, "--instances", 2, "--resamples", 50)
    assert {row["candidate"] for row in found["criteria"]} == {"one", "two", "three", "four"}
    assert len(trained()) == 8
