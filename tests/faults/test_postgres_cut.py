"""A ledger that is cut off, and coordinators that die: nothing recorded is lost, and running again goes on."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from robust_select.core.errors import LedgerError
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive, Halving
from robust_select.study import Study

CANDIDATES = {f"c{i}": {"mean": 0.2 * i} for i in range(6)}

COORDINATOR = """
import sys, time
import robust_select as rs

def train(params, instance):
    if instance.replicate == 1:
        print("training", flush=True)
        time.sleep(60)
    return params["mean"]

rs.Study({"a": {"mean": 1.0}, "b": {"mean": 2.0}}, train, rule=rs.Exhaustive(n=3), ledger=sys.argv[1]).run()
"""


def score_of(params, instance):
    return params["mean"] + instance.rng("initial_weights").normal()


def train(params, instance):
    return params["mean"]


def study_of(ledger, train=score_of):
    def trainer(params, instance):  # of one name, whatever it does
        return train(params, instance)

    return Study(CANDIDATES, trainer, criterion="mean", rule=Halving(warmup=4), ledger=ledger, seed=5)


def scores_in(url):
    with open_ledger(url, must_exist=True) as ledger:
        study = ledger.study()
        return {
            (study.candidates[at].name, replicate): found.score for at, replicate, found in ledger.outcomes(study)
        }


@pytest.mark.parametrize("fault", ["cut", "crash"])
def test_a_connection_that_ends_in_mid_study_costs_nothing_but_what_was_in_flight(postgres, fault):
    url = postgres.new_database()
    undisturbed = study_of(None).run()
    trained, held = [], {}

    def train(params, instance):
        trained.append((instance.candidate, instance.replicate))
        if len(trained) == 14:
            held.update(scores_in(url))
            assert len(held) == 13
            if fault == "cut":
                assert postgres.cut(url) >= 1
            else:
                postgres.crash()
        return score_of(params, instance)

    with pytest.raises(LedgerError, match=r"the connection to the database is lost.*recorded is safe.*again") as info:
        study_of(url, train).run()
    assert "secret" not in str(info.value)
    assert scores_in(url) == held
    lost = set(trained) - set(held)
    assert len(lost) == 1
    result = study_of(url, train).run()
    assert result.selected == undisturbed.selected
    np.testing.assert_array_equal(result.table.scores, undisturbed.table.scores)
    assert {key for key in trained if trained.count(key) > 1} == lost
    assert study_of(url, train).run().trainings == undisturbed.trainings


def test_who_has_lost_the_connection_writes_nothing_more(postgres):
    url = postgres.new_database()
    with open_ledger(url) as ledger, open_ledger(url) as other:
        study = ledger.create_study("first", {}, study_of(None).candidates)
        with ledger.hold(study):
            postgres.cut(url)
            with other.hold(study):  # the server has freed it
                for _ in range(2):
                    with pytest.raises(LedgerError, match="the connection to the database is lost"):
                        ledger.finish(study, "done")
                other.finish(study, "done elsewhere")
        assert ledger.study().stop_reason == "done elsewhere"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_coordinator_holds_nothing_and_a_living_one_everything(kind, request, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    script = tmp_path / "coordinator.py"
    script.write_text(COORDINATOR)
    process = subprocess.Popen([sys.executable, script, url], stdout=subprocess.PIPE, text=True)
    study = Study({"a": {"mean": 1.0}, "b": {"mean": 2.0}}, train, rule=Exhaustive(n=3), ledger=url)
    try:
        assert process.stdout.readline() == "training\n"
        with pytest.raises(LedgerError, match=r"another process runs study 'study' at this moment"):
            study.run()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        process.stdout.close()
    assert scores_in(url) == {("a", 0): 1.0, ("b", 0): 2.0}
    assert study.run().trainings == 6
