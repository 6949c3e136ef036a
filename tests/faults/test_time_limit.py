"""Trainings that take too long: stopped, failed, and nobody else with them."""

import time

import pytest

from robust_select.core.errors import InputError
from robust_select.core.instances import Outcome, State
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive
from robust_select.study import Study
from robust_select.train.executors import open_crew


class Together:
    """Trains up to four instances of one width together; one of them sleeps in its stack, and alone."""

    def __call__(self, params, instance):
        return self.train_together([params], [instance])[0].score

    def stack_key(self, params):
        return "all"

    def stack_size(self, params):
        return 4

    def why_alone(self, params):
        return ""

    def train_together(self, params, instances):
        if any(instance.candidate == "sleeps" and instance.replicate == 1 for instance in instances):
            time.sleep(600)
        return [Outcome(own["mean"] + instance.replicate) for own, instance in zip(params, instances, strict=True)]


def train(params, instance):
    if instance.candidate == "sleeps" and instance.replicate == 1:
        time.sleep(600)
    return params["mean"] + instance.replicate


@pytest.mark.parametrize(("trainer", "workers"), [(train, None), (Together(), 2)], ids=["one by one", "stacked"])
def test_who_takes_too_long_fails_alone(trainer, workers, tmp_path):
    study = Study(
        {"fine": {"mean": 1.0}, "sleeps": {"mean": 2.0}},
        trainer,
        criterion="mean",
        rule=Exhaustive(3),
        ledger=tmp_path / "study.db",
    )
    started = time.monotonic()
    study.run(workers=workers, time_limit=1.0)
    assert time.monotonic() - started < 60
    with open_ledger(tmp_path / "study.db") as ledger:
        found = {(row, at): outcome for row, at, outcome in ledger.outcomes(ledger.study())}
    assert len(found) == 6
    assert [key for key, outcome in found.items() if outcome.state is not State.COMPLETE] == [(1, 1)]
    assert found[1, 1].state is State.FAILED
    assert "time_limit=1" in found[1, 1].message
    assert found[0, 2].score == 3.0


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), "ten", True])
def test_limits_that_are_none(limit):
    with pytest.raises(InputError, match="expected a time limit of so many seconds"):
        open_crew(train, time_limit=limit)


def test_executors_whose_trainings_cannot_be_stopped():
    with pytest.raises(InputError, match=r"time_limit=5 with executor='dask://.*use workers=N"):
        open_crew(train, executor="dask://localhost:1", time_limit=5)
