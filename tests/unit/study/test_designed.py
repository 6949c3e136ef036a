import functools
from dataclasses import dataclass, replace

import cloudpickle

from robust_select.core.designs import Crossed, Varying
from robust_select.core.instances import Instance, Outcome, seeds_for
from robust_select.core.protocols import StackTrainer
from robust_select.select.rules import Exhaustive
from robust_select.study import Study
from robust_select.study.designed import DesignedTrainer, designed


def train(params, instance):
    return params["a"] * instance.rng("initial_weights").normal() + instance.rng("training_sample").normal()


def study(trainer, n, path):
    return Study([{"name": "one", "a": 1.0}], trainer, rule=Exhaustive(n), seed=3, ledger=path, name=str(n))


def test_a_study_trains_the_design(tmp_path):
    trainer = designed(train, Crossed(2, 3), seed=3)
    scores = study(trainer, 6, tmp_path / "a.db").run().table.scores.reshape(2, 3)
    difference = scores[1] - scores[0]  # of the weights, whatever the sample
    assert abs(difference - difference[0]).max() < 1e-12
    assert abs(difference[0]) > 0
    sent = cloudpickle.loads(cloudpickle.dumps(trainer))  # as it goes to other processes
    assert (study(sent, 6, tmp_path / "b.db").run().table.scores.reshape(2, 3) == scores).all()
    assert study(sent, 6, None).settings() == study(trainer, 6, None).settings()


def test_a_study_that_stopped_goes_on_with_the_design(tmp_path):
    path = tmp_path / "a.db"
    trained = []

    def train_few(params, instance):
        if len(trained) == 4:
            raise KeyboardInterrupt
        trained.append(instance.replicate)
        return train(params, instance)

    train_few.__qualname__ = "train"
    for _ in study(designed(train_few, Crossed(2, 3), 3), 3, path).steps():
        pass
    try:
        study(designed(train_few, Crossed(2, 3), 3), 6, path).run()
    except KeyboardInterrupt:
        trained.append("stopped")
    assert trained == [0, 1, 2, 0, "stopped"]
    again = study(designed(train, Crossed(2, 3), 3), 6, path).run()
    whole = study(designed(train, Crossed(2, 3), 3), 6, tmp_path / "b.db").run()
    assert (again.table.scores == whole.table.scores).all()


def test_a_ledger_tells_designs_apart():
    names = {
        study(designed(train, made, 3), 4, None).settings()["trainer"]
        for made in (Crossed(2, 2), Varying(("training_sample",), 4), Varying(("initial_weights",), 4))
    }
    assert names == {"train, 2 x 2", "train, training sample alone", "train, initial weights alone"}
    partial = designed(functools.partial(train), Crossed(2, 2), 3)
    assert study(partial, 4, None).settings()["trainer"] == "train, 2 x 2"


@dataclass(frozen=True)
class Stacking:
    """A trainer of several instances that says which seeds it was given."""

    folder: str = ""

    def __call__(self, params, instance):
        return float(instance.seeds.initial_weights)

    def stack_key(self, params):
        return f"key of {params['a']}"

    def stack_size(self, params):
        return 4

    def why_alone(self, params):
        return "" if params["a"] else "no"

    def train_together(self, params, instances):
        return [Outcome(float(instance.seeds.initial_weights)) for instance in instances]

    def with_data_in(self, folder):
        return replace(self, folder=str(folder))


def test_instances_are_stacked_where_the_trainer_can(tmp_path):
    design = Crossed(2, 2)
    made = designed(Stacking(), design, 3)
    assert isinstance(made, StackTrainer)
    assert (made.stack_key({"a": 1}), made.stack_size({"a": 1}), made.why_alone({"a": 0})) == ("key of 1", 4, "no")
    instances = [Instance("one", replicate, seeds_for(3, replicate)) for replicate in range(4)]
    together = made.train_together([{"a": 1}] * 4, instances)
    assert [outcome.score for outcome in together] == [made({"a": 1}, instance) for instance in instances]
    assert [outcome.score for outcome in together] == [design.seeds(3, n).initial_weights for n in range(4)]
    assert made.with_data_in(tmp_path).trainer.folder == str(tmp_path)
    plain = designed(train, design, 3)
    assert not isinstance(plain, StackTrainer)
    assert type(plain) is DesignedTrainer
    assert plain.with_data_in(tmp_path) == plain
