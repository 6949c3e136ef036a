"""What is planned from a pilot agrees with what studies of the same population take."""

import numpy as np
import pytest

from robust_select.analysis.planning import foresee
from robust_select.analysis.prospect import from_pilot
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.rules import Significance, TopTwo
from robust_select.stats.criteria import criterion

pytestmark = pytest.mark.truth

MEAN = criterion("mean")
NAMES = tuple(map(str, range(20)))
N_POPULATIONS = 40


@pytest.mark.parametrize("rule", [TopTwo(tolerance=0.3), Significance(max_instances=20)], ids=["top-two", "welch"])
def test_trainings_and_the_chance_to_be_right(rule):
    planned, taken, planned_good, good = [], [], [], []
    for seed in range(N_POPULATIONS):  # its pilot is planned from, replicates drawn afresh are selected on
        rng = np.random.default_rng([17, seed])
        means = 1.5 * rng.normal(size=(20, 1))
        pilot = Table(NAMES, means + rng.normal(size=(20, 3)))
        found = foresee(from_pilot(pilot, "minimize"), [rule], MEAN, tolerance=0.3, n_studies=2, seed=seed)[0]
        planned.append(found.trainings)
        planned_good.append(found.within_tolerance)
        for _ in range(2):
            result = replay(Table(NAMES, means + rng.normal(size=(20, 200))), rule, MEAN)
            taken.append(result.trainings)
            good.append(means[int(result.selected), 0] <= means.min() + 0.3)
    assert np.mean(planned) == pytest.approx(np.mean(taken), rel=0.35)  # a few close calls make most of the mean
    assert np.median(planned) == pytest.approx(np.median(taken), rel=0.2)
    assert np.mean(planned_good) == pytest.approx(np.mean(good), abs=0.08)
