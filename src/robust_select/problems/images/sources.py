"""Where images come from: a path, an environment variable, Debian's package, scikit-learn. Never a download.

Called by users, by the trainers beside this file and by demos. Knows nothing of formats or torch.
"""

import os
from pathlib import Path

import numpy as np

from robust_select.problems.digits import load
from robust_select.problems.images.cifar import read_cifar10_folder
from robust_select.problems.images.idx import read_idx_images
from robust_select.problems.images.records import ImageError, Images

CIFAR10 = "ROBUST_SELECT_CIFAR10"
FASHION_MNIST = "ROBUST_SELECT_FASHION_MNIST"
"""The environment variables that say where images are."""

FASHION_MNIST_OF_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_STEMS = (("train-images", "train-labels"), ("t10k-images", "t10k-labels"))
_GREY_LEVELS = 16


def digits() -> tuple[Images, Images]:
    """Give scikit-learn's digits, 8 x 8 pixels with grey values 0 to 16, split as in ``problems.digits``.

    Returns:
        The 1,200 images that training samples are drawn from, and the 597 that nobody trains on.

    Raises:
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> population, held_out = digits()
        >>> population, held_out
        (Images(1200 of 8 x 8, 1 channel), Images(597 of 8 x 8, 1 channel))
    """
    found = load()
    populations = ((found.population, found.population_labels), (found.held_out, found.held_out_labels))
    population, held_out = (
        Images(np.rint(_GREY_LEVELS * pixels).astype(np.uint8).reshape(-1, 8, 8), labels)
        for pixels, labels in populations
    )
    return population, held_out


def fashion_mnist(path: str | Path | None = None) -> tuple[Images, Images]:
    """Give Fashion-MNIST: ten kinds of clothes, 28 x 28 pixels, grey.

    Args:
        path: of the folder with the four IDX files; by default what ``ROBUST_SELECT_FASHION_MNIST`` says, else where
            Debian's package ``dataset-fashion-mnist`` puts them.

    Returns:
        The 60,000 images to train on, and the 10,000 to test on.

    Raises:
        ImageError: the files are not there (the message says how to get them), or not complete.

    Example:
        >>> try:
        ...     fashion_mnist("/no/such/folder")
        ... except ImageError as error:
        ...     print(error.source)
        /no/such/folder
    """
    place = Path(path or os.environ.get(FASHION_MNIST) or FASHION_MNIST_OF_DEBIAN)
    advice = (
        f"install them with: apt install dataset-fashion-mnist, or say where they are: fashion_mnist(path), or the "
        f"environment variable {FASHION_MNIST}"
    )
    return read_idx_folder(place, advice)


def cifar10(path: str | Path | None = None) -> tuple[Images, Images]:
    """Give CIFAR-10: ten kinds of things, 32 x 32 pixels, in colour.

    Args:
        path: of the unpacked folder, of the Python or the binary version; by default what ``ROBUST_SELECT_CIFAR10``
            says.

    Returns:
        The 50,000 images to train on, and the 10,000 to test on.

    Raises:
        ImageError: nobody says where it is, or the files are not there, or not complete.

    Example:
        >>> try:
        ...     cifar10("/no/such/folder")
        ... except ImageError as error:
        ...     print(error.source)
        /no/such/folder
    """
    place = path or os.environ.get(CIFAR10)
    if not place:
        raise ImageError(
            f"expected a folder, came none: unpack the archive of CIFAR-10 (Python or binary version) and say where: "
            f"cifar10(path), or the environment variable {CIFAR10}",
            "CIFAR-10",
        )
    return read_cifar10_folder(place)


def read_idx_folder(folder: str | Path, advice: str = "say where they are") -> tuple[Images, Images]:
    """Read a folder of four IDX files, as MNIST and its kin come: ``train-images-idx3-ubyte`` and so on.

    Args:
        folder: the files may be compressed (``.gz``), and have a point for the second hyphen.
        advice: what to do where a file is missing.

    Returns:
        The images to train on, and those to test on.

    Raises:
        ImageError: a file is missing, cut off, or not what its name says.
    """
    population, held_out = (
        read_idx_images(
            _found(Path(folder), f"{images}-idx3-ubyte", advice), _found(Path(folder), f"{labels}-idx1-ubyte", advice)
        )
        for images, labels in _STEMS
    )
    return population, held_out


def _found(folder: Path, name: str, advice: str) -> Path:
    stem, _, kind = name.partition("-idx")
    for candidate in (name, f"{name}.gz", f"{stem}.idx{kind}", f"{stem}.idx{kind}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise ImageError(f"expected the IDX files of the images, {name} or {name}.gz is not there: {advice}", str(folder))
