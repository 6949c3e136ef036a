import json
import socket

import numpy as np
import pytest

from robust_select.core.candidates import grid
from robust_select.core.instances import Outcome
from robust_select.ledger import open_ledger

SETTINGS = {"rule": {"name": "halving", "warmup": 2}, "criterion": "mean", "direction": "minimize", "seed": 7}


@pytest.fixture
def ledger(tmp_path):
    """A finished study whose instances have curves."""
    path = tmp_path / "study.db"
    with open_ledger(path) as opened:
        record = opened.create_study("widths", SETTINGS, grid(width=[1, 2, 3, 4]))
        rng = np.random.default_rng(0)
        outcomes = []
        for row in range(4):
            for replicate in range(3 if row < 2 else 2):
                score = float(row + rng.normal() / 10)
                outcomes.append((row, replicate, Outcome(score, seconds=2.0, curve=(9.0 - row, score + 1, score))))
        opened.record(record, outcomes)
        opened.finish(record, "one candidate is left")
    return path


def test_cards_in_every_form(invoke, ledger, tmp_path):
    for ending in ("md", "tex", "json"):
        done = invoke("report", ledger, "--card", tmp_path / f"card.{ending}")
        assert done.exit_code == 0
        assert done.stdout == f"Written: {tmp_path / f'card.{ending}'}\n"
    found = json.loads((tmp_path / "card.json").read_text())
    assert (found["candidate"], found["selection"]["trainings"]) == ("width=1", 10)
    assert found["conditions"]["Seed"] == "7"
    assert "width=1" in (tmp_path / "card.md").read_text()
    assert r"\begin{tabular}" in (tmp_path / "card.tex").read_text()


@pytest.mark.parametrize("name", ["card.pdf", "card"])
def test_another_ending_is_refused_before_the_ledger_is_read(invoke, tmp_path, name):
    done = invoke("report", tmp_path / "nothing.db", "--card", tmp_path / name)
    assert done.exit_code == 2
    assert ".md, .tex, .json" in done.stderr


def test_something_must_be_asked_for(invoke, ledger):
    done = invoke("report", ledger)
    assert done.exit_code == 2
    assert "--card" in done.stderr
    assert "--watch" in done.stderr


def test_the_page_of_a_study_with_curves_says_how_stable_its_ranking_is(invoke, ledger, tmp_path):
    assert invoke("report", ledger, "--html", tmp_path / "page.html").exit_code == 0
    html = (tmp_path / "page.html").read_text("utf-8")
    assert 'id="stability-chart"' in html
    data = json.loads(html.split('id="page-data">')[1].split("</script>")[0])
    assert data["stability"]["tauMean"] == [-1.0, 1.0, 1.0]
    assert data["stability"]["nReplicates"] == 2


def test_a_port_that_is_taken_is_refused(invoke, ledger):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = invoke("report", ledger, "--watch", "--port", taken.getsockname()[1])
    assert done.exit_code == 2
    assert "--port 0" in done.stderr


def test_a_replayed_table_has_a_playground(invoke, table, tmp_path):
    page = tmp_path / "page.html"
    options = ["--rule", "halving", "--warmup", 2, "--quiet", "--html", page]
    assert invoke("replay", table, *options, "--samples", 2).exit_code == 0
    data = json.loads(page.read_text("utf-8").split('id="page-data">')[1].split("</script>")[0])
    play = data["playground"]
    assert play["nSamples"] == 2
    assert play["asked"][0] == "mean"
    assert play["settings"][play["asked"][1]] == ["halving", "", 2, None]
    assert invoke("replay", table, *options, "--samples", 0).exit_code == 0
    assert 'id="playground"' not in page.read_text("utf-8")


def test_a_table_too_thin_for_a_playground_has_a_page_without(invoke, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("candidate,replicate,score\na,0,1\nb,0,2\n")
    options = ["--rule", "exhaustive", "--quiet", "--html", tmp_path / "page.html"]
    assert invoke("replay", path, *options).exit_code == 0
    assert 'id="playground"' not in (tmp_path / "page.html").read_text("utf-8")
    done = invoke("replay", path, *options, "--samples", 3)
    assert done.exit_code == 2
    assert "two replicates" in done.stderr
