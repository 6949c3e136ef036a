"""Trains through an executor that somebody else made: a Dask client's, a thread pool, MPI.

Called by studies that are given one. Knows nothing of what is behind it.
"""

import pickle
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from typing import Any

import cloudpickle

from robust_select.core.errors import ExecutorBrokenError, InputError
from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import Trainer
from robust_select.train.functions import train_instance


class Borrowed:
    """Submits to any ``concurrent.futures.Executor``; closing leaves the executor open.

    The trainer goes with each task, pickled once by cloudpickle, so that functions of a script or a notebook
    arrive; a trainer that holds large data is better given the data's path.
    """

    def __init__(self, trainer: Trainer, executor: Executor, n_workers: int) -> None:
        self._payload = dumps_trainer(trainer)
        self._executor = executor
        self._futures: set[Future[Outcome]] = set()
        self.n_workers = n_workers
        self.n_in_flight = 2 * n_workers

    def submit(self, params: Mapping[str, Any], instance: Instance) -> "Future[Outcome]":
        """Hand the instance to the executor.

        Raises:
            ExecutorBrokenError: it takes no more work.
        """
        try:
            future = self._executor.submit(train_pickled, self._payload, dict(params), instance)
        except RuntimeError as error:  # shut down, or broken (BrokenExecutor is one)
            raise ExecutorBrokenError(f"{type(error).__name__}: {error}") from error
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def close(self) -> None:
        """Cancel what has not begun."""
        for future in tuple(self._futures):
            future.cancel()


def dumps_trainer(trainer: Trainer) -> bytes:
    """Pickle a trainer, by value where it is not importable.

    Raises:
        InputError: it holds something that cannot be pickled.
    """
    try:
        return bytes(cloudpickle.dumps(trainer))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InputError(
            f"expected a trainer that can be sent to another process, came {trainer!r}, which cannot be pickled "
            f"({error}): open files and connections inside the trainer, or train with workers=1"
        ) from error


_LOADED: dict[bytes, Trainer] = {}
"""The trainer that this process unpickled last, by its pickle."""


def train_pickled(payload: bytes, params: Mapping[str, Any], instance: Instance) -> Outcome:
    """Train an instance with a pickled trainer; it is unpickled once a process."""
    trainer = _LOADED.get(payload)
    if trainer is None:
        try:
            trainer = pickle.loads(payload)  # noqa: S301  our own pickle, made a moment ago by the coordinator
        except Exception as error:  # noqa: BLE001  unpickling imports the user's modules, which may raise anything
            return Outcome.failed(f"the trainer cannot be loaded in a worker: {type(error).__name__}: {error}")
        _LOADED.clear()  # threads of another study may do so, too: so go on with the variable, not with this
        _LOADED[payload] = trainer
    return train_instance(trainer, params, instance)
