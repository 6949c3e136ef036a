import builtins
import math
import sys

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from robust_select.core.candidates import Candidate, params_json
from robust_select.core.errors import InputError, MissingExtraError, SettingsDifferError
from robust_select.core.instances import seeds_for
from robust_select.core.tables import Table
from robust_select.integrations.optuna import (
    Rounds,
    export_study,
    propose_and_select,
    sample_space,
    tpe_search,
)
from robust_select.integrations.optuna.spaces import Proposal, propose
from robust_select.ledger import open_ledger
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Exhaustive, Halving, TopTwo, rule
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion
from robust_select.study.reading import read_result

SPACE = {
    "x": FloatDistribution(-1, 1),
    "depth": IntDistribution(1, 3),
    "kind": CategoricalDistribution(["a", "b"]),
}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


class Counted:
    """A noisy parabola that counts its trainings, and stops after some as a crash would."""

    def __init__(self, stops_at=math.inf, sign=1):
        self.seen, self.stops_at, self.sign = [], stops_at, sign

    def __call__(self, params, instance):
        if len(self.seen) >= self.stops_at:
            raise KeyboardInterrupt
        self.seen.append((instance.candidate, instance.replicate))
        noise = 0.05 * instance.rng("initial_weights").normal()
        return self.sign * ((params["x"] - 0.3) ** 2 + 0.1 * (params["kind"] == "b") + noise)


def branches(trial):
    kind = trial.suggest_categorical("kind", ["tree", "net"])
    if kind == "tree":
        return {"kind": kind, "leaves": 2 ** trial.suggest_int("log leaves", 1, 3)}
    return {"kind": kind}


# Spaces


def test_a_sample_stays_within_the_distributions_and_comes_again():
    drawn = sample_space(SPACE, 40, seed=3)
    assert len({candidate.name for candidate in drawn}) == 40
    for candidate in drawn:
        assert -1 <= candidate.params["x"] <= 1
        assert candidate.params["depth"] in (1, 2, 3)
        assert candidate.params["kind"] in ("a", "b")
    assert sample_space(SPACE, 40, seed=3) == drawn
    assert sample_space(SPACE, 40, seed=4) != drawn


def test_a_function_may_branch_and_say_what_its_suggestions_mean():
    drawn = sample_space(branches, 4)
    assert {candidate.name for candidate in drawn} == {
        *("kind=net", "kind=tree, leaves=2", "kind=tree, leaves=4", "kind=tree, leaves=8")
    }
    with pytest.raises(InputError, match="at least n=5 different candidates, found 4"):
        sample_space(branches, 5)


def test_a_function_that_gives_nothing_means_what_it_suggested():
    assert sample_space(lambda trial: trial.suggest_int("depth", 2, 2) and None, 1)[0].params == {"depth": 2}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (3, "distributions or a function of a trial, came 3"),
        ({"x": [1, 2]}, r"distribution of Optuna, came x=\[1, 2\]"),
        (lambda trial: "x", "dictionary of parameters, came 'x'"),
        ({}, "dictionary of parameters, came {}"),
    ],
)
def test_what_is_no_space_is_refused(space, message):
    with pytest.raises(InputError, match=message):
        sample_space(space, 1)


def test_proposals_come_close_to_what_was_good_and_never_twice():
    known = []
    for candidate in sample_space(SPACE, 40, seed=1):
        value = abs(candidate.params["x"] - 0.5)
        known.append((Proposal(candidate, candidate.params, SPACE), value))
    names = [proposal.candidate.name for proposal, _ in known]
    proposed = propose(SPACE, known, 12, seed=2, but_not=names)
    assert proposed == propose(SPACE, known, 12, seed=2, but_not=names)
    assert len({proposal.candidate.name for proposal in proposed} - set(names)) == 12
    distances = [abs(proposal.candidate.params["x"] - 0.5) for proposal in proposed]
    assert np.median(distances) < 0.25  # at random the median is 0.5


def test_an_unusable_candidate_can_be_told_and_a_used_up_space_gives_fewer():
    found = propose(branches, [], 3, seed=0)
    known = [(found[0], math.inf), (found[1], 0.1), (found[2], 0.2)]
    left = propose(branches, known, 3, seed=1, but_not=[proposal.candidate.name for proposal in found])
    assert len(left) == 1


# Rounds


def test_proposals_find_what_is_good_and_keep_to_the_trainings(tmp_path):
    trainer = Counted()
    found = propose_and_select(SPACE, trainer, Rounds(4, 16), criterion="mean", ledger=tmp_path / "s.db", seed=1)
    params = dict(zip(found.table.candidates, found.table.params, strict=True))
    assert abs(params[found.selected]["x"] - 0.3) < 0.2
    assert params[found.selected]["kind"] == "a"
    assert len(trainer.seen) == len(set(trainer.seen)) == found.trainings <= 64
    assert found.proposed_in == tuple(sorted(found.proposed_in))
    assert set(found.proposed_in) == set(range(4))
    for at, result in enumerate(found.rounds):
        trained = {name for name, first in zip(found.table.candidates, found.proposed_in, strict=True) if first <= at}
        assert set(result.table.candidates) <= trained
        new = [name for name in found.table.candidates if found.proposed_in[found.table.candidates.index(name)] == at]
        assert set(new) <= set(result.table.candidates)
    for before, after in zip(found.rounds, found.rounds[1:], strict=False):
        for name in before.remaining:  # all that is known of them is taken over
            old = before.table.scores[before.table.candidates.index(name)]
            new = after.table.scores[after.table.candidates.index(name)]
            old = old[~np.isnan(old)]
            np.testing.assert_array_equal(new[: len(old)], old)
        assert not (set(before.table.candidates) - set(before.remaining)) & set(after.table.candidates)


@pytest.mark.parametrize("stops_at", [5, 29])
def test_a_run_that_was_killed_goes_on_and_ends_the_same(tmp_path, stops_at):
    whole = propose_and_select(SPACE, Counted(), Rounds(4, 12), criterion="mean", seed=5)
    first, second = Counted(stops_at), Counted()
    with pytest.raises(KeyboardInterrupt):
        propose_and_select(SPACE, first, Rounds(4, 12), criterion="mean", ledger=tmp_path / "s.db", seed=5)
    again = propose_and_select(SPACE, second, Rounds(4, 12), criterion="mean", ledger=tmp_path / "s.db", seed=5)
    assert len(first.seen) == stops_at
    assert not set(first.seen) & set(second.seen)
    assert len(first.seen) + len(second.seen) == whole.trainings == again.trainings
    assert again.table.candidates == whole.table.candidates
    np.testing.assert_array_equal(again.table.scores, whole.table.scores)
    assert again.selected == whole.selected


def test_a_kill_between_beginning_a_round_and_taking_over_costs_nothing(tmp_path):
    whole = propose_and_select(SPACE, Counted(), Rounds(2, 12), criterion="mean", seed=5)
    first, second = Counted(), Counted()
    propose_and_select(SPACE, first, Rounds(1, 12), criterion="mean", ledger=tmp_path / "s.db", seed=5)
    last = whole.rounds[-1]
    taken = [int(np.count_nonzero(~np.isnan(row))) for row in _scores_of(whole.rounds[0], whole.rounds[0].remaining)]
    by_name = dict(zip(whole.rounds[0].remaining, taken, strict=True))
    with open_ledger(tmp_path / "s.db") as ledger:
        before = ledger.study("proposals, round 1").settings
        counts = [by_name[name] for name in last.table.candidates if name in by_name]
        own = TopTwo(budget=sum(counts) + 24 - whole.rounds[0].trainings, taken_over=counts).settings()
        settings = {**before, "rule": {"name": "top-two", **own}}
        candidates = [
            Candidate(name, params) for name, params in zip(last.table.candidates, last.table.params, strict=True)
        ]
        ledger.create_study("proposals, round 2", settings, candidates)
    again = propose_and_select(SPACE, second, Rounds(2, 12), criterion="mean", ledger=tmp_path / "s.db", seed=5)
    assert len(first.seen) + len(second.seen) == whole.trainings
    np.testing.assert_array_equal(again.table.scores, whole.table.scores)


def _scores_of(result, names):
    return [result.table.scores[result.table.candidates.index(name)] for name in names]


def test_more_rounds_later_go_on_where_it_ended(tmp_path):
    first, second = Counted(), Counted()
    three = propose_and_select(SPACE, first, Rounds(3, 12), criterion="mean", ledger=tmp_path / "s.db", seed=2)
    four = propose_and_select(SPACE, second, Rounds(4, 12), criterion="mean", ledger=tmp_path / "s.db", seed=2)
    assert four.table.candidates[: three.table.n_candidates] == three.table.candidates
    assert len(first.seen) == three.trainings
    assert len(second.seen) == four.trainings - three.trainings
    assert len(four.rounds) == 4


def test_another_seed_on_the_same_ledger_is_refused_and_records_nothing(tmp_path):
    propose_and_select(SPACE, Counted(), Rounds(2, 8), criterion="mean", ledger=tmp_path / "s.db", seed=2)
    trainer = Counted()
    with pytest.raises(SettingsDifferError, match="seed"):
        propose_and_select(SPACE, trainer, Rounds(2, 8), criterion="mean", ledger=tmp_path / "s.db", seed=3)
    assert trainer.seen == []


def test_each_round_can_be_read_from_the_ledger_as_it_was(tmp_path):
    found = propose_and_select(SPACE, Counted(), Rounds(3, 12), criterion="mean", ledger=tmp_path / "s.db", seed=2)
    with open_ledger(tmp_path / "s.db") as ledger:
        assert ledger.names() == [f"proposals, round {at}" for at in (1, 2, 3)]
        for name, result in zip(ledger.names(), found.rounds, strict=True):
            reading = read_result(ledger, name)
            assert (reading.result.selected, reading.result.stop_reason) == (result.selected, result.stop_reason)
            assert reading.result.fresh == result.fresh == 0
            np.testing.assert_array_equal(reading.result.history, result.history)


def test_fresh_instances_come_last_and_the_choice_does_not_see_them(tmp_path):
    plain = propose_and_select(SPACE, Counted(), Rounds(3, 12), criterion="mean", seed=2)
    found = propose_and_select(SPACE, Counted(), Rounds(3, 12), criterion="mean", seed=2, fresh=7)
    assert found.selected == plain.selected
    assert found.trainings == plain.trainings + 7
    assert [result.fresh for result in found.rounds] == [0, 0, 7]


def test_a_metric_and_a_spread():
    found = propose_and_select(SPACE, Counted(sign=-1), Rounds(2, 10), criterion="mean", direction="maximize", seed=1)
    same = propose_and_select(SPACE, Counted(), Rounds(2, 10), criterion="mean", seed=1)
    np.testing.assert_array_equal(found.table.scores, -same.table.scores)
    spread = propose_and_select(SPACE, Counted(), Rounds(2, 8), criterion="std", seed=1)
    assert (np.count_nonzero(~np.isnan(spread.table.scores), axis=1) >= 2).all()


def test_a_trainer_that_fails_now_and_then():
    def train(params, instance):
        if params["kind"] == "b":
            raise RuntimeError("no such kind")
        return params["x"] ** 2

    found = propose_and_select(SPACE, train, Rounds(3, 12), criterion="mean", seed=1)
    assert "kind=a" in found.selected


def test_what_cannot_be_proposed_with_is_refused():
    with pytest.raises(InputError, match="TopTwo without a budget"):
        propose_and_select(SPACE, Counted(), rule=TopTwo(budget=5))
    with pytest.raises(InputError, match="TopTwo without a budget"):
        propose_and_select(SPACE, Counted(), rule=Halving())
    with pytest.raises(InputError, match="criterion that each candidate has by itself"):
        propose_and_select(SPACE, Counted(), criterion="std-within-tolerance")
    with pytest.raises(InputError, match="share_new=0"):
        Rounds(share_new=0)
    with pytest.raises(InputError, match="n=0"):
        Rounds(0)


# What the rule takes over


def test_taken_over_instances_are_asked_for_first_and_never_twice():
    selection = Selection(["a", "b", "c"], TopTwo(budget=14, taken_over=(5, 1)), criterion("mean"))
    asked = selection.ask()
    assert sorted(asked) == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (2, 0)]
    rng = np.random.default_rng(0)
    while asked:
        for candidate, replicate in asked:
            selection.tell(candidate, replicate, candidate / 100 + rng.normal())
        asked = selection.ask()
    history = [tuple(pair) for pair in selection.history.tolist()]
    assert len(history) == len(set(history)) == 14
    assert selection.stop_reason == "the budget is spent"


def test_a_rule_that_takes_over_nothing_looks_as_it_did_before():
    assert "taken_over" not in TopTwo().settings()
    assert rule("top-two", **TopTwo(taken_over=(2, 1)).settings()) == TopTwo(taken_over=(2, 1))
    with pytest.raises(InputError, match="taken_over=-1"):
        TopTwo(taken_over=(-1,))
    with pytest.raises(InputError, match="of 1 candidates at most, came 2"):
        Selection(["a"], TopTwo(taken_over=(1, 1)), criterion("mean")).ask()


# The plain search


def test_tpe_trains_each_trial_once_with_the_seeds_of_its_number():
    seen = []

    def train(params, instance):
        seen.append(instance)
        return (params["x"] - 0.3) ** 2

    found = tpe_search(SPACE, train, 30, seed=3)
    assert [instance.replicate for instance in seen] == list(range(30))
    assert all(instance.seeds == seeds_for(3, at) for at, instance in enumerate(seen))
    values = [trial.value for trial in found.study.trials]
    assert found.score == min(values)
    assert (found.best.params["x"] - 0.3) ** 2 == found.score
    assert np.median(values[15:]) < np.median(values[:10])


@pytest.mark.parametrize("stops_at", [4, 17])
def test_a_search_that_was_killed_goes_on_and_ends_the_same(tmp_path, stops_at):
    whole = tpe_search(SPACE, Counted(), 24, seed=3, batch=4)
    first, second = Counted(stops_at), Counted()

    def reopened():
        return JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log")))

    with pytest.raises(KeyboardInterrupt):
        tpe_search(SPACE, first, 24, seed=3, batch=4, storage=reopened())
    again = tpe_search(SPACE, second, 24, seed=3, batch=4, storage=reopened())
    complete = [trial for trial in again.study.trials if trial.state == TrialState.COMPLETE]
    assert len(complete) == 24
    assert {trial.state for trial in again.study.trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    assert (again.best, again.score) == (whole.best, whole.score)
    done = tpe_search(SPACE, Counted(0), 24, seed=3, batch=4, storage=reopened())  # nothing left to train
    assert done.best.params == whole.best.params
    with pytest.raises(InputError, match="to maximize, it was made to minimize"):
        tpe_search(SPACE, Counted(), 24, direction="maximize", storage=reopened())


def test_a_search_takes_a_failure_for_the_worst_score():
    def train(params, instance):
        if params["x"] > 0:
            raise RuntimeError("diverged")
        return params["x"]

    found = tpe_search({"x": FloatDistribution(-1, 1)}, train, 12, direction="maximize", seed=1)
    assert found.best.params["x"] == found.score <= 0
    assert -math.inf in [trial.value for trial in found.study.trials]
    with pytest.raises(InputError, match="came none among 3"):
        tpe_search({"x": FloatDistribution(1, 2)}, train, 3, direction="maximize")
    with pytest.raises(InputError, match="batch=0"):
        tpe_search(SPACE, train, 3, batch=0)


# Export


def selected_of_three(**settings):
    scores = np.array([[0.3, 0.5, 0.4, 0.4], [0.1, 0.3, 0.2, 0.2], [0.9, np.inf, 0.9, 0.9]])
    params = ({"lr": 0.1, "on": True, "layers": [1, 2]}, {"lr": 0.001, "on": False}, {"lr": 0.01, "on": True})
    table = Table(("a", "b", "c"), scores, params=params)
    return replay(table, Halving(warmup=2), criterion("mean"), **settings)


def test_an_exported_study_says_what_the_result_says(tmp_path):
    result = selected_of_three()
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    export_study(result, url, "three")
    study = optuna.load_study(study_name="three", storage=url)
    a, b, c = study.trials
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL]
    assert study.best_trial.number == b.number
    assert (a.value, b.value) == (pytest.approx(0.4), pytest.approx(0.2))
    assert b.intermediate_values == {0: 0.1, 1: 0.3}
    assert c.intermediate_values == {0: 0.9}
    assert a.params == {"lr": 0.1, "on": True}
    assert a.distributions["lr"] == FloatDistribution(0.001, 0.1, log=True)
    assert a.user_attrs["params"] == {"lr": 0.1, "on": True, "layers": [1, 2]}
    assert (b.user_attrs["candidate"], b.user_attrs["is selected"], b.user_attrs["instances"]) == ("b", True, 2)
    assert (a.user_attrs["discarded at step"], b.user_attrs["discarded at step"]) == (2, None)
    assert c.user_attrs["diverged or failed"] == 1
    assert study.user_attrs["selected"] == "b"
    assert (study.user_attrs["criterion"], study.user_attrs["rule"]) == ("mean", "halving")
    optuna.visualization.plot_intermediate_values(study)  # what the dashboard draws
    optuna.visualization.plot_optimization_history(study)
    with pytest.raises(InputError, match="came 'three': take another"):
        export_study(result, url, "three")


def test_a_metric_is_maximised_and_its_spread_is_not():
    metric = selected_of_three(direction="maximize")
    study = export_study(metric, optuna.storages.InMemoryStorage(), "metric")
    assert study.direction.name == "MAXIMIZE"
    assert study.trials[0].value == pytest.approx(0.4)
    assert study.best_trial.user_attrs["candidate"] == "a"
    table = Table(("a", "b"), np.array([[0.5, 0.7], [0.5, 0.6]]))
    spread = replay(table, Exhaustive(2), criterion("std"), "maximize")
    assert export_study(spread, optuna.storages.InMemoryStorage(), "spread").direction.name == "MINIMIZE"


def test_a_reading_of_a_ledger_and_a_candidate_never_trained(tmp_path):
    found = propose_and_select(SPACE, Counted(), Rounds(2, 12), criterion="mean", ledger=tmp_path / "s.db", seed=2)
    with open_ledger(tmp_path / "s.db") as ledger:
        reading = read_result(ledger, "proposals, round 2")
    study = export_study(reading, optuna.storages.InMemoryStorage(), "round 2", SPACE)
    assert study.user_attrs["selected"] == found.selected
    assert {params_json(trial.params) for trial in study.trials} == {
        params_json(params) for params in found.result.table.params
    }
    assert all(trial.distributions == SPACE for trial in study.trials)
    selection = Selection(["a", "b"], Exhaustive(1), criterion("mean"))
    selection.ask()
    selection.tell(0, 0, 0.5)
    study = export_study(result_of(selection), optuna.storages.InMemoryStorage(), "half")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.FAIL]


def test_a_parameter_outside_its_distribution_is_refused():
    with pytest.raises(InputError, match="within their distributions"):
        export_study(
            selected_of_three(), optuna.storages.InMemoryStorage(), "three", {"lr": FloatDistribution(0.5, 1)}
        )


def test_without_optuna_the_command_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.partition(".")[0] == "optuna":
            raise ModuleNotFoundError("No module named 'optuna'", name="optuna")
        return real(name, *rest, **options)

    for name in [name for name in sys.modules if name.startswith("robust_select.integrations.optuna")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r'pip install "robust-select\[optuna\]"'):
        import robust_select.integrations.optuna  # noqa: F401
