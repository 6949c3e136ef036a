import numpy as np
import pytest

from robust_select.core.instances import Instance, seeds_for
from robust_select.train.nn.sampling import Batches, augmentation_seed, noise_seed, training_sample
from robust_select.train.nn.settings import Settings


def instance(replicate=0, candidate="a", fixed=()):
    return Instance(candidate, replicate, seeds_for(5, replicate, fixed))


def test_a_subset_has_no_example_twice_and_is_the_same_for_all_candidates():
    found = training_sample(instance(3), 100, Settings(n_train=40))
    assert len(set(found.tolist())) == 40
    np.testing.assert_array_equal(found, training_sample(instance(3, "other"), 100, Settings(n_train=40)))
    assert not np.array_equal(found, training_sample(instance(4), 100, Settings(n_train=40)))
    larger = training_sample(instance(3), 100, Settings(n_train=60))
    assert set(found.tolist()) < set(larger.tolist())


def test_a_bootstrap_sample_repeats_examples_and_may_be_larger_than_the_population():
    found = training_sample(instance(), 50, Settings(n_train=200, resample="bootstrap"))
    assert len(found) == 200
    assert set(found.tolist()) <= set(range(50))
    all_of_them = training_sample(instance(), 5000, Settings(resample="bootstrap"))
    assert len(set(all_of_them.tolist())) / 5000 == pytest.approx(1 - np.exp(-1), abs=0.02)


def test_without_a_size_the_whole_population_is_trained_on():
    np.testing.assert_array_equal(training_sample(instance(), 10, Settings()), np.arange(10))


def test_noise_and_augmentation_have_seeds_of_their_own():
    seeds = {noise_seed(instance()), augmentation_seed(instance()), instance().seeds.batch_order}
    assert len(seeds) == 3
    assert noise_seed(instance(1, fixed=["batch_order"])) == noise_seed(instance())
    assert noise_seed(instance(1)) != noise_seed(instance())


def test_each_epoch_goes_through_each_sample_once_in_a_new_order():
    samples = np.array([[10, 11, 12, 13, 14, 15, 16], [20, 21, 22, 23, 24, 25, 26]])
    batches = Batches([instance(0), instance(1)], samples, 3)
    orders = []
    for _ in range(3):
        whole, rest = batches.epoch()
        assert (whole.shape, rest.shape) == ((2, 2, 3), (2, 1))
        rows = [[*whole[:, k].ravel().tolist(), *rest[k].tolist()] for k in range(2)]
        assert [sorted(row) for row in rows] == samples.tolist()
        orders.append(rows[1])
    assert len({tuple(order) for order in orders}) == 3
    rng = instance(1).rng("batch_order")
    assert orders == [samples[1][rng.permutation(7)].tolist() for _ in range(3)]


def test_those_that_are_kept_go_on_as_if_nothing_had_happened():
    samples = np.arange(15).reshape(3, 5)
    instances = [instance(k) for k in range(3)]
    all_of_them, some = Batches(instances, samples, 2), Batches(instances, samples, 2)
    all_of_them.epoch()
    some.epoch()
    some.keep([2, 0])
    whole, rest = all_of_them.epoch()
    kept_whole, kept_rest = some.epoch()
    np.testing.assert_array_equal(kept_whole, whole[:, [2, 0]])
    np.testing.assert_array_equal(kept_rest, rest[[2, 0]])
