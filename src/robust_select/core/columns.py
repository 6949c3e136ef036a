"""Which columns of somebody else's table are what: exports of Optuna, Ray Tune and W&B made long tables of ours.

Called by ``Table.from_frame``; made by users and the command line. Knows nothing of files, and of other tools only
the words they use for a state.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from robust_select.core.candidates import name_of, params_json
from robust_select.core.errors import InputError, TableError
from robust_select.core.instances import State

_COMPLETE = frozenset({"complete", "completed", "done", "finished", "success", "succeeded", "terminated", "true"})
_NOT_FINISHED = frozenset(
    {"created", "false", "paused", "pending", "preempted", "preempting", "queued", "running", "scheduled", "waiting"}
)
_UNUSABLE = frozenset({"aborted", "crashed", "diverged", "error", "errored", "fail", "failed", "killed", "pruned"})
_OURS = frozenset({"candidate", "model", "replicate", "score", "seconds", "state", "message"})


@dataclass(frozen=True)
class Columns:
    """Where a table, one row a training, keeps what.

    Attributes:
        score: column of the scores.
        candidate: column of the candidates' names; None: rows with equal parameters are replicates of one
            candidate, named by its parameters (where none are named, ``candidate`` or ``model`` is looked for).
        replicate: column of whole numbers from 0, the same for two candidates where their scores are paired (a
            seed, say); None: ``replicate`` if there is one, else the rows of a candidate are numbered as they
            come, and pair with nothing.
        seconds: column of the training times; None if there is none.
        state: column that says how each training ended; None: all with a score are complete. Complete are
            complete, done, finished, succeeded, terminated, true; trainings that still run or wait (and false: the
            results before the last one) are left out; failed, crashed, pruned and their like count as diverged. Case
            does not matter.
        params: columns of the parameters. One ending in ``*`` stands for all that begin so, and the parameter is
            named by what follows: ``params_*`` reads ``params_lr`` as ``lr``.

    Raises:
        InputError: one column for two things, or parameters that are no list.

    Example:
        >>> frame = pd.DataFrame({"value": [0.3, 0.2, 0.4], "params_lr": [0.1, 0.01, 0.1]})
        >>> Columns("value", params=("params_*",)).long(frame)[["candidate", "replicate", "score", "lr"]]
          candidate  replicate  score    lr
        0    lr=0.1          0    0.3  0.10
        1   lr=0.01          0    0.2  0.01
        2    lr=0.1          1    0.4  0.10
    """

    score: str = "score"
    candidate: str | None = None
    replicate: str | None = None
    seconds: str | None = None
    state: str | None = None
    params: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.params, str):
            raise InputError(f"expected a list of parameter columns, came params={self.params!r}")
        object.__setattr__(self, "params", tuple(self.params))
        named = self._named()
        twice = [name for name in named if named.count(name) > 1]
        if twice:
            raise InputError(f"expected a column of its own for each thing, came {twice[0]!r} for two")

    def _named(self) -> list[str]:
        return [name for name in (self.score, self.candidate, self.replicate, self.seconds, self.state) if name]

    def __str__(self) -> str:
        pairs = (("score", self.score), ("candidate", self.candidate), ("replicate", self.replicate))
        return ", ".join(f"{ours} from {theirs!r}" for ours, theirs in pairs if theirs not in (None, ours))

    def long(self, frame: pd.DataFrame, source: str = "the data frame") -> pd.DataFrame:
        """Give the table in our long form: candidate, replicate, score, seconds, state and the parameters.

        Args:
            frame: one row a training.
            source: named in messages.

        Raises:
            TableError: a column is not there, a state is unknown, or nothing is left.
        """
        for option, name in (
            ("score", self.score),
            ("candidate", self.candidate),
            ("replicate", self.replicate),
            ("seconds", self.seconds),
            ("state", self.state),
        ):
            if name is not None and name not in frame.columns:
                raise TableError(
                    f"expected a column {name!r} (--{option}-column), found none; its columns: {listed(frame)}",
                    source,
                )
        renamed = self._parameters(frame, source)
        candidate = self.candidate or (None if renamed else name_column(frame))
        if candidate is None and not renamed:
            raise TableError(
                "expected to be told the candidates: the column of their names (--candidate-column), or those of "
                f"their parameters (--parameter-columns lr,width or 'params_*'); its columns: {listed(frame)}",
                source,
            )
        replicate = self.replicate or ("replicate" if "replicate" in frame.columns else None)
        states = self._states(frame, source)
        keeps = states != ""
        if not keeps.any():
            raise TableError("expected at least one training that has ended, came none", source)
        frame, states = frame[keeps].reset_index(drop=True), states[keeps]
        found: dict[str, Any] = {}
        if candidate is None:
            records = _records(frame[list(renamed)].rename(columns=renamed))
            names = {params_json(record): name_of(record) for record in records}
            found["candidate"] = [names[params_json(record)] for record in records]
        else:
            found["candidate"] = frame[candidate]
        of_candidates = pd.Series(found["candidate"])
        counted = of_candidates.groupby(of_candidates, dropna=False).cumcount()
        found["replicate"] = counted if replicate is None else frame[replicate]
        found["score"] = frame[self.score]
        if self.seconds is not None:
            found["seconds"] = frame[self.seconds]
        if self.state is not None:
            found["state"] = states
        return pd.DataFrame({**found, **{new: frame[old] for old, new in renamed.items()}})

    def _parameters(self, frame: pd.DataFrame, source: str) -> dict[str, str]:
        """Find the columns of the parameters: column -> name of the parameter."""
        columns = [str(name) for name in frame.columns]
        others = [name for name in columns if name not in self._named()]
        found: dict[str, str] = {}
        for wanted in self.params:
            prefix = wanted[:-1] if wanted.endswith("*") else None
            if prefix is None:
                matching = [name for name in columns if name == wanted]
            else:
                matching = [name for name in others if name.startswith(prefix) and len(name) > len(prefix)]
            if not matching:
                raise TableError(
                    f"expected parameters in columns {wanted!r} (--parameter-columns), found none; its columns: "
                    f"{listed(frame)}",
                    source,
                )
            found |= {name: name if prefix is None else name[len(prefix) :] for name in matching}
        used = [*found.values()]
        return {
            column: column if name in _OURS or name.startswith("epoch_") or used.count(name) > 1 else name
            for column, name in found.items()
        }

    def _states(self, frame: pd.DataFrame, source: str) -> "np.ndarray[Any, np.dtype[np.object_]]":
        """Translate the states; empty where a training has not ended."""
        if self.state is None:
            return np.full(len(frame), State.COMPLETE.value, dtype=object)
        words = frame[self.state].astype(str).str.strip().str.lower().to_numpy(dtype=object)
        known = {
            **dict.fromkeys(_COMPLETE, State.COMPLETE.value),
            **dict.fromkeys(_UNUSABLE, State.FAILED.value),
            **dict.fromkeys(_NOT_FINISHED, ""),
        }
        unknown = [row for row, word in enumerate(words) if word not in known]
        if unknown:
            raise TableError(
                f"expected a state that says how a training ended in column {self.state!r} "
                f"({', '.join(sorted(known))}), came {frame[self.state].iloc[unknown[0]]!r} in data row "
                f"{unknown[0] + 1}",
                source,
            )
        return np.array([known[word] for word in words], dtype=object)


def name_column(frame: pd.DataFrame) -> str | None:
    """Find the column of the candidates' names in a table of ours."""
    return next((name for name in ("candidate", "model") if name in frame.columns), None)


def listed(names: Iterable[Any]) -> str:
    """List the names of columns, the first dozen of many."""
    columns = list(names)
    shown = ", ".join(map(str, columns[:12]))
    return shown + (f", ... ({len(columns)} columns)" if len(columns) > 12 else "")


def _records(frame: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Give each row's parameters, without those that it does not have (of spaces with branches)."""
    rows = frame.astype(object).to_dict(orient="records")
    return [{str(key): value for key, value in row.items() if not _is_missing(value)} for row in rows]


def _is_missing(value: Any) -> bool:
    return value is None or (not isinstance(value, (list, tuple, dict)) and bool(pd.isna(value)))
