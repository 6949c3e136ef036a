"""Looks for damage in a ledger: of the file, and of rows that do not fit each other.

Called by ``study.checking``, which also replays what is recorded. Knows nothing of rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from robust_select.core.errors import LedgerError
from robust_select.core.instances import State
from robust_select.ledger import schema
from robust_select.ledger.ledger import Ledger, StudyRecord

_MOST_NAMED = 3
_MOST_OF_THE_FILE = 20
_LARGEST = 1.7976931348623157e308
_RESTORE = "go on from a backup; export the other scores from a copy of this ledger if there is none"
_DOUBTFUL = "go on from a backup; or export what is there, leave these rows out, and replay the table"


@dataclass(frozen=True)
class Problem:
    """Something that is wrong in a ledger.

    Attributes:
        what: was expected and came, and where.
        advice: what to do.
    """

    what: str
    advice: str


def check_file(ledger: Ledger) -> list[Problem]:
    """Check the database as such: its pages and indexes, its columns, rows that belong to nothing."""
    return list(_file_problems(ledger))


def _file_problems(ledger: Ledger) -> Iterator[Problem]:
    with ledger.moment() as connection:
        columns = sa.inspect(connection)
        for table in schema.metadata.sorted_tables:
            found = {str(column["name"]) for column in columns.get_columns(table.name)}
            missing = [column.name for column in table.columns if column.name not in found]
            if missing:
                text = f"expected table {table.name!r} with column {missing[0]!r}, which is missing"
                yield Problem(text, _RESTORE)
        if not ledger.is_sqlite:  # a server looks after its own pages, and enforces what belongs to what
            return
        told = connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_OF_THE_FILE})").scalars().all()
        for text in told if list(told) != ["ok"] else []:
            yield Problem(f"expected a sound SQLite file, but SQLite says: {' '.join(str(text).split())}", _RESTORE)
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if orphans:
            where = ", ".join(sorted({str(row[0]) for row in orphans}))
            text = f"expected rows of studies that exist, came {len(orphans)} of none, in {where}"
            yield Problem(text, _RESTORE)


def check_rows(ledger: Ledger, study: StudyRecord) -> list[Problem]:
    """Check what is recorded of a study, row by row, in the database itself.

    Raises:
        LedgerError: it cannot even be read.
    """
    with ledger.moment() as connection:
        return [*_settings_problems(study), *_outcome_problems(connection, study, ledger.is_sqlite)]


def _settings_problems(study: StudyRecord) -> Iterator[Problem]:
    seed = study.settings.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        text = f"expected a seed that is a whole number from 0, by which all instances are seeded, came seed={seed!r}"
        yield Problem(text, _RESTORE)
    names = [candidate.name for candidate in study.candidates]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        yield Problem(f"expected candidates of different names, came {twice!r} twice", _RESTORE)


def _outcome_problems(connection: sa.Connection, study: StudyRecord, is_sqlite: bool) -> Iterator[Problem]:
    table = schema.outcomes
    is_complete = table.c.state == State.COMPLETE.value
    n_bytes = sa.func.coalesce(sa.func.length(table.c.curve), 0)
    rows: list[tuple[str, sa.ColumnElement[bool]]] = [
        ("in a state that exists", table.c.state.not_in([state.value for state in State])),
        ("complete with a score, or not complete and without", is_complete != table.c.score.is_not(None)),
        ("with a finite score", sa.func.abs(table.c.score) > _LARGEST),
        ("with seconds that are not negative", table.c.seconds < 0),
        ("with a curve of whole numbers of 8 bytes", n_bytes % 8 != 0),
        ("pruned with a curve", sa.and_(table.c.state == State.PRUNED.value, n_bytes == 0)),
        ("of a candidate of the study", ~table.c.position.between(0, len(study.candidates) - 1)),
        ("of a replicate from 0", table.c.replicate < 0),
    ]
    if is_sqlite:  # whose columns hold anything
        wanted = {
            "position": ("integer",),
            "replicate": ("integer",),
            "state": ("text",),
            "score": ("real", "integer", "null"),
            "seconds": ("real", "integer", "null"),
            "curve": ("blob", "null"),
            "message": ("text",),
            "log": ("text",),
        }
        rows += [
            (f"whose {name} is stored as {' or '.join(kinds)}", sa.func.typeof(table.c[name]).not_in(kinds))
            for name, kinds in wanted.items()
        ]
        is_time = table.c.finished_at.cast(sa.Text).like("____-__-__ __:__:__%")
        rows.append(("with a time at which it finished", ~is_time))
    one = (table.c.position, table.c.replicate)
    of_study = table.c.study_id == study.id
    counted = [sa.func.count().filter(condition) for _, condition in rows]
    counts = connection.execute(sa.select(*counted).where(of_study)).one()  # one pass over them all
    for (wanted_text, condition), count in zip(rows, counts, strict=True):
        if count:
            found = connection.execute(sa.select(*one).where(of_study, condition).limit(_MOST_NAMED)).all()
            yield Problem(_sentence(f"every outcome {wanted_text}", count, found, study), _DOUBTFUL)
    twice = sa.select(*one).where(of_study).group_by(*one).having(sa.func.count() > 1).limit(_MOST_NAMED)
    if found := connection.execute(twice).all():
        yield Problem(_sentence("every training once", len(found), found, study), _DOUBTFUL)


def _sentence(expected: str, count: int, found: Any, study: StudyRecord) -> str:
    """Say what was expected and where it is not so."""
    names = {position: candidate.name for position, candidate in enumerate(study.candidates)}
    places = [f"candidate {names.get(row[0], row[0])!r}, replicate {row[1]!r}" for row in found]
    more = f" and {count - len(places)} more" if count > len(places) else ""
    return f"expected {expected}, came {count} otherwise: {'; '.join(places)}{more}"


def check_texts(ledger: Ledger, study: StudyRecord) -> list[Problem]:
    """Check that the steps and the messages of a study can be read.

    Raises:
        LedgerError: they cannot.
    """
    steps = ledger.steps(study)
    with ledger.moment() as connection:
        table = schema.steps
        query = sa.select(table.c.number).where(table.c.study_id == study.id).order_by(table.c.number)
        numbers = list(connection.execute(query).scalars())
    if numbers != list(range(len(steps))):
        text = f"expected steps 0, 1, ..., {len(steps) - 1} one after the other, some are missing"
        return [Problem(text, "the scores are not touched by it: run the study again, or export and replay them")]
    return []


def told(error: LedgerError, ledger: Ledger) -> Problem:
    """Make a problem of an error."""
    return Problem(str(error).removeprefix(f"ledger {ledger.url}: "), _RESTORE)
