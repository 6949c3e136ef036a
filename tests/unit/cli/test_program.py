"""The program as a process of its own: exit codes, streams, what it loads, and Ctrl-C."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robust_select.ledger import open_ledger

PROGRAM = str(Path(sys.executable).with_name("robust-select"))
SLOW = """
import time


def train(params, instance):
    time.sleep(0.05)
    return params["width"] + 0.01 * instance.rng("initial_weights").normal()
"""


def program(*arguments, **options):
    return subprocess.run(
        [PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_help_loads_no_heavy_library():
    code = (
        "import sys\n"
        "from robust_select.cli import main\n"
        "sys.argv = ['robust-select', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert "typer" in loaded
    heavy = {"numpy", "scipy", "pandas", "sqlalchemy", "plotly", "matplotlib", "sklearn", "pydantic", "loky"}
    assert loaded & heavy == set()


def test_planning_needs_no_database_and_no_figures():
    code = (
        "import sys\n"
        "from robust_select.cli import main\n"
        "sys.argv = 'robust-select plan --candidates 72 --rule halving --warmup 1 --json -'.split()\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *answer, loaded = done.stdout.splitlines()
    assert json.loads("\n".join(answer))["trainings"] == 141
    assert not any(f"'{name}'" in loaded for name in ("sqlalchemy", "plotly", "matplotlib", "sklearn"))


def test_bad_input_is_one_message_on_standard_error(table):
    done = program("replay", table, "--rule", "significance", "--alpha", "2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "robust-select: expected alpha between 0 and 1, both excluded, came alpha=2.0\n"


def test_json_alone_is_on_standard_output(table):
    done = program("replay", table, "--json", "-")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["selected"] == "good"


def test_a_terminal_without_unicode_is_no_reason_to_fail(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("candidate,replicate,score\nα,0,-1\nα,1,-2\nβ,0,3\nβ,1,inf\n", encoding="utf-8")
    done = program("replay", path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_stops_cleanly_and_the_command_it_names_goes_on(study_file, workers):
    module = next(study_file.parent.glob("trainer_of_*.py"))
    module.write_text(SLOW)
    study_file.write_text(study_file.read_text().replace("warmup = 2", "warmup = 12"))
    process = subprocess.Popen(
        [PROGRAM, "run", study_file.name, "--workers", str(workers)],
        cwd=study_file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    ledger = study_file.with_suffix(".db")
    try:
        deadline = time.monotonic() + 40
        while recorded(ledger) < 5:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the program and its workers
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    n_stopped = recorded(ledger)
    assert f"stopped; {n_stopped} trainings are in ledger widths.db" in err
    assert 5 <= n_stopped < 4 * 12 + 2
    command = shlex.split(err.partition("Go on with: ")[2])
    assert command[:3] == ["robust-select", "run", "widths.toml"]
    done = program(*command[1:], cwd=study_file.parent)
    assert done.returncode == 0, done.stderr
    assert "50 trainings" in done.stdout


def recorded(path):
    """How many outcomes are on disk."""
    if not path.exists() or path.stat().st_size == 0:
        return 0
    try:
        with open_ledger(path, must_exist=True) as ledger:
            return sum(sum(ledger.count(ledger.study(name)).values()) for name in ledger.names())
    except ValueError:  # being made at this moment
        return 0
