"""Copies of ledgers: while a study runs, of other databases, complete or not at all."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from robust_select.core.candidates import Candidate
from robust_select.core.errors import InputError, LedgerError
from robust_select.core.instances import Outcome
from robust_select.ledger import backup, open_ledger
from robust_select.ledger.backup import back_up

CANDIDATES = (Candidate("a", {"x": 1}), Candidate("b ☃", {"x": None}))
OUTCOMES = [
    (0, 0, Outcome(1.0, (2.0, 1.0), 0.5)),
    (1, 0, Outcome.failed("no ☃", 1.0, "Traceback")),
    (0, 1, Outcome(2.0)),
]


def fill(ledger):
    study = ledger.create_study("first", {"seed": 1}, CANDIDATES, {"python": "3"})
    ledger.record(study, OUTCOMES)
    ledger.save_step(study, 0, {"best": "a"})
    ledger.finish(study, "done", {"selected": "a"})
    return study


def content(location):
    with open_ledger(location, must_exist=True) as ledger:
        study = ledger.study()
        return study, list(map(str, ledger.outcomes(study))), ledger.steps(study)


@pytest.mark.parametrize("kind", ["file", "memory", "postgresql"])
def test_a_copy_holds_all_of_it(tmp_path, request, kind):
    location = {
        "file": lambda: tmp_path / "study.db",
        "memory": lambda: "sqlite://",
        "postgresql": lambda: request.getfixturevalue("postgres").new_database(),
    }[kind]()
    copies = tmp_path / "copies"
    copies.mkdir()
    with open_ledger(location) as ledger:
        study = fill(ledger)
        assert back_up(ledger, copies / "copy.db") == 3
        expected = study.name, list(map(str, ledger.outcomes(study))), ledger.steps(study)
        found = content(copies / "copy.db")
        assert found[0] == ledger.study()
        assert (found[0].name, *found[1:]) == expected
    assert os.listdir(copies) == ["copy.db"]


def test_a_copy_is_of_one_moment_while_others_write(tmp_path):
    """Each batch of the writer is of ten outcomes: a copy never holds a part of one."""
    stop = threading.Event()
    with open_ledger(tmp_path / "study.db") as ledger, open_ledger(tmp_path / "study.db") as other:
        study = ledger.create_study("first", {}, CANDIDATES)

        def write():
            replicate = 0
            while not stop.is_set():
                ledger.record(study, [(0, replicate + n, Outcome(0.5)) for n in range(10)])
                replicate += 10

        writer = threading.Thread(target=write)
        writer.start()
        try:
            counts = [back_up(other, tmp_path / f"copy{n}.db") for n in range(5)]
        finally:
            stop.set()
            writer.join()
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]
    assert [count % 10 for count in counts] == [0] * 5


def test_a_copy_does_not_need_the_log_beside_the_ledger(tmp_path):
    with open_ledger(tmp_path / "study.db") as ledger:
        fill(ledger)
        assert (tmp_path / "study.db-wal").stat().st_size > 0
        back_up(ledger, tmp_path / "copy.db")
        assert not (tmp_path / "copy.db-wal").exists()
        assert content(tmp_path / "copy.db")[0].name == "first"


def test_what_is_there_is_replaced_only_where_asked(tmp_path):
    (tmp_path / "copy.db").write_text("a letter")
    with open_ledger(tmp_path / "study.db") as ledger:
        fill(ledger)
        with pytest.raises(InputError, match=r"expected a new file for the copy, but there is one.*--replace"):
            back_up(ledger, tmp_path / "copy.db")
        assert (tmp_path / "copy.db").read_text() == "a letter"
        back_up(ledger, tmp_path / "copy.db", may_replace=True)
        with pytest.raises(InputError, match="expected another file for the copy than the ledger itself"):
            back_up(ledger, tmp_path / "study.db", may_replace=True)
        with pytest.raises(InputError, match="came the folder"):
            back_up(ledger, tmp_path, may_replace=True)
        with pytest.raises(InputError, match="expected a folder to write the copy to"):
            back_up(ledger, tmp_path / "nowhere" / "copy.db")
    assert content(tmp_path / "copy.db")[0].name == "first"


def test_a_process_that_dies_leaves_no_half_copy(tmp_path):
    with open_ledger(tmp_path / "study.db") as ledger:
        fill(ledger)
    (tmp_path / "copy.db").write_text("the old one")
    program = (
        "import os, sys; from pathlib import Path\n"
        "from robust_select.ledger import backup, open_ledger\n"
        "check = backup._check\n"
        "backup._check = lambda *arguments: (check(*arguments), os._exit(9))\n"
        "with open_ledger(sys.argv[1]) as ledger: backup.back_up(ledger, Path(sys.argv[2]), True)"
    )
    paths = [str(tmp_path / name) for name in ("study.db", "copy.db")]
    assert subprocess.run([sys.executable, "-c", program, *paths]).returncode == 9
    assert (tmp_path / "copy.db").read_text() == "the old one"


def test_a_damaged_ledger_gives_no_copy(tmp_path):
    path = tmp_path / "study.db"
    with open_ledger(path) as ledger:
        study = fill(ledger)
        ledger.record(study, [(1, n, Outcome(0.5)) for n in range(1, 500)])
    with closing(sqlite3.connect(path)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'outcomes'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("rb+") as file:  # the root of the table of outcomes
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with open_ledger(path) as ledger, pytest.raises(LedgerError, match=r"damaged .*so no copy was made.*--check"):
        back_up(ledger, tmp_path / "copy.db")
    assert os.listdir(tmp_path) == ["study.db"]


def test_a_disk_that_takes_no_copy_is_told(tmp_path, monkeypatch):
    def fails(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_copy_file", fails)
    with (
        open_ledger(tmp_path / "study.db") as ledger,
        pytest.raises(LedgerError, match=r"the copy cannot be written to .*No space left on device"),
    ):
        back_up(ledger, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
