import numpy as np
import pytest

from robust_select.analysis.stability import size_agreement, stability
from robust_select.core.candidates import grid
from robust_select.core.instances import Outcome
from robust_select.core.tables import Table
from robust_select.core.writing import write_frame
from robust_select.select.rules import Exhaustive
from robust_select.study import Study


@pytest.fixture
def curves():
    rng = np.random.default_rng(5)
    final = np.linspace(0.1, 0.4, 6)[:, None, None]
    return final + rng.normal(size=(6, 4, 5)) * np.linspace(0.5, 0.0, 5)


@pytest.fixture
def path(curves, tmp_path):
    table = Table(tuple("abcdef"), curves[..., -1], curves=curves)
    write_frame(table.to_frame(), tmp_path / "curves.csv")
    return tmp_path / "curves.csv"


@pytest.fixture
def ledger(curves, tmp_path):
    """Two studies: the second has other scores."""

    def train(params, instance, shift=0.0):
        curve = -curves[params["row"], instance.replicate] + shift * params["row"]
        return Outcome(curve[-1], tuple(curve))

    location = tmp_path / "curves.db"
    for name, shift in (("first", 0.0), ("second", 1.0)):
        Study(
            grid(row=list(range(6))),
            lambda params, instance, shift=shift: train(params, instance, shift),
            direction="maximize",
            criterion="max",
            rule=Exhaustive(4),
            ledger=location,
            name=name,
        ).run()
    return location


def test_a_table_with_curves(answer, path, curves):
    found = answer("stability", path, "--top", 0.4, "--criterion", "max")
    expected = stability(Table(tuple("abcdef"), curves[..., -1], curves=curves), top=0.4, by="max")
    assert (found["candidates"], found["replicates"], found["n_epochs"], found["n_top"]) == (6, 4, 5, 2)
    assert (found["criterion"], found["direction"], found["best"]) == ("max", "minimize", expected.best)
    assert (found["verdict"], found["guessing_before"]) == (expected.verdict, expected.guessing_before)
    assert [row["tau"] for row in found["epochs"]] == pytest.approx(expected.tau.mean(axis=0).tolist())
    assert [row["lost"] for row in found["epochs"]] == pytest.approx(expected.lost.tolist())


def test_a_ledger_knows_its_direction_and_criterion(answer, ledger, curves):
    found = answer("stability", ledger, "--study", "first")
    assert (found["direction"], found["criterion"], found["best"]) == ("maximize", "max", "row=0")
    expected = stability(Table(tuple("abcdef"), curves[..., -1], curves=curves), by="max")
    assert [row["tau"] for row in found["epochs"]] == pytest.approx(expected.tau.mean(axis=0).tolist())


def test_sizes_against_each_other(answer, ledger, curves, invoke):
    options = ("stability", ledger, "--study", "first", "--against", ledger, "--against-study", "second")
    found = answer(*options)
    small, large = -curves[..., -1], -curves[..., -1] + np.arange(6)[:, None]
    expected = size_agreement(Table(tuple("abcdef"), small), Table(tuple("abcdef"), large), "maximize", by="max")
    assert found["tau"] == pytest.approx(expected.tau.tolist())
    assert (found["chosen"], found["best"], found["rank"]) == ("row=0", "row=5", 6)
    assert found["regret"] == pytest.approx(expected.regret)
    assert found["verdict"] in invoke(*options).stdout


def test_what_readers_see(invoke, path, tmp_path):
    done = invoke("stability", path, "--figures", tmp_path / "figures", "--format", "svg")
    assert done.exit_code == 0
    assert "6 candidates, 4 replicates of all" in done.stdout
    assert "by successive halving over epochs" in done.stdout
    names = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert names == ["01-epoch-scores.svg", "02-tau-by-epoch.svg", "03-overlap-by-epoch.svg"]
    assert invoke("stability", path, "--quiet").stdout == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("TABLE", "--study", "x"), "with a ledger only"),
        (("LEDGER", "--study", "first", "--maximize"), "no --maximize with a ledger"),
        (("LEDGER",), "holds 2 studies"),
        (("TABLE", "--against-study", "x"), "--against only"),
        (("TABLE", "--against", "TABLE", "--figures", "x"), "--figures without --against"),
        (("TABLE", "--against", "LEDGER", "--against-study", "first"), "to maximize"),
        (("TABLE", "--criterion", "mode"), "expected a criterion"),
        (("TABLE", "--top", "2"), "top=2"),
        (("nowhere.db",), "found no file"),
    ],
)
def test_bad_input_is_one_message(invoke, path, ledger, options, message):
    places = {"TABLE": path, "LEDGER": ledger}
    done = invoke("stability", *(places.get(option, option) for option in options))
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_table_without_curves(invoke, table):
    done = invoke("stability", table)
    assert done.exit_code == 2
    assert "columns epoch_1, epoch_2" in done.stderr
