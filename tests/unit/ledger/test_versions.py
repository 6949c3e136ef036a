"""Ledgers of every schema version there was, brought to the present one; and the mechanism that does it."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from robust_select.core.candidates import Candidate
from robust_select.core.errors import LedgerError
from robust_select.core.instances import Outcome
from robust_select.ledger import migrations, open_ledger, schema
from robust_select.study.checking import check_ledger
from robust_select.study.reading import read_result

FILES = Path(__file__).parents[2] / "files"
VERSIONS = range(1, schema.SCHEMA_VERSION + 1)


def copy_of(version, folder):
    return Path(shutil.copy(FILES / f"ledger_v{version}.db", folder / "study.db"))


def asked(path, *queries):
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(query).fetchall() for query in queries]


def columns_of(path):
    """List tables and columns as SQLite knows them."""
    [tables] = asked(path, "SELECT name FROM sqlite_master WHERE type = 'table'")
    return {
        name: {row[1]: (row[2], row[3]) for row in asked(path, f"PRAGMA table_info({name})")[0]} for (name,) in tables
    }


def version_of(path):
    return asked(path, "SELECT value FROM robust_select_meta WHERE key = 'schema_version'")[0][0][0]


def test_there_is_a_file_and_a_step_for_every_version():
    assert {path.name for path in FILES.glob("ledger_v*.db")} == {f"ledger_v{version}.db" for version in VERSIONS}
    assert sorted(migrations.MIGRATIONS) == list(VERSIONS)[:-1]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_becomes_the_present_one(tmp_path, version):
    path = copy_of(version, tmp_path)
    with open_ledger(tmp_path / "new.db"):
        pass
    before = asked(path, "SELECT * FROM outcomes", "SELECT * FROM candidates", "SELECT * FROM steps")
    with open_ledger(path, must_exist=True) as ledger:
        problems, checks = check_ledger(ledger)
        assert problems == []
        assert [check.problems for check in checks] == [()] * len(checks)
        ledger.create_study("another", {}, ledger.study(ledger.names()[0]).candidates)
    assert version_of(path) == str(schema.SCHEMA_VERSION)
    assert columns_of(path) == columns_of(tmp_path / "new.db")
    after = asked(
        path, "SELECT * FROM outcomes", "SELECT * FROM candidates WHERE study_id <= 2", "SELECT * FROM steps"
    )
    assert after[::2] == before[::2]
    assert after[1][: len(before[1])] == before[1]


def test_version_2_holds_the_answer(tmp_path):
    with open_ledger(copy_of(2, tmp_path), must_exist=True) as ledger:
        study = ledger.study()
        assert study.answer == {"confidence": 1.0, "robust_select": "0.1.0", "selected": "near"}
        assert read_result(ledger).note == ""
        assert ledger.count(study)["failed"] > 0


def test_version_1_holds_none(tmp_path):
    with open_ledger(copy_of(1, tmp_path), must_exist=True) as ledger:
        assert [ledger.study(name).answer for name in ledger.names()] == [{}, {}]
        assert read_result(ledger, "old").note == ""


@pytest.fixture
def third(monkeypatch):
    """Pretend that the next version of the schema is here: it counts the studies in a table of its own."""

    def count_studies(connection):
        connection.exec_driver_sql("CREATE TABLE counted (n INTEGER)")
        connection.exec_driver_sql("INSERT INTO counted SELECT count(*) FROM studies")

    monkeypatch.setattr(schema, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(migrations, "MIGRATIONS", {**migrations.MIGRATIONS, 2: count_studies})


def test_steps_follow_each_other(tmp_path, third):
    path = copy_of(1, tmp_path)
    with open_ledger(path, must_exist=True) as ledger:
        assert ledger.names() == ["old", "begun"]
    assert version_of(path) == "3"
    assert "answer" in columns_of(path)["studies"]
    assert asked(path, "SELECT n FROM counted") == [[(2,)]]


def test_a_migration_that_fails_changes_nothing(tmp_path, third, monkeypatch):
    def fails(connection):
        connection.exec_driver_sql("CREATE TABLE half (n INTEGER)")
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")

    path = copy_of(1, tmp_path)
    tables = columns_of(path)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", {**migrations.MIGRATIONS, 2: fails})
        with pytest.raises(LedgerError, match=r"came version 1, which cannot be .* nothing was changed.*nowhere"):
            open_ledger(path)
    assert (version_of(path), columns_of(path)) == ("1", tables)
    with open_ledger(path):
        pass
    assert version_of(path) == "3"


def test_a_process_that_dies_in_a_migration_changes_nothing(tmp_path):
    path = copy_of(1, tmp_path)
    tables = columns_of(path)
    program = (
        "import os, signal, sys\n"
        "from robust_select.ledger import migrations, open_ledger, schema\n"
        "schema.SCHEMA_VERSION = 3\n"
        "migrations.MIGRATIONS = {**migrations.MIGRATIONS, 2: lambda connection: os._exit(9)}\n"
        "open_ledger(sys.argv[1])"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == 9
    assert (version_of(path), columns_of(path)) == ("1", tables)
    with open_ledger(path) as ledger:
        assert ledger.names() == ["old", "begun"]


def test_nothing_is_migrated_while_a_study_runs_in_it(tmp_path, monkeypatch):
    path = copy_of(2, tmp_path)
    with open_ledger(path) as ledger, ledger.hold(ledger.study()):
        with monkeypatch.context() as patch:
            patch.setattr(schema, "SCHEMA_VERSION", 3)
            patch.setattr(migrations, "MIGRATIONS", {2: lambda connection: None})
            with pytest.raises(LedgerError, match=r"came version 2, .*another process runs study 'sure'"):
                open_ledger(path)
        ledger.record(ledger.study(), [(0, 99, Outcome(1.0))])
    assert version_of(path) == "2"


def test_a_ledger_of_an_earlier_version_on_a_server(postgres):
    url = postgres.new_database()
    with open_ledger(url) as ledger:
        study = ledger.create_study("first", {}, [Candidate("a"), Candidate("b")])
        ledger.record(study, [(0, 0, Outcome(1.0))])
        with ledger.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE studies DROP COLUMN answer")
            connection.execute(sa.update(schema.meta).values(value="1"))
    with open_ledger(url, must_exist=True) as ledger:
        assert ledger.study() == study
        ledger.finish(study, "done", {"selected": "a"})
        assert ledger.study().answer == {"selected": "a"}
