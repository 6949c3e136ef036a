import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust_select.analysis.front import pareto_front, spread_front
from robust_select.core.tables import Table

small = st.integers(0, 5).map(float)


@given(st.lists(st.tuples(small, small, st.booleans()), max_size=12))
def test_on_the_front_is_whom_nobody_dominates(points):
    first = np.array([point[0] for point in points])
    second = np.array([point[1] for point in points])
    compared = np.array([point[2] for point in points], dtype=bool)

    def is_dominated(row):
        return any(
            compared[other]
            and first[other] <= first[row]
            and second[other] <= second[row]
            and (first[other] < first[row] or second[other] < second[row])
            for other in range(len(points))
        )

    expected = [bool(compared[row]) and not is_dominated(row) for row in range(len(points))]
    assert pareto_front(first, second, compared).tolist() == expected


def test_a_maximised_score_wants_a_high_mean_and_a_small_spread():
    table = Table(("good", "steady", "bad"), np.array([[0.9, 0.7], [0.6, 0.6], [0.5, 0.1]]))
    front = spread_front(table, "maximize")
    assert front.is_on_front.tolist() == [True, True, False]
    assert front.means.tolist() == pytest.approx([0.8, 0.6, 0.3])
    assert front.spreads[1] == 0


def test_few_lucky_instances_do_not_take_part():
    lucky = [1.0, 1.0, np.nan, np.nan, np.nan]
    table = Table(("lucky", "solid"), np.array([lucky, [1.1, 1.2, 1.3, 1.4, 1.5]]))
    front = spread_front(table, "minimize")
    assert front.min_instances == 5
    assert front.is_on_front.tolist() == [False, True]
    assert spread_front(table, "minimize", min_instances=2).is_on_front.tolist() == [True, False]


def test_where_nobody_has_enough_two_instances_do():
    front = spread_front(Table(("a", "b"), np.array([[1.0, 2.0], [np.nan, np.nan]])), "minimize")
    assert front.min_instances == 2
    assert front.is_on_front.tolist() == [True, False]
    assert front.instances.tolist() == [2, 0]


def test_diverged_candidates_are_not_on_the_front():
    front = spread_front(Table(("a", "b"), np.array([[1.0, np.inf], [5.0, 9.0]])), "minimize")
    assert front.is_on_front.tolist() == [False, True]
    assert np.isinf(front.means[0])
