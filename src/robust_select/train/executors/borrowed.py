"""Trains through an executor that somebody else made: a Dask client's, a thread pool, MPI.

Called by studies that are given one. Knows nothing of what is behind it.
"""

import contextlib
import functools
import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Any

import cloudpickle

from robust_select.core.errors import ExecutorBrokenError, InputError
from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import Trainer
from robust_select.train.executors.packing import Measurement, Task, Waiting, most_waiting
from robust_select.train.functions import measure_stack, train_stack


class Borrowed:
    """Submits to any ``concurrent.futures.Executor``; closing leaves the executor open.

    The trainer goes with each task, pickled once by cloudpickle, so that functions of a script or a notebook
    arrive; a trainer that holds large data is better given the data's path. A stack is one task; where it gives no
    outcomes (they cannot be pickled, say), its instances are tried one by one.
    """

    def __init__(
        self, trainer: Trainer, executor: Executor, n_workers: int, at_close: Callable[[], object] | None = None
    ) -> None:
        self._at_close = at_close
        self._payload = dumps_trainer(trainer)
        self._executor = executor
        self._futures: set[Future[Any]] = set()
        self._lock = threading.RLock()
        self._waiting = Waiting(trainer)
        self._n_idle = n_workers
        self._is_closed = False
        self._dispatching: set[int] = set()  # threads that are handing over
        self.n_workers = n_workers
        self.n_in_flight = most_waiting(n_workers) if self._waiting.is_packing else 2 * n_workers

    def submit(self, params: Mapping[str, Any], instance: Instance) -> "Future[Outcome]":
        """Hand the instance to the executor, or let it wait for others.

        Raises:
            ExecutorBrokenError: it takes no more work.
        """
        if not self._waiting.is_packing:
            return self._hand_over(train_pickled, dict(params), instance)
        task = Task(dict(params), instance)
        with self._lock:
            self._waiting.put(task)
        return task.future

    def start(self) -> None:
        """Hand over what waits for others, as many stacks as there are workers.

        Raises:
            ExecutorBrokenError: the executor takes no more work.
        """
        if self._waiting.is_packing:
            self._dispatch(only_full=False)

    def close(self) -> None:
        """Cancel what has not begun; then call ``at_close``, if there is one."""
        with self._lock:
            self._is_closed = True
            for task in self._waiting.clear():
                task.future.cancel()
        for future in tuple(self._futures):
            future.cancel()
        if self._at_close is not None:
            self._at_close()

    def _hand_over(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        try:
            future = self._executor.submit(function, self._payload, *arguments)
        except RuntimeError as error:  # shut down, or broken (BrokenExecutor is one)
            raise ExecutorBrokenError(f"{type(error).__name__}: {error}") from error
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def _dispatch(self, only_full: bool) -> None:
        """Hand stacks to idle workers, without the lock: an executor may hold its own when it calls back."""
        thread = threading.get_ident()
        if thread in self._dispatching:  # done at once, in this very thread: the loop below goes on by itself
            return
        self._dispatching.add(thread)
        try:
            while True:
                with self._lock:
                    work = self._waiting.take(self._n_idle, only_full) if self._n_idle > 0 else None
                    if work is None:
                        return
                    self._n_idle -= 1
                self._begin(work)
        finally:
            self._dispatching.discard(thread)

    def _begin(self, work: list[Task] | Measurement) -> None:
        if isinstance(work, Measurement):
            measured = self._hand_over(measure_pickled, work.params)
            measured.add_done_callback(functools.partial(self._hear_size, work))
            return
        params, instances = [task.params for task in work], [task.instance for task in work]
        try:
            trained = self._hand_over(train_stack_pickled, params, instances)
        except ExecutorBrokenError as error:
            for task in work:
                _settle(task, BrokenExecutor(str(error)))
            raise
        trained.add_done_callback(functools.partial(self._hear_outcomes, work))

    def _hear_size(self, measurement: Measurement, done: "Future[tuple[int, str]]") -> None:
        """Note a stack size; where it could not be measured, the trainings will say why."""
        with self._lock:
            self._n_idle += 1
            failed = done.cancelled() or done.exception() is not None
            self._waiting.measured(measurement, *((1, "") if failed else done.result()))
        self._go_on(only_full=False)

    def _hear_outcomes(self, tasks: list[Task], done: "Future[list[Outcome]]") -> None:
        """Pass outcomes on; called from a thread of the executor."""
        error = CancelledError() if done.cancelled() else done.exception()
        with self._lock:
            self._n_idle += 1
            if error is None:
                for task, outcome in zip(tasks, done.result(), strict=True):
                    _settle(task, outcome)
            elif len(tasks) > 1 and not self._is_closed and not isinstance(error, (BrokenExecutor, CancelledError)):
                for task in reversed(tasks):
                    task.is_alone = True
                    self._waiting.put_first(task)
            else:
                for task in tasks:
                    _settle(task, error)
        self._go_on(only_full=True)

    def _go_on(self, only_full: bool) -> None:
        """Hand over more; where the executor takes no more, those that wait hear of it."""
        try:
            self._dispatch(only_full)
        except ExecutorBrokenError as error:
            with self._lock:
                for task in self._waiting.clear():
                    _settle(task, BrokenExecutor(str(error)))


def _settle(task: Task, ending: Outcome | BaseException) -> None:
    """End a task, unless the study has given it up."""
    if not task.future.set_running_or_notify_cancel():
        return
    if isinstance(ending, Outcome):
        task.future.set_result(ending)
    else:
        task.future.set_exception(ending)


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
            f"({error}): open files and connections inside the trainer, or train with workers=1 and no time limit"
        ) from error


_LOADED: dict[bytes, Trainer] = {}
"""The trainer that this process unpickled last, by its pickle."""


def train_pickled(payload: bytes, params: Mapping[str, Any], instance: Instance) -> Outcome:
    """Train an instance with a pickled trainer; it is unpickled once a process."""
    return train_stack_pickled(payload, [params], [instance])[0]


def train_stack_pickled(
    payload: bytes, params: Sequence[Mapping[str, Any]], instances: Sequence[Instance]
) -> list[Outcome]:
    """Train instances together with a pickled trainer."""
    try:
        trainer = _loaded(payload)
    except Exception as error:  # noqa: BLE001  unpickling imports the user's modules, which may raise anything
        message = f"the trainer cannot be loaded in a worker: {type(error).__name__}: {error}"
        return [Outcome.failed(message) for _ in instances]
    return train_stack(trainer, params, instances)


def load_pickled(payload: bytes) -> None:
    """Unpickle a trainer before its first training; where that fails, the training will say why."""
    with contextlib.suppress(Exception):
        _loaded(payload)


def measure_pickled(payload: bytes, params: Mapping[str, Any]) -> tuple[int, str]:
    """Ask a pickled trainer for the best stack size, and for the reason if instances cannot be stacked."""
    return measure_stack(_loaded(payload), params)


def _loaded(payload: bytes) -> Trainer:
    trainer = _LOADED.get(payload)
    if trainer is None:
        trainer = pickle.loads(payload)  # noqa: S301  our own pickle, made a moment ago by the coordinator
        _LOADED.clear()  # threads of another study may do so, too: so go on with the variable, not with this
        _LOADED[payload] = trainer
    return trainer
