import builtins
import json
import shlex
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import polars
import pyarrow
import pytest
from typer.testing import CliRunner

from robust_select.cli.app import app
from robust_select.core.columns import Columns
from robust_select.core.errors import InputError, MissingExtraError, TableError
from robust_select.core.tables import Table, read_table

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "tables"
EXPORTS = {
    "optuna.csv": Columns("value", state="state", params=("params_*",), replicate="user_attrs_replicate"),
    "ray.csv": Columns(
        "error_rate", state="done", params=("config/*",), replicate="config/seed", seconds="time_total_s"
    ),
    "wandb.csv": Columns("val/error", state="State", params=("lr", "width"), replicate="seed", seconds="Runtime"),
}
SCORES = {
    "optuna.csv": ("value", "params_lr", "params_width", "user_attrs_replicate"),
    "ray.csv": ("error_rate", "config/lr", "config/width", "config/seed"),
    "wandb.csv": ("val/error", "lr", "width", "seed"),
}
LONG = {
    "candidate": ["a", "a", "b", "b"],
    "replicate": [0, 1, 0, 1],
    "score": [0.5, 0.25, None, 0.75],
    "seconds": [1.0, 2.0, 3.0, 4.0],
    "width": [16, 16, 32, 32],
}


def by_hand(name, score, lr, width, seed):
    """Read an export with plain pandas: (candidate, replicate) -> score."""
    frame = pd.read_csv(EXAMPLES / name)
    keys = [f"lr={a:g}, width={b:g}" for a, b in zip(frame[lr], frame[width], strict=True)]
    return dict(zip(zip(keys, frame[seed], strict=True), frame[score], strict=True))


@pytest.mark.parametrize(
    ("name", "columns"),
    SCORES.items(),
)
def test_the_export_of_each_tool_is_read_as_plain_pandas_reads_it(name, columns):
    table = read_table(EXAMPLES / name, columns=EXPORTS[name])
    assert table.scores.shape == (4, 6)
    assert sorted(params["width"] for params in table.params) == [8, 8, 32, 32]
    assert all(set(params) == {"lr", "width"} for params in table.params)
    expected = by_hand(name, *columns)
    assert len(expected) == (23 if name == "ray.csv" else 24)
    for row, candidate in enumerate(table.candidates):
        for replicate in range(6):
            score = expected.get((candidate, replicate))
            if score is None:  # a trial that raised is not in Ray Tune's table
                assert np.isnan(table.scores[row, replicate])
            else:
                assert table.scores[row, replicate] == (np.inf if np.isnan(score) else score)


def test_the_three_tools_tell_the_same_story():
    tables = [read_table(EXAMPLES / name, columns=columns) for name, columns in EXPORTS.items()]
    names = sorted(tables[0].candidates)
    first, *others = [table.subset(names).scores for table in tables]
    assert np.isfinite(first).sum() == 23
    for scores in others:
        np.testing.assert_array_equal(scores[np.isfinite(first)], first[np.isfinite(first)])


def test_what_optuna_writes_today_is_read(tmp_path):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    states = optuna.trial.TrialState
    for repeat in range(3):
        for depth in (2, 3):
            trial = study.ask({"depth": optuna.distributions.IntDistribution(depth, depth)})
            if (repeat, depth) == (1, 3):
                trial.report(0.99, 0)
                study.tell(trial, state=states.PRUNED)  # its last report is no score
            else:
                study.tell(trial, depth + repeat / 8)
    study.ask({"depth": optuna.distributions.IntDistribution(2, 2)})  # still running
    study.trials_dataframe().to_csv(tmp_path / "trials.csv")
    table = read_table(tmp_path / "trials.csv", columns=Columns("value", state="state", params=("params_*",)))
    assert table.candidates == ("depth=2", "depth=3")
    assert table.scores.tolist() == [[2, 2.125, 2.25], [3, np.inf, 3.25]]


def test_a_column_of_candidates_and_its_own_numbers():
    frame = pd.DataFrame({"run": ["x", "y", "x"], "loss": [1.0, 2.0, 3.0], "lr": [0.1, 0.2, 0.1], "step": [7, 8, 9]})
    table = Table.from_frame(frame, columns=Columns("loss", candidate="run", params=("lr",)))
    assert table.candidates == ("x", "y")
    np.testing.assert_array_equal(table.scores, [[1, 3], [2, np.nan]])
    assert table.params == ({"lr": 0.1}, {"lr": 0.2})


def test_our_own_names_are_found_where_nothing_else_is_said():
    frame = pd.DataFrame({"model": ["x", "y"], "replicate": [1, 0], "loss": [1.0, 2.0]})
    table = Table.from_frame(frame, columns=Columns("loss"))
    np.testing.assert_array_equal(table.scores, [[np.nan, 1], [2, np.nan]])


def test_parameters_that_a_branch_does_not_have_are_no_part_of_a_candidate():
    frame = pd.DataFrame({"loss": [1.0, 2.0, 3.0], "c/kind": ["tree", "net", "net"], "c/depth": [3, None, None]})
    table = Table.from_frame(frame, columns=Columns("loss", params=("c/*",)))
    assert table.candidates == ("kind=tree, depth=3", "kind=net")
    np.testing.assert_array_equal(table.scores, [[1, np.nan], [2, 3]])


def test_a_parameter_that_is_called_like_a_column_of_ours_keeps_its_prefix():
    frame = pd.DataFrame({"loss": [1.0, 2.0], "p_state": ["on", "off"], "p_lr": [1, 1]})
    table = Table.from_frame(frame, columns=Columns("loss", params=("p_*",)))
    assert table.params == ({"p_state": "on", "lr": 1}, {"p_state": "off", "lr": 1})
    assert np.isfinite(table.scores).all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            Columns("losses", params=("lr",)),
            r"column 'losses' \(--score-column\), found none; its columns: loss, lr, st",
        ),
        (Columns("loss", params=("opt_*",)), r"columns 'opt_\*' .* its columns: loss, lr, st"),
        (Columns("loss"), r"--candidate-column.*--parameter-columns.*its columns: loss, lr, st"),
        (Columns("loss", params=("lr",), state="st"), "state .* in column 'st' .* came 'odd' in data row 2"),
        (Columns("loss", params=("lr",), replicate="lr"), r"replicate from 'lr'\).* in column 'replicate', came 0.1"),
    ],
)
def test_a_message_names_the_columns_found(columns, message):
    frame = pd.DataFrame({"loss": [1.0, 2.0], "lr": [0.1, 0.2], "st": ["done", "odd"]})
    with pytest.raises(TableError, match=message):
        Table.from_frame(frame, columns=columns)


def test_nothing_that_has_ended_is_no_table():
    frame = pd.DataFrame({"loss": [1.0], "lr": [0.1], "st": ["running"]})
    with pytest.raises(TableError, match="at least one training that has ended"):
        Table.from_frame(frame, columns=Columns("loss", params=("lr",), state="st"))


def test_columns_that_contradict_themselves_are_refused():
    with pytest.raises(InputError, match="'loss' for two"):
        Columns("loss", seconds="loss", params=("lr",))
    with pytest.raises(InputError, match="params='lr'"):
        Columns("loss", params="lr")
    with pytest.raises(InputError, match="long or wide"):
        Table.from_frame(pd.DataFrame({"loss": [1.0]}), "loss", columns=Columns("loss", params=("lr",)))


@pytest.mark.parametrize("made", [polars.DataFrame, pyarrow.table])
def test_an_arrow_table_reads_as_the_same_data_frame_of_pandas(made):
    found, expected = Table.from_frame(made(LONG)), Table.from_frame(pd.DataFrame(LONG))
    assert found.candidates == expected.candidates == ("a", "b")
    np.testing.assert_array_equal(found.scores, [[0.5, 0.25], [np.inf, 0.75]])
    np.testing.assert_array_equal(found.seconds, [[1, 2], [3, 4]])
    assert found.params == expected.params == ({"width": 16}, {"width": 32})


def test_a_table_goes_to_polars_and_comes_back():
    table = Table(("a", "b"), np.array([[0.5, np.inf], [0.25, np.nan]]), params=({"lr": 0.1}, {"lr": 0.2}))
    again = Table.from_frame(polars.from_pandas(table.to_frame()))
    np.testing.assert_array_equal(again.scores, table.scores)
    assert again.params == table.params


def test_what_is_no_table_at_all_is_named():
    with pytest.raises(TableError, match="came a list"):
        Table.from_frame([1, 2])


def test_arrow_without_pyarrow_names_the_command(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "pyarrow":
            raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")
        return real(name, *rest, **options)

    frame = polars.DataFrame(LONG)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r'pip install "robust-select\[parquet\]"'):
        Table.from_frame(frame)


def test_replay_takes_the_columns_as_options():
    done = CliRunner().invoke(
        app,
        [
            *("replay", str(EXAMPLES / "optuna.csv"), "--rule", "exhaustive", "--json", "-"),
            *("--score-column", "value", "--state-column", "state", "--parameter-columns", "params_*"),
            *("--replicate-column", "user_attrs_replicate"),
        ],
        prog_name="robust-select",
    )
    assert done.exit_code == 0, done.stderr
    scores = by_hand("optuna.csv", "value", "params_lr", "params_width", "user_attrs_replicate")
    means = {name: np.mean([scores[name, replicate] for replicate in range(6)]) for name, _ in scores}
    assert f'"selected": "{min(means, key=lambda name: np.nan_to_num(means[name], nan=np.inf))}"' in done.stdout


def commands():
    """Find the command lines that the examples' page shows."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line)[2:] for line in text.splitlines() if line.startswith("$ robust-select ")]


def answer_of(line, monkeypatch, *more):
    monkeypatch.chdir(EXAMPLES.parents[1])
    done = CliRunner().invoke(app, [*line, *more, "--json", "-"], prog_name="robust-select")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def losses_by_hand(name):
    """Give candidate -> losses by replicate; a training that failed, or is missing, is infinite."""
    found = by_hand(name, *SCORES[name])
    losses = {key: np.full(6, np.inf) for key, _ in found}
    for (key, replicate), score in found.items():
        losses[key][replicate] = score if np.isfinite(score) else np.inf
    return losses


def test_an_example_of_each_tool_has_its_command():
    assert [(line[0], line[1].rpartition("/")[2]) for line in commands()] == [
        *(("replay", name) for name in EXPORTS),
        ("measure", "wandb.csv"),
        ("efficiency", "optuna.csv"),
    ]


@pytest.mark.parametrize("number", range(3))
def test_the_documented_replay_reads_the_example(number, monkeypatch):
    line = commands()[number]
    answer = answer_of(line, monkeypatch)
    losses = losses_by_hand(line[1].rpartition("/")[2])
    means = {name: values[:2].mean() for name, values in losses.items()}  # of the warm-up
    best = min(means, key=means.get)
    assert (answer["steps"][0]["best"], answer["steps"][0]["trainings"]) == (best, 8)
    assert answer["steps"][0]["best_value"] == pytest.approx(means[best])
    assert set(answer["steps"][0]["kept"] + answer["steps"][0]["removed"]) == set(losses)


def test_the_documented_measure_reads_the_example(monkeypatch):
    answer = answer_of(commands()[3], monkeypatch, "--resamples", "20")
    found = {row["candidate"]: row["value"] for row in answer["criteria"] if row["criterion"] == "min"}
    assert found == {name: pytest.approx(values.min()) for name, values in losses_by_hand("wandb.csv").items()}


def test_the_documented_efficiency_reads_the_example(monkeypatch):
    answer = answer_of(commands()[4], monkeypatch, "--repeats", "3", "--workers", "1")
    means = {name: values.mean() for name, values in losses_by_hand("optuna.csv").items()}
    assert answer["truth"] == min(means, key=means.get)
    assert (answer["candidates"], answer["replicates"]) == (4, 6)


def test_columns_are_for_tables_not_for_study_files(tmp_path):
    (tmp_path / "study.toml").write_text("trainer = 'm:train'")
    done = CliRunner().invoke(app, ["measure", str(tmp_path / "study.toml"), "--score-column", "loss"])
    assert done.exit_code == 2
    assert "expected no --score-column with a study file" in " ".join(done.stderr.split())


def test_replay_of_a_wrong_column_names_those_found():
    done = CliRunner().invoke(
        app, ["replay", str(EXAMPLES / "wandb.csv"), "--score-column", "loss"], prog_name="robust-select"
    )
    assert done.exit_code == 2
    assert "its columns: Name, State" in done.stderr
