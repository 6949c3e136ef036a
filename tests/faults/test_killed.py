"""A study struck down with SIGKILL at random moments ends as if nothing had happened."""

import signal

import pytest
from benchmarks.striking import (
    held_in,
    kill,
    moments_of,
    n_trainings,
    result_in,
    run_under_fire,
    trained_in,
    undisturbed_result,
)
from benchmarks.struck import Order


def assert_unharmed(tally, n, workers):
    assert (tally.n_strikes, tally.codes) == (n, n * [-signal.SIGKILL])
    assert (tally.n_lost, tally.n_twice, tally.n_changed) == (0, 0, 0)
    assert tally.n_in_flight <= n * (1 if workers == 1 else 2 * workers)


def test_left_alone_it_is_worth_the_trouble(undisturbed):
    assert len(undisturbed["steps"]) > 2
    assert 32 < n_trainings(undisturbed) < 72
    assert sum(score == "inf" for row in undisturbed["scores"] for score in row) == 1


@pytest.mark.parametrize("seed", range(6))
def test_in_one_process_five_times(nursery, undisturbed, tmp_path, seed):
    strike = kill(is_whole_group=bool(seed % 2))
    tally = run_under_fire(nursery, Order(str(tmp_path)), moments_of(seed, 5, undisturbed), strike, undisturbed)
    assert_unharmed(tally, 5, 1)


@pytest.mark.parametrize("is_whole_group", [True, False], ids=["whole group", "coordinator alone"])
def test_with_two_workers(nursery, undisturbed, tmp_path, is_whole_group):
    order, moments = Order(str(tmp_path), workers=2), moments_of(17, 3, undisturbed)
    tally = run_under_fire(nursery, order, moments, kill(is_whole_group), undisturbed)
    assert_unharmed(tally, 3, 2)


@pytest.mark.parametrize("rule", ["exhaustive", "halving", "top-two"])
def test_by_the_other_rules(nursery, tmp_path, rule):
    for name in ("alone", "struck"):
        (tmp_path / name).mkdir()
    expected = undisturbed_result(nursery, tmp_path / "alone", rule)
    order = Order(str(tmp_path / "struck"), rule)
    tally = run_under_fire(nursery, order, moments_of(5, 4, expected), kill(True), expected)
    assert_unharmed(tally, 4, 1)


def test_a_finished_study_started_again_trains_nothing(nursery, undisturbed, tmp_path):
    for _ in range(2):
        assert nursery.start(Order(str(tmp_path))).wait() == 0
        assert result_in(tmp_path) == undisturbed
    trained = trained_in(tmp_path)
    assert len(trained) == len(set(trained)) == len(held_in(tmp_path))
