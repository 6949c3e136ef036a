import pickle
import sys
from importlib import resources

import numpy as np
import pytest
import torch

import robust_select.problems.ecal as ecal
from robust_select.core.errors import InputError
from robust_select.core.instances import Instance, State, seeds_for
from robust_select.problems.ecal.trainers import SAMPLING_FRACTION, energy_loss, make_data, make_trainer, split
from robust_select.study.file import read_study

QUICK = {"model": "NAS 1", "epochs": 2, "n_train": 96}


def instance(replicate=0):
    return Instance("NAS 1", replicate, seeds_for(5, replicate))


@pytest.mark.parametrize(("name", "n_population", "n_held_out"), [("A", 12_000, 2_461), ("B", 27_516, 4_000)])
def test_nobody_trains_on_held_out_showers(name, n_population, n_held_out):
    found = split("energy", name)
    assert found.population.shape == (n_population, 1, 15, 15)
    assert found.held_out.shape == (n_held_out, 1, 15, 15)
    assert len(found.population_truth) == n_population
    everything = np.concatenate([found.population_truth, found.held_out_truth])
    np.testing.assert_array_equal(np.sort(everything), np.sort(ecal.load(name).energy))
    seen = {cells.tobytes() for cells in found.population}
    assert not any(cells.tobytes() in seen for cells in found.held_out)


def test_fewer_held_out_showers_leave_the_population_alone():
    few, all_ = split("x", "A", 100), split("x", "A")
    np.testing.assert_array_equal(few.held_out_truth, all_.held_out_truth[:100])
    np.testing.assert_array_equal(few.population_truth, all_.population_truth)
    assert few.held_out.shape == (100, 1, 15, 15)


def test_images_and_truth_belong_together():
    found = split("energy", "B")
    ratio = found.held_out.sum((1, 2, 3)) / found.held_out_truth
    assert np.median(ratio) == pytest.approx(SAMPLING_FRACTION, rel=0.02)
    assert np.abs(split("x", "B").held_out_truth).max() <= 2.0  # cm, half a cell


def test_energies_are_trained_on_the_scale_of_the_scintillator():
    data = make_data("energy", "A", 50)
    found = split("energy", "A", 50)
    np.testing.assert_allclose(data.targets / found.population_truth, SAMPLING_FRACTION, rtol=1e-6)
    np.testing.assert_array_equal(make_data("x", "A", 50).targets, split("x", "A", 50).population_truth)


def test_the_loss_of_energy_and_its_gradient():
    target = torch.tensor([1.0, 2.0, 4.0])
    prediction = torch.tensor([[1.1], [2.0], [3.0]], requires_grad=True)
    losses = energy_loss(prediction, target)
    assert losses.tolist() == pytest.approx([20 * 0.01, 0.0, 20 * 0.0625], rel=1e-5)
    relative = torch.full((1000,), 0.025) * torch.tensor([1.0, -1.0]).repeat(500)
    ours, published = (torch.ones(1000, requires_grad=True) for _ in range(2))
    energy_loss(ours[:, None], 1 / (1 + relative)).mean().backward()
    ((published - 1 / (1 + relative)) * (1 + relative)).square().mean().sqrt().backward()
    torch.testing.assert_close(ours.grad, published.grad, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("target", ["energy", "x"])
def test_a_training_ends_with_the_score_of_its_network(target):
    trainer = make_trainer(target, "A", 200)
    outcome = trainer(QUICK, instance())
    assert outcome.state is State.COMPLETE
    assert len(outcome.curve) == 2
    assert outcome.curve[-1] == outcome.score
    found = split(target, "A", 200)
    spread = np.sqrt(np.mean((found.held_out_truth) ** 2)) if target == "x" else 1.0
    assert 0 < outcome.score < 1.2 * spread  # no worse than 0 for everybody
    assert trainer(QUICK, instance()).score == outcome.score
    assert trainer(QUICK, instance(1)).score != outcome.score


def test_a_network_that_learns_beats_one_that_does_not():
    trainer = make_trainer("energy", "B", 300)
    learned = {**QUICK, "model": "Model 2", "n_train": 640, "epochs": 4, "lr": 1e-3}
    scores = [outcome.score for outcome in trainer.train_together([learned] * 3, [instance(at) for at in range(3)])]
    assert min(scores) < 0.1
    assert trainer({**learned, "lr": 1e-9}, instance()).score > 3 * min(scores)


def test_a_trainer_is_small_when_it_is_sent_to_a_worker():
    trainer = make_trainer("energy", "B")
    trainer.train_together([QUICK], [instance()])
    assert len(pickle.dumps(trainer)) < 10_000


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("y", "A"), "target='y'"),
        (("x", "C"), "name='C'"),
        (("x", "A", 2_462), "2,461 showers of A .*n_held_out=2462"),
        (("x", "B", 0), "n_held_out=0"),
    ],
)
def test_bad_arguments(arguments, text):
    for function in (make_trainer, split):
        with pytest.raises(InputError, match=text):
            function(*arguments)


@pytest.mark.parametrize("size", ["small", "medium", "published"])
@pytest.mark.parametrize("target", ["energy", "position"])
@pytest.mark.parametrize("name", ["a", "b"])
def test_study_files(target, name, size, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    with resources.as_file(resources.files("robust_select.problems.ecal") / f"{target}_{name}_{size}.toml") as path:
        study, _ = read_study(path)
        text = path.read_text()
    assert study.trainer is getattr(ecal, f"{target}_{name}" + ("" if size == "published" else f"_{size}"))
    assert (study.criterion.name, study.direction) == ("q3+iqr", "minimize")
    trainings = study.rule.trainings(len(study.candidates))
    if size == "published":
        assert (len(study.candidates), trainings.exact) == (6912, 41_567)
    else:
        assert trainings.most <= {"small": {"energy": 300, "position": 200}[target], "medium": 450}[size]
        assert f"{len(study.candidates)} networks" in text
    assert f"{len(split('x', name.upper()).population):,}" in text
