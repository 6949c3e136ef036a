import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare

from robust_select.core.errors import InputError
from robust_select.problems.images.augmentation import CropAndFlip, Normalise, crop, flip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batch():
    return torch.randint(1, 255, (40, 3, 9, 7), generator=generator(5)).float()  # no black but the border's


def windows(image, padding):
    """Every image that a crop may give, by the corner it is cut at."""
    _, height, width = image.shape
    padded = np.pad(image.numpy(), ((0, 0), (padding, padding), (padding, padding)))
    corners = np.ndindex(2 * padding + 1, 2 * padding + 1)
    return {(row, column): padded[:, row : row + height, column : column + width] for row, column in corners}


def test_a_crop_is_a_window_of_the_image_with_a_border(batch):
    cropped = crop(batch, 2, generator())
    corners = torch.randint(0, 5, (40, 2), generator=generator()).tolist()
    assert cropped.shape == batch.shape
    for before, after, corner in zip(batch, cropped, corners, strict=True):
        np.testing.assert_array_equal(after.numpy(), windows(before, 2)[tuple(corner)])


def test_all_places_are_as_likely():
    marked = torch.zeros(20_000, 1, 5, 5)
    marked[:, :, 2, 2] = 1
    places = crop(marked, 2, generator()).sum(dim=0).flatten()
    assert places.sum() == 20_000
    assert chisquare(places.numpy()).pvalue > 1e-3


def test_half_of_the_images_are_mirrored():
    images = torch.arange(3.0).expand(4000, 1, 2, 3)
    mirrored = flip(images, generator())
    is_mirrored = (mirrored == torch.tensor([2.0, 1.0, 0.0])).all(dim=(1, 2, 3))
    is_same = (mirrored == images).all(dim=(1, 2, 3))
    assert bool((is_mirrored ^ is_same).all())
    assert binomtest(int(is_mirrored.sum()), 4000).pvalue > 1e-3


def test_the_same_generator_gives_the_same_and_nothing_else_is_drawn(batch):
    before = torch.random.get_rng_state()
    augment = CropAndFlip()
    one, other = augment(batch, generator(1)), augment(batch, generator(1))
    assert torch.equal(one, other)
    assert not torch.equal(one, augment(batch, generator(2)))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_parts_of_it_can_be_left_out(batch):
    assert torch.equal(CropAndFlip(0, is_flipped=False)(batch, generator()), batch)
    assert torch.equal(CropAndFlip(3, is_flipped=False)(batch, generator()), crop(batch, 3, generator()))
    with pytest.raises(InputError, match="padding=-1"):
        CropAndFlip(-1)


def test_normalised_channels(batch):
    means, stds = batch.mean(dim=(0, 2, 3)), batch.std(dim=(0, 2, 3), correction=0)
    layer = Normalise(means.tolist(), stds.tolist())
    found = layer(batch)
    torch.testing.assert_close(found.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std(dim=(0, 2, 3), correction=0), torch.ones(3))
    assert not list(layer.parameters())
    for means, stds in (([], []), ([1.0], [0.0]), ([1.0], [1.0, 2.0])):
        with pytest.raises(InputError, match="as many means as standard deviations"):
            Normalise(means, stds)
