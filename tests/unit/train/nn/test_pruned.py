"""Networks that are stopped by the limits of their study, alone and in a stack, and neighbours that do not notice."""

import numpy as np
import pytest
from torch import nn

import robust_select as rs
from robust_select.core.instances import EpochLimits, Instance, State, seeds_for
from robust_select.train.nn import Data, TorchTrainer, checkpoint_path

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(160, 3))
TARGETS = np.tanh(INPUTS).sum(axis=1)
DATA = Data(INPUTS[:96], TARGETS[:96], INPUTS[96:], TARGETS[96:])
NEVER, AT_ONCE = EpochLimits(), EpochLimits(((2, 0.0),))


def build(params):
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.1), nn.Linear(4, 1))


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 1)

    def forward(self, inputs):
        return self.inner(inputs) if float(inputs.sum()) < 1e9 else inputs[:, :1]


def trainer_of(build=build, **settings):
    defaults = {"epochs": 6, "lr": 0.01, "dtype": "float64", **settings.pop("defaults", {})}
    return TorchTrainer(build, DATA, defaults=defaults, **settings)


def instances_with(*limits):
    return [Instance(f"c{at}", at, seeds_for(7, at), own) for at, own in enumerate(limits)]


def test_in_a_stack_some_are_stopped_and_the_others_do_not_notice():
    trainer = trainer_of()
    limits = [NEVER, AT_ONCE, NEVER, EpochLimits(((3, 1e9), (4, 0.0))), EpochLimits(((3, 1e9),))]
    found = trainer.train_together([{}] * 5, instances_with(*limits))
    assert [outcome.state for outcome in found] == [
        *(State.COMPLETE, State.PRUNED, State.COMPLETE, State.PRUNED, State.COMPLETE)
    ]
    assert [len(outcome.curve) for outcome in found] == [6, 2, 6, 4, 6]
    for at, outcome in enumerate(found):
        alone = trainer({}, Instance(f"c{at}", at, seeds_for(7, at)))
        np.testing.assert_allclose(outcome.curve, alone.curve[: len(outcome.curve)], rtol=1e-10)


@pytest.mark.parametrize("made", [build, lambda params: Untraceable()], ids=["stackable", "not"])
def test_alone_it_is_stopped_too(made):
    outcome = trainer_of(made)({}, instances_with(AT_ONCE)[0])
    assert (outcome.state, len(outcome.curve), outcome.message) == (State.PRUNED, 2, "stopped after epoch 2")
    assert outcome.seconds > 0


def test_when_all_are_stopped_the_stack_ends():
    found = trainer_of().train_together([{}] * 3, instances_with(*[AT_ONCE] * 3))
    assert {(outcome.state, len(outcome.curve)) for outcome in found} == {(State.PRUNED, 2)}


def test_at_the_last_epoch_nobody_is_stopped():
    outcome = trainer_of(defaults={"epochs": 2})({}, instances_with(AT_ONCE)[0])
    assert (outcome.state, len(outcome.curve)) == (State.COMPLETE, 2)


def test_of_an_accuracy_the_low_ones_are_stopped():
    labels = Data(INPUTS[:96], (TARGETS[:96] > 0).astype(int), INPUTS[96:], (TARGETS[96:] > 0).astype(int))
    trainer = TorchTrainer(
        lambda params: nn.Linear(3, 2), labels, loss="cross-entropy", score="accuracy", defaults={"epochs": 4}
    )
    limits = [EpochLimits(((2, bound),), is_maximized=True) for bound in (0.01, 1.01)]
    found = trainer.train_together([{}] * 2, instances_with(*limits))
    assert [outcome.state for outcome in found] == [State.COMPLETE, State.PRUNED]


def test_weights_of_those_stopped_are_not_kept(tmp_path):
    trainer = trainer_of(checkpoints=tmp_path)
    trainer.train_together([{}] * 2, instances_with(NEVER, AT_ONCE))
    assert checkpoint_path(tmp_path, "c0", 0).exists()
    assert not checkpoint_path(tmp_path, "c1", 1).exists()


def test_a_study_of_networks_prunes_and_ends_as_one_that_trains_them_one_by_one():
    candidates = rs.grid(lr=[0.0001, 0.001, 0.003, 0.01, 0.03, 0.1], weight_decay=[0.0, 0.01])
    results = [
        rs.Study(
            candidates,
            trainer_of(defaults={"stack_size": size}),
            criterion="mean",
            rule=rs.Exhaustive(2),
            seed=3,
            prune_epochs=rs.PruneEpochs((2, 4), audit=0.2, first=4),
        ).run()
        for size in (4, 1)
    ]
    stacked, alone = results
    assert stacked.table.is_stopped.sum() >= 2
    np.testing.assert_array_equal(stacked.table.stopped, alone.table.stopped)
    np.testing.assert_allclose(stacked.table.scores, alone.table.scores, rtol=1e-9)
    np.testing.assert_allclose(stacked.table.curves, alone.table.curves, rtol=1e-9)
