"""Trains in processes of our own, each single-threaded; a process that dies costs one attempt of what it trained.

Called by studies with several workers, or with a time limit. Knows nothing of what is trained.
"""

import contextlib
import functools
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from loky import ProcessPoolExecutor

from robust_select.core.errors import WorkerLostError
from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import SharesData, Trainer
from robust_select.train.executors.borrowed import dumps_trainer, load_pickled, measure_pickled, train_stack_pickled
from robust_select.train.executors.packing import Measurement, Task, Waiting, most_waiting
from robust_select.train.executors.sharing import SharedFolder

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    "1",
)

_SECONDS_TO_START = 60.0  # that a process may take until it has the trainer; and finding the best stack at least

_payload = b""


def _start_worker(payload: bytes, coordinator: int, folder: str | None) -> None:
    """Prepare a worker: keep the trainer, leave Ctrl-C to the coordinator, end when the coordinator is gone."""
    global _payload  # one trainer a process, set once before the first task
    _payload = payload
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == coordinator:
            time.sleep(0.5)
        if folder is not None:  # nobody else is left to do it
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="robust-select-orphan-watch").start()


def _in_worker(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function with this worker's trainer."""
    try:
        return function(_payload, *arguments)
    except KeyboardInterrupt as error:  # not the user's Ctrl-C, which is ignored here: the coordinator is to go on
        raise RuntimeError("the trainer raised KeyboardInterrupt") from error


class Processes:
    """One lane a worker: a pool of one process, so that a death tells which instances it took with it.

    A lost instance is tried again on a fresh process, ``retries`` times; then its future raises
    ``WorkerLostError``. Instances that were lost together are tried again one by one, so that the one that kills its
    process fails alone. Processes are started by loky, so the trainer may be a lambda, or a function of a script
    without ``if __name__ == "__main__"`` or of a notebook. A trainer that can share its data writes them to a
    temporary folder, which all workers map into memory.

    With a time limit, the process of an instance that takes longer is killed, whatever it is doing, and the instance
    has failed: it is not tried again. A stack of K instances has K times as long; if that is too short they are tried
    one by one, so that the one that hangs fails alone.

    Args:
        trainer: trains one instance, or several together.
        n_workers: how many processes.
        retries: how often a lost instance is tried again.
        time_limit: seconds that a training may take, from the moment its process has the trainer; None: no limit.
    """

    def __init__(self, trainer: Trainer, n_workers: int, retries: int = 2, time_limit: float | None = None) -> None:
        self._folder: SharedFolder | None = None
        self._retries = retries
        self._time_limit = time_limit
        self._lock = threading.RLock()
        self._waiting = Waiting(trainer)
        self._idle = list(range(n_workers))
        self._running: dict[int, list[Task] | Measurement] = {}  # by lane
        self._timers: dict[int, threading.Timer] = {}
        self._is_dispatching = self._is_closed = False
        self.n_workers = n_workers
        self.n_in_flight = most_waiting(n_workers) if self._waiting.is_packing else 2 * n_workers
        try:
            if isinstance(trainer, SharesData):
                self._folder = SharedFolder()
                trainer = trainer.with_data_in(self._folder.path)
            self._payload = dumps_trainer(trainer)
            self._lanes = [self._open_lane() for _ in range(n_workers)]
        except BaseException:
            self._remove_folder()
            raise

    def submit(self, params: Mapping[str, Any], instance: Instance) -> "Future[Outcome]":
        """Queue the instance for the next idle worker, or to wait for others."""
        task = Task(dict(params), instance)
        with self._lock:
            self._waiting.put(task)
            if not self._waiting.is_packing:
                self._dispatch(only_full=True)
        return task.future

    def start(self) -> None:
        """Give what waits for others to idle workers."""
        with self._lock:
            self._dispatch(only_full=False)

    def close(self) -> None:
        """Kill the workers; what they were training is given up."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
            for timer in self._timers.values():
                timer.cancel()
        try:
            for lane in self._lanes:
                lane.shutdown(wait=True, kill_workers=True)
        finally:  # after a second Ctrl-C, too
            self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            self._folder.remove()

    def _open_lane(self) -> Any:
        return ProcessPoolExecutor(
            max_workers=1,
            initializer=_start_worker,
            initargs=(self._payload, os.getpid(), None if self._folder is None else str(self._folder.path)),
            env=_ONE_THREAD,
        )

    def _dispatch(self, only_full: bool) -> None:
        """Give waiting tasks to idle lanes; the lock is held. One loop serves tasks that end at once, too."""
        if self._is_dispatching:
            return
        self._is_dispatching = True
        try:
            while self._idle and not self._is_closed:
                work = self._waiting.take(len(self._idle), only_full)
                if work is None:
                    return
                number = self._idle.pop()
                self._running[number] = work
                if self._time_limit is not None:
                    self._limit(number, work)
                if isinstance(work, Measurement):
                    measured = self._start_on(number, measure_pickled, work.params)
                    measured.add_done_callback(functools.partial(self._hear_size, number, work))
                else:
                    params, instances = [task.params for task in work], [task.instance for task in work]
                    trained = self._start_on(number, train_stack_pickled, params, instances)
                    trained.add_done_callback(functools.partial(self._hear_outcomes, number, work))
        finally:
            self._is_dispatching = False

    def _start_on(self, number: int, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Hand something to a lane; where no process can be started, the future holds the error."""
        try:
            try:
                return self._lanes[number].submit(_in_worker, function, *arguments)  # type: ignore[no-any-return]
            except BrokenProcessPool:  # died while it was idle: nobody's fault
                self._replace_lane(number)
                return self._lanes[number].submit(_in_worker, function, *arguments)  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001  raised in a lane's own thread it would be lost, and the task with it
            failed: Future[Any] = Future()
            failed.set_exception(BrokenExecutor(f"no process can be started: {type(error).__name__}: {error}"))
            return failed

    def _hear_size(self, number: int, measurement: Measurement, done: "Future[tuple[int, str]]") -> None:
        """Note a stack size; where it could not be measured, the trainings will say why."""
        if done.cancelled():
            return
        with self._lock:
            if self._is_closed or not self._has_ended(number, measurement):
                return
            error = done.exception()
            if isinstance(error, BrokenProcessPool):
                self._replace_lane(number)
            self._waiting.measured(measurement, *(done.result() if error is None else (1, "")))
            self._idle.append(number)
            self._dispatch(only_full=False)

    def _hear_outcomes(self, number: int, tasks: list[Task], done: "Future[list[Outcome]]") -> None:
        """Pass outcomes on, or try again; called from the lane's own thread."""
        if done.cancelled():
            return
        error = done.exception()
        is_lost = isinstance(error, BrokenProcessPool)
        with self._lock:
            if self._is_closed or not self._has_ended(number, tasks):
                return
            if is_lost:
                self._replace_lane(number)
            ended = []
            for task in reversed(tasks):
                task.n_lost += is_lost
                was_together = len(tasks) > 1 and error is not None
                if was_together and not is_lost:
                    is_retried = not isinstance(error, BrokenExecutor)  # where no process starts, none will
                else:
                    is_retried = is_lost and (was_together or task.n_lost <= self._retries)
                if is_retried:
                    task.is_alone = True
                    self._waiting.put_first(task)
                else:
                    ended.append(task)
            self._idle.append(number)
            self._dispatch(only_full=True)
        outcomes = dict(zip(tasks, done.result(), strict=True)) if error is None else {}
        for task in reversed(ended):
            if error is None:
                task.future.set_result(outcomes[task])
            elif is_lost:
                task.future.set_exception(WorkerLostError(task.n_lost, _first_line(error)))
            else:  # no process, or an outcome that could not be pickled, say
                task.future.set_exception(error)

    def _replace_lane(self, number: int) -> None:
        with contextlib.suppress(RuntimeError):
            self._lanes[number].shutdown(wait=False, kill_workers=True)
        self._lanes[number] = self._open_lane()

    def _has_ended(self, number: int, work: list[Task] | Measurement) -> bool:
        """Note that a lane's work has ended; false if it was stopped before and the lane does something else now."""
        if self._running.get(number) is not work:
            return False
        del self._running[number]
        if timer := self._timers.pop(number, None):
            timer.cancel()
        return True

    def _limit(self, number: int, work: list[Task] | Measurement) -> None:
        """Have the work stopped when its time is over; it begins when the process has the trainer."""
        limit = float(self._time_limit or 0.0)
        limit = max(limit, _SECONDS_TO_START) if isinstance(work, Measurement) else limit * len(work)
        self._set_timer(number, work, limit + _SECONDS_TO_START)

        def begin(_loaded: "Future[Any]") -> None:
            with self._lock:
                if self._running.get(number) is work and not self._is_closed:
                    self._set_timer(number, work, limit)

        self._start_on(number, load_pickled).add_done_callback(begin)

    def _set_timer(self, number: int, work: list[Task] | Measurement, seconds: float) -> None:
        if earlier := self._timers.pop(number, None):
            earlier.cancel()
        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._stop, (number, work))
        timer.daemon = True
        self._timers[number] = timer
        timer.start()

    def _stop(self, number: int, work: list[Task] | Measurement) -> None:
        """Kill the process whose work takes too long; called from a timer's thread."""
        with self._lock:
            if self._is_closed or not self._has_ended(number, work):
                return
            self._replace_lane(number)
            overdue = []
            if isinstance(work, Measurement):
                self._waiting.measured(work, 1, f"finding the best stack took over {_SECONDS_TO_START:g} s")
            elif len(work) > 1:
                for task in reversed(work):
                    task.is_alone = True
                    self._waiting.put_first(task)
            else:
                overdue = work
            self._idle.append(number)
            self._dispatch(only_full=not isinstance(work, Measurement))
        for task in overdue:
            limit = float(self._time_limit or 0.0)
            message = (
                f"expected the training to end within time_limit={limit:g} seconds, it did not, and its process was "
                "stopped: set a higher limit if it only needs more time"
            )
            task.future.set_result(Outcome.failed(message, limit))


def _first_line(error: BaseException) -> str:
    """Shorten loky's message to what it says of the cause."""
    text = str(error)
    at = text.find("exit codes of the workers are")
    if at >= 0:
        return text[at:].split("\n")[0].replace("exit codes of the workers are", "exit code").strip(" .")
    return (text.strip().splitlines() or [type(error).__name__])[0]
