import math

import numpy as np
import pytest

from robust_select.analysis.efficiency import KNOBS, efficiency
from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.select.rules import DEFAULT_RULE, Exhaustive, Halving, Significance, TopTwo
from robust_select.stats.bounds import least_trainings

RULES = ["exhaustive", "halving", *(f"significance:{test}" for test in ("welch", "ks", "bartlett", "fligner"))]
OBVIOUS = np.array([[1.0, 1.1, 1.2, 1.3], [9.0, 9.2, 9.1, 9.4], [5.0, 5.2, 5.1, 5.3]])


def table_of(scores):
    return Table(tuple("abcdefghij"[: len(scores)]), scores)


def noisy(seed=0, n_candidates=6, n_replicates=12):
    rng = np.random.default_rng(seed)
    return table_of(rng.normal(0.5, 0.5, (n_candidates, 1)) + rng.normal(0, 0.4, (n_candidates, n_replicates)))


def numbers(found):
    return {
        name: (rule.trainings_at_confidence, [(str(p.rule), p.trainings, p.probability) for p in rule.curve])
        for name, rule in found.rules.items()
    }


def test_an_obvious_best():
    found = efficiency(table_of(OBVIOUS), n_repeats=20)
    assert (found.truth, found.n_candidates, found.n_replicates, found.n_equivalent) == ("a", 3, 4, 1)
    assert list(found.rules) == [*RULES, "significance:paired-t:familywise", "top-two"]
    exhaustive = found.rules["exhaustive"]
    assert (exhaustive.trainings_at_confidence, exhaustive.default.probability) == (3.0, 1.0)
    assert found.rules["halving"].trainings_at_confidence == 3.0  # a warm-up of one: half of three is one
    assert found.rules["halving"].default.trainings == 15.0
    assert found.rules["top-two"].default.probability == 1.0
    assert found.default_rule == DEFAULT_RULE
    assert found.default_rule in found.rules


def test_the_default_settings_are_those_of_the_rules():
    found = efficiency(noisy(), n_repeats=3, tolerance=0.1)
    assert [rule.default.rule for rule in found.rules.values()] == [
        *(Exhaustive(), Halving()),
        *(Significance(test) for test in ("welch", "ks", "bartlett", "fligner")),
        *(Significance("paired-t", control="familywise"), TopTwo(tolerance=0.1)),
    ]
    for rule in found.rules.values():
        assert rule.default in rule.curve
        assert [point.trainings for point in rule.curve] == sorted(point.trainings for point in rule.curve)
        assert len({str(point.rule) for point in rule.curve}) == len(rule.curve)
        assert set(rule.default.knobs) == set(KNOBS[rule.default.rule.name])


def test_exhaustive_against_a_direct_count():
    """The share of right answers of the mean of n redrawn columns, drawn again here."""
    table = noisy(seed=4)
    found = efficiency(table, n_repeats=60, seed=11)
    columns = np.array([np.random.default_rng([11, repeat]).integers(0, 12, 200) for repeat in range(60)])
    best = table.scores.mean(axis=1).argmin()
    shares = {n: (table.scores[:, columns[:, :n]].mean(axis=2).argmin(axis=0) == best).mean() for n in range(1, 21)}
    curve = {point.knobs["n"]: point for point in found.rules["exhaustive"].curve}
    assert len(curve) >= 8
    assert {n: curve[n].probability for n in curve if n <= 20} == {n: shares[n] for n in curve if n <= 20}
    assert {n: point.trainings for n, point in curve.items()} == {n: 6 * n for n in curve}
    reached = [n for n, share in shares.items() if share >= 0.95 and n in curve]
    if reached:
        assert found.rules["exhaustive"].trainings_at_confidence == 6 * min(reached)


def test_trainings_at_confidence_are_measured_ones():
    found = efficiency(noisy(seed=1), n_repeats=15, confidence=0.8)
    for rule in found.rules.values():
        able = [point.trainings for point in rule.curve if point.probability >= 0.8]
        assert rule.trainings_at_confidence == (min(able) if able else None)
    wanted = [rule.trainings_at_confidence for name, rule in found.rules.items() if "bartlett" not in name]
    assert any(value is not None for value in wanted)


@pytest.mark.parametrize("resample", ["bootstrap", "permutation"])
def test_workers_do_not_change_the_answer(resample):
    table = noisy(seed=2)
    one = efficiency(table, n_repeats=30, resample=resample, seed=5)
    assert numbers(efficiency(table, n_repeats=30, resample=resample, seed=5, workers=2)) == numbers(one)
    assert numbers(efficiency(table, n_repeats=30, resample=resample, seed=6)) != numbers(one)


def test_permutation_redraws_no_replicate_twice():
    found = efficiency(noisy(), n_repeats=10, resample="permutation", confidence=0.99)
    complete = [point for point in found.rules["exhaustive"].curve if point.knobs["n"] == 12]
    assert [point.probability for point in complete] == [1.0]  # all replicates are the truth itself
    most = max(point.trainings for rule in found.rules.values() for point in rule.curve)
    assert most <= 6 * 12


def test_ties_are_all_right_and_have_no_bound():
    scores = np.array([[1.0, 2.0, 1.5], [1.0, 2.0, 1.5], [9.0, 9.1, 9.2]])
    found = efficiency(table_of(scores), n_repeats=5)
    assert (found.truth, found.n_equivalent, found.bound) == ("a", 2, math.inf)
    assert found.rules["exhaustive"].default.probability == 1.0


def test_tolerance_widens_who_is_right():
    scores = np.array([[1.0, 1.4, 1.2, 1.2], [1.1, 1.5, 1.3, 1.3], [1.3, 1.9, 1.6, 1.6]])
    strict, loose = (efficiency(table_of(scores), n_repeats=20, tolerance=value) for value in (0.0, 0.1))
    assert (strict.n_equivalent, loose.n_equivalent) == (1, 2)
    assert loose.rules["top-two"].default.rule == TopTwo(tolerance=0.1)
    assert loose.bound < strict.bound


def test_maximising_is_minimising_the_negative():
    table = noisy(seed=3)
    found = efficiency(table_of(-table.scores), direction="maximize", n_repeats=15)
    wanted = efficiency(table, n_repeats=15)
    assert (found.truth, numbers(found), found.bound) == (wanted.truth, numbers(wanted), wanted.bound)


def test_a_criterion_of_spread():
    rng = np.random.default_rng(7)
    scores = np.array([0.1, 1.0, 3.0])[:, None] * rng.normal(size=(3, 20))
    found = efficiency(table_of(scores[::-1]), "std", n_repeats=20)
    assert found.truth == "c"
    assert "significance:levene" in found.rules
    assert found.rules["exhaustive"].default.rule == Exhaustive(2)
    assert found.rules["significance:bartlett"].trainings_at_confidence is not None
    assert found.rules["significance:welch"].trainings_at_confidence is None  # it discards by the mean


def test_spread_within_a_tolerance_of_the_best_mean():
    rng = np.random.default_rng(8)
    scores = np.array([[1.0], [1.1], [9.0]]) + np.array([[0.5], [0.05], [0.0]]) * rng.normal(size=(3, 10))
    found = efficiency(table_of(scores), "std-within-tolerance", tolerance=0.6, n_repeats=5)
    assert (found.truth, found.n_equivalent) == ("b", 1)  # c has no spread at all, and a useless mean
    assert math.isnan(found.bound)


def test_diverged_replicates_stay():
    scores = np.array([[0.9, np.inf, 0.8, 0.85, 0.9, 0.8], [1.0, 1.1, 1.2, 1.1, 1.0, 1.1]])
    assert efficiency(table_of(scores), "mean", n_repeats=5).truth == "b"
    found = efficiency(table_of(scores), "median", n_repeats=5)
    assert (found.truth, found.n_replicates) == ("a", 6)
    assert math.isfinite(found.bound)
    assert math.isnan(efficiency(table_of(np.full((2, 3), np.inf)), n_repeats=2).bound)


def test_replicates_that_somebody_lacks_are_left_out():
    scores = np.array([[1.0, 1.1, np.nan, 0.0], [2.0, 2.1, 2.2, np.nan]])
    assert efficiency(table_of(scores), n_repeats=2).n_replicates == 2


def test_the_bound_is_that_of_the_table():
    table = noisy(seed=9)
    found = efficiency(table, "std", confidence=0.9, tolerance=0.02, n_repeats=1)
    spread = table.scores.std(axis=1, ddof=1)
    assert found.bound == pytest.approx(least_trainings(spread, spread**2 / 2, 0.9, 0.02))


def test_progress_is_told():
    told = []
    efficiency(table_of(OBVIOUS), n_repeats=30, on_progress=lambda *what: told.append(what))
    assert ("exhaustive", 1, 2) in told
    assert told[-1] == ("top-two", 2, 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"by": "average"}, "'average'"),
        ({"confidence": 1.5}, "confidence=1.5"),
        ({"confidence": 0}, "confidence=0"),
        ({"tolerance": -1}, "tolerance=-1"),
        ({"tolerance": math.inf}, "tolerance=inf"),
        ({"resample": "jackknife"}, "bootstrap, permutation.*'jackknife'"),
        ({"n_repeats": 0}, "repeats=0"),
        ({"seed": -1}, "seed=-1"),
        ({"workers": 0}, "workers=0"),
        ({"direction": "up"}, "'up'"),
    ],
)
def test_bad_settings(options, text):
    with pytest.raises(InputError, match=text):
        efficiency(table_of(OBVIOUS), **options)


def test_too_few_full_replicates():
    scores = np.array([[1.0, 1.1, np.nan], [2.0, np.nan, 2.2]])
    with pytest.raises(InputError, match=r"at least 2 replicates.*came 1 of 3 \(candidate 'a' has 2\)"):
        efficiency(table_of(scores))
