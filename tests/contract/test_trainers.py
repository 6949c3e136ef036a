"""What every trainer keeps to, whatever it trains."""

import copy
import pickle

import cloudpickle
import numpy as np
import pytest
from torch import nn

from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.core.protocols import StackTrainer
from robust_select.problems import digits
from robust_select.train.functions import measure_stack, train_instance, train_stack
from robust_select.train.nn import Data, TorchTrainer


def function():
    def train(params, instance):
        return params["level"] + instance.rng("initial_weights").normal() + instance.rng("training_sample").normal()

    return train, [{"level": 0.5}, {"level": 2.0}]


def scikit_learn():
    return digits.train, [{"family": "tree", "max_depth": 3}, {"family": "mlp", "width": 4, "max_iter": 2}]


def torch_data():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(90, 3))
    return Data(inputs[:60], inputs[:60].sum(1), inputs[60:], inputs[60:].sum(1))


def network(params):
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.2), nn.Linear(4, 1))


class Gated(nn.Module):
    """Something that cannot be stacked."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Bilinear(3, 3, 1)

    def forward(self, inputs):
        return self.layer(inputs, inputs)


def stacked_networks():
    trainer = TorchTrainer(
        network, torch_data, defaults={"epochs": 2, "n_train": 50, "stack_size": 3, "dtype": "float64"}
    )
    return trainer, [{"lr": 0.01}, {"lr": 0.1, "weight_decay": 0.1}]


def networks_one_by_one():
    trainer = TorchTrainer(lambda params: Gated(), torch_data(), defaults={"epochs": 2, "n_train": 50})
    return trainer, [{"lr": 0.01}, {"lr": 0.1}]


@pytest.fixture(
    scope="module",
    params=[function, scikit_learn, stacked_networks, networks_one_by_one],
    ids=lambda made: made.__name__,
)
def trained(request):
    """A trainer, its candidates, four instances of each, and how each ended."""
    trainer, candidates = request.param()
    pairs = [(params, instance(replicate)) for params in candidates for replicate in range(4)]
    return trainer, pairs, [train_instance(trainer, params, each) for params, each in pairs]


def instance(replicate, fixed=()):
    return Instance("a", replicate, seeds_for(9, replicate, fixed))


def test_it_gives_a_finite_score_and_its_time(trained):
    _, _, outcomes = trained
    assert [outcome.state for outcome in outcomes] == [State.COMPLETE] * 8, outcomes
    assert all(outcome.seconds > 0 for outcome in outcomes)


def test_a_curve_ends_with_the_score(trained):
    _, _, outcomes = trained
    assert all(outcome.curve[-1] == outcome.score for outcome in outcomes if outcome.curve)


def test_the_score_follows_from_parameters_and_seeds_alone(trained):
    trainer, pairs, outcomes = trained
    for at in (5, 0):
        params, each = pairs[at]
        renamed = Instance("another", each.replicate, each.seeds)
        assert train_instance(trainer, params, renamed).score == outcomes[at].score


def test_other_seeds_and_other_parameters_give_other_scores(trained):
    _, _, outcomes = trained
    scores = [outcome.score for outcome in outcomes]
    assert len(set(scores[:4])) > 1
    assert scores[:4] != scores[4:]


def test_the_global_generator_of_numpy_is_left_alone(trained):
    trainer, pairs, _ = trained
    np.random.seed(4)  # noqa: NPY002  it is the old global one that is looked at
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    train_instance(trainer, *pairs[0])
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_parameters_are_left_as_they_are(trained):
    trainer, pairs, _ = trained
    params = copy.deepcopy(pairs[0][0])
    trainer(params, pairs[0][1])
    assert params == pairs[0][0]


def test_it_travels_to_another_process_and_trains_the_same(trained):
    trainer, pairs, outcomes = trained
    there = pickle.loads(cloudpickle.dumps(trainer))  # noqa: S301  made in this line
    assert train_instance(there, *pairs[1]).score == outcomes[1].score


def test_together_they_end_as_alone_in_the_order_given(trained):
    trainer, pairs, outcomes = trained
    found = train_stack(trainer, [params for params, _ in pairs], [each for _, each in pairs])
    np.testing.assert_allclose([each.score for each in found], [each.score for each in outcomes], rtol=1e-9)
    assert all(isinstance(each, Outcome) and each.seconds > 0 for each in found)


def test_what_it_says_of_stacks_is_consistent(trained):
    trainer, pairs, _ = trained
    size, reason = measure_stack(trainer, pairs[0][0])
    assert size == (3 if isinstance(trainer, StackTrainer) and not reason else 1)
    if isinstance(trainer, StackTrainer):
        assert len({trainer.stack_key(params) for params, _ in pairs}) == 1
        assert (size > 1) == (reason == "")
