"""Trains in this process, one instance after the other.

Called by studies with one worker. Knows nothing of other processes.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import Trainer
from robust_select.train.functions import train_instance


class InProcess:
    """Trains at once, when an instance is submitted."""

    n_in_flight = 1
    n_workers = 1

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def submit(self, params: Mapping[str, Any], instance: Instance) -> "Future[Outcome]":
        """Train the instance now."""
        future: Future[Outcome] = Future()
        future.set_result(train_instance(self._trainer, params, instance))
        return future

    def close(self) -> None:
        """Nothing is in flight."""
