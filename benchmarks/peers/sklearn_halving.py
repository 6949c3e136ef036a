"""Successive halving with the schedule of scikit-learn's HalvingGridSearchCV, resource = number of repeats.

Called by the benchmark of rules. Written anew because scikit-learn's own search takes seconds a study; the tests
compare it with the real HalvingGridSearchCV.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats, Ints

from .base import Peer, check_losses, check_replicates


@dataclass(frozen=True)
class HalvingKnob:
    """Settings of HalvingGridSearchCV.

    Attributes:
        max_resources: the most repeats that a candidate may get.
        min_resources: repeats at the first iteration; "exhaust" (scikit-learn's default) is as many as let
            the last one use ``max_resources``, "smallest" is 1.
    """

    max_resources: int
    min_resources: int | Literal["exhaust", "smallest"] = "exhaust"


def schedule(n_candidates: int, factor: int, knob: HalvingKnob) -> tuple[tuple[int, int], ...]:
    """Give the schedule: candidates and repeats of each iteration, as BaseSuccessiveHalving._run_search makes it.

    ``aggressive_elimination`` is False (the default): where the resources end before the candidates do, the last
    iteration compares many.

    Raises:
        InputError: more repeats at first than at most, or less than one.

    Example:
        >>> schedule(128, 3, HalvingKnob(max_resources=81))
        ((128, 1), (43, 3), (15, 9), (5, 27), (2, 81))
    """
    n_required = 1 + math.floor(math.log(n_candidates, factor))
    n_first = knob.min_resources if isinstance(knob.min_resources, int) else 1
    if not 1 <= n_first <= knob.max_resources:
        raise InputError(f"expected min_resources between 1 and max_resources, came {knob}")
    if knob.min_resources == "exhaust":
        n_first = max(n_first, knob.max_resources // factor ** (n_required - 1))
    n_possible = 1 + math.floor(math.log(knob.max_resources // n_first, factor))
    steps, n_alive = [], n_candidates
    for iteration in range(min(n_possible, n_required)):
        steps.append((n_alive, min(n_first * factor**iteration, knob.max_resources)))
        n_alive = math.ceil(n_alive / factor)
    return tuple(steps)


def run(losses: Floats, knob: HalvingKnob, seed: int = 0, *, factor: int, keeps_trainings: bool) -> tuple[Ints, Ints]:
    """Run successive halving by the mean; see ``base.Run``.

    An iteration with n repeats looks at the first n replicates. scikit-learn trains them all again, those of
    earlier iterations too, and so they are counted again; with ``keeps_trainings`` they are counted once, as if
    the user cached them. Nothing is random, the seed is not used.
    """
    losses = check_losses(losses)
    check_replicates("scikit-learn's halving", knob.max_resources, losses.shape[2])
    n_studies, n_candidates, _ = losses.shape
    steps = schedule(n_candidates, factor, knob)
    alive = np.tile(np.arange(n_candidates), (n_studies, 1))
    n_trainings, n_before = 0, 0
    for n_alive, n_repeats in steps:
        n_trainings += n_alive * (n_repeats - n_before)
        n_before = n_repeats if keeps_trainings else 0
        scores = -np.take_along_axis(losses[:, :, :n_repeats].mean(axis=2), alive, axis=1)
        if n_alive == steps[-1][0]:
            best = alive[np.arange(n_studies), scores.argmax(axis=1)]
            break
        ranked = np.argsort(scores, axis=1)[:, -math.ceil(n_alive / factor) :]  # the order of _top_k
        alive = np.take_along_axis(alive, ranked, axis=1)
    return best.astype(np.int64), np.full(n_studies, n_trainings, dtype=np.int64)


def _peer(factor: int, keeps_trainings: bool) -> Peer:
    kept = ", trainings kept" if keeps_trainings else ""
    return Peer(
        name=f"scikit-learn halving, factor {factor}{kept}",
        run=partial(run, factor=factor, keeps_trainings=keeps_trainings),
        default=HalvingKnob(max_resources=factor**4 if factor == 3 else factor**6),
        knobs=tuple(HalvingKnob(n) for n in (2, 4, 9, 16, 27, 48, 81, 128, 162, 243)),
        needs=lambda knob: int(knob.max_resources),
        knob_is="max_resources, repeats of the last iteration; scikit-learn has no default for a resource like this",
        missing=lambda: "",
    )


PEERS = tuple(_peer(factor, keeps) for factor in (3, 2) for keeps in (False, True))
"""Factor 3 is scikit-learn's default."""
