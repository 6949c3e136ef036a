import numpy as np
import pytest

from robust_select.problems.ecal import physics
from robust_select.problems.ecal.data import load
from robust_select.problems.ecal.showers import Geometry, ShowerError, Showers


def with_sums(energy, share):
    """Showers that deposit a share of their energy, three quarters of it in the central cell."""
    cells = np.zeros((len(energy), 15, 15))
    cells[:, 7, 7], cells[:, 9, 7] = 0.75 * share * energy, 0.25 * share * energy
    return Showers(cells, energy, *np.zeros((4, len(energy))))


@pytest.fixture(scope="module", params=["A", "B"])
def showers(request):
    return load(request.param)


def test_sampling_fraction(showers):
    assert physics.sampling_fraction(showers) == pytest.approx(0.175, abs=0.001)


def test_linearity(showers):
    """Within half a percent from 5 GeV on; below, a little more is deposited, above, a little leaks."""
    measured = physics.response(showers)
    high = measured.energy > 5
    assert high.sum() >= 10
    assert np.abs(measured.linearity[high] - 1).max() < 0.007
    assert np.abs(measured.linearity - 1).max() < 0.03
    assert measured.linearity[0] > measured.linearity[-1]
    assert 0.2 * measured.mean[0] > measured.mean_error[0] > measured.mean_error[-1]


def test_resolution(showers):
    found = physics.resolution(showers)
    assert found.stochastic == pytest.approx(0.075, abs=0.005)
    assert 0.003 < found.constant < 0.012
    assert found.stochastic_error < 0.002
    distances = (found.response.width - found.at(found.response.energy)) / found.response.width_error
    assert np.sqrt(np.mean(distances**2)) < 2
    # A second way, in one bin: where 68.3 % of the relative residuals lie.
    energy = showers.energy.astype(float)
    rows = (energy > 9) & (energy < 11)
    share = showers.sums[rows] / energy[rows]
    residual = np.sort(np.abs(share / np.median(share) - 1))
    assert found.at(10.0) == pytest.approx(residual[int(0.683 * len(residual))], rel=0.07)


def test_most_of_the_energy_is_near_the_photon(showers):
    inside = physics.containment(showers)
    assert (np.diff(inside) > 0).all()
    assert inside[-1] == pytest.approx(1)
    assert inside[1] == pytest.approx(0.95, abs=0.01)
    ring = showers.cells[:, 5:10, 5:10].sum((1, 2)) / showers.sums
    assert inside[2] == pytest.approx(ring.mean(), rel=1e-5)


def test_the_lateral_profile_falls_like_a_shower(showers):
    profile = physics.lateral_profile(showers)
    assert (np.diff(profile.at) > 0).all()
    assert (np.diff(profile.mean) < 0).all()
    assert profile.mean[0] > 0.6
    assert profile.mean[-1] < 1e-4
    assert profile.n.sum() <= 225 * len(showers)
    # The tail is an exponential over two decades: its slope hardly changes.
    slopes = np.diff(np.log(profile.mean[4:10])) / np.diff(profile.at[4:10])
    assert slopes.max() - slopes.min() < 0.15


def test_the_s_curve_is_odd_flat_in_the_middle_and_steep_at_the_borders(showers):
    curve = physics.s_curve(showers)
    assert len(curve.at) == 20
    assert (np.diff(curve.mean) > 0).all()
    assert np.abs(curve.mean + curve.mean[::-1]).max() < 6 * curve.error.max()
    slopes = np.diff(curve.mean) / np.diff(curve.at)
    assert slopes[9] < 0.6 < 1.4 < slopes[0]
    assert (np.abs(curve.mean) < np.abs(curve.at)).all()


def test_inclined_photons_blur_the_s_curve():
    straight, inclined = (physics.s_curve(load(name)) for name in ("A", "B"))
    slopes = [np.diff(curve.mean)[9] / np.diff(curve.at)[9] for curve in (straight, inclined)]
    assert slopes[1] > slopes[0]


def test_the_showers_of_b_follow_their_angles():
    """At the depth of the positions the barycentre depends little on the angle; at the front face it would, by 13 cm
    a unit of slope."""
    showers = load("B")
    shift = physics.barycentre(showers)[:, 0] - showers.x
    tangent = np.tan(showers.theta_x.astype(float))
    assert abs(np.polyfit(tangent, shift, 1)[0]) < 3
    assert np.polyfit(tangent, shift + 13 * tangent, 1)[0] > 10


def test_a_known_resolution_is_found():
    rng = np.random.default_rng(3)
    energy = rng.uniform(1, 100, 60_000)
    width = np.sqrt(0.10**2 / energy + 0.02**2)
    found = physics.resolution(with_sums(energy, 0.2 * (1 + width * rng.standard_normal(len(energy)))))
    assert abs(found.stochastic - 0.10) < 3.5 * found.stochastic_error < 0.01
    assert abs(found.constant - 0.02) < 3.5 * found.constant_error < 0.01
    pulls = (found.response.width - np.sqrt(0.01 / found.response.energy + 0.0004)) / found.response.width_error
    assert 0.4 < np.sqrt(np.mean(pulls**2)) < 1.7
    assert found.response.mean == pytest.approx(np.full(len(pulls), 0.2), rel=0.02)


def test_errors_of_width_and_mean_by_repetition():
    energy = np.full(200, 10.0)
    rng = np.random.default_rng(4)
    many = [physics.response(with_sums(energy, 0.2 + 0.01 * rng.standard_normal(200)), [9, 11]) for _ in range(300)]
    for value, error in (("mean", "mean_error"), ("width", "width_error")):
        spread = np.std([getattr(one, value)[0] for one in many], ddof=1)
        assert np.mean([getattr(one, error)[0] for one in many]) == pytest.approx(spread, rel=0.15)


def test_no_constant_term_where_there_is_none():
    rng = np.random.default_rng(5)
    energy = rng.uniform(1, 100, 20_000)
    width = np.where(energy < 50, 0.1, 0.06) / np.sqrt(energy)  # falls faster than a / sqrt(E)
    found = physics.resolution(with_sums(energy, 0.2 * (1 + width * rng.standard_normal(len(energy)))))
    assert found.constant == 0
    assert found.constant_error == np.inf


def test_barycentre_by_hand():
    cells = np.zeros((3, 15, 15))
    cells[0, 7, 7], cells[0, 8, 7], cells[0, 7, 4] = 2, 1, 1
    cells[1, 0, 14] = 5
    showers = Showers(cells, np.ones(3), *np.zeros((4, 3)), geometry=Geometry(cell_cm=2.0))
    assert physics.barycentre(showers).tolist() == [[0.5, -1.5], [-14, 14], [0, 0]]


def test_profile_by_hand():
    cells = np.zeros((1, 15, 15))
    cells[0, 7, 7], cells[0, 8, 7] = 3, 1
    showers = Showers(cells, [10], x=[1], y=[0], theta_x=[0], theta_y=[0])
    centres = np.arange(-28, 29, 4.0)
    near = [np.hypot(x - 1, y) <= 12 for x in centres for y in centres]
    profile = physics.lateral_profile(showers, [0, 12])
    assert profile.n.tolist() == [sum(near)]
    assert profile.mean == pytest.approx([1 / sum(near)])


def test_the_last_bin_holds_its_upper_limit():
    energy = np.repeat([1.0, 2.0], 25)
    assert physics.response(with_sums(energy, 0.2), [1, 1.5, 2]).n_showers.tolist() == [25, 25]


def test_too_few_showers_and_bins():
    few = with_sums(np.linspace(1, 5, 19), 0.2)
    with pytest.raises(ShowerError, match=r"at least 20 values in a bin between 1 and 100, came none so full of 19"):
        physics.response(few)
    with pytest.raises(ShowerError, match="at least two bins of energy"):
        physics.resolution(with_sums(np.full(30, 5.0), 0.2))
    for edges in ([1], [2, 1], [1, 1], []):
        with pytest.raises(ShowerError, match="rising limits"):
            physics.response(few, edges)
    with pytest.raises(ShowerError, match="came 1 that deposit none"):
        physics.containment(Showers(np.zeros((1, 15, 15)), [1], *np.zeros((4, 1))))
