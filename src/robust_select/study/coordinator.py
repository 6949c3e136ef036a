"""The coordinator: hands what a selection asks for to a crew, writes down what comes back, then tells it.

Called by ``Study``. Knows nothing of study files, and of the ledger only one function that records.
"""

import functools
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

import numpy as np

from robust_select.core.candidates import Candidate
from robust_select.core.errors import ExecutorBrokenError, RobustSelectError, TrainerError
from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.select.selection import Asked, Selection
from robust_select.train.executors import Crew

Record = Callable[[Sequence[tuple[int, int, Outcome]]], None]

_LEAST_SECONDS_BETWEEN_FLUSHES = 0.01
_MOST_SECONDS_BETWEEN_FLUSHES = 0.25
_LEAST_FIRST_FAILURES = 3
_MOST_CANDIDATES_FAILED_FIRST = 50

_seeds = functools.lru_cache(maxsize=4096)(seeds_for)  # the same for every candidate of a replicate


def coordinate(
    selection: Selection,
    candidates: Sequence[Candidate],
    seed: int,
    known: Mapping[Asked, Outcome],
    crew: Crew,
    record: Record,
    flush: Callable[[], None],
) -> Generator[int]:
    """Drive a selection to its end.

    Every outcome is recorded as soon as it is there, and flushed before the selection hears of it. Flushing is
    slow, so where trainings are fast several outcomes share one; none waits while everybody else does. Outcomes
    that are known already are told at once and trained no more. If the very first trainings all fail (at least
    one of each candidate, or of 50 candidates, or of as many as are asked for at first; 3 at least if the rule asks
    for so many), nothing of them is recorded and the study ends: the trainer is broken, not the candidates.

    Args:
        selection: asked and told.
        candidates: (C,) in the selection's order.
        seed: of the study.
        known: outcomes from the ledger.
        crew: trains; if the loop is left early (Ctrl-C, say), what has finished is recorded.
        record: writes outcomes down, so that they survive the end of this process.
        flush: has the disk confirm it, so that they survive a power cut.

    Yields:
        How many outcomes were told since the last time.

    Raises:
        TrainerError: the first trainings all failed.
        ExecutorBrokenError: a borrowed executor broke or was shut down.
    """
    in_flight: dict[Future[Outcome], Asked] = {}
    ended: SimpleQueue[Future[Outcome]] = SimpleQueue()  # looking at thousands of futures each time would take longer
    untold: list[tuple[Asked, Outcome]] = []  # recorded, not flushed
    failures: list[tuple[Asked, Outcome]] | None = None if known else []
    n_doubtful = min(len(candidates), _MOST_CANDIDATES_FAILED_FIRST, selection.n_first_asked)
    n_told, flush_again_at = 0, 0.0
    try:
        while True:
            n_told += _fill(selection, candidates, seed, known, crew, in_flight, ended)
            if not in_flight and not untold:
                if failures and _n_candidates(failures) >= n_doubtful:
                    raise TrainerError(len(failures), failures[0][1].message, failures[0][1].log)
                if failures:  # a first round too small to say that the trainer is broken
                    _record(failures, record)
                    untold, failures = failures, None
                    continue
                yield n_told
                n_told = 0
                if selection.is_finished:
                    return
                continue
            if not untold and ended.empty():
                crew.start()  # all that can be submitted is: stacks are as full as they get
            finished = _finished(ended, may_block=not untold)
            outcomes = [(in_flight[future], _outcome_of(future)) for future in finished]
            outcomes.sort(key=lambda item: (item[0][1], item[0][0]))
            with interrupts_held():  # else Ctrl-C could hit between writing an outcome and forgetting its future
                if failures is not None:
                    outcomes = failures + outcomes
                    failures = outcomes if _all_failed(outcomes) else None
                if failures is None:
                    _record(outcomes, record)
                    untold += outcomes
                for future in finished:
                    del in_flight[future]
            if failures and len(failures) >= _LEAST_FIRST_FAILURES and _n_candidates(failures) >= n_doubtful:
                raise TrainerError(len(failures), failures[0][1].message, failures[0][1].log)
            if untold and (not finished or time.monotonic() >= flush_again_at):
                flush_again_at = _flush_timed(flush)
                for (position, replicate), outcome in untold:
                    selection.hear(position, replicate, outcome)
                n_told += len(untold)
                untold = []
                yield n_told
                n_told = 0
    finally:
        with interrupts_held():
            if _salvage(in_flight, failures, record) or untold:
                flush()


def add_known_fresh(selection: Selection, known: Mapping[Asked, Outcome]) -> None:
    """Have a finished selection ask for the fresh instances that were trained before, however many are wanted now.

    What is known of the selected candidate beyond what the rule asked for can be nothing else.
    """
    if not selection.is_finished:
        return
    position = selection.candidates.index(selection.selected)
    n_asked = int(np.count_nonzero(selection.history[:, 0] == position))
    while (position, n_asked) in known:
        selection.fresh += 1
        n_asked += 1


def _flush_timed(flush: Callable[[], None]) -> float:
    """Flush, and say until when the next one can wait, so that a slow disk takes a fifth of the time at most."""
    began = time.monotonic()
    flush()
    ended = time.monotonic()
    return ended + min(max(4 * (ended - began), _LEAST_SECONDS_BETWEEN_FLUSHES), _MOST_SECONDS_BETWEEN_FLUSHES)


def _finished(ended: "SimpleQueue[Future[Outcome]]", may_block: bool) -> list[Future[Outcome]]:
    """Take the futures that are done; wait for one if there is nothing better to do.

    Where Ctrl-C comes in between they are still in flight, and done: they are salvaged.
    """
    found = [ended.get()] if may_block else []
    with suppress(Empty):
        while True:
            found.append(ended.get_nowait())
    return found


def _fill(
    selection: Selection,
    candidates: Sequence[Candidate],
    seed: int,
    known: Mapping[Asked, Outcome],
    crew: Crew,
    in_flight: "dict[Future[Outcome], Asked]",
    ended: "SimpleQueue[Future[Outcome]]",
) -> int:
    """Submit until the crew has enough; give the number of known outcomes that were told instead."""
    n_told = 0
    while len(in_flight) < crew.n_in_flight:
        asked = selection.ask(crew.n_in_flight - len(in_flight))
        if not asked:
            break
        for position, replicate in asked:
            outcome = known.get((position, replicate))
            if outcome is not None:
                selection.hear(position, replicate, outcome)
                n_told += 1
                continue
            candidate = candidates[position]
            limits = selection.limits(position, replicate)
            instance = Instance(candidate.name, replicate, _seeds(seed, replicate), limits)
            future = crew.submit(candidate.params, instance)
            in_flight[future] = (position, replicate)
            future.add_done_callback(ended.put)
    return n_told


def _outcome_of(future: "Future[Outcome]") -> Outcome:
    try:
        return future.result()
    except (BrokenExecutor, CancelledError) as error:  # says nothing of this training: it is not recorded
        raise ExecutorBrokenError(f"{type(error).__name__}: {error}".strip(": ")) from error
    except RobustSelectError as error:
        return Outcome.failed(str(error))
    except Exception as error:  # noqa: BLE001  an executor of the user's may raise anything
        return Outcome.failed(f"the training gave no outcome: {type(error).__name__}: {error}")


def _record(outcomes: Sequence[tuple[Asked, Outcome]], record: Record) -> None:
    if outcomes:
        record([(position, replicate, outcome) for (position, replicate), outcome in outcomes])


def _salvage(
    in_flight: "dict[Future[Outcome], Asked]", failures: list[tuple[Asked, Outcome]] | None, record: Record
) -> bool:
    """Record what has finished when the loop is left early: no finished training is lost.

    Where nothing but failures came so far, the trainer may be broken: then nothing is recorded.

    Returns:
        Whether something was recorded.
    """
    finished = [
        (asked, future.result())
        for future, asked in in_flight.items()
        if future.done() and not future.cancelled() and future.exception() is None
    ]
    in_flight.clear()
    if failures is not None:
        finished = [] if _all_failed(finished) else failures + finished
    _record(finished, record)
    return bool(finished)


def _n_candidates(outcomes: Sequence[tuple[Asked, Outcome]]) -> int:
    """Count them: of one candidate a whole stack may fail, which says nothing of the trainer."""
    return len({position for (position, _), _ in outcomes})


def _all_failed(outcomes: Sequence[tuple[Asked, Outcome]]) -> bool:
    return all(outcome.state is State.FAILED for _, outcome in outcomes)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait until the block is over; it reaches only the main thread."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    held: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            handler(held[0], None)
