"""``status --check`` and ``backup``; what damaged ledgers give in every command; what a clean exit leaves behind."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from robust_select.core.candidates import grid
from robust_select.core.instances import Outcome
from robust_select.ledger import open_ledger

SETTINGS = {"rule": {"name": "halving", "warmup": 2}, "criterion": "mean", "direction": "minimize", "seed": 7}
STUDY = 'trainer = "trainers:train"\nname = "kept"\ncriterion = "mean"\n[rule]\nname = "exhaustive"\nn = 3\n'
GRID = "[candidates.grid]\nwidth = [1, 2, 3]\n"
TRAINERS = "def train(params, instance):\n    return params['width'] + instance.replicate / 100\n"


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.db"
    with open_ledger(path) as opened:
        for name in ("one", "two"):
            study = opened.create_study(name, SETTINGS, grid(width=[1, 2]))
            opened.record(study, [(row, n, Outcome(row + n / 10, seconds=2.0)) for row in range(2) for n in range(2)])
    return path


def change(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_sound_ledger(invoke, answer, ledger):
    done = invoke("status", ledger, "--check")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "Study 'one': sound (4 trainings of 2 candidates, not finished)",
        "Study 'two': sound (4 trainings of 2 candidates, not finished)",
    ]
    found = answer("status", ledger, "--check", "--study", "two")
    assert (found["is_sound"], found["problems"]) == (True, [])
    assert [row["study"] for row in found["studies"]] == ["two"]


def test_an_unsound_ledger(invoke, ledger, tmp_path):
    change(ledger, "UPDATE outcomes SET seconds = -1.0 WHERE study_id = 2 AND position = 0")
    done = invoke("status", ledger, "--check", "--json", tmp_path / "answer.json")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "Study 'one': sound (4 trainings of 2 candidates, not finished)",
        "Study 'two': 1 thing is wrong (4 trainings of 2 candidates, not finished)",
    ]
    text = " ".join(" ".join(lines[2:]).split())
    assert (
        "Wrong: expected every outcome with seconds that are not negative, came 2 otherwise: candidate 'width=1'"
        in text
    )
    assert "What to do: go on from a backup" in text
    found = json.loads((tmp_path / "answer.json").read_text())
    assert [row["is_sound"] for row in found["studies"]] == [True, False]
    assert found["is_sound"] is False


def test_an_empty_ledger_is_sound(invoke, tmp_path):
    with open_ledger(tmp_path / "empty.db"):
        pass
    done = invoke("status", tmp_path / "empty.db", "--check")
    assert (done.exit_code, done.stdout) == (0, "The ledger is sound; it holds no study.\n")


def test_a_study_that_is_not_there_is_no_sound_one(invoke, ledger):
    done = invoke("status", ledger, "--check", "--study", "none")
    assert done.exit_code == 1
    assert "came 'none'" in " ".join(done.stdout.split())


def test_a_backup(invoke, answer, ledger, tmp_path):
    done = invoke("backup", ledger, tmp_path / "copy.db")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"8 trainings copied to {tmp_path / 'copy.db'}.")
    assert answer("status", tmp_path / "copy.db") == answer("status", ledger)
    again = invoke("backup", ledger, tmp_path / "copy.db")
    assert again.exit_code == 2
    assert "--replace" in again.stderr
    assert invoke("backup", ledger, tmp_path / "copy.db", "--replace").exit_code == 0


def truncated(path):
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size * 2 // 3)


def overwritten(path):
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.seek(4096)
        file.write(b"candidate,replicate,score\n" * ((size - 4096) // 26))


def zeroed(path):
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES = {
    "truncated": truncated,
    "cut to a page": lambda path: os.truncate(path, 4096),
    "cut in the header": lambda path: os.truncate(path, 60),
    "overwritten": overwritten,
    "zeroed": zeroed,
    "a table": lambda path: path.write_text("candidate,replicate,score\na,0,1.0\n" * 300),
    "without outcomes": lambda path: change(path, "DROP TABLE outcomes"),
    "a column less": lambda path: change(path, "ALTER TABLE outcomes DROP COLUMN seconds"),
    "states": lambda path: change(path, "UPDATE outcomes SET state = x'00ff'"),
    "settings": lambda path: change(path, "UPDATE studies SET settings = '{{'"),
    "params": lambda path: change(path, "UPDATE candidates SET params = 'null'"),
    "times": lambda path: change(path, "UPDATE studies SET created_at = 'x'"),
}


IN_ROWS = {"a column less", "states", "settings", "params", "times"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_gives_one_message_in_every_command(invoke, ledger, tmp_path, monkeypatch, damage):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY.replace("kept", "one") + GRID)
    (tmp_path / "trainers.py").write_text(TRAINERS)
    DAMAGES[damage](ledger)
    content = ledger.read_bytes()
    for arguments in (
        ["status", ledger, "--study", "one"],
        ["export", ledger, tmp_path / "out.csv", "--study", "one"],
        ["report", ledger, "--json", tmp_path / "out.json", "--study", "one"],
        ["run", tmp_path / "study.toml", "--ledger", ledger],
        ["backup", ledger, tmp_path / "copy.db"],
        ["status", ledger, "--check"],
    ):
        done = invoke(*arguments)
        said = done.stdout + done.stderr
        is_noted = arguments[0] == "status" and "Note: " in said  # it says what it can, and what it cannot
        is_copied = arguments[0] == "backup" and damage in IN_ROWS  # a sound copy of rows that make no sense
        assert (done.exit_code == 0) is (is_noted or is_copied)
        if is_copied:
            continue
        assert "Traceback" not in said
        assert "nobody foresaw" not in said
        assert any(word in said for word in ("expected", "damaged")), said
    assert not (tmp_path / "out.csv").exists()
    assert ledger.read_bytes() == content


def test_a_clean_exit_leaves_one_file_that_is_all_of_it(tmp_path):
    (tmp_path / "kept.toml").write_text(STUDY + GRID)
    (tmp_path / "trainers.py").write_text(TRAINERS)
    folder, copied = tmp_path / "ledgers", tmp_path / "copied"
    folder.mkdir()
    copied.mkdir()
    command = [sys.executable, "-c", "from robust_select.cli import main; main()"]
    run = [*command, "run", str(tmp_path / "kept.toml"), "--ledger", str(folder / "kept.db"), "--quiet"]
    for _ in range(2):
        subprocess.run(run, check=True, capture_output=True)
        assert os.listdir(folder) == ["kept.db"]
    subprocess.run([*command, "status", str(folder / "kept.db")], check=True, capture_output=True)
    assert os.listdir(folder) == ["kept.db"]
    shutil.copy(folder / "kept.db", copied)
    with open_ledger(copied / "kept.db", must_exist=True) as opened:
        assert opened.count(opened.study())["complete"] == 9
        assert opened.study().stop_reason


def test_an_interrupted_run_leaves_one_file_too(tmp_path):
    (tmp_path / "kept.toml").write_text(STUDY + GRID)
    (tmp_path / "trainers.py").write_text(
        "import os, signal\n\ndef train(params, instance):\n    if instance.replicate == 2:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n    return 1.0 * params['width']\n"
    )
    (tmp_path / "ledgers").mkdir()
    command = [sys.executable, "-c", "from robust_select.cli import main; main()", "run", str(tmp_path / "kept.toml")]
    done = subprocess.run([*command, "--ledger", str(tmp_path / "ledgers" / "kept.db")], capture_output=True)
    assert done.returncode == 130
    assert os.listdir(tmp_path / "ledgers") == ["kept.db"]
    with open_ledger(tmp_path / "ledgers" / "kept.db", must_exist=True) as opened:
        assert opened.count(opened.study())["complete"] == 6


def test_what_another_version_selected_is_noted(invoke, answer, ledger):
    with open_ledger(ledger) as opened:
        study = opened.study("one")
        opened.finish(study, "one candidate is left", {"selected": "width=2", "robust_select": "0.0.9"})
    shown = " ".join(invoke("status", ledger, "--study", "one").stdout.split())
    assert "Note: robust-select 0.0.9 selected 'width=2' when the study ended" in shown
    [found] = answer("status", ledger, "--study", "one")["studies"]
    assert found["problem"].startswith("robust-select 0.0.9 selected 'width=2'")
    assert found["leader"] == "width=1"
