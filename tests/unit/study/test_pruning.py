"""Studies that prune by epochs: what is recorded, shown and refused, and that all crews end the same."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import robust_select as rs
from robust_select.core.errors import SettingsDifferError, StudyFileError, TrainerError
from robust_select.core.instances import State
from robust_select.ledger import open_ledger
from robust_select.study.designed import designed
from robust_select.study.file import read_study
from robust_select.study.reading import read_result

CANDIDATES = {f"c{at}": {"mean": at / 10} for at in range(20)}
PRUNE = rs.PruneEpochs((2, 4), audit=0.2, first=4)


def train(params, instance):
    noise = instance.rng("initial_weights").normal(size=6)
    curve = []
    for epoch in range(1, 7):
        curve.append(params["mean"] + 1 / epoch + 0.1 * noise[epoch - 1])
        if instance.should_stop(curve):
            return rs.Outcome.pruned(curve)
    return rs.Outcome(curve[-1], curve)


def train_on(params, instance):
    """Train to the end whatever is asked."""
    outcome = train(params, dataclasses.replace(instance, limits=type(instance.limits)()))
    return rs.Outcome(outcome.score, outcome.curve)


def study_of(ledger=None, trainer=train, **settings):
    settings = {"criterion": "mean", "rule": rs.Halving(3), "seed": 5, "prune_epochs": PRUNE, **settings}
    return rs.Study(CANDIDATES, trainer, ledger=ledger, **settings)


def state_of(result):
    """All that a study ends with, but for times."""
    steps = [dataclasses.replace(step, seconds=0.0) for step in result.steps]
    curves = result.table.curves.tolist()
    scores, stopped = result.table.scores.tolist(), result.table.stopped.tolist()
    return repr((result.selected, result.remaining, result.discarded_at, steps, scores, stopped, curves))


def test_nothing_is_pruned_unless_it_is_asked_for():
    result = study_of(prune_epochs=None).run()
    assert result.pruned is None
    assert result.table.stopped is None
    assert "prune_epochs" not in study_of(prune_epochs=None).settings()


def test_first_trainings_are_stopped_and_recorded_as_pruned(tmp_path):
    result = study_of(tmp_path / "study.db").run()
    n_stopped = int(result.table.is_stopped.sum())
    assert n_stopped > 4
    assert set(np.nonzero(result.table.is_stopped)[1]) == {0}
    with open_ledger(tmp_path / "study.db", must_exist=True) as ledger:
        record = ledger.study()
        count = ledger.count(record)
        assert count["pruned"] == n_stopped
        assert count["complete"] + n_stopped == result.trainings
        frame = ledger.frame(record)
        table = ledger.table(record)
        assert state_of(read_result(ledger).result) == state_of(result)
    np.testing.assert_array_equal(table.stopped, result.table.stopped[:, : table.n_replicates])
    pruned = frame[frame["state"] == "pruned"]
    assert len(pruned) == n_stopped
    assert pruned["score"].isna().all()
    assert set(pruned["message"]) <= {"stopped after epoch 2", "stopped after epoch 4"}
    assert frame["stopped_at"].fillna(0).sum() == result.table.stopped.sum()
    again = rs.Table.from_frame(frame)
    rows = [again.candidates.index(name) for name in result.table.candidates]
    np.testing.assert_array_equal(again.stopped[rows], result.table.stopped[:, : again.n_replicates])
    assert np.isfinite(again.scores[rows]).sum() == np.isfinite(result.table.scores).sum()


@pytest.mark.parametrize("rule", [rs.TopTwo(batch=4), rs.Significance(warmup=3), rs.Exhaustive(2)])
def test_three_threads_end_as_one_worker_does(rule):
    with ThreadPoolExecutor(3) as executor:
        found = study_of(rule=rule).run(workers=3, executor=executor)
    assert state_of(found) == state_of(study_of(rule=rule).run())


def test_two_workers_end_as_one_does():
    assert state_of(study_of().run(workers=2)) == state_of(study_of().run())


@pytest.mark.parametrize("n_known", [1, 4, 9, 19, 27])
def test_interrupted_after_any_number_of_trainings_it_ends_the_same(tmp_path, n_known):
    whole = study_of(tmp_path / "whole.db")
    expected = state_of(whole.run())
    calls = []

    def dying(params, instance):
        if len(calls) == n_known:
            raise KeyboardInterrupt
        calls.append(instance)
        return train(params, instance)

    dying.__qualname__ = train.__qualname__
    with pytest.raises(KeyboardInterrupt):
        study_of(tmp_path / "cut.db", dying).run()
    with open_ledger(tmp_path / "cut.db", must_exist=True) as ledger:
        assert sum(ledger.count(ledger.study()).values()) == n_known
    resumed = study_of(tmp_path / "cut.db")
    assert state_of(resumed.run()) == expected


def test_a_study_run_again_with_other_settings_is_refused_with_the_difference(tmp_path):
    ledger = tmp_path / "study.db"
    study_of(ledger).run()
    with pytest.raises(SettingsDifferError, match=r"prune_epochs: in the ledger .*\[2, 4\].* now null"):
        study_of(ledger, prune_epochs=None).run()
    with pytest.raises(SettingsDifferError, match=r"\"keep\": 0.5.* now .*\"keep\": 0.25"):
        study_of(ledger, prune_epochs=dataclasses.replace(PRUNE, keep=0.25)).run()
    plain = tmp_path / "plain.db"
    study_of(plain, prune_epochs=None).run()
    with pytest.raises(SettingsDifferError, match=r"prune_epochs: in the ledger null, now .*\[2, 4\]"):
        study_of(plain).run()


def test_a_trainer_that_never_asks_is_never_pruned():
    result = study_of(trainer=train_on).run()
    assert result.table.stopped is None
    assert (result.pruned.due_at > 0).any()
    assert not result.pruned.is_stopped.any()


def test_a_trainer_that_stops_where_nobody_asked_has_failed():
    def stops(params, instance):
        return rs.Outcome.pruned([1.0]) if instance.candidate == "c3" else train(params, instance)

    study = study_of(trainer=stops)
    study.run()
    result = study.result
    row = result.table.candidates.index("c3")
    assert np.isinf(result.table.scores[row, 0])
    assert result.table.stopped[row].sum() == 0


def test_a_broken_trainer_is_seen_in_the_first_group(tmp_path):
    def broken(params, instance):
        raise RuntimeError("no such file")

    with pytest.raises(TrainerError, match="no such file"):
        study_of(tmp_path / "study.db", broken).run()
    with open_ledger(tmp_path / "study.db", must_exist=True) as ledger:
        assert sum(ledger.count(ledger.study()).values()) == 0


def test_limits_reach_a_trainer_that_varies_its_seeds_by_a_design():
    made = designed(train, rs.core.designs.Crossed(2, 2), seed=5)
    result = study_of(trainer=made, rule=rs.Exhaustive(4)).run()
    assert result.table.is_stopped.any()


def test_fresh_instances_of_the_selected_are_trained_after_a_pruned_round():
    result = study_of(fresh=3).run()
    assert result.fresh == 3
    assert state_of(dataclasses.replace(result, fresh=0)) != state_of(study_of().run())


FILE = """
trainer = "pruned_trainer:train"
criterion = "mean"
rule = { name = "exhaustive", n = 1 }
candidates.grid.mean = [0.1, 0.2, 0.3, 0.4]
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", None),
        ("prune_epochs = [4, 2]", rs.PruneEpochs((2, 4))),
        ("prune_epochs = { epochs = [2], keep = 0.3, audit = 0.5, first = 3 }", rs.PruneEpochs((2,), 0.3, 0.5, 3)),
    ],
)
def test_study_files_say_it(tmp_path, line, expected):
    (tmp_path / "pruned_trainer.py").write_text("def train(params, instance):\n    return params['mean']\n")
    (tmp_path / "study.toml").write_text(f"{line}\n{FILE}")
    study, _ = read_study(tmp_path / "study.toml")
    assert study.prune_epochs == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("prune_epochs = 10", "expected epochs, [10, 20], or a table"),
        ("prune_epochs = []", "epochs=[]"),
        ("prune_epochs = { keep = 0.5 }", "came no epochs"),
        ("prune_epochs = { epochs = [1], keep = 2 }", "keep=2"),
        ("prune_epochs = ['a']", "epochs=['a']"),
    ],
)
def test_study_files_that_say_it_wrongly_are_refused(tmp_path, line, message):
    (tmp_path / "study.toml").write_text(f"{line}\n{FILE}")
    with pytest.raises(StudyFileError) as caught:
        read_study(tmp_path / "study.toml")
    assert "prune_epochs" in str(caught.value)
    assert message in str(caught.value)


def test_epochs_given_later_keep_the_other_settings():
    study = study_of()
    study.prune_at([3])
    assert study.prune_epochs == dataclasses.replace(PRUNE, epochs=(3,))
    study = study_of(prune_epochs=None)
    study.prune_at([3])
    assert study.prune_epochs == rs.PruneEpochs((3,))


def test_pruned_outcomes_have_a_curve_and_no_score():
    with pytest.raises(rs.InputError, match="came none"):
        rs.Outcome(1.0, state=State.PRUNED)
    outcome = rs.Outcome.pruned([0.5, 0.25], seconds=3.0)
    assert (outcome.state, outcome.curve, outcome.seconds) == (State.PRUNED, (0.5, 0.25), 3.0)
    assert np.isnan(outcome.score)
