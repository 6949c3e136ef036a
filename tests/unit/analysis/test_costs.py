import numpy as np
import pytest

from robust_select.analysis.costs import rule_costs
from robust_select.analysis.efficiency import efficiency
from robust_select.core.errors import InputError
from robust_select.core.tables import Table


def test_the_cheapest_setting_that_is_right_often_enough():
    points = {
        "slow": [(500.0, 1.0), (100.0, 0.5)],
        "fast": [(60.0, 0.96), (40.0, 0.9), (90.0, 0.94)],
        "never": [(10.0, 0.7)],
    }
    found = rule_costs(points, [0.95, 0.85])
    assert (found.rules, found.confidences) == (("fast", "slow", "never"), (0.85, 0.95))
    np.testing.assert_array_equal(found.trainings, [[40, 60], [500, 500], [np.nan, np.nan]])


def test_reads_what_efficiency_found():
    rng = np.random.default_rng(0)
    table = Table(tuple("abc"), np.arange(3.0)[:, None] + rng.normal(size=(3, 8)))
    measured = efficiency(table, n_repeats=20)
    found = rule_costs(measured, [measured.confidence])
    for name, trainings in zip(found.rules, found.trainings[:, 0], strict=True):
        expected = measured.rules[name].trainings_at_confidence
        assert trainings == expected if expected is not None else np.isnan(trainings)
    assert set(found.rules) == set(measured.rules)


@pytest.mark.parametrize("confidences", [[], [1.0], [0.9, 0.0]])
def test_refuses_what_is_no_confidence(confidences):
    with pytest.raises(InputError, match="confidences between 0 and 1"):
        rule_costs({"a": [(1.0, 1.0)]}, confidences)
