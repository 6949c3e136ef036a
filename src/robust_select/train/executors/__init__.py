"""Where trainings run: in this process, in processes of our own, or in somebody's executor.

Called by studies. Knows nothing of what the outcomes are for.
"""

from concurrent.futures import Executor
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


def open_crew(trainer: Trainer, workers: int | None = None, executor: AnyExecutor | None = None) -> Crew:
    """Make the crew that trains a study's instances.

    Args:
        trainer: trains one instance.
        workers: 1 (the default) trains in this process; more start as many single-threaded processes.
        executor: where to train instead: any ``concurrent.futures.Executor``, a Dask client, or ``dask://HOST:PORT``.
            It is kept busy with ``workers`` trainings, a Dask cluster by default with one a thread that it has.

    Raises:
        InputError: fewer than one worker, no such executor, or a trainer that cannot be sent to another process.
        MissingExtraError: Dask is asked for, and not installed.
    """
    if isinstance(workers, bool) or (workers is not None and workers < 1):
        raise InputError(f"expected at least one worker, came workers={workers}")
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
