"""A study: candidates, a trainer, a criterion, a rule and a ledger, run to a result and resumable at any moment.

Called by users, study files and the command line. Knows nothing of figures.
"""

import contextlib
import functools
import json
import math
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from robust_select.core.candidates import Candidate, CandidatesLike, as_candidates, params_json
from robust_select.core.errors import InputError, LedgerError, SettingsDifferError
from robust_select.core.instances import Outcome
from robust_select.core.protocols import Direction, Floats, Trainer, check_direction
from robust_select.core.tables import Table
from robust_select.core.version import __version__
from robust_select.ledger import Ledger, StudyRecord, Watched, open_ledger
from robust_select.select.pruning import FirstRound, PruneEpochs
from robust_select.select.result import Result, result_of
from robust_select.select.rules import DEFAULT_RULE, Rule
from robust_select.select.rules import rule as make_rule
from robust_select.select.selection import Asked, Selection, Step
from robust_select.stats.criteria import Criterion, criterion
from robust_select.study.coordinator import add_known_fresh, coordinate, interrupts_held
from robust_select.study.progress import ProgressBar
from robust_select.study.reading import answer_of, curves_of
from robust_select.train.executors import AnyExecutor, open_crew

OnExisting = Literal["resume", "new", "error"]


class Study:
    """Trains candidates again and again, discards the worse, and hands back the robust one.

    Args:
        candidates: candidates, or dictionaries of parameters (``grid`` and ``sample`` make many).
        trainer: ``train(params, instance) -> score``, or an ``Outcome`` with a curve.
        criterion: by which candidates are ranked: a name, or what ``criterion(name, tolerance)`` gives.
        direction: of the score: "minimize" a loss, "maximize" a metric.
        rule: who goes on.
        ledger: path of a SQLite file or a database URL; None keeps the study in memory only.
        seed: the same seed gives every instance the same seeds.
        name: of the study in the ledger.
        fresh: how often the selected candidate is trained once more when the rule has stopped. The choice does not
            look at these instances, so that they say what it is really like. May differ from run to run.
        prune_epochs: stop first trainings that are behind others after some epochs: ``PruneEpochs``, or the epochs
            alone. By default nothing is stopped. ``analysis.pruning`` says whether it was safe.

    Raises:
        InputError: something of it cannot be used.

    Example:
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.select.rules import Halving
        >>> def train(params, instance):
        ...     noise = instance.rng("initial_weights").normal()
        ...     return (params["lr"] - 0.1) ** 2 + params["noise"] * noise
        >>> study = Study(grid(lr=[0.1, 0.2], noise=[0.0, 1.0]), train, rule=Halving(warmup=8), seed=7)
        >>> study.run().selected
        'lr=0.1, noise=0'
    """

    def __init__(
        self,
        candidates: CandidatesLike,
        trainer: Trainer,
        *,
        criterion: str | Criterion = "q3+iqr",
        direction: str = "minimize",
        rule: Rule | None = None,
        ledger: str | Path | None = None,
        seed: int = 0,
        name: str = "study",
        fresh: int = 0,
        prune_epochs: PruneEpochs | Sequence[int] | None = None,
    ) -> None:
        self.candidates: tuple[Candidate, ...] = as_candidates(candidates)
        if not callable(trainer):
            raise InputError(f"expected a trainer to call with (params, instance), came {trainer!r}")
        self.trainer = trainer
        self.criterion = _criterion(criterion)
        self.direction: Direction = check_direction(direction)
        self.rule: Rule = make_rule(DEFAULT_RULE) if rule is None else rule
        if not isinstance(self.rule, Rule):
            raise InputError(f"expected a rule such as Halving(), came rule={rule!r}")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InputError(f"expected a seed that is a whole number from 0, came seed={seed!r}")
        self.seed = int(seed)
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"expected a name for the study, came name={name!r}")
        self.name = name
        self.ledger = "sqlite://" if ledger is None else ledger
        self.fresh = fresh
        self.prune_epochs = PruneEpochs.of(prune_epochs)
        self.time_limit: float | None = None  # what a study file says; ``run`` may be given another
        self.origin: dict[str, Any] = {}
        self._curves: dict[Asked, Sequence[float] | Floats] = {}
        self._selection = self._new_selection()

    def settings(self) -> dict[str, Any]:
        """Give what must be the same when the study goes on, fit for JSON."""
        settings = {
            "criterion": self.criterion.name,
            "tolerance": self.criterion.tolerance or 0.0,
            "direction": self.direction,
            "rule": {"name": self.rule.name, **self.rule.settings()},
            "seed": self.seed,
            "trainer": trainer_name(self.trainer),
        }
        if self.prune_epochs is not None:
            settings["prune_epochs"] = self.prune_epochs.settings()
        plain: dict[str, Any] = json.loads(params_json(settings))  # a rule may hold numpy's numbers
        return plain

    @property
    def result(self) -> Result:
        """What the study has come to so far."""
        selection = self._selection
        table = Table(
            selection.candidates,
            selection.scores,
            selection.seconds,
            tuple(candidate.params for candidate in self.candidates),
            curves_of(self._curves, selection.scores, selection.stopped),
            selection.stopped,
        )
        return result_of(selection, table)

    def run(
        self,
        workers: int | None = None,
        executor: AnyExecutor | None = None,
        on_existing: OnExisting = "resume",
        progress: bool = False,
        time_limit: float | None = None,
    ) -> Result:
        """Run the study to its end; run it again after a crash, and it goes on where it was.

        Args:
            workers: 1 (the default) trains in this process, or with a time limit in one beside it; more train in as
                many single-threaded processes.
            executor: where to train instead: any ``concurrent.futures.Executor``, a Dask client, or the address of a
                Dask scheduler, ``"dask://HOST:PORT"``, which is kept busy with ``workers`` trainings (by default one
                a thread of the cluster).
            on_existing: what to do when the ledger holds a study of this name: go on with it, begin a new one
                beside it (its name gets a number), or raise.
            progress: whether to show a progress bar on a terminal.
            time_limit: seconds after which a training is stopped and has failed, by default ``self.time_limit``. Not
                with an executor, whose trainings cannot be stopped. May differ from run to run.

        Raises:
            LedgerError: the ledger cannot be used, holds the study with other settings, or another process runs it.
            MissingExtraError: Dask or PostgreSQL is asked for, and not installed.
            TrainerError: the first trainings all failed.
            ExecutorBrokenError: the executor broke or was shut down.
        """
        for _ in self.steps(workers, executor, on_existing, progress, time_limit):
            pass
        return self.result

    def steps(
        self,
        workers: int | None = None,
        executor: AnyExecutor | None = None,
        on_existing: OnExisting = "resume",
        progress: bool = False,
        time_limit: float | None = None,
    ) -> Iterator[Step]:
        """Run the study, step by step; the arguments are those of ``run``.

        Yields:
            What each step did, as soon as it is done (steps that the ledger knows come at once).
        """
        if on_existing not in get_args(OnExisting):
            raise InputError(f"expected on_existing among {', '.join(get_args(OnExisting))}, came {on_existing!r}")
        self._selection = selection = self._new_selection()
        limit = self.time_limit if time_limit is None else time_limit
        crew = open_crew(self.trainer, workers, executor, limit)  # before the ledger: what it refuses leaves no study
        with contextlib.closing(crew), self._opened() as ledger, self._held(ledger, on_existing) as record:
            known = ledger.known(record)
            n_known_steps = len(ledger.steps(record))
            self._curves = dict(known.curves)
            watched = Watched(ledger)

            def write(outcomes: Sequence[tuple[int, int, Outcome]]) -> None:
                with watched.writing():
                    ledger.record(record, outcomes)
                self._curves.update({(row, at): outcome.curve for row, at, outcome in outcomes if outcome.curve})

            rounds = coordinate(selection, self.candidates, self.seed, known, crew, write, ledger.flush)
            with ProgressBar(selection, len(known), is_shown=progress) as bar, contextlib.closing(rounds):
                n_yielded = 0
                for _ in rounds:
                    bar.update()
                    add_known_fresh(selection, known)
                    while n_yielded < len(selection.steps):
                        step = selection.steps[n_yielded]
                        if n_yielded >= n_known_steps:
                            with watched.writing():
                                ledger.save_step(record, n_yielded, step_record(step))
                        n_yielded += 1
                        yield step
            if record.stop_reason != selection.stop_reason or selection.n_trainings > len(known):
                with watched.writing(is_last=True):
                    ledger.finish(record, selection.stop_reason, answer_of(selection))

    def prune_at(self, epochs: Sequence[int]) -> None:
        """Prune after these epochs, with the other settings as they are; before the study runs.

        Raises:
            InputError: no epochs, or a number out of range.
        """
        settings = {} if self.prune_epochs is None else self.prune_epochs.settings()
        self.prune_epochs = PruneEpochs.of({**settings, "epochs": epochs})

    def _new_selection(self) -> Selection:
        names = [candidate.name for candidate in self.candidates]
        prune = self.prune_epochs
        first = None if prune is None else FirstRound(prune, len(names), self.direction, self.seed)
        return Selection(names, self.rule, self.criterion, self.direction, fresh=self.fresh, first_round=first)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Ledger]:
        """Open the ledger; a second Ctrl-C waits until it is closed."""
        ledger = open_ledger(self.ledger)
        try:
            yield ledger
        finally:
            with interrupts_held():
                ledger.close()

    @contextlib.contextmanager
    def _held(self, ledger: Ledger, on_existing: OnExisting) -> Iterator[StudyRecord]:
        """Find the study in the ledger, or begin it, and be the only one who runs it."""
        record = self._open(ledger, on_existing)
        with ledger.hold(record):
            yield ledger.study(record.name)

    def _open(self, ledger: Ledger, on_existing: OnExisting) -> StudyRecord:
        """Find the study in the ledger, or begin it there."""
        names = ledger.names()
        name = self.name
        if name in names:
            if on_existing == "resume":
                found = ledger.study(name)
                differences = self._differences(found)
                if differences:
                    raise SettingsDifferError(name, differences, ledger.url)
                return found
            if on_existing == "error":
                raise LedgerError(
                    f"expected no study {name!r} in it yet: use on_existing='resume' to go on with it, or 'new'",
                    ledger.url,
                )
            number = 2
            while f"{self.name} {number}" in names:
                number += 1
            name = f"{self.name} {number}"
        try:
            return ledger.create_study(name, self.settings(), self.candidates, {**_machine(), **self.origin})
        except LedgerError:
            if name not in ledger.names():
                raise
            return self._open(ledger, on_existing)  # another process began it at the same moment

    def _differences(self, found: StudyRecord) -> list[tuple[str, str, str]]:
        """Compare the settings with those in the ledger."""
        now = self.settings()
        pairs = [(key, found.settings.get(key), now.get(key)) for key in {**now, "prune_epochs": None}]
        differences = [(key, json.dumps(old), json.dumps(new)) for key, old, new in pairs if old != new]
        there = {candidate.name: params_json(candidate.params) for candidate in found.candidates}
        here = {candidate.name: params_json(candidate.params) for candidate in self.candidates}
        for name in [*there, *(name for name in here if name not in there)]:
            if there.get(name) != here.get(name):
                differences.append((f"candidate {name!r}", there.get(name, "missing"), here.get(name, "missing")))
        if not differences and list(there) != list(here):
            differences.append(("candidates", "in another order", ", ".join(here)))
        return differences


def _criterion(given: str | Criterion) -> Criterion:
    if isinstance(given, Criterion):
        return given
    return criterion(given)


def trainer_name(trainer: Trainer) -> str:
    """Name a trainer for the ledger: its qualified name without the module, which depends on how it is run."""
    inner: Any = trainer
    while isinstance(inner, functools.partial):
        inner = inner.func
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))


def step_record(step: Step) -> Mapping[str, Any]:
    """Write a step for the ledger; the candidates kept follow from those removed."""
    return {
        "step": step.step,
        "instances_used": step.instances_used,
        "best": step.best,
        "best_value": step.best_value if math.isfinite(step.best_value) else None,
        "removed": list(step.removed),
        "trainings": step.trainings,
        "seconds": step.seconds if math.isfinite(step.seconds) else None,
    }


def _machine() -> dict[str, Any]:
    """Say what ran the study, for the record."""
    return {
        "robust_select": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "cores": os.cpu_count(),
    }
