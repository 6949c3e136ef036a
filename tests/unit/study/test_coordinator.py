import contextlib
import signal
import threading
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue

import pytest

from robust_select.core.candidates import as_candidates
from robust_select.core.errors import ExecutorBrokenError, TrainerError, WorkerLostError
from robust_select.core.instances import Outcome, State, seeds_for
from robust_select.select.rules import Exhaustive, Halving
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion
from robust_select.study.coordinator import _flush_timed, coordinate, interrupts_held
from robust_select.train.executors import InProcess


class SlowCrew:
    """A crew whose futures the test finishes by hand, when the coordinator waits for one of them."""

    def __init__(self, n_in_flight=4):
        self.n_workers = self.n_in_flight = n_in_flight
        self.submitted = []

    def submit(self, params, instance):
        future = Future()
        self.submitted.append((instance, future))
        return future

    def start(self):
        """Nothing waits: everything submitted is in training."""

    def finish(self, n, outcome=None):
        for instance, future in [item for item in self.submitted if not item[1].done()][:n]:
            future.set_result(outcome or Outcome(float(instance.replicate)))


class Notes:
    """A ledger on one page: what was recorded, and what of it was flushed."""

    def __init__(self):
        self.recorded = []
        self.n_flushed = 0

    def __call__(self, recorded):
        self.recorded.extend(recorded)

    def flush(self):
        self.n_flushed = len(self.recorded)

    @property
    def keys(self):
        return [found[:2] for found in self.recorded]


def coordinated(crew, notes, n_candidates=4, rule=None, known=None):
    names = [f"c{i}" for i in range(n_candidates)]
    selection = Selection(names, rule or Exhaustive(n=3), criterion("mean"))
    flush = getattr(notes, "flush", lambda: None)
    return selection, coordinate(selection, as_candidates(names), 7, known or {}, crew, notes, flush)


@pytest.fixture
def while_waiting(monkeypatch):
    """Let the test decide what happens each time the coordinator waits for a future with nothing else to do."""

    def set_up(*actions):
        remaining = list(actions)

        class Ended(SimpleQueue):
            def get(self):
                remaining.pop(0)()
                while self.empty():
                    remaining.pop(0)()
                return super().get()

        monkeypatch.setattr("robust_select.study.coordinator.SimpleQueue", Ended)

    return set_up


def interrupt():
    raise KeyboardInterrupt


def test_an_outcome_is_recorded_and_flushed_before_the_selection_hears_of_it(while_waiting, monkeypatch):
    crew, notes = SlowCrew(), Notes()
    selection, rounds = coordinated(crew, notes)
    hear, told = selection.hear, []

    def listens(candidate, replicate, outcome):
        assert (candidate, replicate) in notes.keys[: notes.n_flushed]
        told.append((candidate, replicate))
        hear(candidate, replicate, outcome)

    monkeypatch.setattr(selection, "hear", listens)
    while_waiting(*[lambda: crew.finish(2)] * 6)
    assert sum(rounds) == 12
    assert told == notes.keys
    assert notes.n_flushed == 12
    assert selection.is_finished


def test_fast_trainings_share_a_flush_and_none_waits_for_long(monkeypatch):
    now, flushes = [100.0], []
    monkeypatch.setattr("robust_select.study.coordinator.time.monotonic", lambda: now[0])

    def train(params, instance):
        now[0] += 0.003 if instance.replicate < 2 else 1.0
        return 0.5

    notes = Notes()
    notes.flush = lambda: flushes.append(len(notes.recorded))
    _, rounds = coordinated(InProcess(train), notes, n_candidates=8)
    list(rounds)
    # 3 ms each: the first at once, then every fourth; a second each: every one
    assert flushes == [1, 5, 9, 13, *range(17, 25)]


@pytest.mark.parametrize(("seconds", "pause"), [(0.0, 0.01), (0.008, 0.032), (0.05, 0.2), (3.0, 0.25)])
def test_a_slow_disk_is_asked_less_often(monkeypatch, seconds, pause):
    now = [100.0]
    monkeypatch.setattr("robust_select.study.coordinator.time.monotonic", lambda: now[0])

    def flush():
        now[0] += seconds

    assert _flush_timed(flush) - now[0] == pytest.approx(pause)


def test_what_has_finished_is_flushed_before_a_long_wait(while_waiting):
    crew, notes = SlowCrew(), Notes()
    _, rounds = coordinated(crew, notes)

    def nothing_is_open():
        assert notes.n_flushed == len(notes.recorded)
        crew.finish(1)

    while_waiting(*[nothing_is_open] * 12)
    list(rounds)
    assert notes.n_flushed == 12


def test_the_crew_is_kept_busy_and_seeds_belong_to_replicates(while_waiting):
    crew = SlowCrew(n_in_flight=3)
    _, rounds = coordinated(crew, Notes())
    n_open = []
    while_waiting(*[lambda: (n_open.append(sum(not f.done() for _, f in crew.submitted)), crew.finish(1))] * 12)
    list(rounds)
    assert n_open[:10] == [3] * 10
    for instance, _ in crew.submitted:
        assert instance.seeds == seeds_for(7, instance.replicate)


def test_what_has_finished_is_recorded_when_ctrl_c_comes(while_waiting):
    crew, notes = SlowCrew(), Notes()
    _, rounds = coordinated(crew, notes)
    while_waiting(lambda: crew.finish(1), lambda: (crew.finish(2), interrupt()))
    with pytest.raises(KeyboardInterrupt):
        list(rounds)
    assert notes.keys == [(0, 0), (1, 0), (2, 0)]


def test_what_has_finished_is_recorded_when_the_generator_is_closed(while_waiting):
    crew, notes = SlowCrew(), Notes()
    _, rounds = coordinated(crew, notes)
    while_waiting(lambda: crew.finish(1))
    next(rounds)
    crew.finish(3)
    rounds.close()
    assert notes.keys == [(0, 0), (1, 0), (2, 0), (3, 0)]


def test_ctrl_c_in_the_midst_of_recording_loses_and_repeats_nothing(while_waiting):
    crew, recorded = SlowCrew(), []

    def record(outcomes):
        signal.raise_signal(signal.SIGINT)
        recorded.extend(found[:2] for found in outcomes)

    _, rounds = coordinated(crew, record)
    while_waiting(lambda: crew.finish(2))
    with pytest.raises(KeyboardInterrupt):
        list(rounds)
    assert recorded == [(0, 0), (1, 0)]


def test_a_handler_of_the_users_is_called_after_the_block_and_put_back():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            assert seen == []
        assert seen == [signal.SIGINT]
        signal.raise_signal(signal.SIGINT)
        assert len(seen) == 2
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_there_is_nothing_to_hold():
    passed = []

    def work():
        with interrupts_held():
            passed.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed == [True]


def test_known_outcomes_are_told_and_trained_no_more(while_waiting):
    crew, notes = SlowCrew(), Notes()
    known = {(position, 0): Outcome(float(position)) for position in range(4)} | {(2, 1): Outcome(9.0)}
    selection, rounds = coordinated(crew, notes, known=known)
    while_waiting(*[lambda: crew.finish(4)] * 2)
    list(rounds)
    trained = [(int(instance.candidate[1]), instance.replicate) for instance, _ in crew.submitted]
    assert trained == [(0, 1), (1, 1), (3, 1), (0, 2), (1, 2), (2, 2), (3, 2)]
    assert sorted(notes.keys) == sorted(trained)
    assert selection.scores[2, 1] == 9.0


FAILED = Outcome.failed("ValueError: broken", log="Traceback: here")


def test_a_trainer_that_only_fails_is_said_to_be_broken_and_nothing_is_recorded(while_waiting):
    crew, notes = SlowCrew(n_in_flight=6), Notes()
    _, rounds = coordinated(crew, notes)
    while_waiting(lambda: crew.finish(6, FAILED))
    with pytest.raises(TrainerError, match=r"the first 6 trainings all failed.*ValueError: broken\nTraceback: here"):
        list(rounds)
    assert notes.recorded == []


def test_failures_that_nobody_has_judged_are_not_recorded_either(while_waiting):
    crew, notes = SlowCrew(n_in_flight=3), Notes()
    _, rounds = coordinated(crew, notes)
    while_waiting(lambda: crew.finish(1, FAILED), lambda: (crew.finish(1, FAILED), interrupt()))
    with pytest.raises(KeyboardInterrupt):
        list(rounds)
    assert notes.recorded == []


@pytest.mark.parametrize("is_closed_early", [False, True])
def test_failures_are_recorded_as_soon_as_something_succeeds(while_waiting, is_closed_early):
    crew, notes = SlowCrew(n_in_flight=3), Notes()
    _, rounds = coordinated(crew, notes)
    last = interrupt if is_closed_early else lambda: None
    while_waiting(lambda: crew.finish(2, FAILED), lambda: (crew.finish(1), last()), interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(rounds)
    assert notes.keys == [(0, 0), (1, 0), (2, 0)]
    assert [found[2].state for found in notes.recorded] == [State.FAILED, State.FAILED, State.COMPLETE]


@pytest.mark.parametrize(
    ("n_candidates", "rule", "n_failures"),
    [
        (1, Halving(warmup=5), 3),
        (1, Exhaustive(n=2), 2),
        (2, Exhaustive(n=2), 3),
        (2, Exhaustive(n=1), 2),
        (70, Exhaustive(n=2), 50),
    ],
)
def test_how_many_failures_it_takes(while_waiting, n_candidates, rule, n_failures):
    crew, notes = SlowCrew(n_in_flight=1), Notes()
    _, rounds = coordinated(crew, notes, n_candidates, rule)
    while_waiting(*[lambda: crew.finish(1, FAILED)] * 100)
    with pytest.raises(TrainerError) as info:
        list(rounds)
    assert info.value.n_failures == n_failures == len(crew.submitted)
    assert notes.recorded == []


def test_a_candidate_that_always_fails_among_others_is_recorded(while_waiting):
    crew, notes = SlowCrew(n_in_flight=1), Notes()
    selection, rounds = coordinated(crew, notes, 3, Exhaustive(n=4))

    def train():
        is_bad = crew.submitted[-1][0].candidate == "c0"
        crew.finish(1, FAILED if is_bad else None)

    while_waiting(*[train] * 12)
    list(rounds)
    assert [found[0] for found in notes.recorded if found[2].state is State.FAILED] == [0, 0, 0, 0]
    assert selection.selected == "c1"


def test_a_candidate_whose_stack_fails_first_is_recorded(while_waiting):
    crew, notes = SlowCrew(n_in_flight=12), Notes()
    selection, rounds = coordinated(crew, notes, 3, Exhaustive(n=4))

    def finish_a_stack():
        name = next(instance.candidate for instance, future in crew.submitted if not future.done())
        for instance, future in crew.submitted:
            if instance.candidate == name:
                future.set_result(FAILED if name == "c0" else Outcome(float(instance.replicate)))

    while_waiting(*[finish_a_stack] * 3)
    list(rounds)
    assert [found[0] for found in notes.recorded if found[2].state is State.FAILED] == [0, 0, 0, 0]
    assert selection.selected == "c1"


def fail_first(crew, error):
    next(future for _, future in crew.submitted if not future.done()).set_exception(error)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (WorkerLostError(3, "exit code {EXIT(1)}"), "the worker process died 3 times"),
        (TypeError("cannot pickle"), "the training gave no outcome: TypeError: cannot pickle"),
    ],
)
def test_an_instance_without_outcome_is_recorded_as_failed(while_waiting, error, message):
    crew, notes = SlowCrew(), Notes()
    _, rounds = coordinated(crew, notes)
    while_waiting(lambda: crew.finish(1), lambda: fail_first(crew, error), interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(rounds)
    assert notes.keys == [(0, 0), (1, 0)]
    assert notes.recorded[1][2].state is State.FAILED
    assert message in notes.recorded[1][2].message


def test_a_broken_executor_fails_no_training_and_saves_what_has_finished(while_waiting):
    crew, notes = SlowCrew(), Notes()
    _, rounds = coordinated(crew, notes)
    while_waiting(lambda: crew.finish(1), lambda: (fail_first(crew, BrokenProcessPool("gone")), crew.finish(1)))
    with pytest.raises(ExecutorBrokenError, match=r"BrokenProcessPool: gone.*run the study again"):
        list(rounds)
    assert notes.keys == [(0, 0), (2, 0)]


def test_a_cancelled_future_is_a_broken_executor(while_waiting):
    crew, notes = SlowCrew(), Notes()
    _, rounds = coordinated(crew, notes)
    while_waiting(lambda: crew.finish(1), lambda: crew.submitted[1][1].cancel() and None)
    with pytest.raises(ExecutorBrokenError, match=r"CancelledError"):
        list(rounds)
    assert notes.keys == [(0, 0)]


def test_a_record_that_fails_reaches_the_caller(while_waiting):
    crew = SlowCrew()

    def record(outcomes):
        raise OSError("disk full")

    selection, rounds = coordinated(crew, record)
    while_waiting(lambda: crew.finish(1))
    with pytest.raises(OSError, match="disk full"), contextlib.closing(rounds):
        list(rounds)
    assert selection.n_trainings == 0
