"""Instances that are trained together and fail, or take their worker with them: nobody but the guilty one is lost."""

import contextlib
import multiprocessing
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait

import numpy as np
import pytest

from robust_select.core.errors import ExecutorBrokenError, TrainerError, WorkerLostError
from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive, Halving, TopTwo
from robust_select.study import Study
from robust_select.train.executors import Borrowed, InProcess, Processes


class Locked(Outcome):
    def __reduce__(self):
        raise TypeError("cannot pickle a lock")


def make_trainer(path, size=4):
    """Make a trainer whose stacks are lines in a file; candidates are named by what they do in replicate 1."""
    import os

    class Trainer:
        def __call__(self, params, instance):
            return self.train_together([params], [instance])[0]

        def stack_key(self, params):
            return params.get("shape", "all")

        def stack_size(self, params):
            return size

        def why_alone(self, params):
            return ""

        def train_together(self, params, instances):
            with open(path, "a+") as file:
                file.write(" ".join(f"{each.candidate}-{each.replicate}" for each in instances) + "\n")
                file.seek(0)
                n_stacks = len(file.readlines())
            bad = {each.candidate for each in instances if each.replicate == 1}
            if "kills" in bad:
                os.kill(os.getpid(), 9)
            if "raises" in bad:
                raise ValueError("cannot be trained")
            if "interrupts" in bad and n_stacks < 3:
                raise KeyboardInterrupt
            if "short" in bad and len(instances) > 1:
                return [Outcome(0.5)]
            if "lock" in bad:
                return [Locked(0.5) for _ in instances]
            return [Outcome(len(each.candidate) + 0.1 * each.replicate, curve=(1.0, 0.5)) for each in instances]

    return Trainer()


def study_of(tmp_path, candidates, rule=None, **how):
    trainer = make_trainer(str(tmp_path / "stacks"), **how)
    return Study(candidates, trainer, criterion="mean", rule=rule or Exhaustive(n=3), ledger=tmp_path / "study.db")


def stacks_in(tmp_path):
    return [line.split() for line in (tmp_path / "stacks").read_text().splitlines()]


def outcomes_in(tmp_path):
    with open_ledger(tmp_path / "study.db") as ledger:
        return {found[:2]: found[2] for found in ledger.outcomes(ledger.study())}


@contextlib.contextmanager
def crew_of(kind, trainer):
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as opened:
        if kind == "in process":
            crew = InProcess(trainer)
        elif kind == "processes":
            crew = Processes(trainer, 2)
        elif kind == "threads":
            crew = Borrowed(trainer, opened.enter_context(ThreadPoolExecutor(2)), 2)
        else:
            crew = Borrowed(trainer, opened.enter_context(ProcessPoolExecutor(2, mp_context=context)), 2)
        opened.enter_context(contextlib.closing(crew))
        yield crew


CREWS = ["in process", "processes", "threads", "borrowed processes"]


def outcomes_of(crew, names, n=3):
    """Submit everything, then start until everything has ended."""
    tasks = [Instance(name, replicate, seeds_for(0, replicate)) for replicate in range(n) for name in names]
    futures = {(each.candidate, each.replicate): crew.submit({}, each) for each in tasks}
    assert not any(future.done() for future in futures.values())
    while not all(future.done() for future in futures.values()):
        crew.start()
        wait(futures.values(), timeout=0.05)
    return futures


@pytest.mark.parametrize("kind", CREWS)
def test_instances_are_trained_together_and_none_is_mixed_up(kind, tmp_path):
    with crew_of(kind, make_trainer(str(tmp_path / "stacks"))) as crew:
        assert crew.n_in_flight >= 2 * 4 * crew.n_workers
        futures = outcomes_of(crew, ["a", "bb", "ccc"], n=4)
    scores = {key: future.result().score for key, future in futures.items()}
    assert scores == {(name, k): len(name) + 0.1 * k for name in ("a", "bb", "ccc") for k in range(4)}
    assert all(0 <= future.result().seconds < 5 for future in futures.values())
    stacks = stacks_in(tmp_path)
    assert max(map(len, stacks)) == 4
    assert len(stacks) <= 4
    assert sorted(name for stack in stacks for name in stack) == sorted(f"{name}-{k}" for name, k in scores)


@pytest.mark.parametrize("kind", CREWS)
@pytest.mark.parametrize("fault", ["raises", "short"])
def test_an_exception_fails_nobody_but_who_is_guilty(kind, fault, tmp_path):
    with crew_of(kind, make_trainer(str(tmp_path / "stacks"))) as crew:
        futures = outcomes_of(crew, ["fine", fault, "good"])
    failed = {key for key, future in futures.items() if future.result().state is State.FAILED}
    assert failed == ({("raises", 1)} if fault == "raises" else set())
    if failed:
        assert futures["raises", 1].result().message == "ValueError: cannot be trained"
    assert futures["good", 1].result().score == 4.1


@pytest.mark.parametrize("kind", ["processes", "borrowed processes"])
def test_an_outcome_that_cannot_be_sent_is_lost_alone(kind, tmp_path):
    with crew_of(kind, make_trainer(str(tmp_path / "stacks"))) as crew:
        futures = outcomes_of(crew, ["fine", "lock", "good"])
    assert {key for key, future in futures.items() if future.exception() is not None} == {("lock", 1)}
    assert "pickle" in str(futures["lock", 1].exception())
    assert futures["fine", 1].result().score == 4.1


@pytest.mark.parametrize("retries", [0, 2])
def test_a_lost_worker_costs_its_stack_and_then_only_the_one_that_kills(retries, tmp_path):
    crew = Processes(make_trainer(str(tmp_path / "stacks"), size=6), 1, retries)
    with contextlib.closing(crew):
        futures = outcomes_of(crew, ["fine", "kills", "good"], n=2)
    with pytest.raises(WorkerLostError) as info:
        futures.pop(("kills", 1)).result()
    assert info.value.attempts == max(2, retries + 1)
    assert {key: future.result().score for key, future in futures.items()} == {
        ("fine", 0): 4.0, ("kills", 0): 5.0, ("good", 0): 4.0, ("fine", 1): 4.1, ("good", 1): 4.1
    }  # fmt: skip
    first, *others = stacks_in(tmp_path)
    assert len(first) == 6
    assert {len(stack) for stack in others} == {1}
    assert len(others) == 5 + max(1, retries)


def test_a_study_goes_on_when_workers_are_lost_and_trains_nothing_twice_when_it_is_resumed(tmp_path):
    study = study_of(tmp_path, ["fine", "kills", "raises"])
    scores = study.run(workers=2).table.scores
    np.testing.assert_array_equal(scores, [[4.0, 4.1, 4.2], [5.0, np.inf, 5.2], [6.0, np.inf, 6.2]])
    found = outcomes_in(tmp_path)
    assert "the worker process died" in found[1, 1].message
    assert found[2, 1].message == "ValueError: cannot be trained"
    stacks = stacks_in(tmp_path)
    np.testing.assert_array_equal(study.run(workers=2).table.scores, scores)
    assert stacks_in(tmp_path) == stacks


def test_ctrl_c_in_a_stack_keeps_what_has_finished(tmp_path):
    rule = Halving(warmup=4)
    names = ["fine", "interrupts"]
    with pytest.raises(KeyboardInterrupt):
        study_of(tmp_path, names, rule, size=2).run()
    assert stacks_in(tmp_path) == [["fine-0", "interrupts-0"], ["fine-1", "interrupts-1"]]
    assert sorted(outcomes_in(tmp_path)) == [(0, 0), (1, 0)]
    result = study_of(tmp_path, names, rule, size=2).run()
    assert stacks_in(tmp_path)[2:] == [[f"{name}-{k}" for name in names] for k in (1, 2, 3)]
    assert result.selected == "fine"


def test_a_trainer_that_always_raises_is_broken(tmp_path):
    class Broken(type(make_trainer(""))):
        def train_together(self, params, instances):
            raise RuntimeError("no data")

    with pytest.raises(TrainerError, match="RuntimeError: no data"):
        Study(["a", "b"], Broken(), rule=Exhaustive(2)).run()


def test_shapes_are_not_mixed_and_candidates_of_one_shape_are(tmp_path):
    candidates = {f"{shape}{k}": {"shape": shape} for k in range(2) for shape in "ab"}
    study_of(tmp_path, candidates, Exhaustive(2), size=4).run()
    assert stacks_in(tmp_path) == [["a0-0", "a1-0", "a0-1", "a1-1"], ["b0-0", "b1-0", "b0-1", "b1-1"]]


@pytest.mark.parametrize(("rule", "least"), [(Exhaustive(8), 4), (Halving(8), 4), (TopTwo(budget=80, batch=8), 3)])
def test_rules_ask_for_enough_to_fill_stacks(rule, least, tmp_path):
    study_of(tmp_path, ["a", "b", "c"], rule, size=4).run()
    assert np.mean([len(stack) for stack in stacks_in(tmp_path)]) >= least


class Breaks(Executor):
    """Ends tasks at once in this thread, and breaks with the third."""

    def __init__(self):
        self.n_submitted = 0

    def submit(self, function, /, *arguments):
        self.n_submitted += 1
        if self.n_submitted == 3:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = Future()
        future.set_result(function(*arguments))
        return future


def test_an_executor_that_is_shut_down_under_way_keeps_what_has_finished(tmp_path):
    with pytest.raises(ExecutorBrokenError, match="shutdown"):
        study_of(tmp_path, ["fine", "good"], Exhaustive(4)).run(executor=Breaks())
    assert sorted(outcomes_in(tmp_path)) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_closing_a_borrowed_executor_cancels_what_has_not_begun(tmp_path):
    gate = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(gate.wait)
        crew = Borrowed(make_trainer(str(tmp_path / "stacks")), executor, 1)
        futures = [crew.submit({}, Instance("a", k, seeds_for(0, k))) for k in range(6)]
        crew.start()
        crew.close()
        gate.set()
    assert all(future.cancelled() for future in futures)
    assert not (tmp_path / "stacks").exists()
