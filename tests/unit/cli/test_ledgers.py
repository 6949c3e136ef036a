import numpy as np
import pandas as pd
import pytest

from robust_select.core.candidates import grid
from robust_select.core.instances import Outcome
from robust_select.core.tables import read_table
from robust_select.ledger import open_ledger

SETTINGS = {"rule": {"name": "halving", "warmup": 2}, "criterion": "mean", "direction": "minimize", "seed": 7}


@pytest.fixture
def ledger(tmp_path):
    """A finished study, one that is not finished, and one of a rule that nobody knows."""
    path = tmp_path / "ledger.db"
    widths = grid(width=[1, 2])
    with open_ledger(path) as opened:
        done = opened.create_study("done", SETTINGS, widths)
        opened.record(done, [(row, n, Outcome(row + n / 10, seconds=2.0)) for row in range(2) for n in range(2)])
        opened.finish(done, "one candidate is left")
        half = opened.create_study("half", SETTINGS, widths)
        opened.record(half, [(0, 0, Outcome(float("nan"))), (1, 0, Outcome.failed("no data"))])
        opened.record(half, [(1, 1, Outcome(0.5))])
        foreign = opened.create_study("foreign", {**SETTINGS, "rule": {"name": "my-rule"}}, widths)
        opened.record(foreign, [(0, 0, Outcome(0.5))])
    return path


def test_status(answer, ledger):
    done, half, foreign = answer("status", ledger)["studies"]
    assert (done["study"], done["is_finished"], done["stop_reason"]) == ("done", True, "one candidate is left")
    assert (done["leader"], done["alive"], done["candidates"], done["trainings"]) == ("width=1", 1, 2, 4)
    assert done["seconds"] == 8.0
    assert (half["is_finished"], half["stop_reason"], half["alive"]) == (False, "not finished", 2)
    assert (half["complete"], half["diverged"], half["failed"], half["trainings"]) == (1, 1, 1, 3)
    assert half["seconds"] is None
    assert (foreign["leader"], foreign["trainings"]) == (None, 1)
    assert "my-rule" in foreign["problem"]


def test_status_of_one_study_in_words(invoke, ledger):
    shown = invoke("status", ledger, "--study", "half").stdout
    assert "half" in shown
    assert "not finished" in shown
    assert "done" not in shown
    assert "Note: " in invoke("status", ledger).stdout


def test_status_of_an_empty_ledger(invoke, answer, tmp_path):
    with open_ledger(tmp_path / "empty.db"):
        pass
    assert "no study" in invoke("status", tmp_path / "empty.db").stdout
    assert answer("status", tmp_path / "empty.db") == {"studies": []}


@pytest.mark.parametrize(("name", "read"), [("out.csv", pd.read_csv), ("out.parquet", pd.read_parquet)])
def test_export(invoke, ledger, tmp_path, name, read):
    done = invoke("export", ledger, tmp_path / name, "--study", "done")
    assert done.exit_code == 0
    assert "4 instances" in done.stdout
    frame = read(tmp_path / name)
    assert frame["score"].tolist() == [0.0, 0.1, 1.0, 1.1]
    assert frame["width"].tolist() == [1, 1, 2, 2]


def test_what_is_exported_can_be_replayed(invoke, answer, ledger, tmp_path):
    invoke("export", ledger, tmp_path / "out.csv", "--study", "done")
    assert answer("replay", tmp_path / "out.csv", "--rule", "halving", "--warmup", 2)["selected"] == "width=1"


def test_curves_are_exported_and_read_again(invoke, ledger, tmp_path):
    with open_ledger(ledger) as opened:
        record = opened.create_study("curved", SETTINGS, grid(width=[1, 2]))
        opened.record(record, [(0, 0, Outcome(0.1, curve=(0.9, 0.5, 0.1))), (1, 0, Outcome(0.2, curve=(0.8, 0.2)))])
        opened.record(record, [(1, 1, Outcome(float("nan"), curve=(0.7, float("inf"))))])
    done = invoke("export", ledger, tmp_path / "out.csv", "--study", "curved", "--curves")
    assert done.exit_code == 0
    frame = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert frame["epoch_1"].tolist() == [0.9, 0.8, 0.7]
    assert frame["epoch_3"].tolist() == ["0.1", "", ""]
    assert frame["state"].tolist() == ["complete", "complete", "diverged"]
    read = read_table(tmp_path / "out.csv")
    np.testing.assert_array_equal(read.curves[:, 0], [[0.9, 0.5, 0.1], [0.8, 0.2, np.nan]])
    assert [list(params) for params in read.params] == [["width"], ["width"]]
    invoke("export", ledger, tmp_path / "out.csv", "--study", "curved")
    assert "epoch_1" not in pd.read_csv(tmp_path / "out.csv").columns


def test_curves_that_are_not_there_are_missed(invoke, ledger, tmp_path):
    done = invoke("export", ledger, tmp_path / "out.csv", "--study", "done", "--curves")
    assert done.exit_code == 2
    assert "came study 'done' without any" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_several_studies_must_be_told_apart(invoke, ledger, tmp_path):
    done = invoke("export", ledger, tmp_path / "out.csv")
    assert done.exit_code == 2
    assert "'done', 'half', 'foreign'" in done.stderr


def test_report(invoke, answer, ledger, tmp_path):
    done = invoke(
        *["report", ledger, "--study", "done", "--html", tmp_path / "page.html"],
        *["--figures", tmp_path / "figures", "--format", "png"],
    )
    assert done.exit_code == 0
    assert "was selected from 2 candidates" in (tmp_path / "page.html").read_text("utf-8")
    numbers = sorted(path.name[:2] for path in (tmp_path / "figures").glob("*.png"))
    assert numbers == ["04", "10", "11", "12", "12", "14", "15", "16"]
    assert done.stdout.count("Written: ") == 1 + len(numbers)
    assert answer("report", ledger, "--study", "done")["selected"] == "width=1"


def test_report_of_a_study_that_is_not_finished(invoke, answer, ledger, tmp_path):
    assert invoke("report", ledger, "--study", "half", "--html", tmp_path / "page.html").exit_code == 0
    assert "is the best so far" not in (tmp_path / "page.html").read_text("utf-8")  # nobody left is usable yet
    assert answer("report", ledger, "--study", "half")["stop_reason"] == "not finished"


def test_report_of_a_study_of_an_unknown_rule(invoke, ledger, tmp_path):
    done = invoke("report", ledger, "--study", "foreign", "--html", tmp_path / "page.html")
    assert done.exit_code == 2
    assert "my-rule" in done.stderr
    assert "export" in done.stderr
