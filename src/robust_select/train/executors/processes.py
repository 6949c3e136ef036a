"""Trains in processes of our own, each single-threaded; a process that dies costs one attempt of one instance.

Called by studies with several workers. Knows nothing of what is trained.
"""

import contextlib
import functools
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from loky import ProcessPoolExecutor

from robust_select.core.errors import WorkerLostError
from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import Trainer
from robust_select.train.executors.borrowed import dumps_trainer, train_pickled

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    "1",
)

_payload = b""


def _start_worker(payload: bytes, coordinator: int) -> None:
    """Prepare a worker: keep the trainer, leave Ctrl-C to the coordinator, end when the coordinator is gone."""
    global _payload  # one trainer a process, set once before the first task
    _payload = payload
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == coordinator:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="robust-select-orphan-watch").start()


def _train(params: Mapping[str, Any], instance: Instance) -> Outcome:
    return train_pickled(_payload, params, instance)


class _Task:
    def __init__(self, params: Mapping[str, Any], instance: Instance) -> None:
        self.params = dict(params)
        self.instance = instance
        self.n_lost = 0
        self.future: Future[Outcome] = Future()


class Processes:
    """One lane a worker: a pool of one process, so that a death tells which instance it took with it.

    A lost instance is tried again on a fresh process, ``retries`` times; then its future raises
    ``WorkerLostError``. Processes are started by loky, so the trainer may be a lambda, or a function of a script
    without ``if __name__ == "__main__"`` or of a notebook.
    """

    def __init__(self, trainer: Trainer, n_workers: int, retries: int = 2) -> None:
        self._payload = dumps_trainer(trainer)
        self._retries = retries
        self._lock = threading.RLock()
        self._queue: deque[_Task] = deque()
        self._idle = list(range(n_workers))
        self._is_closed = False
        self._lanes = [self._open_lane() for _ in range(n_workers)]
        self.n_workers = n_workers
        self.n_in_flight = 2 * n_workers

    def submit(self, params: Mapping[str, Any], instance: Instance) -> "Future[Outcome]":
        """Queue the instance for the next idle worker."""
        task = _Task(params, instance)
        with self._lock:
            self._queue.append(task)
            self._dispatch()
        return task.future

    def close(self) -> None:
        """Kill the workers; what they were training is given up."""
        with self._lock:
            self._is_closed = True
            self._queue.clear()
        for lane in self._lanes:
            lane.shutdown(wait=True, kill_workers=True)

    def _open_lane(self) -> Any:
        return ProcessPoolExecutor(
            max_workers=1, initializer=_start_worker, initargs=(self._payload, os.getpid()), env=_ONE_THREAD
        )

    def _dispatch(self) -> None:
        """Give waiting tasks to idle lanes; the lock is held."""
        while self._idle and self._queue and not self._is_closed:
            number, task = self._idle.pop(), self._queue.popleft()
            inner = self._start(number, task)
            inner.add_done_callback(functools.partial(self._finish, number, task))

    def _start(self, number: int, task: _Task) -> "Future[Outcome]":
        """Hand a task to a lane; where no process can be started, the future holds the error."""
        try:
            try:
                return self._lanes[number].submit(_train, task.params, task.instance)  # type: ignore[no-any-return]
            except BrokenProcessPool:  # died while it was idle: nobody's fault
                self._replace_lane(number)
                return self._lanes[number].submit(_train, task.params, task.instance)  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001  raised in a lane's own thread it would be lost, and the task with it
            failed: Future[Outcome] = Future()
            failed.set_exception(BrokenExecutor(f"no process can be started: {type(error).__name__}: {error}"))
            return failed

    def _finish(self, number: int, task: _Task, done: "Future[Outcome]") -> None:
        """Pass an outcome on, or try again; called from the lane's own thread."""
        if done.cancelled():
            return
        error = done.exception()
        with self._lock:
            if self._is_closed:
                return
            if isinstance(error, BrokenProcessPool):
                self._replace_lane(number)
                task.n_lost += 1
            self._idle.append(number)
            is_retried = isinstance(error, BrokenProcessPool) and task.n_lost <= self._retries
            if is_retried:
                self._queue.appendleft(task)
            self._dispatch()
        if is_retried:
            return
        if error is None:
            task.future.set_result(done.result())
        elif isinstance(error, BrokenProcessPool):
            task.future.set_exception(WorkerLostError(task.n_lost, _first_line(error)))
        else:  # the outcome could not be pickled, say
            task.future.set_exception(error)

    def _replace_lane(self, number: int) -> None:
        with contextlib.suppress(RuntimeError):
            self._lanes[number].shutdown(wait=False, kill_workers=True)
        self._lanes[number] = self._open_lane()


def _first_line(error: BaseException) -> str:
    """Shorten loky's message to what it says of the cause."""
    text = str(error)
    at = text.find("exit codes of the workers are")
    if at >= 0:
        return text[at:].split("\n")[0].replace("exit codes of the workers are", "exit code").strip(" .")
    return (text.strip().splitlines() or [type(error).__name__])[0]
