import itertools

import numpy as np
import pytest
from benchmarks.top_n import Situation, claims_and_truths
from scipy import stats

from robust_select.analysis.chosen import top_n_of_result, top_n_of_table
from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Exhaustive, Halving
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion


def test_a_table_is_ranked_by_every_choice_of_replicates_in_the_long_run():
    scores = np.random.default_rng(3).normal(size=(4, 6)) + 0.5 * np.arange(4)[:, None]
    truth = scores.mean(axis=1).argmin()
    places = [
        int((scores[:, list(chosen)].mean(axis=1) < scores[truth, list(chosen)].mean()).sum())
        for chosen in itertools.combinations(range(6), 2)
    ]
    expected = [(np.array(places) < n).mean() for n in range(1, 5)]
    n_repeats = 2000
    found = top_n_of_table(Table(tuple("abcd"), scores), n_instances=[2], n_repeats=n_repeats)
    assert found.labels == ("2 instances of each",)
    np.testing.assert_allclose(found.probabilities[0], expected, atol=3.5 * 0.5 / np.sqrt(n_repeats))


def test_numbers_that_the_table_has_not_are_left_out():
    table = Table(("a", "b"), np.random.default_rng(0).normal(size=(2, 5)))
    assert top_n_of_table(table, "std", n_instances=[1, 2, 5, 10], n_repeats=5).labels == ("2 instances of each",)
    with pytest.raises(InputError, match="from 1 to 4"):
        top_n_of_table(table, n_instances=[5])
    with pytest.raises(InputError, match="n_repeats"):
        top_n_of_table(table, n_repeats=0)


def test_a_metric_is_turned():
    scores = np.random.default_rng(1).normal(size=(5, 12)) + np.arange(5)[:, None]
    names = tuple("abcde")
    plain = top_n_of_table(Table(names, scores), n_repeats=50)
    turned = top_n_of_table(Table(names, -scores), direction="maximize", n_repeats=50)
    np.testing.assert_array_equal(plain.probabilities, turned.probabilities)


def test_two_close_ones_of_many_far_apart_are_as_sure_as_a_posterior_of_two_means():
    """True means that spread widely are not shrunken: then the leader is the best as in the normal case."""
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(20, 100))
    scores += np.r_[0.0, 0.1, 0.5 * np.arange(1, 19)][:, None] - scores.mean(axis=1, keepdims=True)
    names = tuple(f"c{row}" for row in range(20))
    found = top_n_of_result(replay(Table(names, scores), Exhaustive(100), criterion("mean")))
    expected = stats.norm.cdf(0.1 / np.sqrt(2 / 100))  # all scales are one, and the posterior pools them
    np.testing.assert_allclose(found.probabilities[0, :2], [expected, 1], atol=0.04)


def test_the_best_of_many_is_not_praised_beyond_what_is_true():
    """Mean claim against truth, over studies of candidates that are closer than their means are known."""
    situation, n_studies = Situation(0.3, 0.0, Exhaustive(5), n_candidates=10, n_replicates=5), 30
    claims, truths = claims_and_truths(situation, n_studies, 3)
    assert (claims <= truths + 2 * np.sqrt(truths * (1 - truths) / n_studies)).all()
    flat = []
    for seed in range(n_studies):
        scores = situation.scores(np.random.default_rng(seed))[1]
        drawn = scores.mean(axis=1) + np.random.default_rng(seed).normal(size=(500, 10)) / np.sqrt(5)
        flat.append((drawn.argmin(axis=1) == scores.mean(axis=1).argmin()).mean())
    assert np.mean(flat) > claims[0] + 0.05  # without shrinkage the leader would be praised more


def test_extremes_have_no_value_to_be_sure_of():
    scores = np.random.default_rng(5).normal(size=(4, 12))
    assert top_n_of_result(replay(Table(tuple("abcd"), scores), Exhaustive(12), criterion("max"))) is None


def test_what_all_replicates_share_makes_nobody_less_sure():
    """The same scores, the replicates of each candidate in another order: the same means, but nothing is paired."""
    rng = np.random.default_rng(6)
    paired = 0.4 * rng.normal(size=(6, 20)) + 0.1 * np.arange(6)[:, None] + 0.8 * rng.normal(size=(1, 20))
    shuffled = rng.permuted(paired, axis=1)
    sure, unsure = (
        top_n_of_result(replay(Table(tuple("abcdef"), scores), Exhaustive(20), criterion("mean"))).probabilities[0, 0]
        for scores in (paired, shuffled)
    )
    assert sure > unsure + 0.1


def test_a_result_says_it_of_all_candidates():
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(16, 12)) + 0.3 * np.arange(16)[:, None]
    scores[15] = np.inf
    result = replay(Table(tuple("abcdefghijklmnop"), scores), Halving(warmup=4), criterion("mean"))
    found = top_n_of_result(result)
    assert (np.diff(found.probabilities) >= 0).all()
    assert found.probabilities[0, [0, 14, 15]] == pytest.approx([found.probabilities[0, 0], 1, 1])
    assert found.labels == (f"all {result.trainings} trainings",)


def test_nothing_is_said_of_what_is_not_known():
    assert top_n_of_result(result_of(Selection(["a", "b"], Halving(warmup=2), criterion("mean")))) is None
    table = Table(("a", "b"), np.random.default_rng(0).normal(size=(2, 6)))
    assert top_n_of_result(replay(table, Exhaustive(6), criterion("std-within-tolerance", 0.5))) is None
