"""The outcomes of a study as arrays: read from the database in pieces, and given back as a mapping or a table.

Called by the ledger beside this file. Knows nothing of what is selected by them.
"""

import bisect
import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from robust_select.core.instances import Outcome, State
from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.ledger import schema

Key = tuple[int, int]
"""Position of a candidate and replicate."""

_STATES = tuple(State)
_CODES = {state.value: code for code, state in enumerate(_STATES)}
_ROWS_AT_ONCE = 10_000
_MOST_IN_TRAINING = 100_000  # replicates come in order, so that a number is not far above how many there are


@dataclass(frozen=True)
class Outcomes:
    """Recorded outcomes, by candidate and replicate.

    Attributes:
        positions: (N,) of the candidates.
        replicates: (N,).
        codes: (N,) of the states, in the order of ``State``.
        scores: (N,) nan unless complete.
        seconds: (N,) nan where not known.
        n_epochs: (N,) lengths of the curves.
    """

    positions: Ints
    replicates: Ints
    codes: "np.ndarray[Any, np.dtype[np.int8]]"
    scores: Floats
    seconds: Floats
    n_epochs: Ints

    @property
    def n_replicates(self) -> int:
        """R: one more than the largest replicate."""
        return int(self.replicates.max(initial=-1)) + 1

    @property
    def states(self) -> "np.ndarray[Any, np.dtype[np.object_]]":
        """(N,) the states in words."""
        words: np.ndarray[Any, np.dtype[np.object_]] = np.array([state.value for state in _STATES], dtype=object)
        return np.asarray(words[self.codes])

    def is_in(self, state: State) -> Bools:
        """(N,) whether an outcome is in a state."""
        return np.asarray(self.codes == _CODES[state.value])

    def spread(self, n_candidates: int, values: Floats) -> Floats:
        """Lay values (N,) out by candidate and replicate (C, R), nan where there is none."""
        laid = np.full((n_candidates, self.n_replicates), np.nan)
        laid[self.positions, self.replicates] = values
        return laid


def read_outcomes(
    connection: sa.Connection, study_id: int, n_candidates: int, rows: "range | None" = None
) -> Outcomes:
    """Read outcomes of a study, without curves and messages.

    Args:
        connection: to the ledger.
        study_id: of the study.
        n_candidates: C.
        rows: positions of the candidates to read; by default all.

    Raises:
        ValueError: what is stored makes no sense.
    """
    table = schema.outcomes
    columns = (table.c.position, table.c.replicate, table.c.state, table.c.score, table.c.seconds)
    query = _of(sa.select(*columns, sa.func.coalesce(sa.func.length(table.c.curve), 0)), study_id, rows)
    with _chunks(connection, query) as chunks:
        pieces = [_piece(chunk) for chunk in chunks]
    columns_read = [np.concatenate(column) for column in zip(*pieces, strict=True)] if pieces else _piece([])
    order = np.lexsort((columns_read[1], columns_read[0]))
    found = Outcomes(*(column[order] for column in columns_read))
    if len(found.positions) and not 0 <= found.positions[0] <= found.positions[-1] < n_candidates:
        raise ValueError(f"an outcome of candidate {found.positions[-1]}, of {n_candidates}, counted from 0")
    n_most = len(found.positions) + _MOST_IN_TRAINING
    if found.replicates.min(initial=0) < 0 or (rows is None and found.n_replicates > n_most):
        raise ValueError(f"an outcome of replicate {found.replicates.max()}, where {len(found.positions)} are there")
    return found


def read_records(connection: sa.Connection, study_id: int) -> Iterator[tuple[int, int, Outcome]]:
    """Read outcomes with all that belongs to them, by replicate and candidate.

    Raises:
        ValueError: what is stored makes no sense.
    """
    table = schema.outcomes
    query = _of(sa.select(table), study_id, None).order_by(table.c.replicate, table.c.position)
    with _chunks(connection, query) as chunks:
        for row in itertools.chain.from_iterable(chunks):
            outcome = Outcome(
                score=math.nan if row.score is None else row.score,
                curve=() if row.curve is None else tuple(np.frombuffer(row.curve, dtype="<f8")),
                seconds=math.nan if row.seconds is None else row.seconds,
                state=State(row.state),
                message=row.message,
                log=row.log,
            )
            yield row.position, row.replicate, outcome


def read_curves(
    connection: sa.Connection, study_id: int, rows: "range | None" = None
) -> "dict[Key, np.ndarray[Any, np.dtype[np.float64]]]":
    """Read the curves of a study, each an array of its epochs.

    Raises:
        ValueError: what is stored makes no sense.
    """
    table = schema.outcomes
    query = _of(sa.select(table.c.position, table.c.replicate, table.c.curve), study_id, rows)
    with _chunks(connection, query.where(table.c.curve.is_not(None))) as chunks:
        return {
            (position, replicate): np.frombuffer(curve, dtype="<f8")
            for position, replicate, curve in itertools.chain.from_iterable(chunks)
        }


def read_messages(connection: sa.Connection, study_id: int, rows: range) -> dict[Key, str]:
    """Read the messages of a study's outcomes, those that say something."""
    table = schema.outcomes
    query = _of(sa.select(table.c.position, table.c.replicate, table.c.message), study_id, rows)
    with _chunks(connection, query.where(table.c.message != "")) as chunks:
        return {
            (position, replicate): str(message)
            for position, replicate, message in itertools.chain.from_iterable(chunks)
        }


def _of(query: "sa.Select[Any]", study_id: int, rows: "range | None") -> "sa.Select[Any]":
    table = schema.outcomes
    query = query.where(table.c.study_id == study_id)
    return query if rows is None else query.where(table.c.position.between(rows.start, rows.stop - 1))


@contextlib.contextmanager
def _chunks(connection: sa.Connection, query: "sa.Select[Any]") -> Iterator[Iterator[Sequence[Any]]]:
    """Read rows some thousands at a time; where a row makes no sense, the query is over before the connection is."""
    with contextlib.closing(connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE))) as found:
        yield found.partitions()


def _piece(rows: Sequence[Any]) -> "list[np.ndarray[Any, Any]]":
    """Make arrays of rows."""
    positions, replicates, states, scores, seconds, n_bytes = zip(*rows, strict=True) if rows else ((),) * 6
    codes = np.fromiter((_CODES[state] for state in states), dtype=np.int8, count=len(states))
    is_complete = codes == _CODES[State.COMPLETE.value]
    score = np.where(is_complete, _numbers(scores), np.nan)
    if not np.isfinite(score[is_complete]).all():
        raise ValueError("a complete outcome without a score")
    n_epochs = _whole(n_bytes) // 8
    return [_whole(positions), _whole(replicates), codes, score, _numbers(seconds), n_epochs]


def _numbers(values: Sequence[Any]) -> Floats:
    """Make numbers of what may be None; a database file may hold text where numbers belong."""
    found = np.array(values, dtype=object)
    if any(isinstance(value, (str, bytes)) for value in values):
        raise ValueError("text where a number belongs")
    return found.astype(float)


def _whole(values: Sequence[Any]) -> Ints:
    found = np.array(values) if len(values) else np.empty(0, dtype=np.int64)
    if found.dtype != np.int64:
        raise ValueError("something else where a whole number belongs")
    return found


class KnownOutcomes(Mapping[Key, Outcome]):
    """The outcomes of a study by candidate and replicate; each is made when somebody asks for it.

    So they take a fifth of the memory that records take. Messages and logs stay in the ledger.

    Args:
        outcomes: what is recorded.
        curves: by candidate and replicate, where there are any.
    """

    def __init__(self, outcomes: Outcomes, curves: "Mapping[Key, np.ndarray[Any, np.dtype[np.float64]]]") -> None:
        self._outcomes = outcomes
        self.curves = curves
        n_rows = int(outcomes.positions.max(initial=-1)) + 1
        self._starts = np.searchsorted(outcomes.positions, np.arange(n_rows + 1)).tolist()
        # views: an element of them is a Python number at once, and nothing is copied
        self._replicates = outcomes.replicates.data
        self._codes = outcomes.codes.data
        self._scores = outcomes.scores.data
        self._seconds = outcomes.seconds.data

    def _find(self, key: Key) -> int:
        """Find the row of an outcome; -1 where there is none."""
        position, replicate = key
        if not 0 <= position < len(self._starts) - 1:
            return -1
        first, stop = self._starts[position], self._starts[position + 1]
        row: int = first + replicate  # where nothing is missing
        if not (first <= row < stop and self._replicates[row] == replicate):
            row = bisect.bisect_left(self._replicates, replicate, first, stop)
            if row == stop or self._replicates[row] != replicate:
                return -1
        return row

    def __getitem__(self, key: Key) -> Outcome:
        row = self._find(key)
        if row < 0:
            raise KeyError(key)
        curve = self.curves.get(key) if self.curves else None
        return Outcome(
            self._scores[row],
            () if curve is None else tuple(curve.tolist()),
            self._seconds[row],
            _STATES[self._codes[row]],
        )

    def get(self, key: Key, default: Any = None) -> Any:
        """Give the outcome, if there is one."""
        return self[key] if self._find(key) >= 0 else default

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and self._find(key) >= 0

    def __len__(self) -> int:
        return len(self._outcomes.positions)

    def __iter__(self) -> Iterator[Key]:
        return zip(self._outcomes.positions.tolist(), self._outcomes.replicates.tolist(), strict=True)
