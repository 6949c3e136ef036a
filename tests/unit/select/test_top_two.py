import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.rules import RULES, TopTwo, rule
from robust_select.select.selection import Selection
from robust_select.stats.criteria import CRITERIA, criterion


def table_of(scores):
    scores = np.asarray(scores, dtype=float)
    return Table(tuple(f"c{row}" for row in range(len(scores))), scores)


def noisy(n_candidates=20, n_replicates=60, seed=0, gap=0.5, spread=1.0):
    rng = np.random.default_rng(seed)
    return gap * np.arange(n_candidates)[:, None] + spread * rng.normal(size=(n_candidates, n_replicates))


@pytest.mark.parametrize("name", [name for name in CRITERIA if name != "std-within-tolerance"])
def test_finds_the_best_by_every_criterion_in_both_directions(name):
    rng = np.random.default_rng(1)
    worse = np.arange(12)[:, None]
    wider = 0.0 if name == "min" else 0.8  # the lowest score of a wide candidate is low, too
    losses = worse * 2.0 + (1 + wider * worse) * rng.normal(size=(12, 200))
    found = replay(table_of(losses), TopTwo(), criterion(name))
    turned = replay(table_of(-losses), TopTwo(), criterion(name), "maximize")
    assert found.selected == turned.selected == "c0"
    assert found.confidence >= 0.95
    assert turned.trainings == found.trainings < 12 * 200
    assert "confidence 0.95" in found.stop_reason


def test_a_hopeless_candidate_is_trained_once():
    scores = noisy(gap=5.0)
    found = replay(table_of(scores), TopTwo(), criterion("mean"))
    counts = np.count_nonzero(~np.isnan(found.table.scores), axis=1)
    assert found.selected == "c0"
    assert (counts[8:] == 1).all()
    assert counts[0] >= 5
    assert found.remaining == ("c0",)


def test_a_good_candidate_that_started_badly_comes_back():
    scores = noisy(6, 200, seed=3, gap=1.0)
    scores[0, 0] = 4.5
    found = replay(table_of(scores), TopTwo(), criterion("mean"))
    assert found.selected == "c0"
    returned = [step for step in found.steps if "c0" in step.kept]
    assert returned
    assert found.discarded_at[0] is None


def test_candidates_within_the_tolerance_are_named():
    scores = noisy(5, 200, gap=0.0)
    scores[3:] += 10
    found = replay(table_of(scores), TopTwo(tolerance=1.0), criterion("mean"))
    assert set(found.equivalent) == {"c0", "c1", "c2"}
    assert found.equivalent[0] == found.selected
    assert set(found.remaining) == set(found.equivalent)


def test_a_budget_is_kept_and_the_confidence_says_what_it_was_worth():
    found = replay(table_of(noisy(gap=0.05)), TopTwo(budget=60), criterion("mean"))
    assert found.trainings == 60
    assert found.stop_reason == "the budget is spent"
    assert 0 <= found.confidence < 0.95
    assert len(found.remaining) > 1


@pytest.mark.parametrize("budget", [20, 21, 25, 31, 32, 33])
def test_a_budget_too_small_for_the_pilot_is_kept_too(budget):
    found = replay(table_of(noisy(gap=0.05)), TopTwo(budget=budget), criterion("mean"))
    assert found.trainings == budget
    assert found.trainings <= TopTwo(budget=budget).trainings(20).most


def test_ends_with_the_replicates():
    found = replay(table_of(noisy(4, 5, gap=0.0)), TopTwo(), criterion("mean"))
    assert found.stop_reason == "the replicates are used up"
    assert found.trainings <= 20
    short = replay(table_of(noisy(4, 1)), TopTwo(), criterion("mean"))
    assert (short.trainings, short.selected) == (4, short.table.candidates[int(np.argmin(short.table.scores[:, 0]))])
    assert short.confidence == 0
    assert replay(table_of(noisy(4, 60, gap=0.0)), TopTwo(max_instances=6), criterion("mean")).trainings <= 24


def test_ties_and_constant_scores():
    same = replay(table_of(np.ones((3, 30))), TopTwo(), criterion("mean"))
    assert (same.selected, same.trainings, same.stop_reason) == ("c0", 9, "more instances would tell nothing")
    apart = replay(table_of(np.ones((3, 30)) * [[2.0], [1.0], [3.0]]), TopTwo(), criterion("mean"))
    assert (apart.selected, apart.confidence) == ("c1", 1)


def test_diverged_instances():
    scores = noisy(6, 60, gap=2.0)
    scores[0, 3] = np.inf
    scores[4] = np.inf
    found = replay(table_of(scores), TopTwo(), criterion("mean"))
    assert found.selected == "c1"
    assert replay(table_of(scores), TopTwo(), criterion("median")).selected == "c0"
    nobody = replay(table_of(np.full((3, 9), np.inf)), TopTwo(), criterion("mean"))
    assert nobody.confidence == 0
    assert nobody.stop_reason == "no candidate is usable: each has instances that diverged or failed"


def test_a_first_instance_that_diverged_is_forgiven_where_the_criterion_forgives():
    scores = noisy(6, 60, gap=3.0)
    scores[0, 0] = np.inf
    assert replay(table_of(scores), TopTwo(), criterion("median")).selected == "c0"
    assert replay(table_of(scores), TopTwo(), criterion("mean")).selected == "c1"


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_candidates(n):
    found = replay(table_of(noisy(n, 60, gap=3.0)), TopTwo(), criterion("q3+iqr"))
    assert (found.selected, len(found.remaining)) == ("c0", 1)
    assert found.trainings >= 5


def test_the_order_of_candidates_does_not_matter():
    scores = noisy(10, 80, seed=2, gap=0.4)
    order = np.random.default_rng(0).permutation(10)
    names = tuple(f"c{row}" for row in order)
    plain = replay(table_of(scores), TopTwo(), criterion("mean"))
    mixed = replay(Table(names, scores[order]), TopTwo(), criterion("mean"))
    assert (plain.selected, plain.trainings) == (mixed.selected, mixed.trainings)


@pytest.mark.parametrize("batch", [1, 4])
def test_who_is_trained_faster_does_not_matter(batch):
    scores = noisy(8, 80, seed=5, gap=0.3)
    straight = replay(table_of(scores), TopTwo(batch=batch), criterion("mean"))
    rng = np.random.default_rng(7)
    selection = Selection(straight.table.candidates, TopTwo(batch=batch), criterion("mean"), n_available=80)
    open_now = []
    while True:
        open_now += selection.ask()
        if not open_now:
            break
        candidate, replicate = open_now.pop(int(rng.integers(len(open_now))))
        selection.tell(candidate, replicate, scores[candidate, replicate])
    assert selection.is_finished
    assert (selection.selected, selection.confidence) == (straight.selected, straight.confidence)
    assert selection.history.tolist() == straight.history.tolist()


def test_a_batch_leaves_no_worker_idle():
    scores = noisy(8, 80, seed=5, gap=0.3)
    selection = Selection([f"c{row}" for row in range(8)], TopTwo(batch=4), criterion("mean"), n_available=80)
    in_training = selection.ask(4)
    while in_training:
        candidate, replicate = in_training.pop(0)
        selection.tell(candidate, replicate, scores[candidate, replicate])
        in_training += selection.ask(4 - len(in_training))
        if selection.n_trainings > 30 and selection.n_trainings < 60 and not selection.is_finished:
            assert len(in_training) >= 3 or selection.confidence >= 0.95


def test_the_names_of_settings_and_bad_ones():
    assert rule("top-two", confidence=0.9) == TopTwo(confidence=0.9)
    assert RULES["top-two"]().settings()["confidence"] == 0.95
    bad = [{"confidence": 1.0}, {"confidence": "high"}, {"warmup": 0}, {"tolerance": -1}, {"tolerance": np.inf}]
    for settings in [*bad, {"max_instances": 1}, {"budget": 0}, {"batch": 0}]:
        with pytest.raises(InputError, match=next(iter(settings))):
            TopTwo(**settings)
    with pytest.raises(InputError, match="std-within-tolerance"):
        Selection(["a"], TopTwo(), criterion("std-within-tolerance"))


def test_counts_beforehand():
    assert TopTwo(max_instances=50).trainings(10).most == 500
    assert TopTwo(warmup=2).trainings(10, n_available=20).least == 20
    assert TopTwo(budget=70).trainings(10).most == 70
    assert TopTwo(budget=5).trainings(10).most == 10
