import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from robust_select.analysis.fractions import criterion_fractions
from robust_select.core.tables import Table
from robust_select.stats.criteria import PUBLISHED_CRITERIA


def test_each_criterion_sorts_for_itself():
    table = Table(("a", "b", "c"), np.array([[1.0, 5.0], [3.0, 4.0], [2.0, np.inf]]))
    found = criterion_fractions(table)
    assert found.criteria == PUBLISHED_CRITERIA
    rows = dict(zip(found.criteria, found.values.tolist(), strict=True))
    assert rows["min"] == [1, 2, 3]
    assert rows["max"] == [4, 5, np.inf]
    assert rows["mean"] == [3, 3.5, np.inf]
    assert found.n_known.tolist() == [3] * 6


def test_a_metric_is_turned():
    table = Table(("a", "b"), np.array([[0.9, 0.7], [0.6, 0.8]]))
    rows = criterion_fractions(table, "maximize", ["min", "max"]).values
    np.testing.assert_allclose(rows, [[0.9, 0.8], [0.7, 0.6]])  # the best loss is the best metric


def test_who_was_not_trained_has_no_value():
    found = criterion_fractions(Table(("a", "b"), np.array([[1.0, 2.0], [np.nan, np.nan]])), by=["mean"])
    assert found.n_known.tolist() == [1]
    np.testing.assert_array_equal(found.values, [[1.5, np.nan]])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_share_below_a_loss_falls_from_min_to_max(rows):
    found = criterion_fractions(Table(tuple(map(str, range(len(rows)))), np.array(rows)))
    values = dict(zip(found.criteria, found.values, strict=True))
    for less, more in (("min", "median"), ("median", "q3"), ("q3", "q3+iqr"), ("q3", "max")):
        assert (values[less] <= values[more] + 1e-12).all()
