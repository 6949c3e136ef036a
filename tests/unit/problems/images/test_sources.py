import subprocess
import sys

import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.problems import images
from robust_select.problems.digits import load
from robust_select.problems.images import models, sources
from robust_select.problems.images.records import ImageError, Images


def test_digits_are_those_of_the_digits_problem():
    population, held_out = images.digits()
    found = load()
    np.testing.assert_array_equal(population.images.reshape(-1, 64) / 16, found.population)
    np.testing.assert_array_equal(held_out.labels, found.held_out_labels)
    (mean,), (std,) = population.moments()
    assert (mean, std) == (
        pytest.approx(models.DIGITS.means[0], abs=1e-3),
        pytest.approx(models.DIGITS.stds[0], abs=1e-3),
    )


def test_fashion_mnist_from_a_path_or_the_environment(clothes, monkeypatch):
    population, held_out = images.fashion_mnist(clothes)
    assert (len(population), len(held_out), population.n_channels) == (60, 20, 1)
    assert population.planes.shape == (60, 1, 28, 28)
    monkeypatch.setenv("ROBUST_SELECT_FASHION_MNIST", str(clothes))
    np.testing.assert_array_equal(images.fashion_mnist()[0].images, population.images)


def test_file_names_of_other_copies(clothes):
    for path in list(clothes.iterdir()):
        path.rename(clothes / path.name.replace("-idx", ".idx"))
    assert len(sources.read_idx_folder(clothes)[1]) == 20


def test_says_how_to_get_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("ROBUST_SELECT_FASHION_MNIST", raising=False)
    monkeypatch.delenv("ROBUST_SELECT_CIFAR10", raising=False)
    monkeypatch.setattr(sources, "FASHION_MNIST_OF_DEBIAN", tmp_path)
    with pytest.raises(ImageError, match=r"apt install dataset-fashion-mnist.*ROBUST_SELECT_FASHION_MNIST") as caught:
        images.fashion_mnist()
    assert caught.value.source == str(tmp_path)
    with pytest.raises(ImageError, match=r"cifar10\(path\), or the environment variable ROBUST_SELECT_CIFAR10"):
        images.cifar10()
    monkeypatch.setenv("ROBUST_SELECT_CIFAR10", str(tmp_path))
    with pytest.raises(ImageError, match="unpack the archive"):
        images.cifar10()


def test_images_are_checked():
    pixels = np.zeros((2, 4, 4), dtype=np.uint8)
    with pytest.raises(InputError, match="float64"):
        Images(pixels.astype(float), np.array([0, 1]))
    with pytest.raises(InputError, match=r"shape \(4, 4\)"):
        Images(pixels[0], np.array([0, 1]))
    with pytest.raises(InputError, match="each of 2 images"):
        Images(pixels, np.array([0, 1, 2]))
    with pytest.raises(InputError, match="label=-1 for image 1"):
        Images(pixels, np.array([0, -1]))
    assert len(Images(pixels, np.array([0, 1])).first(1)) == 1


def test_moments_are_those_of_numpy():
    rng = np.random.default_rng(1)
    found = Images(rng.integers(0, 256, (1500, 3, 4, 5)).astype(np.uint8), np.zeros(1500, dtype=int))
    means, stds = found.moments()
    np.testing.assert_allclose(means, found.images.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(stds, found.images.std(axis=(0, 2, 3)))


def test_reading_and_listing_need_no_torch():
    code = (
        "import sys\nfrom robust_select.problems import images\n"
        "images.digits(), images.variations()\nassert 'torch' not in sys.modules\n"
        "images.resnet18\nassert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = images.nothing
    assert all(hasattr(images, name) for name in images.__all__)
