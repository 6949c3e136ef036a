from dataclasses import replace

import numpy as np
import pytest

from robust_select.analysis.overview import overview
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving
from robust_select.stats.criteria import criterion


def halved(scores, seconds=None, direction="minimize", name="mean"):
    scores = np.array(scores, dtype=float)
    table = Table(tuple(f"c{row}" for row in range(len(scores))), scores, seconds)
    return replay(table, Halving(warmup=2), criterion(name), direction)


def test_counts_and_the_exhaustive_search_to_compare_with():
    scores = [[1, 1.1, 1.2], [2, 2, 2], [3, 3, 3], [4, np.inf, 4]]
    found = overview(halved(scores, seconds=np.full((4, 3), 2.0)))
    assert found.selected == "c0"
    assert (found.trainings, found.exhaustive, found.n_instances) == (10, 12, 3)
    assert (found.seconds, found.exhaustive_seconds) == (20.0, 24.0)
    assert (found.n_unusable, found.n_candidates_unusable) == (1, 1)
    assert found.mean == pytest.approx(1.1)


def test_exhaustive_time_is_each_candidates_own():
    seconds = np.array([[1.0, 1, 1], [1, 1, 1], [10, 10, 1], [1, 1, 1]])
    found = overview(halved([[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]], seconds))
    assert found.exhaustive_seconds == 3 * (1 + 1 + 10 + 1)


def test_the_margin_is_paired_and_positive_where_the_selected_is_better():
    found = overview(
        halved([[0.9, 0.5, 0.7], [0.8, 0.4, 0.5], [0.1, 0.1, 0.1], [0.0, 0.2, 0.1]], direction="maximize")
    )
    assert found.margin is not None
    assert (found.margin.rival, found.margin.n_shared) == ("c1", 3)
    assert found.margin.difference == pytest.approx(np.mean([0.1, 0.1, 0.2]))
    assert found.margin.standard_error == pytest.approx(np.std([0.1, 0.1, 0.2], ddof=1) / np.sqrt(3))


def test_no_margin_without_a_rival_or_a_usable_score_in_common():
    assert overview(halved([[1.0, 2.0]])).margin is None
    assert overview(halved([[1.0, 2.0], [np.inf, np.inf]])).margin is None


def test_unknown_times_stay_unknown():
    found = overview(halved([[1, 1, 1], [2, 2, 2]]))
    assert np.isnan(found.seconds)
    assert np.isnan(found.exhaustive_seconds)


def test_takes_over_what_the_rule_knows():
    plain = replay(Table(("c0", "c1"), np.array([[1.0], [2.0]])), Exhaustive(1), criterion("mean"))
    assert overview(plain).confidence is None
    found = overview(replace(plain, confidence=0.97, equivalent=("c0", "c1")))
    assert (found.confidence, found.equivalent) == (0.97, ("c0", "c1"))


@pytest.mark.parametrize(("sign", "direction"), [(1, "minimize"), (-1, "maximize")])
def test_who_is_ahead_on_fewer_instances_is_counted(sign, direction):
    """c2 and c3 are discarded after two instances; c0 is selected after three, the last of which was a bad one."""
    scores = sign * np.array([[1.0, 1.0, 4.0], [1.1, 1.1, 9.0], [1.2, 1.2, 1.2], [5.0, 5.0, 5.0]])
    assert overview(halved(scores, direction=direction)).n_ahead == 1
    assert overview(halved(scores[[0, 1, 3, 3]], direction=direction)).n_ahead == 0
