"""Every answer of the trials must be that of ``Selection``, asked for one rule and one table at a time."""

import numpy as np
import pytest

from robust_select.analysis.trials import try_rules
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion


def by_selection(rule, table, by):
    selection = Selection([str(c) for c in range(len(table))], rule, by, n_available=table.shape[1])
    while asked := selection.ask():
        for candidate, replicate in asked:
            selection.tell(candidate, replicate, table[candidate, replicate])
    return selection.n_trainings, int(selection.selected)


def tables(n_tables=6, n_candidates=9, n_replicates=30, spread=0.8, seed=0, decimals=None, n_diverged=0):
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.3, 1.2, (n_candidates, 1))
    common = rng.normal(size=(n_tables, 1, n_replicates))
    found = rng.normal(0, spread, (n_candidates, 1)) + scales * (
        0.6 * common + 0.8 * rng.normal(size=(n_tables, n_candidates, n_replicates))
    )
    found[rng.random(found.shape) < n_diverged / found.size] = np.inf
    return found if decimals is None else np.round(found, decimals)


def assert_same(rules, losses, by):
    found = try_rules(rules, losses, by)
    wanted = np.array([[by_selection(rule, table, by) for rule in rules] for table in losses])
    assert found.trainings.tolist() == wanted[:, :, 0].tolist()
    assert found.selected.tolist() == wanted[:, :, 1].tolist()
    return found


@pytest.mark.parametrize("criterion_name", ["mean", "q3+iqr", "std"])
@pytest.mark.parametrize("seed", range(2))
def test_top_two_at_every_confidence_from_one_run(criterion_name, seed):
    confidences = (0.9, 0.2, 0.5, 0.7, 0.95, 0.99)
    rules = [TopTwo(confidence=confidence, tolerance=0.1) for confidence in confidences]
    found = assert_same(rules, tables(n_tables=2, n_replicates=20, spread=0.3, seed=seed), criterion(criterion_name))
    assert max(len(np.unique(row)) for row in found.trainings) > 2


@pytest.mark.parametrize("spread", [5.0, 20.0])
def test_top_two_that_is_sure_before_its_leader_is_known_well(spread):
    """The leader then has too few instances, and a lower confidence goes on by itself."""
    rules = [TopTwo(confidence=confidence) for confidence in (0.1, 0.5, 0.9, 0.99, 0.9999)]
    assert_same(rules, tables(n_tables=6, spread=spread, seed=3), criterion("mean"))


def test_top_two_with_a_budget_and_few_replicates():
    rules = [TopTwo(confidence=confidence, budget=40) for confidence in (0.6, 0.8, 0.99)]
    rules += [TopTwo(confidence=0.8, warmup=2), TopTwo(confidence=0.9, warmup=2, max_instances=7)]
    assert_same(rules, tables(spread=0.1, n_replicates=10), criterion("mean"))
    assert_same(rules, tables(spread=0.1, n_replicates=2), criterion("mean"))


@pytest.mark.parametrize(
    "test", ["welch", "ks", "mann-whitney", "paired-t", "wilcoxon", "bartlett", "levene", "fligner", "pitman-morgan"]
)
@pytest.mark.parametrize(("decimals", "n_diverged"), [(None, 0), (0, 0), (None, 60)])
def test_significance_in_step(test, decimals, n_diverged):
    rules = [Significance(test, alpha, warmup) for alpha in (0.4, 0.05, 0.001) for warmup in (2, 4)]
    rules.append(Significance(test, 0.05, max_instances=6))
    losses = tables(n_tables=3, n_replicates=12, decimals=decimals, n_diverged=n_diverged)
    by = criterion("std" if test in {"bartlett", "levene", "fligner", "pitman-morgan"} else "q3+iqr")
    assert_same(rules, losses, by)


def test_significance_that_waits():
    assert_same([Significance("welch", 0.01, patience=n) for n in (1, 2)], tables(n_tables=4), criterion("mean"))


@pytest.mark.parametrize("test", ["paired-t", "welch", "fligner"])
def test_significance_under_familywise_control(test):
    rules = [Significance(test, alpha, control="familywise", max_instances=25) for alpha in (0.3, 0.01)]
    assert_same(rules, tables(spread=2.0), criterion("mean"))
    assert_same(rules, tables(n_candidates=1), criterion("mean"))


@pytest.mark.parametrize("name", ["mean", "std-within-tolerance"])
def test_the_others_as_they_are(name):
    rules = [Halving(2), Exhaustive(4), Halving(3, 5), Exhaustive(30), Significance("ks"), Halving(30)]
    assert_same(rules, tables(n_candidates=9, decimals=1), criterion(name, 0.3))


def test_a_single_candidate():
    rules = [Halving(2), Exhaustive(4), Significance(), TopTwo()]
    assert_same(rules, tables(n_candidates=1), criterion("mean"))
