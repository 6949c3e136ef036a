import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import cloudpickle
import pytest

from robust_select.core.errors import ExecutorBrokenError
from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.train.executors import borrowed
from robust_select.train.executors.borrowed import Borrowed, dumps_trainer, train_pickled

INSTANCE = Instance("a", 0, seeds_for(0, 0))


def make_trainer(score):
    return lambda params, instance: score


def test_a_trainer_goes_round_by_value():
    assert train_pickled(dumps_trainer(make_trainer(0.5)), {}, INSTANCE).score == 0.5


def test_a_trainer_that_cannot_be_loaded_has_failed_and_says_why():
    outcome = train_pickled(cloudpickle.dumps(0)[:-1] + b"nonsense", {}, INSTANCE)
    assert outcome.state is State.FAILED
    assert outcome.message.startswith("the trainer cannot be loaded in a worker: ")


def test_two_studies_share_the_threads_of_a_process():
    payloads = [dumps_trainer(make_trainer(score)) for score in (1.0, 2.0)]
    wrong, start = [], threading.Barrier(4)

    def work(payload, score):
        start.wait()
        wrong.extend(1 for _ in range(300) if train_pickled(payload, {}, INSTANCE).score != score)

    threads = [threading.Thread(target=work, args=(payloads[i % 2], 1.0 + i % 2)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_another_thread_may_take_the_trainer_away_at_once(monkeypatch):
    class Forgetful(dict):
        def __setitem__(self, key, value):
            """Another study's thread has cleared it before anybody looks."""

    monkeypatch.setattr(borrowed, "_LOADED", Forgetful())
    assert train_pickled(dumps_trainer(make_trainer(0.5)), {}, INSTANCE).score == 0.5


def test_closing_cancels_what_has_not_begun():
    gate = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(gate.wait)
        crew = Borrowed(make_trainer(0.5), executor, 1)
        future = crew.submit({}, INSTANCE)
        crew.close()
        gate.set()
    assert future.cancelled()


class Stacking:
    """Gives no outcomes where several are trained together."""

    def __call__(self, params, instance):
        return 0.5

    def stack_key(self, params):
        return "a"

    def stack_size(self, params):
        return 2

    def why_alone(self, params):
        return ""

    def train_together(self, params, instances):
        raise NotImplementedError


def test_a_stack_that_gives_no_outcomes_after_closing_is_not_tried_again(monkeypatch):
    gate, n_trained = threading.Event(), []

    def lost(*_):
        n_trained.append(1)
        assert gate.wait(10)
        raise ValueError("cannot be unpickled")

    monkeypatch.setattr(borrowed, "train_stack_pickled", lost)
    with ThreadPoolExecutor(1) as executor:
        crew = Borrowed(Stacking(), executor, 1)
        for _ in range(2):
            crew.submit({}, INSTANCE)
        crew.start()
        while not n_trained:
            time.sleep(0.01)
        crew.close()
        gate.set()
        for _ in range(2):  # the first waits for the stack, the second for what was handed over when it ended
            executor.submit(int).result()
    assert len(n_trained) == 1


def test_an_executor_that_is_shut_down_is_said_to_be():
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(ExecutorBrokenError, match=r"shut down.*run the study again with a new executor"):
        Borrowed(make_trainer(0.5), executor, 1).submit({}, INSTANCE)


class Stacker:
    """Wants to train 16 instances together."""

    def __call__(self, params, instance):
        return 0.5

    def stack_key(self, params):
        return "all"

    def stack_size(self, params):
        return 16

    def why_alone(self, params):
        return ""

    def train_together(self, params, instances):
        return [Outcome(0.5) for _ in instances]


class Holding(Executor):
    """Says at once how large stacks are; holds what is to be trained."""

    def __init__(self):
        self.sizes = []

    def submit(self, function, payload, *arguments):
        future = Future()
        if function is borrowed.measure_pickled:
            future.set_result((16, ""))
        else:
            self.sizes.append(len(arguments[1]))
        return future


@pytest.mark.parametrize("n_workers", [2, 1000])
def test_stacks_are_full_on_few_workers_and_on_many(n_workers):
    executor = Holding()
    crew = Borrowed(Stacker(), executor, n_workers)
    for replicate in range(crew.n_in_flight):
        crew.submit({}, Instance("a", replicate, INSTANCE.seeds))
    crew.start()
    assert executor.sizes == [16] * n_workers
