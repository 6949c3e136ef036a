import logging
import math
import sys

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

from robust_select.core.errors import InputError, MissingExtraError
from robust_select.core.instances import Instance, State, seeds_for
from robust_select.core.protocols import SharesData, StackTrainer
from robust_select.train.functions import measure_stack
from robust_select.train.nn import Data, TorchTrainer

DEFAULTS = {"epochs": 2, "batch_size": 16, "stack_size": 3}


def arrays(n=64, m=32, n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n + m, n_features))
    targets = inputs @ np.arange(1.0, n_features + 1)
    return inputs[:n], targets[:n], inputs[n:], targets[n:]


DATA = Data(*arrays())
LABELLED = Data(*[array if array.ndim == 2 else (array > 0).astype(int) for array in arrays()])


def build(params):
    width = params.get("width", 4)
    return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1))


def classifier(params):
    return nn.Linear(3, params.get("n_classes", 2))


def trainer_of(made=build, data=DATA, defaults=None, **how):
    return TorchTrainer(made, data, defaults={**DEFAULTS, **(defaults or {})}, **how)


def instances(n, fixed=()):
    return [Instance("a", k, seeds_for(5, k, fixed)) for k in range(n)]


def test_it_is_a_stack_trainer_that_shares_its_data():
    assert isinstance(trainer_of(), StackTrainer)
    assert isinstance(trainer_of(), SharesData)


def test_the_curve_has_the_score_after_each_epoch():
    outcome = trainer_of(defaults={"epochs": 5})({"lr": 0.01}, instances(1)[0])
    assert outcome.state is State.COMPLETE
    assert len(outcome.curve) == 5
    assert outcome.score == outcome.curve[-1] < outcome.curve[0]
    assert 0 < outcome.seconds < 60


def test_each_seed_has_its_own_effect():
    """With one stream fixed at a time, what is left varies; with all fixed nothing does."""
    trainer = trainer_of(defaults={"n_train": 40, "dtype": "float64"})
    streams = ["initial_weights", "training_sample", "batch_order"]
    for free in streams:
        fixed = [stream for stream in streams if stream != free]
        scores = [outcome.score for outcome in trainer.train_together([{}] * 3, instances(3, fixed))]
        assert len(set(scores)) == 3, free
    scores = [outcome.score for outcome in trainer.train_together([{}] * 3, instances(3, streams))]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-12)


def test_the_global_generators_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trainer_of()({}, instances(1)[0])
    assert torch.equal(torch.rand(2), expected)


def test_the_key_is_that_of_what_only_build_knows_and_of_the_common_settings():
    trainer = trainer_of()
    base = {"width": 4, "lr": 0.1, "weight_decay": 0.0}
    same = [{**base, "lr": 0.2}, {**base, "weight_decay": 0.1}, {**base, "clip_norm": 1.0}, {**base, "epochs": 2}]
    others = [{**base, "width": 5}, {**base, "batch_size": 8}, {**base, "optimiser": "sgd"}, {**base, "epochs": 3}]
    assert {trainer.stack_key(params) for params in same} == {trainer.stack_key(base)}
    assert len({trainer.stack_key(params) for params in [base, *others]}) == 5


def test_one_that_diverges_leaves_its_neighbours_alone():
    trainer = trainer_of(defaults={"epochs": 8, "optimiser": "sgd", "dtype": "float64", "momentum": 0.5})
    params = [{"lr": 0.01}, {"lr": 1e9}, {"lr": 0.02}]
    found = trainer.train_together(params, instances(3))
    assert [outcome.state for outcome in found] == [State.COMPLETE, State.DIVERGED, State.COMPLETE]
    assert math.isnan(found[1].score)
    assert len(found[1].curve) < 8
    for k in (0, 2):
        alone = trainer(params[k], instances(3)[k])
        np.testing.assert_allclose(found[k].curve, alone.curve, rtol=1e-9)


def test_where_all_diverge_the_training_is_over():
    seen = []

    def score(predictions, targets):
        seen.append(len(predictions))
        return math.inf

    found = trainer_of(defaults={"epochs": 50}, score=score).train_together([{}] * 2, instances(2))
    assert [outcome.state for outcome in found] == [State.DIVERGED] * 2
    assert len(seen) == 2


def test_a_score_of_its_own_and_a_loss_of_its_own():
    def loss(predictions, targets):
        return (predictions.squeeze(1) - targets).abs()

    def score(predictions, targets):
        return (predictions.squeeze(1) - targets).abs().max()

    by_name = trainer_of(loss="mae")({}, instances(1)[0])
    by_hand = trainer_of(loss=loss)({}, instances(1)[0])
    np.testing.assert_allclose(by_hand.curve, by_name.curve, rtol=1e-6)
    assert trainer_of(loss=loss, score=score)({}, instances(1)[0]).score > by_hand.score


def test_labels_and_accuracy():
    trainer = trainer_of(classifier, LABELLED, {"epochs": 30, "lr": 0.05}, loss="cross-entropy", score="accuracy")
    assert trainer({}, instances(1)[0]).score > 0.9


def test_bytes_are_trained_on_as_numbers():
    inputs, targets, held_out, held_out_targets = arrays()
    as_bytes = [np.clip(128 + 40 * array, 0, 255).astype(np.uint8) for array in (inputs, held_out)]
    data = Data(as_bytes[0], targets, as_bytes[1], held_out_targets)
    as_numbers = Data(as_bytes[0].astype(float), targets, as_bytes[1].astype(float), held_out_targets)
    found, expected = (trainer_of(data=each)({}, instances(1)[0]) for each in (data, as_numbers))
    assert found.curve == expected.curve


def test_augmentation_sees_each_batch_of_each_instance_and_its_generator():
    seen = []

    def augment(inputs, generator):
        seen.append(tuple(inputs.shape))
        return inputs + torch.rand(inputs.shape, generator=generator)

    trainer = trainer_of(augment=augment, defaults={"dtype": "float64", "n_train": 40})
    together = trainer.train_together([{}] * 2, instances(2))
    assert seen == [(16, 3), (16, 3), (16, 3), (16, 3), (8, 3), (8, 3)] * 2
    alone = trainer({}, instances(2)[1])
    np.testing.assert_allclose(together[1].curve, alone.curve, rtol=1e-9)
    assert trainer_of(defaults={"dtype": "float64", "n_train": 40})({}, instances(2)[1]).score != alone.score


def lazy(params):
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 1))


def test_lazy_modules_get_their_weights_from_the_seed():
    found = [trainer_of(lazy)({}, instances(1)[0]).curve for _ in range(2)]
    assert found[0] == found[1]


def test_modules_that_look_at_a_setting_are_stacked_with_their_like():
    def looks(params):
        return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8, momentum=params["momentum"]), nn.Linear(8, 1))

    trainer = trainer_of(looks, defaults={"optimiser": "sgd", "dtype": "float64", "lr": 0.01})
    params = [{"momentum": 0.1}, {"momentum": 0.9}, {"momentum": 0.1}]
    together = trainer.train_together(params, instances(3))
    for own, instance, outcome in zip(params, instances(3), together, strict=True):
        np.testing.assert_allclose(outcome.curve, trainer(own, instance).curve, rtol=1e-9)


class Bilinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Bilinear(3, 3, 1)

    def forward(self, inputs):
        return self.head(inputs, inputs)


def test_what_cannot_be_stacked_is_said_once_and_trained_one_by_one(caplog):
    trainer = trainer_of(lambda params: Bilinear())
    with caplog.at_level(logging.WARNING, logger="robust_select"):
        found = [trainer.train_together([{}] * 3, instances(3)) for _ in range(2)]
    assert "'head'" in trainer.why_alone({})
    assert trainer.stack_size({}) == 1
    assert [record.getMessage() for record in caplog.records] == [f"trained one by one: {trainer.why_alone({})}"]
    assert [outcome.state for outcome in found[0]] == [State.COMPLETE] * 3
    assert [outcome.score for outcome in found[0]] == [outcome.score for outcome in found[1]]


class ByName(nn.Module):
    """Calls a function in a way that torch knows and the stack does not."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 1)

    def forward(self, inputs):
        return self.head(torch.softmax(input=inputs, dim=1))


class InTraining(ByName):
    """The same in training only."""

    def forward(self, inputs):
        return super().forward(inputs) if self.training else self.head(torch.softmax(inputs, 1))


@pytest.mark.parametrize("made", [ByName, InTraining])
def test_a_module_that_runs_alone_trains_whatever_a_stack_makes_of_it(made):
    trainer = trainer_of(lambda params: made())
    together = trainer.train_together([{}] * 3, instances(3))
    plain = trainer_of(lambda params: nn.Sequential(nn.Softmax(1), nn.Linear(3, 1)))
    expected = plain.train_together([{}] * 3, instances(3))
    np.testing.assert_allclose([each.curve for each in together], [each.curve for each in expected], rtol=1e-5)


def test_a_reason_that_shows_in_training_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    trainer = trainer_of(lambda params: InTraining(), defaults={"stack_size": None})
    assert trainer.why_alone({}) == ""
    size, reason = measure_stack(trainer, {})
    assert size == 1
    assert "softmax()" in reason


def test_modules_that_differ_from_seed_to_seed_are_said_to_be_trained_one_by_one():
    class Scaled(nn.Linear):
        def __init__(self):
            super().__init__(3, 1)
            self.scale = float(torch.rand(()))

        def forward(self, inputs):
            return super().forward(inputs) * self.scale

    size, reason = measure_stack(trainer_of(lambda params: Scaled()), {})
    assert size == 1
    assert "expected modules of one structure" in reason


def test_the_stack_size_is_the_users_where_one_is_given():
    assert trainer_of().stack_size({}) == 3
    assert trainer_of().why_alone({}) == ""


def test_the_data_are_loaded_once_and_not_pickled():
    calls = []

    def load():
        calls.append(1)
        return DATA

    trainer = trainer_of(data=load)
    assert calls == []
    for _ in range(2):
        trainer({}, instances(1)[0])
    assert calls == [1]
    trainer.train_together([{}], instances(1))
    assert len(cloudpickle.dumps(trainer)) < 20_000  # tensors made on the way do not travel


def test_with_its_data_in_files_it_travels_light_and_trains_the_same(tmp_path):
    inputs = np.random.default_rng(0).normal(size=(50_000, 3))
    data = Data(inputs, inputs.sum(1), *arrays()[2:])
    trainer = trainer_of(data=data, defaults={"n_train": 64})
    shared = trainer.with_data_in(tmp_path)
    pickled = cloudpickle.dumps(shared)
    assert len(pickled) < 20_000
    there = cloudpickle.loads(pickled)
    assert there({}, instances(1)[0]).curve == trainer({}, instances(1)[0]).curve
    assert there._examples("float32").inputs.data_ptr() == there._loaded().inputs.ctypes.data  # mapped, not copied


def test_the_ledger_is_told_what_matters():
    def loss(predictions, targets):
        raise NotImplementedError

    assert trainer_of().__qualname__ == "TorchTrainer(build, loss=mse, epochs=2, batch_size=16)"
    named = trainer_of(classifier, loss=loss, score="accuracy", defaults={"lr": 0.5}).__qualname__
    assert named.startswith("TorchTrainer(classifier, loss=test_the_ledger_is_told_what_matters.<locals>.loss, ")
    assert named.endswith("score=accuracy, epochs=2, batch_size=16, lr=0.5)")


class Mixed(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs).flatten().unsqueeze(0)


def growing(params):
    growing.n += 1
    return nn.Sequential(nn.Linear(3, growing.n), nn.Linear(growing.n, 1))


@pytest.mark.parametrize(
    ("how", "params", "message"),
    [
        ({"made": lambda p: nn.Linear(5, 1)}, {}, r"shape \(B, 3\), came Linear, which raised RuntimeError: mat1"),
        ({"made": lambda p: nn.Linear(3, 2)}, {}, r"predictions of shape \(2, 2\) and targets of shape"),
        ({"made": lambda p: "module"}, {}, "build to give a torch.nn.Module, came 'module' for candidate 'a'"),
        ({"made": lambda p: nn.ReLU()}, {}, "with parameters to train, came ReLU"),
        ({"made": lambda p: Mixed(3, 1)}, {}, "a prediction for each example"),
        ({"made": classifier, "data": LABELLED, "loss": "cross-entropy"}, {"n_classes": 1}, "labels from 0 to 0"),
        ({"made": classifier, "data": DATA, "loss": "cross-entropy"}, {}, "whole-numbered labels"),
        ({}, {"n_train": 65}, "at most the 64 examples of the population, came n_train=65"),
        ({}, {"lr": -1}, "lr=-1"),
        ({"data": lambda: arrays()}, {}, "the function that loads the data to give Data"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_when_it_is_trained(how, params, message):
    with pytest.raises(InputError, match=message):
        trainer_of(**how)(params, instances(1)[0])


def test_modules_of_other_shapes_for_equal_parameters_are_refused():
    growing.n = 3
    with pytest.raises(InputError, match=r"the same shapes for the same parameters.*\(5, 3\).*\(4, 3\).*replicate 1"):
        trainer_of(growing).train_together([{}] * 2, instances(2))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"loss": "hinge"}, "expected a loss among"),
        ({"score": "f1"}, "expected a score among"),
        ({"defaults": {"learning_rate": 0.1}}, "expected settings among .* came learning_rate"),
        ({"device": "cuda"}, "expected a device that is there, came device='cuda'"),
        ({"device": "gpu"}, "expected a device that is there, came device='gpu'"),
        ({"augment": "flip"}, "expected augment"),
        ({"data": [1, 2]}, "expected Data, or a function that loads them"),
        ({"made": nn.Linear(3, 1).weight}, "expected build"),
    ],
)
def test_what_cannot_be_is_said_at_once(how, message):
    if how.get("device") == "cuda" and torch.cuda.is_available():
        how, message = {"device": "cuda:99"}, "expected a device that is there"
    with pytest.raises(InputError, match=message):
        trainer_of(**how)


def test_without_torch_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'torch is not installed: pip install "robust-select\[torch\]"'):
        trainer_of()


@pytest.mark.parametrize("n", [1, 3])
def test_a_last_batch_of_one_and_a_batch_norm_are_told_what_to_do(n):
    def normalised(params):
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

    trainer = trainer_of(normalised, DATA, {"epochs": 2, "batch_size": 16, "n_train": 33})
    with pytest.raises(InputError, match=r"n_train=33 .* batch_size=16 leave 1 for the last\. Take another"):
        trainer.train_together([{}] * n, instances(n))
    found = trainer.train_together([{"n_train": 34}] * n, instances(n))
    assert {outcome.state for outcome in found} == {State.COMPLETE}


def test_equal_parameters_of_other_types_have_keys_of_their_own():
    trainer = trainer_of()
    given = [{"flag": True}, {"flag": 1}, {"flag": 1.0}, {"flag": "1"}, {"flag": None}, {"flag": [1]}, {}]
    keys = [trainer.stack_key(params) for params in given]
    assert len(set(keys)) == len(given)
    assert [trainer.stack_key(params) for params in given] == keys
    assert [trainer_of().stack_key(params) for params in given] == keys
    with pytest.raises(InputError, match="lr=-1"):
        trainer.stack_key({"lr": -1})


def test_data_that_were_rounded_for_workers_are_not_trained_on_as_exact(tmp_path):
    trainer = trainer_of()
    shared = trainer.with_data_in(tmp_path)
    instance = Instance("a", 0, seeds_for(0, 0))
    assert shared({}, instance).curve == trainer({}, instance).curve
    with pytest.raises(InputError, match=r"dtype='float64' among the trainer's defaults.*float32 for all workers"):
        shared({"dtype": "float64"}, instance)
    double = trainer_of(defaults={"dtype": "float64"})
    folder = tmp_path / "double"
    folder.mkdir()
    assert double.with_data_in(folder)({}, instance).curve == trainer({"dtype": "float64"}, instance).curve
