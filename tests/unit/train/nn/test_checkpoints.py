import os

import numpy as np
import pytest
import torch
from torch import nn

from robust_select.core.errors import InputError
from robust_select.core.instances import Instance, State, seeds_for
from robust_select.train.nn import Data, TorchTrainer, checkpoint_path, keep_checkpoints, load_instance

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(80, 3))
DATA = Data(INPUTS[:60], INPUTS[:60].sum(1), INPUTS[60:], INPUTS[60:].sum(1))


def build(params):
    return nn.Sequential(
        nn.Linear(3, params["width"]), nn.BatchNorm1d(params["width"]), nn.Linear(params["width"], 1)
    )


def instance(candidate, replicate):
    return Instance(candidate, replicate, seeds_for(5, replicate))


def train(folder, params, instances, **defaults):
    trainer = TorchTrainer(build, DATA, checkpoints=folder, defaults={"epochs": 2, **defaults})
    return trainer.train_together(params, instances)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_instance_comes_back_and_scores_as_it_did(tmp_path, dtype):
    params = [{"width": 4, "lr": 0.01}, {"width": 4, "lr": 0.1}]
    found = train(tmp_path, params, [instance("lr=0.01/a", 0), instance("lr=0.1/a", 3)], dtype=dtype)
    for own, name, replicate, outcome in zip(params, ["lr=0.01/a", "lr=0.1/a"], [0, 3], found, strict=True):
        module = load_instance(build, own, tmp_path, name, replicate)
        assert not module.training
        inputs, targets = (
            torch.from_numpy(array).to(getattr(torch, dtype)) for array in (INPUTS[60:], INPUTS[60:].sum(1))
        )
        with torch.no_grad():
            score = nn.functional.mse_loss(module(inputs).squeeze(1), targets).item()
        assert score == pytest.approx(outcome.score, rel=1e-5)


def test_what_diverged_leaves_no_weights(tmp_path):
    found = train(tmp_path, [{"width": 4, "lr": 1e30}], [instance("a", 0)], optimiser="sgd")
    assert found[0].state is State.DIVERGED
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_or_does_not_fit_is_said(tmp_path):
    with pytest.raises(InputError, match=r"weights of candidate 'a', replicate 0, found no file .*checkpoints="):
        load_instance(build, {"width": 4}, tmp_path, "a", 0)
    train(tmp_path, [{"width": 4}], [instance("a", 0)])
    with pytest.raises(
        InputError, match=r"(?s)trained with params=\{\"width\": 4\}, came params=\{\"width\": 5\}.*size mismatch"
    ):
        load_instance(build, {"width": 5}, tmp_path, "a", 0)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize("held", [{"state": Evil()}, {"weights": {}}, torch.zeros(2), {"state": {}}, {"state": 3}])
def test_a_file_from_elsewhere_does_no_harm(held, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = checkpoint_path(tmp_path, "a", 0)
    path.parent.mkdir()
    torch.save(held, path)
    with pytest.raises(InputError, match="expected weights that TorchTrainer wrote"):
        load_instance(build, {"width": 4}, tmp_path, "a", 0)
    assert not (tmp_path / "harmed").exists()


def test_those_of_the_selected_candidate_can_be_kept_alone(tmp_path):
    train(tmp_path, [{"width": 4}] * 3, [instance("a", 0), instance("a", 1), instance("b", 0)])
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="nothing is removed"):
        keep_checkpoints(tmp_path, "c")
    assert keep_checkpoints(tmp_path, "a") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "notes.txt", "other"]
    assert load_instance(build, {"width": 4}, tmp_path, "a", 1)


@pytest.mark.parametrize("name", ["..", ".", "a/b\\c", "x" * 1000, "ünï ☃" * 60, "lr=1e-3, act=[relu]"])
def test_every_name_has_a_folder_of_its_own(name, tmp_path):
    path = checkpoint_path(tmp_path, name, 0)
    path.parent.mkdir()
    assert path.parent.parent == tmp_path
    assert path.parent.resolve().parent == tmp_path.resolve()
    assert path.parent != checkpoint_path(tmp_path, name + "y", 0).parent
