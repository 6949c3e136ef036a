"""Where trainings run: in this process, in processes of our own, or in somebody's executor.

Called by studies. Knows nothing of what the outcomes are for.
"""

import math
from concurrent.futures import Executor
from numbers import Real
from typing import TypeAlias

from robust_select.core.errors import InputError
from robust_select.core.protocols import Trainer
from robust_select.train.executors.base import Crew
from robust_select.train.executors.borrowed import Borrowed
from robust_select.train.executors.dask import Client, is_client, open_dask
from robust_select.train.executors.in_process import InProcess
from robust_select.train.executors.processes import Processes

__all__ = ["AnyExecutor", "Borrowed", "Crew", "InProcess", "Processes", "open_crew"]

AnyExecutor: TypeAlias = Executor | Client | str
"""Where trainings can run: any executor, a Dask client, or ``"dask://HOST:PORT"``."""


def open_crew(
    trainer: Trainer,
    workers: int | None = None,
    executor: AnyExecutor | None = None,
    time_limit: float | None = None,
) -> Crew:
    """Make the crew that trains a study's instances.

    Args:
        trainer: trains one instance.
        workers: 1 (the default) trains in this process, or with a time limit in one beside it; more start as many
            single-threaded processes.
        executor: where to train instead: any ``concurrent.futures.Executor``, a Dask client, or ``dask://HOST:PORT``.
            It is kept busy with ``workers`` trainings, a Dask cluster by default with one a thread that it has.
        time_limit: seconds after which a training is stopped; only processes of our own can be.

    Raises:
        InputError: fewer than one worker, no such executor, a trainer that cannot be sent to another process, a time
            limit that is no number of seconds, or one together with an executor.
        MissingExtraError: Dask is asked for, and not installed.
    """
    if isinstance(workers, bool) or (workers is not None and workers < 1):
        raise InputError(f"expected at least one worker, came workers={workers}")
    if time_limit is not None:
        _check_limit(time_limit, executor)
        return Processes(trainer, workers or 1, time_limit=float(time_limit))
    if executor is None:
        return InProcess(trainer) if workers in (None, 1) else Processes(trainer, int(workers or 1))
    if isinstance(executor, Executor):
        return Borrowed(trainer, executor, workers or 1)
    if isinstance(executor, str) or is_client(executor):
        return open_dask(trainer, executor, workers)
    raise InputError(
        "expected an executor of concurrent.futures, a dask.distributed client or 'dask://HOST:PORT', "
        f"came executor={executor!r}"
    )


def _check_limit(time_limit: float, executor: AnyExecutor | None) -> None:
    is_number = isinstance(time_limit, Real) and not isinstance(time_limit, bool)
    if not is_number or not 0 < float(time_limit) < math.inf:
        raise InputError(f"expected a time limit of so many seconds, more than 0, came time_limit={time_limit!r}")
    if executor is not None:
        raise InputError(
            f"expected a time limit only where trainings run in processes of our own, came time_limit={time_limit:g} "
            f"with executor={executor!r}, whose trainings cannot be stopped: use workers=N instead of it, or leave "
            "the limit out and let the trainer watch its own time"
        )
