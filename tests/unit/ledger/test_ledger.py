import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from robust_select.core.candidates import Candidate
from robust_select.core.errors import InputError, LedgerError
from robust_select.core.instances import Outcome
from robust_select.ledger import ledger as ledger_module
from robust_select.ledger import open_ledger, schema
from robust_select.ledger.opening import ledger_url

CANDIDATES = (Candidate("a"), Candidate("b"))


def make_ledger(path):
    with open_ledger(path) as ledger:
        study = ledger.create_study("first", {"seed": 1}, CANDIDATES)
        ledger.record(study, [(0, 0, Outcome(1.0)), (1, 0, Outcome(2.0))])


def pragma(path, name):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_path_becomes_a_url():
    assert ledger_url(Path("folder/study.db")) == "sqlite:///folder/study.db"
    assert ledger_url("postgresql://host/name") == "postgresql://host/name"


@pytest.mark.parametrize("name", ["a b.db", "a?b=c.db", "50%25#x@y:z.db", "☃.sqlite", "no-suffix"])
def test_a_path_is_taken_as_it_is(tmp_path, name):
    make_ledger(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    with open_ledger(tmp_path / name, must_exist=True) as ledger:
        assert ledger.names() == ["first"]


def test_an_error_is_bad_input_and_carries_the_url(tmp_path):
    with pytest.raises(InputError) as info:
        open_ledger(tmp_path)
    assert isinstance(info.value, LedgerError)
    assert info.value.url == f"sqlite:///{tmp_path}"


def test_a_folder_is_no_ledger(tmp_path):
    with pytest.raises(LedgerError, match="expected a ledger, came a folder: name a file in it"):
        open_ledger(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(LedgerError, match=r"expected a folder for it, found none at .*nowhere"):
        open_ledger(tmp_path / "nowhere" / "study.db")


def test_a_missing_file_is_made_only_where_asked(tmp_path):
    with pytest.raises(LedgerError, match="expected a ledger, found no file"):
        open_ledger(tmp_path / "study.db", must_exist=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "content", [b"candidate,replicate,score\na,0,1.0\n" * 50, os.urandom(4096), b"PK\x03\x04" * 999]
)
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="expected a ledger, came a file that is not a database"):
        open_ledger(path)
    assert path.read_bytes() == content


def test_another_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photons (energy)")
        connection.commit()
    content = path.read_bytes()
    with pytest.raises(LedgerError, match="expected a ledger of robust-select, came a database with other tables"):
        open_ledger(path)
    assert path.read_bytes() == content


def test_an_empty_file_is_an_empty_database(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(LedgerError, match="came an empty database"):
        open_ledger(path, must_exist=True)
    make_ledger(path)


@pytest.mark.parametrize(
    ("version", "advice"),
    [("3", "a newer robust-select made it"), ("0", "never was"), ("banana", "never was"), ("9" * 5000, "never was")],
)
def test_another_schema_version_is_refused_with_advice(tmp_path, version, advice):
    path = tmp_path / "study.db"
    make_ledger(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE robust_select_meta SET value = ?", [version])
        connection.commit()
    expected = (
        f"expected schema version {schema.SCHEMA_VERSION} or an earlier one, came version '?{version}.*{advice}"
    )
    with pytest.raises(LedgerError, match=expected):
        open_ledger(path)


@pytest.mark.parametrize("url", ["nonsense://x", "http://example.org/x.db", "sqlite+nonsense:///x.db"])
def test_a_url_of_no_database_is_refused(url):
    with pytest.raises(LedgerError, match="expected a path or a database URL"):
        open_ledger(url)


def test_it_is_written_ahead(tmp_path):
    path = tmp_path / "study.db"
    make_ledger(path)
    assert pragma(path, "journal_mode") == "wal"
    with open_ledger(path) as ledger, ledger._transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_flushing_has_the_disk_confirm_the_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(os.fstat(number).st_ino))
    make_ledger("study.db")
    with open_ledger("study.db") as ledger:
        monkeypatch.chdir("/")
        ledger.record(ledger.study(), [(0, 1, Outcome(1.0))])
        inode = os.stat(tmp_path / "study.db-wal").st_ino
        flushed.clear()
        ledger.flush()
        assert flushed == [inode]


def test_a_disk_that_does_not_confirm_is_told(tmp_path, monkeypatch):
    def fails(number):
        raise OSError("input/output error")

    make_ledger(tmp_path / "study.db")
    with open_ledger(tmp_path / "study.db") as ledger:
        ledger.record(ledger.study(), [(0, 1, Outcome(1.0))])
        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(LedgerError, match="the disk does not confirm what was written: input/output error"):
            ledger.flush()


def test_without_a_file_there_is_nothing_to_flush():
    with open_ledger("sqlite://") as ledger:
        ledger.flush()
        assert ledger.names() == []


def test_the_tables_are_made_all_or_none(tmp_path, monkeypatch):
    path = tmp_path / "study.db"

    def dies(connection):
        schema.meta.create(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ledger_module.schema.metadata, "create_all", dies)
        with pytest.raises(KeyboardInterrupt):
            open_ledger(path)
    make_ledger(path)


def test_several_processes_may_make_the_same_ledger(tmp_path):
    program = (
        "import sys, time; from robust_select.ledger import open_ledger\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "open_ledger(sys.argv[1]).close()"
    )
    import time

    arguments = [sys.executable, "-c", program, str(tmp_path / "study.db"), str(time.time() + 3)]
    processes = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in processes] == ["", "", ""]
    with open_ledger(tmp_path / "study.db", must_exist=True) as ledger:
        assert ledger.names() == []


def test_a_writer_waits_for_another_process(tmp_path):
    path = tmp_path / "study.db"
    make_ledger(path)
    program = (
        "import sqlite3, sys, time\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        'connection.execute("INSERT INTO outcomes SELECT study_id, 0, 7, state, score, seconds, curve, message, log, '
        'finished_at FROM outcomes WHERE position = 1")\n'
        "print('locked', flush=True); time.sleep(1); connection.execute('COMMIT')"
    )
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with open_ledger(path) as ledger:
            study = ledger.study()
            assert ledger.count(study)["complete"] == 2  # readers do not wait
            with pytest.raises(LedgerError, match=r"only one may run a study at a time. Nothing is lost"):
                ledger.record(study, [(0, 7, Outcome(0.5))])
            ledger.record(study, [(1, 7, Outcome(0.5))])
            assert ledger.count(study)["complete"] == 4


@pytest.fixture
def read_only():
    """A ledger in a folder where this process may read but not write."""
    folder = Path(tempfile.mkdtemp())
    path = folder / "study.db"
    make_ledger(path)
    path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    folder.chmod(0o555)
    is_root = os.geteuid() == 0  # whom no permission stops
    if is_root:
        os.seteuid(65534)
    yield path
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_ledger_can_be_read_but_not_written(read_only):
    with open_ledger(read_only, must_exist=True) as ledger:
        study = ledger.study()
        assert [outcome.score for _, _, outcome in ledger.outcomes(study)] == [1.0, 2.0]
        with pytest.raises(LedgerError, match=r"attempt to write a readonly database.*holds already is safe"):
            ledger.record(study, [(0, 1, Outcome(3.0))])
    assert os.listdir(read_only.parent) == ["study.db"]


def test_a_folder_that_takes_no_files_is_said(read_only):
    with pytest.raises(LedgerError, match="unable to open database file"):
        open_ledger(read_only.with_name("new.db"))


def test_nothing_is_left_beside_a_closed_ledger(tmp_path):
    make_ledger(tmp_path / "study.db")
    assert os.listdir(tmp_path) == ["study.db"]
