"""What every crew keeps to, wherever its trainings run."""

import contextlib
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait

import numpy as np
import pytest

from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.train.executors import Borrowed, InProcess, Processes

OFFSET = 0.125


def make_trainer():
    """Make a closure, so that it travels by value, as a function of a script or a notebook does."""
    offset = OFFSET

    def train(params, instance):
        does = params["does"]
        if does == "raise":
            raise ValueError(f"{instance.candidate} cannot be trained")
        if does == "exit":
            raise SystemExit(3)
        if does == "curve":
            return Outcome(0.5, curve=(0.75, 0.5))
        if does == "spoil":
            params["list"].append(1)
            return len(params["list"])
        if does == "draw":
            return offset + instance.rng("initial_weights").normal() + instance.rng("training_sample").normal()
        return params["returned"]

    return train


@contextlib.contextmanager
def in_process():
    yield InProcess(make_trainer())


@contextlib.contextmanager
def processes():
    with contextlib.closing(Processes(make_trainer(), 2)) as crew:
        yield crew


@contextlib.contextmanager
def threads():
    with ThreadPoolExecutor(2) as executor, contextlib.closing(Borrowed(make_trainer(), executor, 2)) as crew:
        yield crew


@contextlib.contextmanager
def borrowed_processes():
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(2, mp_context=context) as executor,
        contextlib.closing(Borrowed(make_trainer(), executor, 2)) as crew,
    ):
        yield crew


@pytest.fixture(scope="module", params=[in_process, processes, threads, borrowed_processes], ids=lambda f: f.__name__)
def crew(request):
    with request.param() as made:
        yield made


def outcome_of(crew, params, replicate=0, candidate="a"):
    return crew.submit(params, Instance(candidate, replicate, seeds_for(5, replicate))).result(timeout=60)


def test_it_says_how_much_it_takes(crew):
    assert crew.n_in_flight >= crew.n_workers >= 1


def test_a_score_is_timed(crew):
    outcome = outcome_of(crew, {"does": "return", "returned": 0.5})
    assert (outcome.score, outcome.state, outcome.curve) == (0.5, State.COMPLETE, ())
    assert 0 <= outcome.seconds < 5


def test_the_score_follows_from_the_seeds_alone(crew):
    seeds = seeds_for(5, 3)
    expected = (
        OFFSET
        + np.random.default_rng(seeds.initial_weights).normal()
        + np.random.default_rng(seeds.training_sample).normal()
    )
    assert outcome_of(crew, {"does": "draw"}, replicate=3).score == expected


def test_a_curve_comes_along(crew):
    assert outcome_of(crew, {"does": "curve"}).curve == (0.75, 0.5)


@pytest.mark.parametrize("returned", [math.nan, math.inf, np.float32("-inf"), np.array(np.nan)])
def test_what_is_not_finite_has_diverged(crew, returned):
    outcome = outcome_of(crew, {"does": "return", "returned": returned})
    assert outcome.state is State.DIVERGED
    assert math.isnan(outcome.score)


@pytest.mark.parametrize("returned", [None, "good", True, [1.0]])
def test_what_is_no_score_has_failed(crew, returned):
    outcome = outcome_of(crew, {"does": "return", "returned": returned})
    assert outcome.state is State.FAILED
    assert "expected the trainer to return a number or an Outcome" in outcome.message


def test_an_exception_has_failed_with_its_traceback(crew):
    outcome = outcome_of(crew, {"does": "raise"}, candidate="wide")
    assert outcome.state is State.FAILED
    assert outcome.message == "ValueError: wide cannot be trained"
    assert "Traceback" in outcome.log
    assert "in train" in outcome.log


def test_a_trainer_that_exits_has_failed_and_the_crew_goes_on(crew):
    assert outcome_of(crew, {"does": "exit"}).message == "SystemExit: 3"
    assert outcome_of(crew, {"does": "return", "returned": 1}).score == 1.0


def test_parameters_are_the_trainers_own(crew):
    params = {"does": "spoil", "list": []}
    assert [outcome_of(crew, params).score for _ in range(3)] == [1.0, 1.0, 1.0]
    assert params == {"does": "spoil", "list": []}


def test_many_are_trained_and_none_is_mixed_up(crew):
    futures = {
        crew.submit({"does": "return", "returned": n}, Instance("a", n, seeds_for(0, n))): n for n in range(60)
    }
    done, _ = wait(futures, timeout=60)
    assert {futures[future]: future.result().score for future in done} == {n: float(n) for n in range(60)}
