"""How often the intervals of a random stream's share and standard deviation hold."""

import numpy as np
import pytest

from robust_select.analysis.sources import variance_components

pytestmark = pytest.mark.truth

N_DESIGNS = 600


def simulate(n_weights, n_samples, n_repeats, variances, seed):
    """Draw designs of known components: (B, W, S, K) scores, and the components as they can be told apart."""
    rng = np.random.default_rng(seed)
    scales = np.sqrt(variances)
    scores = (
        scales[0] * rng.normal(size=(N_DESIGNS, n_weights, 1, 1))
        + scales[1] * rng.normal(size=(N_DESIGNS, 1, n_samples, 1))
        + scales[2] * rng.normal(size=(N_DESIGNS, n_weights, n_samples, 1))
        + scales[3] * rng.normal(size=(N_DESIGNS, n_weights, n_samples, n_repeats))
    )
    told = variances if n_repeats > 1 else (*variances[:2], variances[2] + variances[3])
    return scores, np.array(told, dtype=float)


@pytest.mark.parametrize("shape", [(5, 5, 1), (8, 8, 1), (6, 8, 2)], ids=str)
@pytest.mark.parametrize(
    "variances", [(1, 1, 0.5, 0.5), (0.1, 1, 0.1, 0.3), (0.05, 0.05, 0.5, 0.5), (0, 1, 0, 1)], ids=str
)
def test_the_intervals_hold_as_often_as_said(shape, variances):
    scores, truth = simulate(*shape, variances, seed=2)
    found = variance_components(scores, n_draws=800, seed=1)
    shares, stds = truth / truth.sum(), np.sqrt(truth)
    least = 0.925 - 3 * np.sqrt(0.925 * 0.075 / N_DESIGNS)  # 92 to 99 %, says variance_components
    held = ((found.low <= shares) & (shares <= found.high)).mean(axis=0)
    assert (held >= least).all(), held
    held = ((found.std_low <= stds) & (stds <= found.std_high)).mean(axis=0)
    assert (held >= least).all(), held
    errors = found.variances.std(axis=0) / np.sqrt(N_DESIGNS)
    assert (np.abs(found.variances.mean(axis=0) - truth) <= 3.5 * errors).all()


def test_the_intervals_are_not_wider_than_they_need_be():
    """Where each component is well above 0 they miss about as often as they may."""
    scores, truth = simulate(8, 8, 1, (1, 1, 0.5, 0.5), seed=3)
    found = variance_components(scores, n_draws=800, seed=1)
    shares = truth / truth.sum()
    held = ((found.low <= shares) & (shares <= found.high)).mean(axis=0)
    assert (held <= 0.95 + 0.015 + 3 * np.sqrt(0.95 * 0.05 / N_DESIGNS)).all(), held
    wider = variance_components(scores[:20], confidence=0.99, n_draws=800, seed=1)
    assert (wider.low <= found.low[:20] + 1e-12).all()
    assert (wider.high >= found.high[:20] - 1e-12).all()
