"""The coordinator: hands what a selection asks for to a crew, writes down what comes back, then tells it.

Called by ``Study``. Knows nothing of study files, and of the ledger only one function that records.
"""

import functools
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from contextlib import contextmanager

from robust_select.core.candidates import Candidate
from robust_select.core.errors import ExecutorBrokenError, RobustSelectError, TrainerError
from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.select.selection import Asked, Selection
from robust_select.train.executors import Crew

Record = Callable[[Sequence[tuple[int, int, Outcome]]], None]

_MOST_FIRST_FAILURES = 50

_seeds = functools.lru_cache(maxsize=4096)(seeds_for)  # the same for every candidate of a replicate


def coordinate(
    selection: Selection,
    candidates: Sequence[Candidate],
    seed: int,
    known: Mapping[Asked, Outcome],
    crew: Crew,
    record: Record,
) -> Generator[int]:
    """Drive a selection to its end.

    Every outcome is recorded before the selection hears of it. Outcomes that are known already are told at
    once and trained no more. If the very first trainings all fail (one a candidate, 50 at most), nothing of
    them is recorded and the study ends: the trainer is broken, not the candidates.

    Args:
        selection: asked and told.
        candidates: (C,) in the selection's order.
        seed: of the study.
        known: outcomes from the ledger.
        crew: trains; if the loop is left early (Ctrl-C, say), what has finished is recorded.
        record: writes outcomes down.

    Yields:
        How many outcomes were told since the last time; once a round.

    Raises:
        TrainerError: the first trainings all failed.
        ExecutorBrokenError: a borrowed executor broke or was shut down.
    """
    in_flight: dict[Future[Outcome], Asked] = {}
    failures: list[tuple[Asked, Outcome]] | None = None if known else []
    try:
        while True:
            n_told = _fill(selection, candidates, seed, known, crew, in_flight)
            if not in_flight:
                if failures:  # a first round too small to say that the trainer is broken
                    _record_and_tell(selection, failures, record)
                    failures = None
                    continue
                yield n_told
                if selection.is_finished:
                    return
                continue
            finished, _ = wait(in_flight, return_when=FIRST_COMPLETED)
            outcomes = [(in_flight[future], _outcome_of(future)) for future in finished]
            outcomes.sort(key=lambda item: (item[0][1], item[0][0]))
            with _interrupts_held():  # else Ctrl-C could hit between writing an outcome and forgetting its future
                if failures is not None:
                    outcomes = failures + outcomes
                    failures = outcomes if _all_failed(outcomes) else None
                if failures is None:
                    _record_and_tell(selection, outcomes, record)
                for future in finished:
                    del in_flight[future]
            if failures is None:
                yield n_told + len(outcomes)
            elif len(failures) >= min(len(candidates), _MOST_FIRST_FAILURES):
                raise TrainerError(len(failures), failures[0][1].message, failures[0][1].log)
    finally:
        with _interrupts_held():
            _salvage(in_flight, failures, record)


def _fill(
    selection: Selection,
    candidates: Sequence[Candidate],
    seed: int,
    known: Mapping[Asked, Outcome],
    crew: Crew,
    in_flight: "dict[Future[Outcome], Asked]",
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
                selection.tell(position, replicate, outcome.score, outcome.seconds)
                n_told += 1
                continue
            candidate = candidates[position]
            instance = Instance(candidate.name, replicate, _seeds(seed, replicate))
            in_flight[crew.submit(candidate.params, instance)] = (position, replicate)
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


def _record_and_tell(selection: Selection, outcomes: list[tuple[Asked, Outcome]], record: Record) -> None:
    record([(position, replicate, outcome) for (position, replicate), outcome in outcomes])
    for (position, replicate), outcome in outcomes:
        selection.tell(position, replicate, outcome.score, outcome.seconds)


def _salvage(
    in_flight: "dict[Future[Outcome], Asked]", failures: list[tuple[Asked, Outcome]] | None, record: Record
) -> None:
    """Record what has finished when the loop is left early: no finished training is lost.

    Where nothing but failures came so far, the trainer may be broken: then nothing is recorded.
    """
    finished = [
        (asked, future.result())
        for future, asked in in_flight.items()
        if future.done() and not future.cancelled() and future.exception() is None
    ]
    in_flight.clear()
    if failures is not None:
        finished = [] if _all_failed(finished) else failures + finished
    if finished:
        record([(position, replicate, outcome) for (position, replicate), outcome in finished])


def _all_failed(outcomes: Sequence[tuple[Asked, Outcome]]) -> bool:
    return all(outcome.state is State.FAILED for _, outcome in outcomes)


@contextmanager
def _interrupts_held() -> Iterator[None]:
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
