import sys
from importlib import resources

import numpy as np
import pytest

from robust_select.core.errors import InputError, MissingExtraError
from robust_select.core.instances import Instance, Seeds, seeds_for
from robust_select.problems.digits import load, train
from robust_select.problems.digits.trainer import N_HELD_OUT, build
from robust_select.study.file import read_study

QUICK = {"family": "neighbours", "n_neighbors": 1}


@pytest.fixture
def study(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    with resources.as_file(resources.files("robust_select.problems.digits") / "study.toml") as path:
        return read_study(path)[0]


def test_nobody_trains_on_the_held_out_images():
    from sklearn.datasets import load_digits

    digits = load()
    assert digits.held_out.shape == (N_HELD_OUT, 64)
    assert digits.population.shape == (1797 - N_HELD_OUT, 64)
    everything = np.concatenate([digits.population, digits.held_out])
    images = load_digits().data / 16.0
    assert sorted(map(bytes, everything)) == sorted(map(bytes, images))
    assert (everything.min(), everything.max()) == (0.0, 1.0)
    assert {*digits.held_out_labels.tolist()} == set(range(10))


def test_a_training_takes_600_different_images_of_the_population(monkeypatch):
    import robust_select.problems.digits.trainer as trainer

    seen = []

    class Spy:
        def fit(self, images, labels):
            seen.append(images)

        def predict(self, images):
            return load().held_out_labels

    monkeypatch.setattr(trainer, "build", lambda params, seed: Spy())
    score = train(QUICK, Instance("spy", 0, seeds_for(1, 0)))
    train(QUICK, Instance("spy", 1, seeds_for(1, 1)))
    population = set(map(bytes, load().population))
    rows = list(map(bytes, seen[0]))
    assert score == 0.0
    assert len(rows) == 600
    assert set(rows) <= population
    assert len(set(rows)) > 590  # a few images of the data set are alike
    assert rows != list(map(bytes, seen[1]))


def test_the_seeds_decide_everything():
    instance = Instance("tree", 0, seeds_for(3, 0))
    tree = {"family": "tree"}
    first = train(tree, instance)
    assert train(tree, instance) == first
    assert 0.05 < first < 0.5
    scores = {train(tree, Instance("tree", n, seeds_for(3, n))) for n in range(6)}
    assert len(scores) > 1


def test_the_initial_weights_are_a_stream_of_their_own():
    forest = {"family": "forest", "n_estimators": 5}
    seeds = [Seeds(weights, 2, 3) for weights in (0, 1, 2, 3)]
    assert len({train(forest, Instance("forest", 0, made)) for made in seeds}) > 1
    same = [Seeds(weights, 2, 3) for weights in (0, 1)]
    assert len({train(QUICK, Instance("neighbour", 0, made)) for made in same}) == 1


def test_the_order_alone_does_not_change_a_model_that_ignores_it():
    seeds = [Seeds(1, 2, order) for order in (3, 4)]
    assert len({train(QUICK, Instance("neighbour", 0, made)) for made in seeds}) == 1


def test_layers_of_a_network():
    model = build({"family": "mlp", "width": 64, "depth": 2, "alpha": 1.0}, seed=5)
    assert model.hidden_layer_sizes == (64, 64)
    assert (model.alpha, model.random_state) == (1.0, 5)
    assert not hasattr(build(QUICK, seed=5), "random_state")


def test_an_unknown_family():
    with pytest.raises(InputError, match="family='perceptron'"):
        build({"family": "perceptron"}, seed=0)


def test_without_scikit_learn_the_pip_command_is_said(monkeypatch):
    load.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r'pip install "robust-select\[sklearn\]"'):
        load()


def test_the_study_holds_about_two_dozen_candidates_of_many_families(study):
    assert 22 <= len(study.candidates) <= 28
    assert len({candidate.params["family"] for candidate in study.candidates}) >= 7
    assert [candidate.name for candidate in study.candidates if candidate.is_base] == ["logistic C=1"]
    assert study.trainer is train


def test_every_candidate_is_a_model_that_scikit_learn_builds_and_trains(study):
    instance = Instance("any", 0, seeds_for(study.seed, 0))
    scores = {candidate.name: train(candidate.params, instance) for candidate in study.candidates}
    assert max(scores.values()) < 0.35  # guessing misreads 0.9
    assert min(scores.values()) < 0.03
