"""The ledger: studies, their candidates, outcomes and steps, through SQLAlchemy Core.

Called by studies and the command line. Knows nothing of what a rule or a criterion is: settings are JSON.
"""

import contextlib
import datetime
import json
import math
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from robust_select.core.candidates import Candidate, params_json
from robust_select.core.errors import LedgerError, MissingExtraError
from robust_select.core.instances import Outcome, State
from robust_select.core.protocols import Floats
from robust_select.core.tables import Table, curve_array
from robust_select.ledger import schema, sqlite
from robust_select.ledger.holding import hold_file, hold_postgres

Recorded = tuple[int, int, Outcome]
"""Position of a candidate, replicate, and what came out."""


_CREATING = 0x726F6275737400  # key of the lock under which the tables of a PostgreSQL ledger are made
_LOST = (
    "the connection to the database is lost. What was recorded is safe: when the database is there, run the study "
    "again and it goes on where it was"
)


@dataclass(frozen=True)
class StudyRecord:
    """What the ledger knows of a study, outcomes apart.

    Attributes:
        id: in this ledger.
        name: unique in the ledger.
        settings: what must be the same when the study goes on.
        origin: versions and machine, for the record.
        created_at: UTC.
        stop_reason: why it ended; empty while it is not finished.
        candidates: (C,) in their order.
    """

    id: int
    name: str
    settings: Mapping[str, Any]
    origin: Mapping[str, Any]
    created_at: datetime.datetime
    stop_reason: str
    candidates: tuple[Candidate, ...]


def ledger_url(location: str | Path) -> str:
    """Make a database URL of a path; URLs stay as they are.

    Example:
        >>> ledger_url("study.db")
        'sqlite:///study.db'
    """
    return str(location) if "://" in str(location) else f"sqlite:///{location}"


def open_ledger(location: str | Path, must_exist: bool = False) -> "Ledger":
    """Open a ledger, or make one.

    Args:
        location: path of a SQLite file, or a database URL of SQLAlchemy.
        must_exist: whether a missing one is an error; otherwise it is made.

    Raises:
        LedgerError: it is missing, not a database, not a ledger, or of another version.
        MissingExtraError: it is a PostgreSQL database, and psycopg is not installed.
    """
    url = ledger_url(location)
    try:
        is_url = "://" in str(location)
        parsed = sa.engine.make_url(url) if is_url else sa.URL.create("sqlite", database=str(location))
        is_sqlite = parsed.get_backend_name() == "sqlite"
        path = parsed.database if is_sqlite else None
        if path and path != ":memory:":
            sqlite.check_path(Path(path), must_exist, url)
            if not path.startswith("file:"):
                path = os.path.abspath(path)  # a trainer may change the working directory
                parsed = parsed.set(database=path)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(parsed, pool_pre_ping=not is_sqlite, **sqlite.ways_to_read(path))
    except ModuleNotFoundError as error:
        if error.name == "psycopg":
            raise MissingExtraError("psycopg", "postgres") from error
        raise LedgerError(f"expected a database whose driver is installed ({error})", url) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise LedgerError(f"expected a path or a database URL ({error})", url) from error
    if is_sqlite:
        sa.event.listen(engine, "connect", sqlite.prepare)
        sa.event.listen(engine, "begin", sqlite.begin)
    ledger = Ledger(engine, url)
    try:
        ledger.check_schema(may_create=not must_exist)
    except BaseException:
        ledger.close()
        raise
    return ledger


class Ledger:
    """An open ledger; use it in a ``with`` block, or close it."""

    def __init__(self, engine: sa.Engine, url: str) -> None:
        self._engine = engine
        self._writing = engine.execution_options(robust_select_writes=True)
        self._holder: sa.Connection | None = None  # holds a study: what it writes goes this way
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _transaction(self, writes: bool = False) -> Iterator[sa.Connection]:
        holder = self._holder if writes else None
        if holder is not None and holder.invalidated:  # it would connect again, but the lock is gone
            raise LedgerError(_LOST, self.url)
        with self._errors_told():
            if holder is not None:
                with holder.begin():
                    yield holder
            else:
                with (self._writing if writes else self._engine).begin() as connection:
                    yield connection

    @contextlib.contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise LedgerError(
                "another process has recorded the same training meanwhile: only one may run a study at a time. "
                "Nothing is lost; wait for it, or stop it and run this one again",
                self.url,
            ) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise LedgerError(f"{_LOST}. The database says: {error.orig}", self.url) from error
            raise LedgerError(f"the database says: {error.orig}. What it holds already is safe", self.url) from error
        except SQLAlchemyError as error:
            raise LedgerError(f"the database says: {error}", self.url) from error

    def check_schema(self, may_create: bool) -> None:
        """Make the tables of a new ledger; refuse what is not a ledger of this version.

        Raises:
            LedgerError: what it is instead.
        """
        try:
            if may_create:
                self._create_schema()
            with self._transaction() as connection:
                found = set(sa.inspect(connection).get_table_names())
                if schema.meta.name not in found:
                    kind = "an empty database" if not found else "a database with other tables"
                    raise LedgerError(f"expected a ledger of robust-select, came {kind}", self.url)
                version = connection.execute(
                    sa.select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
                ).scalar()
        except LedgerError as error:
            if "not a database" in str(error):
                raise LedgerError("expected a ledger, came a file that is not a database", self.url) from error
            raise
        if version != str(schema.SCHEMA_VERSION):
            raise LedgerError(
                f"expected schema version {schema.SCHEMA_VERSION}, came version {version}: use the robust-select "
                "that made it, or export it there and replay the table here",
                self.url,
            )

    @contextlib.contextmanager
    def hold(self, study: StudyRecord) -> Iterator[None]:
        """Be the only one who runs a study, until the block ends or this process does, however it ends.

        Others may read it, and run other studies of the ledger.

        Raises:
            LedgerError: another process runs it, or the connection is lost.
        """
        path = self._engine.url.database
        with contextlib.ExitStack() as opened:
            if self._engine.dialect.name == "postgresql":
                with self._errors_told():
                    connection = opened.enter_context(self._engine.connect())
                    connection.detach()  # not to be used for anything else, now or later
                    is_ours = hold_postgres(connection, study.id)
                self._check_held(study, is_ours)
                opened.callback(setattr, self, "_holder", None)
                self._holder = connection
            elif (
                self._engine.dialect.name == "sqlite" and path and path != ":memory:" and not path.startswith("file:")
            ):
                try:
                    is_ours = opened.enter_context(hold_file(Path(f"{path}-run-{study.id}")))
                except (OSError, sqlite3.Error) as error:
                    raise LedgerError(
                        f"the study cannot be locked ({error}): is its folder writable?", self.url
                    ) from error
                self._check_held(study, is_ours)
            yield

    def _check_held(self, study: StudyRecord, is_ours: bool) -> None:
        if not is_ours:
            raise LedgerError(
                f"another process runs study {study.name!r} at this moment, and only one may: wait until it ends, or "
                "stop it, and run this again; it goes on where the other one was. Or begin a study of your own with "
                "on_existing='new' (command line: --on-existing new)",
                self.url,
            )

    def _create_schema(self) -> None:
        """Make all tables of an empty database, or none."""
        with self._transaction() as connection:
            if sa.inspect(connection).get_table_names():
                return
        if self._engine.dialect.name == "sqlite":  # readers then never wait; the file remembers it
            with contextlib.closing(self._engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA journal_mode = WAL")
        with self._transaction(writes=True) as connection:
            if self._engine.dialect.name == "postgresql":  # another one may do the same at this moment
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATING)))
            if not sa.inspect(connection).get_table_names():  # nobody else has made them meanwhile
                schema.metadata.create_all(connection)
                connection.execute(
                    sa.insert(schema.meta), [{"key": "schema_version", "value": str(schema.SCHEMA_VERSION)}]
                )

    def names(self) -> list[str]:
        """List the studies, the oldest first."""
        with self._transaction() as connection:
            return list(connection.execute(sa.select(schema.studies.c.name).order_by(schema.studies.c.id)).scalars())

    def create_study(
        self,
        name: str,
        settings: Mapping[str, Any],
        candidates: Sequence[Candidate],
        origin: Mapping[str, Any] | None = None,
    ) -> StudyRecord:
        """Write down a new study.

        Raises:
            LedgerError: there is one of that name, or the database cannot be written.
        """
        with self._transaction(writes=True) as connection:
            result = connection.execute(
                sa.insert(schema.studies).values(
                    name=name,
                    settings=json.dumps(dict(settings), sort_keys=True),
                    origin=json.dumps(dict(origin or {}), sort_keys=True),
                    created_at=_now(),
                    stop_reason="",
                )
            )
            study_id = result.inserted_primary_key[0]  # type: ignore[index]
            connection.execute(
                sa.insert(schema.candidates),
                [
                    {
                        "study_id": study_id,
                        "position": position,
                        "name": candidate.name,
                        "params": params_json(candidate.params),
                        "is_base": candidate.is_base,
                    }
                    for position, candidate in enumerate(candidates)
                ],
            )
        return self.study(name)

    def study(self, name: str | None = None) -> StudyRecord:
        """Read a study; by default the only one.

        Raises:
            LedgerError: none of that name; or none given and the ledger holds none or several.
        """
        names = self.names()
        if name is None and len(names) != 1:
            held = f"{len(names)} studies ({', '.join(map(repr, names))})" if names else "no study"
            raise LedgerError(f"expected the name of a study, because the ledger holds {held}", self.url)
        if name is not None and name not in names:
            held = ", ".join(map(repr, names)) or "none"
            raise LedgerError(f"expected a study in the ledger, came {name!r}; it holds {held}", self.url)
        with self._transaction() as connection:
            row = connection.execute(
                sa.select(schema.studies).where(schema.studies.c.name == (name or names[0]))
            ).one()
            found = connection.execute(
                sa.select(schema.candidates)
                .where(schema.candidates.c.study_id == row.id)
                .order_by(schema.candidates.c.position)
            ).all()
        return StudyRecord(
            id=row.id,
            name=row.name,
            settings=json.loads(row.settings),
            origin=json.loads(row.origin),
            created_at=row.created_at,
            stop_reason=row.stop_reason,
            candidates=tuple(Candidate(item.name, json.loads(item.params), item.is_base) for item in found),
        )

    def record(self, study: StudyRecord, recorded: Sequence[Recorded]) -> None:
        """Write outcomes down, all or none; when this returns they survive the end of this process.

        Raises:
            LedgerError: one of them is there already, or the database cannot be written.
        """
        rows = [
            {
                "study_id": study.id,
                "position": position,
                "replicate": replicate,
                "state": outcome.state.value,
                "score": outcome.score if math.isfinite(outcome.score) else None,
                "seconds": outcome.seconds if math.isfinite(outcome.seconds) else None,
                "curve": np.asarray(outcome.curve, dtype="<f8").tobytes() if outcome.curve else None,
                "message": _storable(outcome.message),
                "log": _storable(outcome.log),
                "finished_at": _now(),
            }
            for position, replicate, outcome in recorded
        ]
        if rows:
            with self._transaction(writes=True) as connection:
                connection.execute(sa.insert(schema.outcomes), rows)

    def flush(self) -> None:
        """Have the disk confirm all that was recorded; when this returns it survives a power cut, too.

        Raises:
            LedgerError: the disk reports an error.
        """
        path = self._engine.url.database
        if self._engine.dialect.name != "sqlite" or not path:  # others confirm every commit
            return
        try:
            with contextlib.suppress(FileNotFoundError), open(f"{path}-wal", "rb+") as log:  # no log: nothing new
                os.fsync(log.fileno())
        except OSError as error:
            raise LedgerError(f"the disk does not confirm what was written: {error}", self.url) from error

    def outcomes(self, study: StudyRecord) -> Iterator[Recorded]:
        """Read all outcomes of a study, by replicate and candidate."""
        table = schema.outcomes
        with self._transaction() as connection:
            query = sa.select(table).where(table.c.study_id == study.id).order_by(table.c.replicate, table.c.position)
            for row in connection.execute(query):
                yield (
                    row.position,
                    row.replicate,
                    Outcome(
                        score=math.nan if row.score is None else row.score,
                        curve=() if row.curve is None else tuple(np.frombuffer(row.curve, dtype="<f8")),
                        seconds=math.nan if row.seconds is None else row.seconds,
                        state=State(row.state),
                        message=row.message,
                        log=row.log,
                    ),
                )

    def count(self, study: StudyRecord) -> dict[str, int]:
        """Count the outcomes of a study by state."""
        table = schema.outcomes
        with self._transaction() as connection:
            query = (
                sa.select(table.c.state, sa.func.count()).where(table.c.study_id == study.id).group_by(table.c.state)
            )
            found = {state: int(number) for state, number in connection.execute(query).all()}
        return {state.value: found.get(state.value, 0) for state in State}

    def save_step(self, study: StudyRecord, number: int, step: Mapping[str, Any]) -> None:
        """Write a step down, in place of an earlier one of that number.

        Raises:
            LedgerError: the database cannot be written.
        """
        table = schema.steps
        with self._transaction(writes=True) as connection:
            connection.execute(sa.delete(table).where(table.c.study_id == study.id, table.c.number == number))
            connection.execute(
                sa.insert(table).values(study_id=study.id, number=number, record=json.dumps(dict(step)))
            )

    def finish(self, study: StudyRecord, stop_reason: str) -> None:
        """Write down why a study ended; an empty reason opens it again.

        Raises:
            LedgerError: the database cannot be written.
        """
        with self._transaction(writes=True) as connection:
            connection.execute(
                sa.update(schema.studies).where(schema.studies.c.id == study.id).values(stop_reason=stop_reason)
            )

    def steps(self, study: StudyRecord) -> list[dict[str, Any]]:
        """Read the steps of a study, as they were saved."""
        table = schema.steps
        with self._transaction() as connection:
            query = sa.select(table.c.record).where(table.c.study_id == study.id).order_by(table.c.number)
            return [json.loads(record) for record in connection.execute(query).scalars()]

    def table(self, study: StudyRecord) -> Table:
        """Read the scores of a study (C, R), candidates in the study's order."""
        table = schema.outcomes
        with self._transaction() as connection:
            query = sa.select(table.c.position, table.c.replicate, table.c.state, table.c.score, table.c.seconds)
            rows = connection.execute(query.where(table.c.study_id == study.id)).all()
        n_replicates = max((row.replicate for row in rows), default=-1) + 1
        scores = np.full((len(study.candidates), n_replicates), np.nan)
        seconds = np.full(scores.shape, np.nan)
        for position, replicate, state, score, took in rows:
            scores[position, replicate] = score if state == State.COMPLETE.value else np.inf
            seconds[position, replicate] = np.nan if took is None else took
        return Table(
            tuple(candidate.name for candidate in study.candidates),
            scores,
            seconds,
            tuple(candidate.params for candidate in study.candidates),
        )

    def curves(self, study: StudyRecord) -> Floats | None:
        """Read the curves of a study.

        Returns:
            (C, R, E) score after each epoch, for the replicates of ``table``; nan where there is none. None where no
            outcome has a curve.
        """
        table = schema.outcomes
        query = sa.select(table.c.position, table.c.replicate, table.c.curve).where(table.c.study_id == study.id)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        read = {(row.position, row.replicate): np.frombuffer(row.curve or b"", dtype="<f8") for row in rows}
        n_replicates = max((replicate for _, replicate in read), default=-1) + 1
        return curve_array(read, (len(study.candidates), n_replicates))

    def frame(self, study: StudyRecord) -> pd.DataFrame:
        """Read a study as a long table, one row an instance, with states, messages and parameters."""
        frame = self.table(study).to_frame()
        table = schema.outcomes
        query = sa.select(table.c.position, table.c.replicate, table.c.state, table.c.message)
        with self._transaction() as connection:
            rows = connection.execute(query.where(table.c.study_id == study.id)).all()
        told = {
            (study.candidates[position].name, replicate): (state, message)
            for position, replicate, state, message in rows
        }
        keys = list(zip(frame["candidate"], frame["replicate"], strict=True))
        frame["state"] = [told[key][0] for key in keys]
        frame["message"] = [told[key][1] for key in keys]
        first = ["candidate", "replicate", "score", "state", "seconds", "message"]
        return frame[first + [name for name in frame.columns if name not in first]]


def _storable(text: str) -> str:
    """Escape what a database refuses: half characters (names of files that are not UTF-8 hold them), and NUL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
