"""Ctrl-C: the study stops at once, holds what has finished, and goes on when it is started again."""

import pytest
from benchmarks.striking import interrupt, moments_of, run_under_fire
from benchmarks.struck import INTERRUPTED, Order


@pytest.mark.parametrize("is_whole_group", [True, False], ids=["whole group", "coordinator alone"])
@pytest.mark.parametrize(("workers", "n"), [(1, 6), (2, 2)])
def test_nothing_is_lost(nursery, undisturbed, tmp_path, workers, n, is_whole_group):
    order, moments = Order(str(tmp_path), workers=workers), moments_of(5, n, undisturbed, first=1)
    tally = run_under_fire(nursery, order, moments, interrupt(is_whole_group), undisturbed)
    assert (tally.n_strikes, tally.codes) == (n, n * [INTERRUPTED])
    assert (tally.n_lost, tally.n_twice, tally.n_changed) == (0, 0, 0)
    assert tally.n_in_flight <= n * (1 if workers == 1 else 2 * workers)


@pytest.mark.parametrize(("workers", "n"), [(1, 5), (2, 2)])
def test_nor_by_a_second_one_right_after_it(nursery, undisturbed, tmp_path, workers, n):
    order, moments = Order(str(tmp_path), workers=workers), moments_of(8, n, undisturbed, first=1)
    tally = run_under_fire(nursery, order, moments, interrupt(True, 2, seconds_between=0.002), undisturbed)
    assert (tally.n_strikes, tally.codes) == (n, n * [INTERRUPTED])
    assert (tally.n_lost, tally.n_twice, tally.n_changed) == (0, 0, 0)
    assert tally.n_in_flight <= n * (1 if workers == 1 else 2 * workers)
