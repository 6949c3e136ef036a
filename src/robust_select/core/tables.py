"""Tables of scores, candidates x replicates: read from CSV, Parquet, pandas and Arrow (Polars).

Called by replay, measure, the ledger's export and users who bring results of their own. Knows nothing of
criteria or rules.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robust_select.core.columns import Columns, listed, name_column
from robust_select.core.errors import InputError, MissingExtraError, TableError
from robust_select.core.frames import read_frame
from robust_select.core.instances import State
from robust_select.core.limits import most_cells
from robust_select.core.protocols import Bools, Direction, Floats, Ints, losses_of

_NOT_A_NUMBER = {"nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"}
_EPOCH = "epoch_"
_STOPPED_AT = "stopped_at"
_LONG_COLUMNS = {"candidate", "replicate", "score", "seconds", "state", "message"}


@dataclass(frozen=True)
class Table:
    """Scores of candidates x replicates.

    Attributes:
        candidates: (C,) names, unique.
        scores: (C, R) nan where not trained (to the end), infinite where the training diverged or failed.
        seconds: (C, R) nan where not known; None if the table has none.
        params: (C,) parameters of each candidate.
        curves: (C, R, E) score after each epoch, nan where there is none; None if the table has none.
        stopped: (C, R) the epoch after which an instance was stopped (``Study(prune_epochs=...)``), so that it has no
            score, 0 where none was; None if none was at all.

    Raises:
        InputError: the shapes do not fit, a name comes twice, or an instance that was stopped has a score.

    Example:
        >>> table = Table(("a", "b"), np.array([[0.1, 0.2], [0.3, np.inf]]))
        >>> table.to_frame()
          candidate  replicate  score     state
        0         a          0    0.1  complete
        1         a          1    0.2  complete
        2         b          0    0.3  complete
        3         b          1    NaN  diverged
    """

    candidates: tuple[str, ...]
    scores: Floats
    seconds: Floats | None = None
    params: tuple[Mapping[str, Any], ...] = ()
    curves: Floats | None = None
    stopped: Ints | None = None

    def __post_init__(self) -> None:
        scores = np.array(self.scores, dtype=float)
        if scores.ndim != 2 or scores.shape[0] != len(self.candidates):
            raise InputError(
                f"expected scores of shape (candidates, replicates) for {len(self.candidates)} candidates, "
                f"came shape {scores.shape}"
            )
        if len(set(self.candidates)) != len(self.candidates):
            twice = next(name for name in self.candidates if self.candidates.count(name) > 1)
            raise InputError(f"expected candidates with different names, came {twice!r} twice")
        if self.seconds is not None and np.shape(self.seconds) != scores.shape:
            raise InputError(f"expected seconds of shape {scores.shape}, came {np.shape(self.seconds)}")
        if self.params and len(self.params) != len(self.candidates):
            raise InputError(
                f"expected params for {len(self.candidates)} candidates, came params for {len(self.params)}"
            )
        if self.curves is not None:
            curves = np.array(self.curves, dtype=float)
            if curves.ndim != 3 or curves.shape[:2] != scores.shape or curves.shape[2] == 0:
                raise InputError(
                    f"expected curves of shape {(*scores.shape, 'epochs')}, at least one epoch, came {curves.shape}"
                )
            object.__setattr__(self, "curves", curves)
        if self.stopped is not None:
            stopped = np.array(self.stopped, dtype=np.int64)
            if stopped.shape != scores.shape or not np.isnan(scores[stopped > 0]).all():
                raise InputError(
                    f"expected stopped of shape {scores.shape}, above 0 only where there is no score, came shape "
                    f"{stopped.shape}"
                )
            object.__setattr__(self, "stopped", stopped if stopped.any() else None)
        object.__setattr__(self, "scores", scores)
        if self.seconds is not None:
            object.__setattr__(self, "seconds", np.array(self.seconds, dtype=float))
        if not self.params:
            object.__setattr__(self, "params", tuple({} for _ in self.candidates))

    @property
    def n_candidates(self) -> int:
        """How many candidates, C."""
        return len(self.candidates)

    @property
    def n_replicates(self) -> int:
        """How many replicates the table has room for, R."""
        return int(self.scores.shape[1])

    @property
    def is_stopped(self) -> Bools:
        """(C, R) whether an instance was stopped after an epoch, so that it has no score."""
        return np.zeros(self.scores.shape, dtype=bool) if self.stopped is None else self.stopped > 0

    def losses(self, direction: Direction) -> Floats:
        """Give the scores as losses (C, R): nan where not trained, +inf where diverged or failed."""
        return losses_of(self.scores, direction)

    def subset(self, names: Sequence[str]) -> "Table":
        """Keep only some candidates, in the given order.

        Raises:
            InputError: a name is not in the table.
        """
        index = {name: position for position, name in enumerate(self.candidates)}
        unknown = [name for name in names if name not in index]
        if unknown:
            raise InputError(f"expected names of candidates in the table, came {unknown[0]!r}")
        rows = [index[name] for name in names]
        return Table(
            tuple(names),
            self.scores[rows],
            None if self.seconds is None else self.seconds[rows],
            tuple(self.params[row] for row in rows),
            None if self.curves is None else self.curves[rows],
            None if self.stopped is None else self.stopped[rows],
        )

    def to_frame(self) -> pd.DataFrame:
        """Give the table in long form, one row an instance that was trained, to the end or not."""
        is_stopped = self.is_stopped
        rows, columns = np.nonzero(~np.isnan(self.scores) | is_stopped)
        scores = self.scores[rows, columns]
        is_complete = np.isfinite(scores)
        data: dict[str, Any] = {
            "candidate": np.array(self.candidates, dtype=object)[rows],
            "replicate": columns,
            "score": np.where(is_complete, scores, np.nan),
            "state": np.where(is_complete, State.COMPLETE.value, State.DIVERGED.value),
        }
        if self.stopped is not None:
            stopped = self.stopped[rows, columns]
            data["state"] = np.where(stopped > 0, State.PRUNED.value, data["state"])
            data[_STOPPED_AT] = pd.Series(stopped, dtype="Int64").mask(stopped == 0)
        if self.seconds is not None:
            data["seconds"] = self.seconds[rows, columns]
        if self.curves is not None:
            curves = self.curves[rows, columns]
            data |= {f"{_EPOCH}{epoch + 1}": curves[:, epoch] for epoch in range(curves.shape[1])}
        data |= {key: values.take(rows) for key, values in params_columns(self.params, data).items()}
        return pd.DataFrame(data).infer_objects()

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        score_prefix: str | None = None,
        seconds_prefix: str | None = None,
        source: str = "the data frame",
        columns: Columns | None = None,
    ) -> "Table":
        """Read a table from pandas, or anything that speaks Arrow (Polars, DuckDB, pyarrow), long or wide.

        Long: columns ``candidate, replicate, score``, optionally ``seconds``, ``state`` and the score after each
        epoch (``epoch_1``, ``epoch_2``, ...); every other column is a parameter. A row without a usable score
        (empty, nan, infinite, or a state other than complete) counts as a diverged training; one of state ``pruned``
        with its epoch in ``stopped_at`` has no score. Wide: one row a candidate (named by column ``candidate`` or
        ``model``, else by row number), one column a replicate, named by the prefix and a number. An empty cell of a
        wide table was not trained; ``nan`` or ``inf`` written out in a CSV file is a diverged training.

        Args:
            frame: a pandas data frame, or an object with Arrow's ``__arrow_c_stream__``.
            score_prefix: makes the table wide: the score columns are this prefix and a number.
            seconds_prefix: the same for the columns of training times.
            source: named in messages.
            columns: makes the table long, with columns of other names: which is what.

        Raises:
            TableError: what is wrong, and where.
            InputError: prefixes and columns together.
            MissingExtraError: an Arrow object without pyarrow.
        """
        frame = _as_pandas(frame, source)
        if frame.shape[0] == 0:
            raise TableError("expected at least one row, came an empty table", source)
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise TableError(f"expected columns with different names, came {twice!r} twice", source)
        if columns is not None:
            if score_prefix is not None or seconds_prefix is not None:
                raise InputError("expected a table that is long or wide, came columns of a long one and a prefix")
            return _from_long(columns.long(frame, source), f"{source} ({columns})")
        if score_prefix is None and {"replicate", "score"} <= set(frame.columns):
            return _from_long(frame, source)
        return _from_wide(frame, score_prefix, seconds_prefix, source)


def curve_array(curves: Mapping[tuple[int, int], Sequence[float] | Floats], shape: tuple[int, ...]) -> Floats | None:
    """Gather curves of different lengths.

    Args:
        curves: of instances, by position of the candidate and replicate.
        shape: (C, R)

    Returns:
        (C, R, E), nan where there is none; None where no curve has an epoch.

    Example:
        >>> curve_array({(0, 1): [0.5, 0.25]}, (1, 2)).tolist()
        [[[nan, nan], [0.5, 0.25]]]
    """
    n_epochs = max((len(curve) for curve in curves.values()), default=0)
    if not n_epochs:
        return None
    found = np.full((*shape, n_epochs), np.nan)
    for (position, replicate), curve in curves.items():
        found[position, replicate, : len(curve)] = curve
    return found


def params_columns(params: Sequence[Mapping[str, Any]], taken: Container[str] = ()) -> "dict[str, Any]":
    """Give one column a parameter, each of the kind that holds its values.

    Args:
        params: (C,) of the candidates.
        taken: names that other columns have; such parameters are left out.

    Returns:
        (C,) arrays of pandas by name, empty (None or nan) where a candidate has no such parameter.

    Example:
        >>> found = params_columns([{"lr": 0.1}, {"lr": 1, "seed": 3}])
        >>> {name: values.to_numpy().tolist() for name, values in found.items()}
        {'lr': [0.1, 1.0], 'seed': [nan, 3.0]}
    """
    keys = dict.fromkeys(key for row in params for key in row if key not in taken)
    columns = {key: np.fromiter((row.get(key) for row in params), dtype=object, count=len(params)) for key in keys}
    return {key: pd.Series(values).infer_objects().array for key, values in columns.items()}


def read_table(
    path: str | Path,
    score_prefix: str | None = None,
    seconds_prefix: str | None = None,
    columns: Columns | None = None,
) -> Table:
    r"""Read a table from a CSV or Parquet file; ``Table.from_frame`` says what it may look like.

    Args:
        path: of the file.
        score_prefix: of a wide table's columns of scores.
        seconds_prefix: of a wide table's columns of training times.
        columns: which column is what, of a table that another tool has written.

    Raises:
        TableError: the file is missing, unreadable or not a table.
        InputError: prefixes and columns together.
        MissingExtraError: Parquet without pyarrow.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "scores.csv"
        ...     _ = path.write_text("candidate,score_0,score_1\nsmall,0.1,0.2\nlarge,0.3,\n")
        ...     read_table(path).scores
        array([[0.1, 0.2],
               [0.3, nan]])
    """
    path = Path(path)
    names = {columns.candidate} if columns is not None and columns.candidate else set()
    return Table.from_frame(read_frame(path, names), score_prefix, seconds_prefix, str(path), columns)


def _as_pandas(frame: Any, source: str) -> pd.DataFrame:
    """Take a pandas data frame as it is, anything else through Arrow's C stream."""
    if isinstance(frame, pd.DataFrame):
        return frame
    if not hasattr(frame, "__arrow_c_stream__"):
        raise TableError(
            f"expected a pandas or Polars data frame, or an Arrow table, came a {type(frame).__name__}", source
        )
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet") from error
    made: pd.DataFrame = pa.table(frame).to_pandas()
    return made


def _numbers(column: "pd.Series[Any]", empty: float, source: str) -> Floats:
    """Read a column of numbers: ``empty`` where there is nothing, inf where nan or infinity is written."""
    is_number = pd.api.types.is_numeric_dtype(column.dtype)
    values = _coerced(column)
    missing = np.isnan(values)
    if missing.any():
        is_empty = column.isna().to_numpy()
        for row in np.flatnonzero(missing & ~is_empty) if not is_number else []:
            if str(column.iloc[row]).strip().lower() not in _NOT_A_NUMBER:
                raise TableError(
                    f"expected numbers in column {column.name!r}, came {column.iloc[row]!r} in data row {row + 1}",
                    source,
                )
        values = np.where(missing, np.where(is_empty, empty, np.inf), values)
    return values


def _coerced(column: "pd.Series[Any]") -> Floats:
    """Read numbers; nan where there is none, infinite where one is beyond what fits."""
    try:
        return np.array(pd.to_numeric(column, errors="coerce"), dtype=float)
    except OverflowError:  # a whole number of hundreds of digits
        return np.array([float(pd.to_numeric(str(cell), errors="coerce")) for cell in column], dtype=float)


def _from_long(frame: pd.DataFrame, source: str) -> Table:
    column = name_column(frame)
    if column is None:
        raise TableError("expected a column 'candidate' (or 'model') beside 'replicate' and 'score'", source)
    if frame[column].isna().any():
        row = int(np.flatnonzero(frame[column].isna().to_numpy())[0]) + 1
        raise TableError(f"expected a name in column {column!r}, came nothing in data row {row}", source)
    codes, names = pd.factorize(frame[column].astype(str))
    replicates = _replicates(frame["replicate"], source)
    numbers, positions = np.unique(replicates, return_inverse=True)
    if len(names) * len(numbers) > most_cells(len(frame)):
        raise TableError(
            f"expected candidates that share their replicates, came {len(names):,} candidates and {len(numbers):,} "
            f"different replicates in {len(frame):,} rows. Where seeds pair nothing, leave the column of replicates "
            "out: rows are then numbered as they come",
            source,
        )
    key = codes.astype(np.int64) * len(numbers) + positions
    unique, first = np.unique(key, return_index=True)
    if len(unique) < len(key):
        row = int(np.setdiff1d(np.arange(len(key)), first)[0])
        raise TableError(
            f"expected one row for each candidate and replicate, came a second one for candidate "
            f"{str(frame[column].iloc[row])!r}, replicate {replicates[row]}, in data row {row + 1}",
            source,
        )
    values = _numbers(frame["score"], np.inf, source)
    if "state" in frame.columns:
        values = np.where(frame["state"].astype(str).to_numpy() == State.COMPLETE.value, values, np.inf)
    stopped_at = _stopped_at(frame, source)
    if stopped_at is not None:
        values = np.where(stopped_at > 0, np.nan, values)
    scores = np.full((len(names), len(numbers)), np.nan)
    scores[codes, positions] = values
    stopped = np.zeros(scores.shape, dtype=np.int64)
    stopped[codes, positions] = 0 if stopped_at is None else stopped_at
    seconds = None
    if "seconds" in frame.columns:
        seconds = np.full(scores.shape, np.nan)
        seconds[codes, positions] = _finite_or_nan(_numbers(frame["seconds"], np.nan, source))
    _, rows = np.unique(codes, return_index=True)
    epochs = _epochs(frame, source)
    curves = None
    if epochs:
        curves = np.full((*scores.shape, len(epochs)), np.nan)
        curves[codes, positions] = np.column_stack([_numbers(frame[name], np.nan, source) for name in epochs])
    known = _LONG_COLUMNS | {column, *epochs} | (set() if stopped_at is None else {_STOPPED_AT})
    others = [name for name in frame.columns if name not in known]
    return Table(tuple(map(str, names)), scores, seconds, _params(frame.iloc[rows], others), curves, stopped)


def _stopped_at(frame: pd.DataFrame, source: str) -> Ints | None:
    """Read after which epochs instances were stopped, 0 where none was; None where the table does not say."""
    if "state" not in frame.columns or _STOPPED_AT not in frame.columns:
        return None
    is_pruned = frame["state"].astype(str).to_numpy() == State.PRUNED.value
    found = _numbers(frame[_STOPPED_AT], 0.0, source)
    bad = np.flatnonzero(is_pruned & ~((found >= 1) & (found < 2**53) & (found == np.floor(found))))
    if len(bad):
        came = f"came {frame[_STOPPED_AT].tolist()[bad[0]]!r} in data row {bad[0] + 1}"
        raise TableError(f"expected whole numbers from 1 in column {_STOPPED_AT!r} where pruned, {came}", source)
    return np.where(is_pruned, found, 0.0).astype(np.int64)


def _epochs(frame: pd.DataFrame, source: str) -> list[str]:
    """Find the columns of the curves, from the first epoch to the last."""
    found = _numbered(frame, _EPOCH, source)
    missing = set(range(1, len(found) + 1)) - set(found)
    if missing:
        raise TableError(
            f"expected the columns of the curves, {_EPOCH}1 to {_EPOCH}{max(found)}, all there, came none named "
            f"{_EPOCH}{min(missing)}",
            source,
        )
    return list(found.values())


def _from_wide(frame: pd.DataFrame, score_prefix: str | None, seconds_prefix: str | None, source: str) -> Table:
    score_columns = _numbered(frame, "score_" if score_prefix is None else score_prefix, source)
    if not score_columns:
        found = sorted({_stem(str(name)) for name in frame.columns} - {""})
        hint = f"; numbered columns found: {', '.join(found)}" if found else ""
        wanted = "" if score_prefix is None else f" named {score_prefix}0, {score_prefix}1, ..."
        raise TableError(
            f"expected scores: either columns candidate, replicate, score, or one row a candidate and a column "
            f"a replicate{wanted} (--score-prefix); came columns {listed(frame.columns)}{hint}",
            source,
        )
    seconds_columns = _numbered(frame, "seconds_" if seconds_prefix is None else seconds_prefix, source)
    if seconds_prefix is not None and not seconds_columns:
        raise TableError(
            f"expected columns named {seconds_prefix}0, {seconds_prefix}1, ..., came {listed(frame.columns)}",
            source,
        )
    scores = np.column_stack([_numbers(frame[name], np.nan, source) for name in score_columns.values()])
    seconds = None
    if seconds_columns:
        seconds = np.full(scores.shape, np.nan)
        for position, number in enumerate(score_columns):
            if number in seconds_columns:
                column = _numbers(frame[seconds_columns[number]], np.nan, source)
                seconds[:, position] = _finite_or_nan(column)
    named_by = name_column(frame)
    names = [str(row) for row in range(len(frame))] if named_by is None else _wide_names(frame[named_by], source)
    used = {*score_columns.values(), *seconds_columns.values(), named_by}
    return Table(tuple(names), scores, seconds, _params(frame, [name for name in frame.columns if name not in used]))


def _wide_names(column: "pd.Series[Any]", source: str) -> list[str]:
    if column.isna().any():
        row = int(np.flatnonzero(column.isna().to_numpy())[0]) + 1
        raise TableError(f"expected a name in column {column.name!r}, came nothing in data row {row}", source)
    names = [str(name) for name in column]
    seen: dict[str, int] = {}
    for row, name in enumerate(names):
        if name in seen:
            raise TableError(
                f"expected one row a candidate, came {name!r} in data rows {seen[name] + 1} and {row + 1}",
                source,
            )
        seen[name] = row
    return names


def _replicates(column: "pd.Series[Any]", source: str) -> "np.ndarray[Any, np.dtype[np.int64]]":
    values = _coerced(column)
    bad = ~np.isfinite(values) | (values != np.floor(values)) | (values < 0) | (values >= 2**53)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise TableError(
            f"expected whole numbers from 0 in column 'replicate', came {column.tolist()[row]!r} in data "
            f"row {row + 1}",
            source,
        )
    return values.astype(np.int64)


def _numbered(frame: pd.DataFrame, prefix: str, source: str) -> dict[int, str]:
    """Find the columns named by a prefix and a number: number -> column, in order."""
    pattern = re.compile(re.escape(prefix) + r"([0-9]{1,18})\Z")
    found: dict[int, str] = {}
    for name in frame.columns:
        if match := pattern.match(str(name)):
            other = found.setdefault(int(match[1]), name)
            if other != name:
                raise TableError(f"expected columns of different numbers, came {other!r} and {name!r}", source)
    return dict(sorted(found.items()))


def _stem(name: str) -> str:
    match = re.fullmatch(r"(.*\D)\d+", name)
    return match[1] if match else ""


def _finite_or_nan(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _params(frame: pd.DataFrame, columns: list[str]) -> tuple[Mapping[str, Any], ...]:
    if not columns:
        return ()
    records = frame[columns].astype(object).to_dict(orient="records")
    return tuple({str(key): value for key, value in record.items()} for record in records)
