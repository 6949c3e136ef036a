from dataclasses import dataclass, field

import numpy as np
import pytest

from robust_select.select.rules import Decision, Rule, Trainings
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion

N_CANDIDATES = 4
BUDGET = 30


@dataclass
class OneByOne:
    """Ask for the candidate with the smallest known mean once more, while three others are in training."""

    overlap: int = 3
    heard: list = field(default_factory=list)
    name = "one-by-one"
    warmup = 1

    def settings(self):
        return {"overlap": self.overlap}

    def check(self, criterion):
        """Work with every criterion."""

    def trainings(self, n_candidates, n_available=None):
        return Trainings(n_candidates, BUDGET)

    def decide(self, evidence):
        if not evidence.n_asked.any():
            start = np.array([[row, 0] for row in range(N_CANDIDATES)])
            return Decision(start, overlap=self.overlap)
        heard = np.full((N_CANDIDATES, 2 * BUDGET), -1.0)  # -1 where not heard
        heard[:, : evidence.losses.shape[1]] = np.nan_to_num(evidence.losses, nan=-1.0)
        self.heard.append(heard)
        told = ~np.isnan(evidence.losses)
        sums = np.where(told, evidence.losses, 0).sum(axis=1)
        means = np.divide(sums, told.sum(axis=1), out=np.full(N_CANDIDATES, np.inf), where=told.any(axis=1))
        best = int(np.argmin(means))
        more = {
            "step": int(told.sum()),
            "best": best,
            "best_by": criterion("mean"),
            "best_value": 100.0 + best,
            "ranking": np.argsort(means, kind="stable"),
            "confidence": float(told.sum()) / 100,
            "equivalent": np.array([best, 3]),
        }
        if evidence.n_asked.sum() >= BUDGET:
            return Decision(stop="the budget is spent", **more)
        at = evidence.n_asked.sum()
        return Decision(
            np.array([[best, evidence.n_asked[best]]]),
            overlap=self.overlap,
            discard=np.array([2]) if at == 10 else np.empty(0, dtype=np.int64),
            restore=np.array([2]) if at == 14 else np.empty(0, dtype=np.int64),
            **more,
        )


SCORES = np.random.default_rng(3).normal(size=(N_CANDIDATES, BUDGET)) + np.array([[0.0], [0.1], [0.2], [0.3]])


def run(rule, n_workers, seed, direction="minimize"):
    """Keep ``n_workers`` busy; they finish in a random order."""
    selection = Selection(list("abcd"), rule, criterion("mean"), direction)
    rng = np.random.default_rng(seed)
    busy, most = [], 0
    while True:
        while len(busy) < n_workers and (asked := selection.ask(n_workers - len(busy))):
            busy += asked
        if not busy:
            break
        most = max(most, len(busy))
        candidate, replicate = busy.pop(int(rng.integers(len(busy))))
        selection.tell(candidate, replicate, SCORES[candidate, replicate], seconds=1.0)
    assert selection.is_finished
    return selection, most


def test_the_rule_is_one():
    assert isinstance(OneByOne(), Rule)


@pytest.mark.parametrize("n_workers", [1, 2, 3, 4, 9])
def test_steps_depend_on_the_order_of_asking_alone(n_workers):
    first, _ = run(OneByOne(), 1, 0)
    expected_rule = OneByOne()
    run(expected_rule, 1, 0)
    for seed in range(4):
        rule = OneByOne()
        selection, _ = run(rule, n_workers, seed)
        assert selection.steps == first.steps
        assert selection.history.tolist() == first.history.tolist()
        assert selection.remaining == first.remaining
        assert len(rule.heard) - len(expected_rule.heard) in (-1, 0, 1)  # a stop may be decided twice
        for heard, expected in zip(rule.heard[: BUDGET - 5], expected_rule.heard, strict=False):
            np.testing.assert_array_equal(heard, expected)


def test_three_may_be_in_training_while_the_rule_is_asked():
    assert run(OneByOne(), 8, 0)[1] == 4
    assert run(OneByOne(overlap=0), 8, 0)[1] == 4  # the warm-up is asked for at once
    rule = OneByOne(overlap=0)
    selection, _ = run(rule, 8, 0)
    assert [int((heard != -1).sum()) for heard in rule.heard][:5] == [4, 5, 6, 7, 8]
    assert [step.trainings for step in selection.steps][:3] == [4, 5, 6]


def test_evidence_masks_what_may_still_be_in_training_even_if_it_is_told():
    rule = OneByOne()
    selection, _ = run(rule, 1, 0)  # one worker: everything asked for is told before the next is asked
    assert [int((heard != -1).sum()) for heard in rule.heard][:6] == [1, 2, 3, 4, 5, 6]
    history = selection.history
    for position, heard in enumerate(rule.heard[:6]):
        known = {tuple(asked) for asked in history[: position + 1].tolist()}
        assert {tuple(found) for found in np.argwhere(heard != -1).tolist()} == known
    assert [step.trainings for step in selection.steps][:6] == [1, 2, 3, 4, 5, 6]
    assert [step.seconds for step in selection.steps][:6] == [1, 2, 3, 4, 5, 6]


def test_a_stop_is_decided_again_when_everything_is_told():
    rule = OneByOne()
    selection, _ = run(rule, 4, 1)
    assert selection.stop_reason == "the budget is spent"
    assert selection.steps[-1].trainings == selection.n_trainings == BUDGET
    assert [int((heard != -1).sum()) for heard in rule.heard][-2:] == [BUDGET - 3, BUDGET]
    assert [step.step for step in selection.steps][-2:] == [BUDGET - 4, BUDGET]


def test_while_a_stop_waits_nothing_is_asked():
    selection = Selection(list("abcd"), OneByOne(), criterion("mean"))
    while len(selection.history) < BUDGET:
        for asked in selection.ask():
            selection.tell(*asked, SCORES[asked])
        if len(selection.history) == BUDGET - 1:
            break
    last = selection.ask()
    assert last == [tuple(selection.history[-1])]
    assert selection.ask() == []
    assert not selection.is_finished
    selection.tell(*last[0], 0.0)
    assert selection.ask() == []
    assert selection.is_finished


def test_a_discarded_candidate_can_be_restored():
    selection, _ = run(OneByOne(), 2, 0)
    assert selection.discarded_at == (None, None, None, None)
    gone = [step for step in selection.steps if "c" not in step.kept]
    assert len(gone) == 4
    assert [step.removed for step in selection.steps if step.removed] == [("c",)]
    assert "c" in selection.steps[-1].kept


def test_ranking_confidence_and_equivalence_come_from_the_last_decision():
    selection, _ = run(OneByOne(), 3, 0)
    told = np.where(np.isnan(selection.scores), np.nan, selection.scores)
    means = np.nanmean(told, axis=1)
    assert selection.remaining == tuple("abcd"[row] for row in np.argsort(means))
    assert selection.selected == selection.remaining[0]
    assert selection.confidence == BUDGET / 100
    assert selection.equivalent == (selection.selected, "d")
    best = "abcd".index(selection.selected)
    assert selection.steps[-1].best_value == 100.0 + best


def test_an_estimated_value_is_shown_in_units_of_the_score():
    selection, _ = run(OneByOne(), 1, 0, "maximize")
    assert selection.steps[0].best_value == -100.0
