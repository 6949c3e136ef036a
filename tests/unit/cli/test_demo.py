import importlib
import json
import os
from importlib import resources
from unittest.mock import create_autospec

import pytest

import robust_select.problems.digits
import robust_select.problems.ecal
import robust_select.report.page
from robust_select.cli.demo import DEMOS
from robust_select.core.candidates import Candidate
from robust_select.core.errors import MissingExtraError
from robust_select.problems.ecal import make_trainer
from robust_select.report.page import write_page

TINY = {"model": "NAS 1", "epochs": 1, "n_train": 32, "stack_size": 1}


@pytest.fixture
def page(monkeypatch):
    """What the page was made of."""
    spy = create_autospec(write_page, side_effect=write_page)
    monkeypatch.setattr(robust_select.report.page, "write_page", spy)
    return spy


def test_the_demo_of_digits(invoke, tmp_path, monkeypatch, page):
    def train(params, instance):
        return {"svm": 0.1, "tree": 0.5}.get(params["family"], 0.3) + 0.001 * instance.rng("initial_weights").random()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(robust_select.problems.digits, "train", train)
    spy = create_autospec(robust_select.problems.digits.load)
    monkeypatch.setattr(robust_select.problems.digits, "load", spy)
    done = invoke("demo", "--workers", 1)
    assert done.exit_code == 0, done.stderr
    spy.assert_called_once_with()
    assert "svm" in done.stdout.splitlines()[0]
    assert done.stdout.endswith("Page: out/digits.html\n")
    assert (tmp_path / "digits.db").is_file()
    assert page.call_args.kwargs["base"] == "logistic C=1"
    assert (tmp_path / "out" / "digits.html").is_file()
    again = invoke("demo", "digits", "--workers", 1, "--html", tmp_path / "other.html", "--json", tmp_path / "d.json")
    assert again.exit_code == 0
    assert json.loads((tmp_path / "d.json").read_text())["study"] == "digits"
    assert (tmp_path / "other.html").is_file()


@pytest.mark.parametrize(("demo", "target", "base"), [("energy", "energy", "Model 2"), ("position", "x", "Model 4")])
def test_the_demos_of_the_calorimeter_end_with_their_page(invoke, tmp_path, monkeypatch, page, demo, target, base):
    trainer = make_trainer(target, "B", 50)
    few = (Candidate(base, TINY, is_base=True), Candidate("slow", {**TINY, "lr": 1e-5}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(robust_select.problems.ecal, f"{demo}_b_small", trainer, raising=False)
    monkeypatch.setattr(robust_select.problems.ecal, f"few_for_{demo}", lambda: few, raising=False)
    done = invoke("demo", f"ecal-{demo}", "--workers", 1, "--json", tmp_path / "answer.json")
    assert done.exit_code == 0, done.stderr
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["study"] == f"ecal-{demo}-b"
    assert answer["selected"] in {candidate.name for candidate in few}
    assert answer["criterion"] == "q3+iqr"
    assert page.call_args.kwargs["base"] == base
    assert done.stdout.endswith(f"Page: out/ecal-{demo}.html\n")
    assert base in (tmp_path / "out" / f"ecal-{demo}.html").read_text()
    assert (tmp_path / f"ecal-{demo}.db").is_file()


@pytest.mark.parametrize(
    ("demo", "package", "required", "extra"),
    [
        ("digits", "digits", "load", "sklearn"),
        ("ecal-energy", "ecal", "require_torch", "torch"),
        ("ecal-position", "ecal", "require_torch", "torch"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_trained(
    invoke, tmp_path, monkeypatch, demo, package, required, extra
):
    def missing():
        raise MissingExtraError("something", extra)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.import_module(f"robust_select.problems.{package}"), required, missing)
    done = invoke("demo", demo)
    assert done.exit_code == 1
    assert f'pip install "robust-select[{extra}]"' in done.stderr
    assert not (tmp_path / f"{demo}.db").exists()


@pytest.mark.parametrize("demo", DEMOS.values(), ids=list(DEMOS))
def test_every_demo_has_its_files_and_its_check(demo):
    assert (resources.files(demo.package) / demo.study_file).is_file()
    assert callable(getattr(importlib.import_module(demo.package), demo.required))


def test_by_default_a_demo_uses_every_core(invoke, tmp_path, monkeypatch):
    import robust_select.cli.demo as module

    spy = create_autospec(module.carry_out)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "carry_out", spy)
    assert invoke("demo", "ecal-energy", "--ledger", "mine.db", "--quiet").exit_code == 0
    study, workers, on_existing, command, html, answer, quiet = spy.call_args.args
    assert (study.ledger, workers, on_existing) == ("mine.db", os.cpu_count(), "resume")
    assert command == "robust-select demo ecal-energy --ledger mine.db --quiet"
    assert (html.as_posix(), answer, quiet) == ("out/ecal-energy.html", None, True)
