import dataclasses
import math
import warnings

import numpy as np
import pytest
from scipy import stats

from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving, Significance
from robust_select.stats.criteria import criterion

MEAN = criterion("mean")
TESTS = {
    "welch": lambda x, y: stats.ttest_ind(x, y, equal_var=False).pvalue,
    "ks": lambda x, y: stats.ks_2samp(x, y).pvalue,
    "mann-whitney": lambda x, y: stats.mannwhitneyu(x, y).pvalue,
    "paired-t": lambda x, y: stats.ttest_rel(x, y).pvalue,
    "wilcoxon": lambda x, y: stats.wilcoxon(x, y).pvalue,
    "bartlett": lambda x, y: stats.bartlett(x, y).pvalue,
    "levene": lambda x, y: stats.levene(x, y).pvalue,
    "fligner": lambda x, y: stats.fligner(x, y).pvalue,
    "pitman-morgan": lambda x, y: stats.pearsonr(x + y, x - y).pvalue if len(x) > 2 else 1.0,
}
WIDTH = ("bartlett", "levene", "fligner", "pitman-morgan")


def table_of(scores, **more):
    return Table(tuple(f"c{row}" for row in range(len(scores))), np.asarray(scores, dtype=float), **more)


def random_scores(seed, n_candidates=25, n_replicates=7):
    rng = np.random.default_rng(seed)
    means, widths = rng.normal(size=(n_candidates, 1)), rng.uniform(0.1, 1.5, size=(n_candidates, 1))
    return means + widths * rng.normal(size=(n_candidates, n_replicates))


def published_significance(losses, test, alpha, warmup):
    """Write the published rule out, row by row, with SciPy: what each step keeps."""
    alive, steps = list(range(len(losses))), []
    for n in range(warmup, losses.shape[1] + 1):
        seen = losses[:, :n]
        best = min(alive, key=lambda row: np.std(seen[row], ddof=1) if test in WIDTH else np.mean(seen[row]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kept = [row for row in alive if row == best or TESTS[test](seen[row], seen[best]) >= alpha]
        steps.append((n, best, kept, [row for row in alive if row not in kept]))
        alive = kept
        if len(alive) == 1:
            break
    return steps


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("seed", range(3))
def test_each_step_keeps_whom_scipy_does_not_tell_from_the_best(test, direction, seed):
    scores = random_scores(seed)
    warmup = 3 if test == "levene" else 2  # Levene's statistic of two scores has no spread to divide by
    found = replay(table_of(scores), Significance(test, alpha=0.05, warmup=warmup), MEAN, direction).steps
    losses = -scores if direction == "maximize" else scores
    expected = published_significance(losses, test, 0.05, warmup)
    assert [(s.step, s.best, s.kept, s.removed) for s in found] == [
        (n, f"c{best}", tuple(f"c{row}" for row in kept), tuple(f"c{row}" for row in removed))
        for n, best, kept, removed in expected
    ]
    for step, (n, best, kept, _) in zip(found, expected, strict=True):
        seen = scores[best, :n]
        assert step.best_value == pytest.approx(np.std(seen, ddof=1) if test in WIDTH else seen.mean())
        assert step.instances_used == n
        assert set(kept) >= {best}


@pytest.mark.parametrize(("alpha", "warmup"), [(0.01, 2), (0.2, 3), (0.5, 5)])
def test_other_levels_and_warm_ups(alpha, warmup):
    scores = random_scores(11)
    for test in ("welch", "bartlett"):
        found = replay(table_of(scores), Significance(test, alpha, warmup), MEAN).steps
        expected = published_significance(scores, test, alpha, warmup)
        assert [s.kept for s in found] == [tuple(f"c{row}" for row in kept) for _, _, kept, _ in expected]


def test_the_order_is_that_in_which_replicates_are_revealed():
    scores, seconds = random_scores(4), np.arange(175.0).reshape(25, 7)
    order = [5, 0, 3, 6, 1]
    found = replay(table_of(scores, seconds=seconds), Significance(), MEAN, order=order)
    moved = table_of(scores[:, order], seconds=seconds[:, order])
    assert found.steps == tuple(replay(moved, Significance(), MEAN).steps)
    expected = published_significance(scores[:, order], "welch", 0.05, 2)
    assert [s.kept for s in found.steps] == [tuple(f"c{row}" for row in kept) for _, _, kept, _ in expected]
    np.testing.assert_array_equal(found.table.scores[:, :2], scores[:, [5, 0]])
    assert max(s.step for s in found.steps) <= 5


@pytest.mark.parametrize("order", [[], [0, 0], [7], [-1, 2], [1, 9]])
def test_an_order_that_does_not_fit_is_refused(order):
    with pytest.raises(InputError, match="replicates among 0 to 6, each at most once, came"):
        replay(table_of(random_scores(0)), Significance(), MEAN, order=order)


@pytest.mark.parametrize("by", ["min", "median", "mean", "q3", "q3+iqr", "max", "std"])
@pytest.mark.parametrize("n_candidates", [1, 2, 3, 5, 8, 13])
def test_halving_keeps_the_better_half(by, n_candidates):
    scores = random_scores(7, n_candidates, 9)
    statistic = {
        "min": np.min,
        "median": np.median,
        "mean": np.mean,
        "q3": lambda x: np.quantile(x, 0.75),
        "q3+iqr": lambda x: np.quantile(x, 0.75) + stats.iqr(x),
        "max": np.max,
        "std": lambda x: np.std(x, ddof=1),
    }[by]
    alive, n, expected = list(range(n_candidates)), 3, []
    while True:
        ranked = sorted(alive, key=lambda row: statistic(scores[row, :n]))
        alive = sorted(ranked[: max(1, len(alive) // 2)])
        expected.append((n, f"c{ranked[0]}", tuple(f"c{row}" for row in alive)))
        if len(alive) == 1:
            break
        n += 1
    found = replay(table_of(scores), Halving(warmup=3), criterion(by))
    assert [(s.step, s.best, s.kept) for s in found.steps] == expected
    assert found.selected == expected[-1][2][0]
    assert found.stop_reason == "one candidate is left"


def test_halving_trains_the_survivor_on_and_says_its_final_numbers():
    scores = random_scores(1, 4, 12)
    found = replay(table_of(scores), Halving(warmup=2, final_instances=5), MEAN)
    row = int(found.selected[1:])
    assert np.count_nonzero(~np.isnan(found.table.scores[row])) == 3 + 5
    assert found.trainings == 4 * 2 + 2 + 5
    np.testing.assert_array_equal(found.table.scores[row, :8], scores[row, :8])


def test_patience_counts_steps_without_a_discard():
    scores = np.tile(np.random.default_rng(0).normal(size=(1, 12)), (3, 1)) + 0.001 * np.arange(3)[:, None]
    scores[2, :] += 1000  # gone at the first step
    for patience in (1, 2, 4):
        found = replay(table_of(scores), Significance(warmup=2, patience=patience), MEAN)
        assert [s.removed for s in found.steps] == [("c2",)] + [()] * patience
        assert found.stop_reason == f"{patience} steps passed without a discard"
        assert found.remaining == ("c0", "c1")
    assert replay(table_of(scores), Significance(warmup=2), MEAN).stop_reason == "the replicates are used up"


def test_max_instances_ends_it_too():
    found = replay(table_of(np.zeros((3, 9))), Significance(max_instances=4), MEAN)
    assert [s.step for s in found.steps] == [2, 3, 4]
    assert (found.stop_reason, found.trainings) == ("the replicates are used up", 12)


def test_a_hole_ends_the_replay_and_is_named():
    scores = random_scores(3, 3, 6) * 0.01
    scores[1, 4] = math.nan
    found = replay(table_of(scores), Significance(alpha=1e-9), MEAN)
    assert found.stop_reason == "the replicates are used up: the table has no replicate 4 of candidate 'c1'"
    assert [s.step for s in found.steps] == [2, 3, 4]
    assert found.selected in found.remaining
    assert len(found.remaining) == 3


def test_a_hole_of_somebody_discarded_does_not_matter():
    scores = random_scores(3, 3, 6) * 0.01
    scores[1] += [1000, 1000, math.nan, math.nan, math.nan, math.nan]
    found = replay(table_of(scores), Significance(alpha=0.001), MEAN)
    assert found.steps[0].removed == ("c1",)
    assert found.steps[-1].step == 6
    assert found.stop_reason == "the replicates are used up"


def test_a_hole_in_the_warm_up_is_refused():
    scores = random_scores(3, 3, 6)
    scores[2, 4] = math.nan
    with pytest.raises(
        InputError, match=r"first 2 replicates \(warm-up\), came none for candidate 'c2', replicate 4"
    ):
        replay(table_of(scores), Significance(), MEAN, order=[0, 4, 1])
    with pytest.raises(InputError, match="came warmup=9 and 6 replicates"):
        replay(table_of(scores), Halving(9), MEAN)


def test_a_step_holds_the_fields_of_the_contract():
    seconds = np.arange(15.0).reshape(3, 5) + 1
    scores = np.array([[1.0, 1.1, 0.9, 1.0, 1.05], [1.02, 1.08, 0.93, 1.0, 1.01], [9.0, 9.1, 9.3, 9.2, 9.0]])
    found = replay(table_of(scores, seconds=seconds), Significance(), MEAN)
    fields = ["step", "instances_used", "best", "best_value", "kept", "removed", "trainings", "seconds"]
    assert [field.name for field in dataclasses.fields(found.steps[0])] == fields
    first, second = found.steps[:2]
    assert (first.step, first.instances_used, first.best, first.trainings) == (2, 2, "c0", 6)
    assert first.best_value == pytest.approx(1.05)
    assert (first.kept, first.removed) == (("c0", "c1"), ("c2",))
    assert first.seconds == seconds[:, :2].sum()
    assert (second.kept, second.removed, second.trainings) == (("c0", "c1"), (), 8)
    assert second.seconds == seconds[:, :2].sum() + seconds[:2, 2].sum()
    assert found.steps[-1].trainings == found.trainings == 12
    assert found.seconds == found.steps[-1].seconds


def test_without_seconds_their_sum_is_not_known():
    found = replay(table_of(random_scores(0)), Exhaustive(2), MEAN)
    assert math.isnan(found.steps[0].seconds)
    assert math.isnan(found.seconds)
    assert found.table.seconds is None
    partly = np.ones((2, 2))
    partly[0, 0] = math.nan
    assert math.isnan(replay(table_of(np.ones((2, 2)), seconds=partly), Exhaustive(2), MEAN).seconds)


def test_a_maximised_value_is_shown_in_units_of_the_score():
    scores = np.array([[0.9, 0.8], [0.4, 0.6]])
    found = replay(table_of(scores), Exhaustive(2), MEAN, "maximize")
    assert (found.selected, found.steps[0].best_value) == ("c0", pytest.approx(0.85))
    found = replay(table_of(scores), Exhaustive(2), criterion("std"), "maximize")
    assert (found.selected, found.steps[0].best_value) == ("c0", pytest.approx(np.std([0.9, 0.8], ddof=1)))
