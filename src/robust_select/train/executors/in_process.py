"""Trains in this process, one instance or one stack after the other.

Called by studies with one worker. Knows nothing of other processes.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import Trainer
from robust_select.train.executors.packing import MOST_WAITING, Measurement, Task, Waiting
from robust_select.train.functions import measure_stack, train_instance, train_stack


class InProcess:
    """Trains at once, when an instance is submitted; a trainer that stacks, a stack at each ``start``."""

    n_workers = 1

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._waiting = Waiting(trainer)
        self.n_in_flight = MOST_WAITING if self._waiting.is_packing else 1

    def submit(self, params: Mapping[str, Any], instance: Instance) -> "Future[Outcome]":
        """Train the instance now, or let it wait for others."""
        task = Task(params, instance)
        if self._waiting.is_packing:
            self._waiting.put(task)
        else:
            task.future.set_result(train_instance(self._trainer, params, instance))
        return task.future

    def start(self) -> None:
        """Train one stack, if something waits."""
        work = self._waiting.take(1)
        while isinstance(work, Measurement):
            self._waiting.measured(work, *measure_stack(self._trainer, work.params))
            work = self._waiting.take(1)
        tasks = work or []
        outcomes = train_stack(self._trainer, [task.params for task in tasks], [task.instance for task in tasks])
        for task, outcome in zip(tasks, outcomes, strict=True):
            task.future.set_result(outcome)

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
