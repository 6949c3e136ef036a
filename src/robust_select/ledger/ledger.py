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
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import sqlalchemy as sa

from robust_select.core.candidates import Candidate, params_json
from robust_select.core.errors import LedgerError
from robust_select.core.instances import Outcome, State
from robust_select.core.protocols import Floats
from robust_select.core.tables import Table, curve_array
from robust_select.ledger import schema
from robust_select.ledger.flushing import LateFlush
from robust_select.ledger.frames import frames_of
from robust_select.ledger.holding import hold_file, hold_postgres, release_postgres
from robust_select.ledger.migrations import find_version, migrate
from robust_select.ledger.outcomes import KnownOutcomes, read_curves, read_outcomes, read_records
from robust_select.ledger.sqlite import write_ahead
from robust_select.ledger.telling import LOST, damage_told, errors_told

Recorded = tuple[int, int, Outcome]
"""Position of a candidate, replicate, and what came out."""


_CREATING = 0x726F6275737400  # key of the lock under which the tables of a PostgreSQL ledger are made


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
        answer: what was selected when it ended, and by which version; empty while it is not finished, and where a
            version ended it that did not write it down.
    """

    id: int
    name: str
    settings: Mapping[str, Any]
    origin: Mapping[str, Any]
    created_at: datetime.datetime
    stop_reason: str
    candidates: tuple[Candidate, ...]
    answer: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """An open ledger; use it in a ``with`` block, or close it."""

    def __init__(self, engine: sa.Engine, url: str) -> None:
        self._engine = engine
        self._writing = engine.execution_options(robust_select_writes=True)
        self._holder: sa.Connection | None = None  # holds a study: what it writes goes this way
        self.url = url
        self._late = None if self.path is None else LateFlush(self._sync)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; of a SQLite ledger nothing but its file is left, complete in itself."""
        if self._late is not None:
            self._late.close()
        self._engine.dispose()

    @contextlib.contextmanager
    def _transaction(self, writes: bool = False) -> Iterator[sa.Connection]:
        holder = self._holder if writes else None
        if holder is not None and holder.invalidated:  # it would connect again, but the lock is gone
            raise LedgerError(LOST, self.url)
        with errors_told(self.url):
            if holder is not None:
                with holder.begin():
                    yield holder
            else:
                with (self._writing if writes else self._engine).begin() as connection:
                    yield connection

    @contextlib.contextmanager
    def moment(self) -> Iterator[sa.Connection]:
        """Read as the ledger is at one moment, whoever writes meanwhile."""
        if self.is_sqlite:
            with self._transaction() as connection:
                yield connection
        else:
            engine = self._engine.execution_options(isolation_level="REPEATABLE READ")
            with errors_told(self.url), engine.begin() as connection:
                yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Write, all or nothing."""
        with self._transaction(writes=True) as connection:
            yield connection

    @contextlib.contextmanager
    def raw(self) -> Iterator[Any]:
        """Lend a connection of the database's own driver."""
        with errors_told(self.url), contextlib.closing(self._engine.raw_connection()) as connection:
            yield connection.driver_connection

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a SQLite database."""
        return self._engine.dialect.name == "sqlite"

    @property
    def path(self) -> Path | None:
        """The file that it is; None for a database in memory, at a URI of SQLite's, or on a server."""
        path = self._engine.url.database
        return Path(path) if self.is_sqlite and path and path != ":memory:" and not path.startswith("file:") else None

    def check_schema(self, may_create: bool) -> None:
        """Make the tables of a new ledger; bring those of an earlier version to the present one; refuse the others.

        Raises:
            LedgerError: what it is instead; or another process runs a study in a ledger of an earlier version.
        """
        if may_create:
            self._create_schema()
        with self._transaction() as connection:
            version = find_version(connection, self.url)
        if version != schema.SCHEMA_VERSION:
            self._migrate(version)

    def _migrate(self, found: int) -> None:
        """Bring the ledger to the present version while nobody runs a study in it."""
        with self._transaction() as connection:
            studies = connection.execute(sa.select(schema.studies.c.id, schema.studies.c.name)).all()
        try:
            with contextlib.ExitStack() as held:
                for study_id, name in studies:
                    held.enter_context(self._hold(study_id, name))
                with self._transaction(writes=True) as connection:
                    if self._engine.dialect.name == "postgresql":
                        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATING)))
                    migrate(connection, find_version(connection, self.url))  # another one may have done it meanwhile
        except LedgerError as error:
            raise LedgerError(
                f"expected schema version {schema.SCHEMA_VERSION}, came version {found}, which cannot be brought up "
                "to date now; nothing was changed. Where the file cannot be written to, work on a copy. The reason: "
                f"{str(error).removeprefix(f'ledger {self.url}: ')}",
                self.url,
            ) from error

    @contextlib.contextmanager
    def hold(self, study: StudyRecord) -> Iterator[None]:
        """Be the only one who runs a study, until the block ends or this process does, however it ends.

        Others may read it, and run other studies of the ledger.

        Raises:
            LedgerError: another process runs it, or the connection is lost.
        """
        with self._hold(study.id, study.name):
            yield

    @contextlib.contextmanager
    def _hold(self, study_id: int, name: str) -> Iterator[None]:
        with contextlib.ExitStack() as opened:
            if self._engine.dialect.name == "postgresql":
                with errors_told(self.url):
                    connection = opened.enter_context(self._engine.connect())
                    connection.detach()  # not to be used for anything else, now or later
                    is_ours = hold_postgres(connection, study_id)
                self._check_held(name, is_ours)
                opened.callback(release_postgres, connection)
                opened.callback(setattr, self, "_holder", None)
                self._holder = connection
            elif self.path is not None:
                try:
                    is_ours = opened.enter_context(hold_file(Path(f"{self.path}-run-{study_id}")))
                except (OSError, sqlite3.Error) as error:
                    raise LedgerError(
                        f"the study cannot be locked ({error}): is its folder writable?", self.url
                    ) from error
                self._check_held(name, is_ours)
            yield

    def _check_held(self, name: str, is_ours: bool) -> None:
        if not is_ours:
            raise LedgerError(
                f"another process runs study {name!r} at this moment, and only one may: wait until it ends, or "
                "stop it, and run this again; it goes on where the other one was. Or begin a study of your own with "
                "on_existing='new' (command line: --on-existing new)",
                self.url,
            )

    def _create_schema(self) -> None:
        """Make all tables of an empty database, or none."""
        with self._transaction() as connection:
            if sa.inspect(connection).get_table_names():
                return
        if self.is_sqlite:  # readers then never wait; the file remembers it
            with self.raw() as connection:
                write_ahead(connection)
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
        what = f"study {name or names[0]!r}: its settings and candidates"
        with damage_told(self.url, what), self._transaction() as connection:
            row = connection.execute(
                sa.select(schema.studies).where(schema.studies.c.name == (name or names[0]))
            ).one()
            found = connection.execute(
                sa.select(schema.candidates)
                .where(schema.candidates.c.study_id == row.id)
                .order_by(schema.candidates.c.position)
            ).all()
            if [item.position for item in found] != list(range(len(found))) or not found:
                raise ValueError("expected candidates at positions 0, 1, ..., some are missing")
            return StudyRecord(
                id=row.id,
                name=row.name,
                settings=_mapping(row.settings),
                origin=_mapping(row.origin),
                created_at=row.created_at,
                stop_reason=str(row.stop_reason),
                candidates=tuple(Candidate(item.name, _mapping(item.params), item.is_base) for item in found),
                answer=_mapping(row.answer) if row.answer else {},
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
            if self._late is not None:
                self._late.wanted()

    def flush(self) -> None:
        """Have the disk confirm all that was recorded; when this returns it survives a power cut, too.

        Raises:
            LedgerError: the disk reports an error.
        """
        try:
            if self._late is not None:  # others confirm every commit
                self._late.flush()
        except OSError as error:
            raise LedgerError(f"the disk does not confirm what was written: {error}", self.url) from error

    def _sync(self) -> None:
        with contextlib.suppress(FileNotFoundError), open(f"{self.path}-wal", "rb+") as log:
            os.fsync(log.fileno())  # no log: nothing new

    def outcomes(self, study: StudyRecord) -> Iterator[Recorded]:
        """Read all outcomes of a study with messages and logs, by replicate and candidate."""
        with damage_told(self.url, f"the outcomes of study {study.name!r}"), self._transaction() as connection:
            yield from read_records(connection, study.id)

    def known(self, study: StudyRecord) -> KnownOutcomes:
        """Read all outcomes of a study but their messages and logs, in little memory."""
        with damage_told(self.url, f"the outcomes of study {study.name!r}"), self.moment() as connection:
            return KnownOutcomes(
                read_outcomes(connection, study.id, len(study.candidates)), read_curves(connection, study.id)
            )

    def count(self, study: StudyRecord) -> dict[str, int]:
        """Count the outcomes of a study by state."""
        table = schema.outcomes
        with self._transaction() as connection:
            query = (
                sa.select(table.c.state, sa.func.count()).where(table.c.study_id == study.id).group_by(table.c.state)
            )
            found = {str(state): int(number) for state, number in connection.execute(query).all()}
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

    def finish(self, study: StudyRecord, stop_reason: str, answer: Mapping[str, Any] | None = None) -> None:
        """Write down why a study ended, and with what; an empty reason opens it again.

        Args:
            study: of this ledger.
            stop_reason: in words.
            answer: what was selected and by which version, fit for JSON.

        Raises:
            LedgerError: the database cannot be written.
        """
        with self._transaction(writes=True) as connection:
            connection.execute(
                sa.update(schema.studies)
                .where(schema.studies.c.id == study.id)
                .values(stop_reason=stop_reason, answer=json.dumps(dict(answer), sort_keys=True) if answer else "")
            )

    def steps(self, study: StudyRecord) -> list[dict[str, Any]]:
        """Read the steps of a study, as they were saved."""
        table = schema.steps
        with damage_told(self.url, f"the steps of study {study.name!r}"), self._transaction() as connection:
            query = sa.select(table.c.record).where(table.c.study_id == study.id).order_by(table.c.number)
            return [_mapping(record) for record in connection.execute(query).scalars()]

    def table(self, study: StudyRecord) -> Table:
        """Read the scores of a study (C, R), candidates in the study's order."""
        n_candidates = len(study.candidates)
        with damage_told(self.url, f"the outcomes of study {study.name!r}"):
            with self._transaction() as connection:
                found = read_outcomes(connection, study.id, n_candidates)
            is_pruned = found.is_in(State.PRUNED)
            scores = np.where(found.is_in(State.COMPLETE), found.scores, np.where(is_pruned, np.nan, np.inf))
            stopped = found.spread(n_candidates, np.where(is_pruned, found.n_epochs, 0.0))
            return Table(
                tuple(candidate.name for candidate in study.candidates),
                found.spread(n_candidates, scores),
                found.spread(n_candidates, found.seconds),
                tuple(candidate.params for candidate in study.candidates),
                stopped=np.nan_to_num(stopped).astype(np.int64) if is_pruned.any() else None,
            )

    def curves(self, study: StudyRecord) -> Floats | None:
        """Read the curves of a study.

        Returns:
            (C, R, E) score after each epoch, for the replicates of ``table``; nan where there is none. None where no
            outcome has a curve.
        """
        table = schema.outcomes
        query = sa.select(sa.func.max(table.c.replicate)).where(table.c.study_id == study.id)
        with damage_told(self.url, f"the curves of study {study.name!r}"), self._transaction() as connection:
            last = connection.execute(query).scalar()
            n_replicates = 0 if last is None else last + 1
            return curve_array(read_curves(connection, study.id), (len(study.candidates), n_replicates))

    def has_curves(self, study: StudyRecord) -> bool:
        """Say whether an outcome of a study has a curve."""
        table = schema.outcomes
        query = sa.select(table.c.replicate).where(table.c.study_id == study.id, table.c.curve.is_not(None)).limit(1)
        with self._transaction() as connection:
            return connection.execute(query).first() is not None

    def frames(self, study: StudyRecord, curves: bool = False, n_rows: int = 100_000) -> Iterator[pd.DataFrame]:
        """Read a study as ``frame`` does, in pieces with the same columns, one at least, candidate after candidate.

        Args:
            study: of this ledger.
            curves: whether the score after each epoch is wanted, too: columns ``epoch_1``, ``epoch_2``, ...
            n_rows: about how many rows a piece is to have.
        """
        with damage_told(self.url, f"the outcomes of study {study.name!r}"), self.moment() as connection:
            yield from frames_of(connection, study.id, study.candidates, curves, n_rows)

    def frame(self, study: StudyRecord) -> pd.DataFrame:
        """Read a study as a long table, one row an instance, with states, messages and parameters."""
        return pd.concat(self.frames(study), ignore_index=True)


def _mapping(text: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object, came {type(found).__name__}")
    return found


def _storable(text: str) -> str:
    """Escape what a database refuses: half characters (names of files that are not UTF-8 hold them), and NUL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
