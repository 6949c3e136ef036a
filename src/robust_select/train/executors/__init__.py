"""Where trainings run: in this process, in processes of our own, or in somebody's executor.

Called by studies. Knows nothing of what the outcomes are for.
"""

from concurrent.futures import Executor

from robust_select.core.errors import InputError
from robust_select.core.protocols import Trainer
from robust_select.train.executors.base import Crew
from robust_select.train.executors.borrowed import Borrowed
from robust_select.train.executors.in_process import InProcess
from robust_select.train.executors.processes import Processes

__all__ = ["Borrowed", "Crew", "InProcess", "Processes", "open_crew"]


def open_crew(trainer: Trainer, workers: int = 1, executor: Executor | None = None) -> Crew:
    """Make the crew that trains a study's instances.

    Args:
        trainer: trains one instance.
        workers: 1 trains in this process; more start as many single-threaded processes.
        executor: any ``concurrent.futures.Executor`` to use instead; ``workers`` trainings are kept in flight.

    Raises:
        InputError: fewer than one worker, or a trainer that cannot be sent to another process.
    """
    if isinstance(workers, bool) or workers < 1:
        raise InputError(f"expected at least one worker, came workers={workers}")
    if executor is not None:
        return Borrowed(trainer, executor, workers)
    return InProcess(trainer) if workers == 1 else Processes(trainer, workers)
