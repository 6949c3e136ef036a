import importlib.util
from pathlib import Path

import numpy as np
import pytest

from robust_select.select.plan import plan
from robust_select.select.rules import Exhaustive, Halving
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion

PATH = Path(__file__).resolve().parents[3] / "validation" / "published_counts.py"
SPEC = importlib.util.spec_from_file_location("published_counts", PATH)
published = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(published)


def count_what_is_asked(n_candidates, rule, by="median"):
    """Run a selection on random scores and count the instances it really asks for."""
    rng = np.random.default_rng(n_candidates)
    selection = Selection([str(row) for row in range(n_candidates)], rule, criterion(by))
    asked = []
    while batch := selection.ask():
        asked.extend(batch)
        for candidate, replicate in batch:
            selection.tell(candidate, replicate, rng.random())
    assert len(set(asked)) == len(asked) == selection.n_trainings == len(selection.history)
    assert selection.is_finished
    return len(asked)


@pytest.mark.parametrize("count", published.HALVING)
def test_the_plan_gives_the_published_number(count):
    made = plan(count.n_candidates, Halving(count.warmup, count.final_instances))
    assert (made.trainings, made.least, made.most) == (count.trainings,) * 3


@pytest.mark.parametrize("count", published.HALVING)
def test_the_selection_asks_for_the_published_number(count):
    assert count_what_is_asked(count.n_candidates, Halving(count.warmup, count.final_instances)) == count.trainings


def test_against_fifty_instances_of_each():
    setting = published.HALVING[0]
    made = plan(setting.n_candidates, Halving(setting.warmup, setting.final_instances), against=50)
    assert made.exhaustive == published.EXHAUSTIVE.trainings == 345_600
    assert plan(6912, Exhaustive(50)).trainings == 345_600
    assert made.ratio == pytest.approx(345_600 / 41_567)
    assert round(made.ratio, 1) == 8.3


@pytest.mark.parametrize("exponent", range(1, 8))
@pytest.mark.parametrize("k", [0, 1, 4])
def test_a_power_of_two_follows_the_formula(exponent, k):
    n_candidates = 2**exponent
    expected = published.power_of_two(n_candidates, k)
    assert plan(n_candidates, Halving(k + 1)).trainings == expected
    assert count_what_is_asked(n_candidates, Halving(k + 1)) == expected


def test_exhaustive_asks_for_what_it_plans():
    assert count_what_is_asked(7, Exhaustive(4)) == 28
