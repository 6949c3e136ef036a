"""Which neighbours tell two noisy rings apart? Data, a trainer with curves and candidates, for study.toml.

Needs nothing but numpy. Knows nothing of studies.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

import robust_select as rs

N_TRAIN = 100


def draw(rng: np.random.Generator, n: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Draw (n, 2) points of two rings with noise, and (n,) which ring."""
    ring = rng.integers(2, size=n)
    angle = rng.uniform(0, 2 * np.pi, n)
    radius = 1.0 + ring + 0.4 * rng.normal(size=n)
    return radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]), ring


HELD_OUT = draw(np.random.default_rng(2025), 500)


def train(params: Mapping[str, Any], instance: rs.Instance) -> rs.Outcome:
    """Classify by the nearest of 100 points; give the share of wrong answers after each tenth of them."""
    points, ring = draw(instance.rng("training_sample"), N_TRAIN)
    there, truth = HELD_OUT
    distance = ((there[:, None] - points) ** 2).sum(axis=2)
    curve = []
    for n in range(N_TRAIN // 10, N_TRAIN + 1, N_TRAIN // 10):
        nearest = np.argsort(distance[:, :n], axis=1)[:, : params["neighbours"]]
        curve.append(float(np.mean((ring[nearest].mean(axis=1) > 0.5) != truth)))
    return rs.Outcome(curve[-1], curve=tuple(curve))


def candidates() -> list[rs.Candidate]:
    """List the candidates; the base model is starred in figures."""
    return [rs.Candidate(f"{k} neighbours", {"neighbours": k}, is_base=k == 5) for k in (1, 3, 5, 7, 9, 15, 25, 45)]
