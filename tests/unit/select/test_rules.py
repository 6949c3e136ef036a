import json
import math

import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.select.rules import RULES, Evidence, Exhaustive, Halving, Rule, Significance, rule
from robust_select.select.rules.base import check_count, next_replicates
from robust_select.stats.criteria import criterion

MADE = [Exhaustive(3), Halving(2, 4), Significance("ks", 0.1, 3, patience=2, max_instances=9)]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_a_rule_is_made_again_from_its_settings(made):
    assert isinstance(made, Rule)
    settings = json.loads(json.dumps(dict(made.settings())))
    assert rule(made.name, **settings) == made
    assert made.name in RULES


def test_an_unknown_rule_or_setting_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"a rule among exhaustive, halving, significance.*, came 'hyperband'"):
        rule("hyperband")
    with pytest.raises(InputError, match="settings of rule 'halving' among warmup, final_instances, came warm_up"):
        rule("halving", warm_up=3)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("exhaustive", {"n": 0}, "n to be a whole number of at least 1, came n=0"),
        ("halving", {"warmup": 0}, "warmup to be a whole number of at least 1, came warmup=0"),
        ("halving", {"warmup": 1.5}, "came warmup=1.5"),
        ("halving", {"warmup": True}, "came warmup=True"),
        ("halving", {"warmup": "3"}, "came warmup='3'"),
        ("halving", {"final_instances": -1}, "final_instances to be a whole number of at least 0, came"),
        ("significance", {"warmup": 0}, "came warmup=0"),
        ("significance", {"test": "anova"}, "expected a test among welch.*came 'anova'"),
        ("significance", {"alpha": 0}, "alpha between 0 and 1, both excluded, came alpha=0"),
        ("significance", {"alpha": 1.0}, "came alpha=1.0"),
        ("significance", {"alpha": -0.1}, "came alpha=-0.1"),
        ("significance", {"alpha": math.nan}, "came alpha=nan"),
        ("significance", {"alpha": True}, "came alpha=True"),
        ("significance", {"alpha": "0.05"}, "came alpha='0.05'"),
        ("significance", {"patience": 0}, "patience to be a whole number of at least 1"),
        ("significance", {"control": "none"}, "expected control among per-look.*, came control='none'"),
        ("significance", {"max_instances": 1}, "max_instances to be a whole number of at least 2, came"),
    ],
)
def test_a_setting_out_of_range_is_refused(name, settings, message):
    with pytest.raises(InputError, match=message):
        rule(name, **settings)


def test_numpy_numbers_count_as_whole():
    check_count("n", np.int64(3), 1)
    with pytest.raises(InputError, match="came n="):
        check_count("n", np.int64(0), 1)


def test_instances_come_replicate_by_replicate():
    assert next_replicates(np.array([3, 1]), 2, 4).tolist() == [[3, 2], [1, 2], [3, 3], [1, 3]]
    assert next_replicates(np.array([3, 1]), 2, 2).shape == (0, 2)


def test_evidence_counts_what_all_alive_candidates_have():
    losses = np.array([[1.0, 2.0, np.nan], [3.0, 4.0, 5.0], [6.0, np.nan, np.nan]])
    evidence = Evidence(losses, np.array([True, True, False]), criterion("mean"))
    assert evidence.n_instances == 2
    assert evidence.alive_positions.tolist() == [0, 1]
    assert evidence.alive_losses().tolist() == [[1, 2], [3, 4]]


def test_significance_never_discards_the_best_itself():
    for test in ("welch", "bartlett"):
        losses = np.array([[0.0, 1.0, 2.0], [0.1, 5.0, 9.0], [50.0, 51.0, 52.0]])
        evidence = Evidence(losses, np.ones(3, dtype=bool), criterion("mean"))
        decision = Significance(test, alpha=0.999999, warmup=3).decide(evidence)
        assert decision.best == 0
        assert 0 not in decision.discard


def test_bounds_of_significance():
    made = Significance(warmup=3, max_instances=10)
    assert (made.trainings(5).least, made.trainings(5).most) == (15, 50)
    assert made.trainings(5, n_available=4).most == 20
