"""What of a study goes to MLflow: scores, criteria, steps, the page; while it runs or afterwards, and never twice.

Called by users. Knows nothing of how a study runs: it looks at the result so far, and writes what is new in it.
"""

import hashlib
import json
import logging
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

from robust_select.core.candidates import Candidate, params_json
from robust_select.core.errors import InputError
from robust_select.core.version import __version__
from robust_select.integrations.mlflow.runs import Point, Runs, Written
from robust_select.report.card import card_markdown, card_of_result
from robust_select.report.page import write_page
from robust_select.select.result import Result
from robust_select.select.selection import Step
from robust_select.study import Study
from robust_select.study.reading import Reading, base_of, provenance

EXPERIMENT = "robust-select"
_PAGE = "robust-select.html"
_SCORE, _SECONDS, _INSTANCES = "score", "seconds", "instances"
_CLOSE = 1e-9  # a score that is read back is the same but for so much
_HONEST = ("honest_mean", "honest_low", "honest_high")  # columns of a summary, as the next ones
_NOT_WRITTEN = ("discarded_at", *_HONEST)

_logger = logging.getLogger("robust_select")


@dataclass(frozen=True)
class _About:
    """What a study is, whatever has been trained of it."""

    name: str
    settings: Mapping[str, Any]
    candidates: Sequence[Candidate]
    provenance: Mapping[str, str]

    @property
    def key(self) -> str:
        """Tell it from every other study, this run of the program or another."""
        candidates = [[candidate.name, params_json(candidate.params)] for candidate in self.candidates]
        text = json.dumps([self.name, self.settings, candidates], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def params(self) -> dict[str, str]:
        """Give the settings as MLflow wants them, flat and as text."""
        flat: dict[str, Any] = {"candidates": len(self.candidates)}
        for key, value in self.settings.items():
            inner = value if isinstance(value, Mapping) else {"": value}
            flat |= {f"{key}.{name}" if name else key: own for name, own in inner.items() if own is not None}
        return _texts(flat)


class LiveLog:
    """Writes a study to MLflow while it runs, and what came last when the ``with`` block ends.

    Where the store is not there for a while, a warning says so, the study goes on and what is missing is written
    later; at the end of the block an exception says so. Then, and after a crash, run the study again with another
    log, or call ``log_study``: what is there already is not written twice.

    Args:
        study: the one that runs in the block.
        tracking_uri: of the store; None: what MLflow itself takes (``MLFLOW_TRACKING_URI``, or a file here).
        experiment: is made where there is none of this name.
        name: of the run; by default the study's.
        every: seconds between two writes at least.

    Raises:
        InputError: MLflow cannot use the store, or the run holds other scores.

    Example:
        >>> from contextlib import chdir
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.select.rules import Exhaustive
        >>> study = Study(grid(lr=[0.1, 0.2]), lambda params, instance: params["lr"], rule=Exhaustive(2))
        >>> with tempfile.TemporaryDirectory() as folder, chdir(folder):  # where MLflow puts the page
        ...     with LiveLog(study, "sqlite:///:memory:") as log:
        ...         for step in study.steps():
        ...             log(step)
        >>> study.result.selected
        'lr=0.1'
    """

    def __init__(
        self,
        study: Study,
        tracking_uri: str | None = None,
        experiment: str = EXPERIMENT,
        name: str | None = None,
        every: float = 10.0,
    ) -> None:
        self._study = study
        self._every = every
        self._next = 0.0
        self._log = _Log(_about(study, name), tracking_uri, experiment)

    @property
    def run_id(self) -> str | None:
        """The parent run; None before the first write."""
        return self._log.run_id

    def __call__(self, step: Step) -> None:
        """Write what is new after a step, unless something was written a moment ago."""
        if time.monotonic() < self._next:
            return
        try:
            self._log.update(self._study.result)
        except MlflowException as error:
            _logger.warning(
                "MLflow did not take what there is after step %d, which is tried again later: %s", step.step, error
            )
        self._next = time.monotonic() + self._every

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        result = self._study.result
        if error is None:
            self._log.finish(result, "FINISHED" if _is_finished(result) else "KILLED")
            return
        try:
            self._log.finish(result, "FAILED" if isinstance(error, Exception) else "KILLED")
        except (MlflowException, InputError) as second:
            _logger.warning("MLflow did not take the last of the study: %s", second)


def log_study(
    source: Study | Reading,
    tracking_uri: str | None = None,
    experiment: str = EXPERIMENT,
    name: str | None = None,
) -> str:
    """Write a study to MLflow, finished or as far as it got; what is there already is not written twice.

    Args:
        source: a study that has run, or one as ``read_result`` reads it from a ledger.
        tracking_uri: of the store; None: what MLflow itself takes (``MLFLOW_TRACKING_URI``, or a file here).
        experiment: is made where there is none of this name.
        name: of the run; by default the study's.

    Returns:
        The parent run's id.

    Raises:
        InputError: nothing was trained yet, MLflow cannot use the store, or the run holds other scores.

    Example:
        >>> from contextlib import chdir
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.select.rules import Exhaustive
        >>> study = Study(grid(lr=[0.1, 0.2]), lambda params, instance: params["lr"], rule=Exhaustive(3))
        >>> study.run().selected
        'lr=0.1'
        >>> with tempfile.TemporaryDirectory() as folder, chdir(folder):  # where MLflow puts the page
        ...     log_study(study, "sqlite:///:memory:") == log_study(study, "sqlite:///:memory:")
        True
    """
    about, result = _about(source, name), source.result
    if not result.trainings:
        raise InputError("expected a study of which something was trained, came one without a score: run it first")
    log = _Log(about, tracking_uri, experiment)
    log.finish(result, "FINISHED" if _is_finished(result) else "RUNNING")
    return str(log.run_id)


class _Log:
    """Writes results of a study, each of which holds what the last one did and more."""

    def __init__(self, about: _About, tracking_uri: str | None, experiment: str) -> None:
        self._about = about
        self._runs = Runs(tracking_uri, experiment, about.key, (_SCORE, _SECONDS, _INSTANCES))
        self._parent: Written | None = None
        self._n_written: dict[str, int] = {}  # instances of each candidate that are written, or need not be

    @property
    def run_id(self) -> str | None:
        return None if self._parent is None else self._parent.id

    def update(self, result: Result) -> None:
        """Write the scores and the steps that are new."""
        if not result.trainings:
            return
        if self._parent is None:
            self._check(result)
        tags = {
            "robust_select.study": self._about.name,
            "robust_select.seed": str(self._about.settings.get("seed")),
            "robust_select.rule": result.rule,
            "robust_select.version": __version__,
        }
        if self._parent is None:
            self._parent = self._runs.begin(self._about.name, tags)
        self._runs.write(self._parent, _of_steps(result), self._about.params, tags)
        is_trained = ~np.isnan(result.table.scores) | result.table.is_stopped
        counts = np.count_nonzero(is_trained, axis=1).tolist()
        for row, (name, n_instances) in enumerate(zip(result.table.candidates, counts, strict=True)):
            if n_instances > self._n_written.get(name, 0):
                run = self._runs.child(self._parent, name, {"robust_select.study": self._about.name})
                self._runs.write(run, _of_instances(result, row), _texts(self._about.candidates[row].params))
                self._n_written[name] = n_instances

    def finish(self, result: Result, status: str) -> None:
        """Write all there is, the page too, and say how it ended."""
        self._check(result)
        self.update(result)
        if self._parent is None:
            return
        summary = result.summary()
        rows: list[dict[str, Any]] = summary.to_dict("records")  # type: ignore[assignment]  # keys are text here
        for row in rows:
            run = self._runs.children.get(row["candidate"])
            if run is not None:
                self._runs.write(run, _of_summary(row, result, run), tags=_marks_of(row, result))
        self._runs.write(
            self._parent,
            {(key, result.trainings): float(rows[0][key]) for key in _HONEST},
            tags={
                "robust_select.selected": result.selected,
                "robust_select.equivalent": json.dumps(result.equivalent),
                "robust_select.stop_reason": result.stop_reason,
                "mlflow.note.content": card_markdown(card_of_result(result, self._about.provenance)),
            },
        )
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / _PAGE
            base = base_of(tuple(self._about.candidates))
            write_page(result, page, self._about.name, self._about.provenance, base)
            self._runs.attach(self._parent, page)
        if status != "RUNNING":
            self._runs.end(status)

    def _check(self, result: Result) -> None:
        """Refuse to go on in a run that holds other scores than these."""
        scores = result.table.scores
        for row, name in enumerate(result.table.candidates):
            held = self._runs.children[name].values if name in self._runs.children else {}
            for (metric, at), value in held.items():
                if metric != _SCORE or at >= scores.shape[1] or np.isnan(scores[row, at]):
                    continue
                if not math.isclose(scores[row, at], value, rel_tol=_CLOSE):
                    raise InputError(
                        f"expected the scores that the run {self._about.name!r} in MLflow holds, came "
                        f"{scores[row, at]} for candidate {name!r}, replicate {at}, where it has {value}: the study "
                        "was begun anew. Give it another name=, or delete that run"
                    )


def _about(source: Study | Reading, name: str | None) -> _About:
    if isinstance(source, Reading):
        own, settings, candidates = source.study.name, dict(source.study.settings), source.study.candidates
        rows = source.provenance
    elif isinstance(source, Study):
        own, settings, candidates = source.name, source.settings(), source.candidates
        rows = provenance(own, settings, {"robust_select": __version__, **source.origin})
    else:
        raise InputError(f"expected a Study, or a Reading as read_result gives it, came {source!r}")
    return _About(own if name is None else name, settings, candidates, rows)


def _is_finished(result: Result) -> bool:
    return result.stop_reason != "not finished"


def _texts(params: Mapping[str, Any]) -> dict[str, str]:
    """Write each parameter as text, numbers and lists as JSON has them."""
    plain: dict[str, Any] = json.loads(params_json(params))
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in plain.items()}


def _of_steps(result: Result) -> dict[Point, float]:
    """Give the parent's metrics, by the number of the step."""
    values: dict[Point, float] = {}
    for step in result.steps:
        values |= {
            ("best_value", step.step): step.best_value,
            ("alive", step.step): len(step.kept),
            ("trainings", step.step): step.trainings,
            ("seconds", step.step): step.seconds,
        }
    if result.steps and result.confidence is not None:
        values["confidence", result.steps[-1].step] = result.confidence
    return values


def _of_instances(result: Result, row: int) -> dict[Point, float]:
    """Give a candidate's scores and times, by replicate; one that diverged or failed leaves a gap."""
    values: dict[Point, float] = {}
    for at in np.flatnonzero(np.isfinite(result.table.scores[row])).tolist():
        values[_SCORE, at] = float(result.table.scores[row, at])
        if result.table.seconds is not None:
            values[_SECONDS, at] = float(result.table.seconds[row, at])
    return values


def _of_summary(row: Mapping[str, Any], result: Result, run: Written) -> dict[Point, float]:
    """Give a candidate's criteria, by the number of its instances."""
    n_instances = int(row[_INSTANCES])
    if (_INSTANCES, n_instances) in run.values:
        return {}
    numbers = {name: value for name, value in row.items() if isinstance(value, Real) and name not in _NOT_WRITTEN}
    values = {(name, n_instances): float(value) for name, value in numbers.items()}
    return {**values, ("criterion", n_instances): float(row[result.criterion.name])}


def _marks_of(row: Mapping[str, Any], result: Result) -> dict[str, str]:
    return {
        "robust_select.selected": str(row["candidate"] == result.selected).lower(),
        "robust_select.discarded_at": "" if row["discarded_at"] is pd.NA else str(row["discarded_at"]),
        "robust_select.caveats": row["caveats"],
    }
