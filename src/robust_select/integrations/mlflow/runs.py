"""The runs of one study in a tracking store of MLflow: finds them again, and writes nothing twice.

Called by the module beside it. Knows nothing of studies; of MLflow only its client, never its global settings.
"""

import math
import re
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from robust_select.core.errors import InputError

KEY = "robust_select.key"
CANDIDATE = "robust_select.candidate"
_PARENT = "mlflow.parentRunId"
_MOST_METRICS = 1000  # of one request, as the two below; so MLflow's interface sets it
_MOST_OTHERS = 100
_MOST_RUNS = 1000
_LONGEST_NAME = 250
_LONGEST_VALUE = 500  # of a parameter: what servers before MLflow 2.8 take
_LONGEST_TAG = 5000

_Item = TypeVar("_Item")

Point = tuple[str, int]
"""A metric and its step: there is one value of each."""


@dataclass
class Written:
    """A run, and what is known to be in it.

    Attributes:
        id: of the run.
        values: of its metrics.
        params: names of its parameters.
        tags: of the run.
    """

    id: str
    values: dict[Point, float] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)


class Runs:
    """A parent run and its nested ones.

    Args:
        tracking_uri: of the store; None: what MLflow itself takes.
        experiment: is made where there is none of this name.
        key: by which the parent run is found again.
        in_children: metrics whose points are read back from nested runs; of the parent all are.

    Attributes:
        parent: None as long as there is none.
        children: by name of the candidate.

    Raises:
        InputError: MLflow cannot use the store.
    """

    def __init__(self, tracking_uri: str | None, experiment: str, key: str, in_children: tuple[str, ...]) -> None:
        self._key = key
        self.parent: Written | None = None
        self.children: dict[str, Written] = {}
        try:
            with warnings.catch_warnings():  # MLflow 3.17 uses what SQLAlchemy 2.1 advises against
                warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
                self._client = MlflowClient(tracking_uri=tracking_uri)
                found = self._client.get_experiment_by_name(experiment)
                self._experiment = (
                    self._client.create_experiment(experiment) if found is None else found.experiment_id
                )
                self._find(in_children)
        except MlflowException as error:
            shown = tracking_uri and re.sub(r"//[^@/]*@", "//***@", tracking_uri)
            raise InputError(
                f"expected a store that MLflow can use, came tracking_uri={shown!r}, experiment={experiment!r}. "
                f"MLflow says: {error}"
            ) from error

    def begin(self, name: str, tags: Mapping[str, str]) -> Written:
        """Give the parent run, marked as running; it is made where there is none yet."""
        if self.parent is None:
            self.parent = self._create(name, {**tags, KEY: self._key})
        else:
            self._client.update_run(self.parent.id, status="RUNNING")
        return self.parent

    def child(self, parent: Written, name: str, tags: Mapping[str, str]) -> Written:
        """Give the nested run of a candidate; it is made where there is none yet."""
        if name not in self.children:
            self.children[name] = self._create(name, {**tags, CANDIDATE: name, _PARENT: parent.id})
        return self.children[name]

    def write(
        self,
        run: Written,
        values: Mapping[Point, float] | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write what a run does not hold yet.

        Args:
            run: the parent or a nested one.
            values: of metrics; those that are not finite are left out.
            params: text of each; one that is there is never changed, so MLflow wants it.
            tags: text of each.
        """
        named = {(allowed(name), step): value for (name, step), value in (values or {}).items()}
        points = [(at, value) for at, value in named.items() if math.isfinite(value) and at not in run.values]
        now = round(1000 * time.time())
        for some in _parts(points, _MOST_METRICS):
            self._client.log_batch(run.id, metrics=[Metric(name, value, now, step) for (name, step), value in some])
            run.values.update(some)
        others = {allowed(name): _cut(text, _LONGEST_VALUE) for name, text in (params or {}).items()}
        for items in _parts([item for item in others.items() if item[0] not in run.params], _MOST_OTHERS):
            self._client.log_batch(run.id, params=[Param(name, text) for name, text in items])
            run.params.update(name for name, _ in items)
        marks = {name: _cut(text, _LONGEST_TAG) for name, text in (tags or {}).items()}
        for items in _parts([item for item in marks.items() if run.tags.get(item[0]) != item[1]], _MOST_OTHERS):
            self._client.log_batch(run.id, tags=[RunTag(name, text) for name, text in items])
            run.tags.update(items)

    def attach(self, run: Written, path: Path) -> None:
        """Keep a file with a run, in place of an earlier one of its name."""
        self._client.log_artifact(run.id, str(path))

    def end(self, status: str) -> None:
        """Say of all runs how they ended; the parent comes last."""
        for run in [*self.children.values(), *([] if self.parent is None else [self.parent])]:
            self._client.set_terminated(run.id, status)

    def _create(self, name: str, tags: Mapping[str, str]) -> Written:
        marks = {key: _cut(text, _LONGEST_TAG) for key, text in tags.items()}
        made = self._client.create_run(self._experiment, tags=marks, run_name=_cut(name, _LONGEST_NAME))
        return Written(made.info.run_id, tags=marks)

    def _find(self, in_children: tuple[str, ...]) -> None:
        """Find the runs that an earlier process has written."""
        found = next(iter(self._search(KEY, self._key)), None)
        if found is None:
            return
        self.parent = self._read(found, tuple(found.data.metrics))
        for run in self._search(_PARENT, self.parent.id):
            if CANDIDATE in run.data.tags:
                self.children[run.data.tags[CANDIDATE]] = self._read(run, in_children)

    def _search(self, tag: str, value: str) -> Iterable[Run]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.`{tag}` = '{value}'", max_results=_MOST_RUNS, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _read(self, run: Run, names: tuple[str, ...]) -> Written:
        values = {
            (name, point.step): point.value
            for name in names
            if name in run.data.metrics
            for point in self._client.get_metric_history(run.info.run_id, name)
        }
        return Written(run.info.run_id, values, set(run.data.params), dict(run.data.tags))


def allowed(name: str) -> str:
    """Give a name that MLflow takes for a metric or a parameter.

    Example:
        >>> allowed("q3+iqr"), allowed("opt/lr"), allowed("learning rate")
        ('q3_iqr', 'opt_lr', 'learning rate')
    """
    return re.sub(r"[^\w.\- ]|^\.", "_", name)[:_LONGEST_NAME]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _parts(items: list[_Item], size: int) -> Iterable[list[_Item]]:
    return (items[first : first + size] for first in range(0, len(items), size))
