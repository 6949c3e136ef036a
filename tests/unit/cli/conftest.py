import json
import sys
import textwrap

import pytest
from typer.testing import CliRunner

from robust_select.cli.app import app

TABLE = """\
candidate,replicate,score,seconds
good,0,0.10,1
good,1,0.12,1
good,2,0.11,1
good,3,0.13,1
close,0,0.11,2
close,1,0.13,2
close,2,0.12,2
close,3,0.13,2
bad,0,0.90,3
bad,1,0.95,3
bad,2,0.91,3
bad,3,0.97,3
"""

TRAINER = """\
import pathlib

FOLDER = pathlib.Path(__file__).parent


def train(params, instance):
    with open(FOLDER / "trained.txt", "a") as log:
        log.write(f"{instance.candidate} {instance.replicate}\\n")
    return params["width"] + 0.01 * instance.rng("initial_weights").normal()
"""


@pytest.fixture
def invoke():
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*arguments):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="robust-select")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


@pytest.fixture
def answer(invoke):
    """Run a command with ``--json -`` and read what it says."""

    def run(*arguments):
        done = invoke(*arguments, "--json", "-")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def study_file(tmp_path, monkeypatch):
    """A study of four candidates, of which the narrower are the better, whose trainer writes down what it trains."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = f"trainer_of_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{module}.py").write_text(TRAINER)
    path = tmp_path / "widths.toml"
    path.write_text(
        textwrap.dedent(f"""\
        trainer = "{module}:train"
        criterion = "mean"
        seed = 7

        [rule]
        name = "halving"
        warmup = 2

        [[candidates]]
        name = "one"
        width = 1

        [[candidates]]
        name = "two"
        base = true
        width = 2

        [[candidates]]
        name = "three"
        width = 3

        [[candidates]]
        name = "four"
        width = 4
        """)
    )
    return path


@pytest.fixture
def trained(study_file):
    """What the study's trainer has trained, in order."""

    def read():
        path = study_file.parent / "trained.txt"
        return path.read_text().splitlines() if path.exists() else []

    return read
