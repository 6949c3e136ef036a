import dataclasses

import numpy as np
import pytest

from robust_select.analysis.planning import foresee
from robust_select.analysis.prospect import World, assumed, from_pilot
from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.select.rules import Exhaustive, Halving, TopTwo
from robust_select.stats.criteria import criterion

MEAN = criterion("mean")


def population(n, gap, rho, n_replicates, seed):
    rng = np.random.default_rng(seed)
    noise = np.sqrt(rho) * rng.normal(size=(1, n_replicates)) + np.sqrt(1 - rho) * rng.normal(size=(n, n_replicates))
    return gap * rng.normal(size=(n, 1)) + noise


def table_of(scores, seconds=None):
    return Table(tuple(f"c{row}" for row in range(len(scores))), scores, seconds)


def test_counted_rules_take_what_they_count_and_hours_follow():
    rules = [Exhaustive(5), Halving(3, final_instances=4)]
    one = foresee(assumed(16, 1.0, 3.0, seconds=36.0), rules, MEAN, n_studies=10)
    assert [found.trainings for found in one] == [80, Halving(3, final_instances=4).trainings(16).exact]
    assert [found.hours for found in one] == pytest.approx([0.8, one[1].trainings / 100])
    four = foresee(assumed(16, 1.0, 3.0, seconds=36.0), rules, MEAN, n_studies=10, workers=4)
    assert four[0].hours == pytest.approx(0.2)
    assert one[1].hours / 4 < four[1].hours < one[1].hours  # the last rounds have fewer trainings than workers
    assert np.isnan(foresee(assumed(16, 1.0, 3.0), rules, MEAN, n_studies=2)[0].hours)
    assert all(found.finished == 1 and found.enough == found.trainings and not found.problem for found in one)


def test_the_chance_to_find_the_best_of_two_is_the_normal_one():
    found = foresee(assumed(2, 1.0, 1.0), [Exhaustive(1)], MEAN, n_studies=1000)[0]
    expected = 0.5 + np.arctan(1.0) / np.pi  # signs of two normals that correlate by sqrt(1/2) agree
    assert found.within_tolerance == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 1000))
    everything = foresee(assumed(2, 1.0, 1.0), [Exhaustive(1)], MEAN, tolerance=50.0, n_studies=20)[0]
    assert everything.within_tolerance == 1


def test_the_same_seed_foresees_the_same():
    one, same, other = (
        foresee(assumed(10, 1.0, 2.0), [TopTwo(tolerance=0.3)], MEAN, n_studies=6, seed=seed) for seed in (1, 1, 2)
    )
    assert dataclasses.replace(one[0], hours=0, hours_low=0, hours_high=0) == dataclasses.replace(
        same[0], hours=0, hours_low=0, hours_high=0
    )
    assert one[0].trainings != other[0].trainings


def test_a_budget_says_how_sure_it_can_be():
    prospect, rule = assumed(12, 1.0, 1.0), TopTwo(tolerance=0.2)
    free = foresee(prospect, [rule], MEAN, tolerance=0.2, n_studies=12)[0]
    tight = foresee(prospect, [rule], MEAN, tolerance=0.2, n_studies=12, budget=60)[0]
    assert (free.finished, tight.enough) == (1, free.enough)
    assert tight.trainings <= 60 == tight.trainings_high
    assert 0 < tight.finished < 1
    assert tight.confidence < free.confidence
    assert free.confidence > 0.95


def test_a_budget_below_the_warmup_is_refused_with_the_number_that_does():
    prospect = assumed(12, 1.0, 5.0)
    enough = foresee(prospect, [TopTwo(tolerance=0.5)], MEAN, n_studies=10)[0].enough
    with pytest.raises(InputError, match=rf"warm-up alone takes 12 trainings.*done with {enough}$"):
        foresee(prospect, [TopTwo(tolerance=0.5)], MEAN, budget=11, n_studies=10)
    with pytest.raises(InputError, match=r"it takes 46 trainings at least"):
        foresee(assumed(16, 1.0, 5.0), [Halving(2)], MEAN, budget=40, n_studies=2)


def test_a_budget_with_which_no_study_gets_sure_is_refused():
    with pytest.raises(InputError, match="in none of the simulated studies"):
        foresee(assumed(12, 1.0, 0.3), [TopTwo()], MEAN, budget=26, n_studies=3)


def test_where_one_rule_can_work_the_others_are_marked_only():
    found = foresee(assumed(16, 1.0, 5.0), [Exhaustive(9), Halving(2)], MEAN, budget=60, n_studies=3)
    assert found[0].problem.startswith("its warm-up alone takes 144 trainings")
    assert found[1].problem == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [({"budget": 0}, "budget=0"), ({"workers": 0}, "workers=0"), ({"n_studies": 0}, "studies=0")],
)
def test_numbers_out_of_range(changes, text):
    with pytest.raises(InputError, match=text):
        foresee(assumed(4, 1.0, 1.0), [Exhaustive(1)], MEAN, **changes)
    with pytest.raises(InputError, match="tolerance=-1"):
        foresee(assumed(4, 1.0, 1.0), [Exhaustive(1)], MEAN, tolerance=-1)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((0, 1, 1), "candidates=0"),
        ((2, 0, 1), "spread=0"),
        ((2, 1, -1), "gap_spread"),
        ((2, 1, 1, 1.0), "correlation"),
    ],
)
def test_assumptions_out_of_range(given, text):
    with pytest.raises(InputError, match=text):
        assumed(*given)
    with pytest.raises(InputError, match="seconds=0"):
        assumed(2, 1, 1, seconds=0)


def test_a_pilot_gives_back_the_population_without_its_luck():
    scores = population(200, 0.5, 0.4, 4, seed=5)
    prospect = from_pilot(table_of(scores, np.full(scores.shape, 7.0)), "minimize")
    assert prospect.correlation == pytest.approx(0.4, abs=0.15)
    assert np.median(prospect.scales) == pytest.approx(1.0, abs=0.15)
    assert prospect.seconds.tolist() == [7.0] * 200
    drawn = [prospect.draw(np.random.default_rng(seed)).means for seed in range(20)]
    assert np.std(scores.mean(axis=1)) > 0.58
    assert np.mean([means.std() for means in drawn]) == pytest.approx(0.5, abs=0.08)
    lucky = int(scores.mean(axis=1).argmin())
    assert np.mean([means[lucky] for means in drawn]) > scores[lucky].mean() + 0.1


def test_a_pilot_to_be_maximised_and_one_with_diverged_instances():
    scores = population(6, 3.0, 0.0, 4, seed=6)
    scores[1, 0] = np.inf
    scores[2] = np.inf
    prospect = from_pilot(table_of(scores), "maximize")
    assert prospect.unusable.tolist() == [0, 0.25, 1, 0, 0, 0]
    assert prospect.means[0] == pytest.approx(-scores[0].mean())
    world = prospect.draw(np.random.default_rng(0))
    assert np.isinf(world.losses(50)[2]).all()
    assert 0 < np.isinf(world.losses(50)[1]).sum() < 40
    assert np.isinf(world.truth(MEAN)[:3]).tolist() == [False, True, True]
    assert np.isnan(prospect.seconds).all()


def test_pilots_that_say_too_little():
    with pytest.raises(InputError, match="none of 'c1'"):
        from_pilot(table_of(np.array([[1.0, 2.0], [np.nan, np.nan]])), "minimize")
    with pytest.raises(InputError, match="two usable instances"):
        from_pilot(table_of(np.array([[1.0], [2.0]])), "minimize")
    with pytest.raises(InputError, match="constant"):
        from_pilot(table_of(np.array([[1.0, 1.0], [2.0, 2.0]])), "minimize")


def test_a_world_keeps_what_it_gave_and_knows_the_truth():
    world = World(np.array([0.0, 5.0]), np.array([1.0, 2.0]), 0.6, np.zeros(2), np.random.default_rng(1))
    first = world.losses(3)[:, :3].copy()
    many = world.losses(20_000)
    np.testing.assert_array_equal(many[:, :3], first)
    assert np.corrcoef(many)[0, 1] == pytest.approx(0.6, abs=0.02)
    for name in ("mean", "std", "q3", "q3+iqr", "cvar"):
        assert world.truth(criterion(name)) == pytest.approx(criterion(name)(many), abs=0.06)
