import numpy as np

from robust_select.core.candidates import grid
from robust_select.core.instances import Outcome
from robust_select.ledger import open_ledger


def test_curves_of_a_study():
    with open_ledger("sqlite://") as ledger:
        study = ledger.create_study("s", {}, grid(width=[1, 2]))
        assert ledger.curves(study) is None
        ledger.record(study, [(0, 1, Outcome(0.5))])
        assert ledger.curves(study) is None  # an outcome, but no curve
        recorded = [(1, 0, Outcome(0.2, (0.9, 0.2))), (0, 0, Outcome(np.nan, (0.8, 0.7, np.inf)))]
        ledger.record(study, recorded)
        other = ledger.create_study("t", {}, grid(width=[1, 2]))
        ledger.record(other, [(0, 0, Outcome(0.1, (0.1,) * 9))])
        nan = np.nan
        expected = [[[0.8, 0.7, np.inf], [nan] * 3], [[0.9, 0.2, nan], [nan] * 3]]
        np.testing.assert_array_equal(ledger.curves(study), expected)
        assert ledger.curves(study).shape[:2] == ledger.table(study).scores.shape
