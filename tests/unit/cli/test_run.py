import shlex
from unittest.mock import create_autospec

import pytest

from robust_select.cli.training import _without
from robust_select.ledger import open_ledger
from robust_select.study import Study


def test_a_study_runs_shows_its_result_and_resumes(invoke, study_file, trained):
    done = invoke("run", study_file)
    assert done.exit_code == 0
    ledger = study_file.with_suffix(".db")
    for text in (
        "one was selected from 4 candidates",
        "10 trainings",
        "12 for every candidate 3 times",
        "mean",
        "std",
        "only 2 instances: the spread is hardly known",
        f"Ledger: {ledger}",
        f"robust-select status {ledger}",
        f"robust-select report {ledger} --html page.html",
    ):
        assert text in done.stdout
    assert len(trained()) == 10
    assert invoke("run", study_file).stdout == done.stdout
    assert len(trained()) == 10


def test_the_answer(answer, study_file):
    found = answer("run", study_file)
    assert (found["study"], found["selected"], found["trainings"]) == ("widths", "one", 10)
    assert found["settings"] == {"warmup": 2, "final_instances": 0}
    assert [row["candidate"] for row in found["summary"]] == ["one", "two", "three", "four"]
    assert found["summary"][0]["instances"] == 3
    assert found["summary"][0]["discarded_at"] is None
    assert found["summary"][3]["discarded_at"] == 2


def test_options_override_the_study_file(answer, study_file, tmp_path):
    more = answer("run", study_file, "--warmup", 3, "--ledger", tmp_path / "a.db")
    assert (more["warmup"], more["trainings"]) == (3, 14)
    other = answer("run", study_file, "--rule", "exhaustive", "--instances", 2, "--ledger", tmp_path / "b.db")
    assert (other["rule"], other["trainings"]) == ("exhaustive", 8)
    assert (tmp_path / "a.db").exists()
    assert not study_file.with_suffix(".db").exists()


def test_a_new_study_beside_the_old_one(invoke, study_file, trained):
    invoke("run", study_file)
    done = invoke("run", study_file, "--on-existing", "new")
    assert "--study 'widths 2'" in done.stdout
    assert len(trained()) == 20
    named = invoke("run", study_file, "--name", "again")
    assert named.exit_code == 0
    with open_ledger(study_file.with_suffix(".db"), must_exist=True) as ledger:
        assert ledger.names() == ["widths", "widths 2", "again"]
    refused = invoke("run", study_file, "--on-existing", "error")
    assert refused.exit_code == 2


def test_workers_are_handed_on(invoke, study_file, monkeypatch):
    spy = create_autospec(Study.run, side_effect=Study.run)
    monkeypatch.setattr(Study, "run", spy)
    study_file.write_text("workers = 1\n" + study_file.read_text())
    invoke("run", study_file)
    assert spy.call_args.kwargs == {"workers": 1, "executor": None, "on_existing": "resume", "progress": True}
    spy.side_effect = KeyboardInterrupt
    invoke("run", study_file, "--workers", 2, "--quiet")
    assert spy.call_args.kwargs == {"workers": 2, "executor": None, "on_existing": "resume", "progress": False}


def test_the_page_and_quiet(invoke, study_file, tmp_path):
    done = invoke("run", study_file, "--html", tmp_path / "page.html", "--quiet")
    assert (done.exit_code, done.stdout) == (0, "")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "was selected from 4 candidates" in page
    assert "name = &quot;halving&quot;" in page  # the study file, to reproduce it


@pytest.mark.parametrize(
    ("options", "ending"), [([], ""), (["--on-existing", "new"], " --name 'widths 2'"), (["--on-existing=new"], None)]
)
def test_ctrl_c_says_how_to_go_on(invoke, study_file, monkeypatch, options, ending):
    run = Study.run
    invoke("run", study_file, "--quiet")

    def interrupted(study, workers, executor, on_existing, progress):
        run(study, workers=workers, on_existing=on_existing)
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "run", interrupted)
    done = invoke("run", study_file, *options)
    assert done.exit_code == 130
    assert done.stdout == ""
    assert "10 trainings are in ledger" in done.stderr
    ending = " --name 'widths 2'" if ending is None else ending
    assert done.stderr.endswith(f"Go on with: robust-select run {study_file}{ending}\n")
    monkeypatch.setattr(Study, "run", run)
    again = invoke(*shlex.split(done.stderr.partition("Go on with: robust-select ")[2]))
    assert again.exit_code == 0


def test_ctrl_c_before_the_study_began(invoke, study_file, monkeypatch):
    monkeypatch.setattr(Study, "run", create_autospec(Study.run, side_effect=KeyboardInterrupt))
    done = invoke("run", study_file)
    assert done.exit_code == 130
    assert "0 trainings are in ledger" in done.stderr


def test_a_broken_trainer_is_exit_code_1(invoke, study_file, trained):
    module = next(study_file.parent.glob("trainer_of_*.py"))
    module.write_text("def train(params, instance):\n    raise ValueError('no data')\n")
    done = invoke("run", study_file)
    assert done.exit_code == 1
    assert "the first 4 trainings all failed" in done.stderr
    assert "no data" in done.stderr


def test_a_file_that_cannot_be_written_is_exit_code_1(invoke, study_file, tmp_path, monkeypatch):
    def full(self, *_arguments, **_options):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_text", full)
    done = invoke("run", study_file, "--json", tmp_path / "out.json")
    assert done.exit_code == 1
    assert done.stderr == f"robust-select: cannot use {tmp_path / 'out.json'}: No space left on device\n"


def test_options_are_left_out_in_both_forms():
    assert _without(["a", "--x", "1", "b", "--x=2", "--xy", "c"], "--x") == ["a", "b", "--xy", "c"]


PRUNED = """
def train(params, instance):
    import robust_select as rs

    curve = []
    for epoch in range(1, 6):
        curve.append(params["level"] + 1 / epoch)
        if instance.should_stop(curve):
            return rs.Outcome.pruned(curve)
    return rs.Outcome(curve[-1], curve)
"""


def test_pruning_by_epochs_is_asked_for_shown_and_answered(invoke, answer, tmp_path):
    (tmp_path / "pruned_levels.py").write_text(PRUNED)
    file = tmp_path / "levels.toml"
    file.write_text(
        'trainer = "pruned_levels:train"\ncriterion = "mean"\nrule = { name = "exhaustive", n = 2 }\n'
        "prune_epochs = { epochs = [4], audit = 0.0, first = 4 }\n"
        f"candidates.grid.level = {list(range(16))}\n"
    )
    found = answer("run", file, "--prune-epochs", "2,3")
    pruning = found["pruning"]
    assert [row["epoch"] for row in pruning["epochs"]] == [2, 3]
    n_stopped = sum(row["stopped"] for row in pruning["epochs"])
    assert len(pruning["stopped"]) == n_stopped > 3
    assert set(pruning["stopped"].values()) <= {2, 3}
    assert pruning["is_safe"] is None
    assert found["trainings"] == n_stopped + 2 * (16 - n_stopped)
    stopped = [row for row in found["summary"] if row["candidate"] in pruning["stopped"]]
    assert {row["discarded_at"] for row in stopped} == {0}
    done = invoke("run", file, "--prune-epochs", "2,3", "--html", tmp_path / "page.html")
    assert f"Pruned by epochs: {n_stopped} of 16 candidates in their first training" in done.stdout
    assert pruning["verdict"] in " ".join(done.stdout.split())
    assert "raise audit" in (tmp_path / "page.html").read_text(encoding="utf-8")
    status = invoke("status", file.with_suffix(".db")).stdout
    assert "pruned" in status
    assert f"{16 - n_stopped} of 16" in status or "1 of 16" in status
    out = tmp_path / "scores.csv"
    assert invoke("export", file.with_suffix(".db"), out, "--curves").exit_code == 0
    assert (
        answer("replay", out, "--rule", "exhaustive", "--instances", 2, "--criterion", "mean")["selected"]
        == "level=0"
    )
    refused = invoke("run", file)
    assert refused.exit_code == 2
    assert "prune_epochs" in refused.stderr


@pytest.mark.parametrize("text", ["ten", "10,", "-1", "1.5"])
def test_epochs_that_are_none_are_refused(invoke, study_file, text):
    done = invoke("run", study_file, f"--prune-epochs={text}")
    assert done.exit_code == 2
    assert "--prune-epochs as whole numbers" in done.stderr
