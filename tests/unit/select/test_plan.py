import pytest

from robust_select.core.errors import InputError
from robust_select.select.plan import Plan, plan
from robust_select.select.rules import Exhaustive, Halving, Significance, Trainings


def test_a_plan_of_a_rule_that_counts_beforehand():
    made = plan(10, Exhaustive(3), against=6)
    assert made == Plan("exhaustive", 10, 30, 30, 30, 6, 60)
    assert made.ratio == 2


def test_a_plan_of_a_rule_that_depends_on_scores_gives_bounds():
    made = plan(10, Significance(warmup=3, max_instances=20), against=50)
    assert (made.trainings, made.least, made.most) == (None, 30, 200)
    assert made.ratio == 500 / 200
    assert plan(10, Significance(warmup=3), n_available=5).most == 50


def test_a_rule_without_a_limit_has_no_ratio():
    assert Plan("mine", 3, None, 3, None, 50, 150).ratio is None


@pytest.mark.parametrize(
    ("n_available", "expected"), [(2, 8 * 2), (3, 16 + 4), (4, 16 + 4 + 2), (5, 16 + 4 + 2 + 1), (9, 27)]
)
def test_halving_stops_where_the_replicates_end(n_available, expected):
    # 8 candidates twice, 4 and 2 once, then the survivor up to 5 more times
    assert plan(8, Halving(2, final_instances=5), n_available=n_available).trainings == expected


def test_exact_is_known_only_where_least_is_most():
    assert Trainings(3, 3).exact == 3
    assert Trainings(3, 4).exact is None
    assert Trainings(3, None).exact is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_candidates": 0}, "candidates to be a whole number of at least 1, came candidates=0"),
        ({"n_candidates": 2.5}, "came candidates=2.5"),
        ({"n_candidates": True}, "came candidates=True"),
        ({"against": 0}, "against to be a whole number of at least 1, came against=0"),
        ({"n_available": 4}, "expected replicates for the warm-up, came warmup=5, 4 replicates"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        plan(**{"n_candidates": 3, "rule": Halving(5), **given})
