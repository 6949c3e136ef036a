"""What networks are compared with: parametric formulas and XGBoost, for the energy and the position of a photon.

Named by study files and made by ``validation/ecal``. Knows nothing of networks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from robust_select.core.errors import InputError, MissingExtraError
from robust_select.core.instances import Instance
from robust_select.core.protocols import Floats, Ints
from robust_select.problems.ecal.data import DataSet, population_and_held_out
from robust_select.problems.ecal.physics import barycentre
from robust_select.problems.ecal.showers import Showers

Target = Literal["energy", "x"]
Baseline = Literal["parametric", "xgboost"]

_KEYS = ("baseline", "target", "showers", "n_train")
_POWERS = (1, 3, 5, 7)  # of the barycentre: a position correction is odd, as a cell is the same from both sides
_WITHIN = 0.99
_FEWEST = {"parametric": 10, "xgboost": 50}  # training examples

BOOSTING: Mapping[Target, Mapping[str, Any]] = {
    "energy": {"n_trees": 100, "eta": 0.05, "max_depth": 3},
    "x": {"n_trees": 200, "eta": 0.1, "max_depth": 6},
}
"""Of XGBoost, for each target: how many trees, how much each corrects, how deep each is. The best of a handful of
trials at 1,000 to 27,516 training showers of B and 10,461 of A."""

_BOOSTING: Mapping[str, Any] = {  # for both targets
    "tree_method": "hist",
    "max_bin": 64,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "nthread": 1,
}


@dataclass(frozen=True)
class Calibration:
    """The parametric energy: linear in the sum of all cells.

    Attributes:
        offset: GeV.
        slope: about 1 over the sampling fraction.
    """

    offset: float
    slope: float

    def predict(self, showers: Showers) -> Floats:
        """(N,) energies, GeV."""
        return self.offset + self.slope * showers.sums


@dataclass(frozen=True)
class PositionCurve:
    """The parametric position: the barycentre along x, its S-curve undone by an odd polynomial of degree 7.

    Beyond the limit the curve is level. Without one a photon of the held-out showers that is steeper than all of a
    small training sample is placed far away, and decides the score alone.

    Attributes:
        coefficients: (4,) cm, of the powers 1, 3, 5, 7 of the barycentre in units of half a cell.
        limit: in the same units; 99 % of the training showers are within it, on either side.
    """

    coefficients: Floats
    limit: float

    def predict(self, showers: Showers) -> Floats:
        """(N,) positions x, cm."""
        return np.asarray(_odd_powers(_from_middle(showers), self.limit) @ self.coefficients)


def fit_energy(showers: Showers) -> Calibration:
    """Fit the calibration that minimises the mean of ((predicted - E) / E)^2.

    Example:
        >>> cells = np.zeros((3, 15, 15))
        >>> cells[:, 7, 7] = [0.2, 0.4, 0.6]
        >>> showers = Showers(cells, [1, 2, 3], *np.zeros((4, 3)))
        >>> calibration = fit_energy(showers)
        >>> round(calibration.slope, 5)
        5.0
    """
    energy = showers.energy.astype(float)
    design = np.stack([np.ones(len(showers)), showers.sums], axis=1) / energy[:, None]
    offset, slope = np.linalg.lstsq(design, np.ones(len(showers)), rcond=None)[0]
    return Calibration(float(offset), float(slope))


def fit_position(showers: Showers) -> PositionCurve:
    """Fit the polynomial by least squares, the barycentres beyond the limit put onto it."""
    at = _from_middle(showers)
    limit = float(np.quantile(np.abs(at), _WITHIN))
    found = np.linalg.lstsq(_odd_powers(at, limit), showers.x.astype(float), rcond=None)[0]
    return PositionCurve(np.asarray(found), limit)


def features(showers: Showers) -> Floats:
    """Give what XGBoost sees of a shower.

    Returns:
        (N, 228) the share of the sum in each cell (225, index ``15 * ix + iy``), the sum in GeV, the barycentre along
        x and y in cm.
    """
    sums = showers.sums
    shares = showers.cells.reshape(len(showers), -1) / np.where(sums > 0, sums, 1.0)[:, None]
    return np.column_stack([shares, sums, barycentre(showers)])


def train(params: Mapping[str, Any], instance: Instance) -> float:
    """Fit a baseline on a random sample of the population, score it on the held-out showers.

    Args:
        params: ``baseline`` "parametric" or "xgboost", ``target`` "energy" or "x", ``showers`` "A" or "B", and
            ``n_train``, how many showers are drawn (without it: the whole population).
        instance: its stream ``training_sample`` draws the showers, ``initial_weights`` seeds XGBoost, which draws
            rows and columns for each tree. A parametric baseline depends on the sample alone.

    Returns:
        RMSE(E)/E, the root of the mean of ((predicted - E) / E)^2, or RMSE(x) in cm.

    Raises:
        InputError: params that are not these, or more training showers than there are.
        MissingExtraError: XGBoost is not installed.
    """
    baseline, target, data_set = _choices(params)
    population, held_out = population_and_held_out(data_set)
    sample = population.subset(_draw(params.get("n_train"), len(population), _FEWEST[baseline], instance))
    if baseline == "xgboost":
        predicted = _boosted(target, sample, held_out, instance.seeds.initial_weights)
    else:
        predicted = (fit_energy(sample) if target == "energy" else fit_position(sample)).predict(held_out)
    return score(target, predicted, held_out)


def score(target: Target, predicted: Floats, showers: Showers) -> float:
    """Score predictions.

    Args:
        target: "energy" or "x".
        predicted: (N,) GeV or cm.
        showers: the photons as they were.

    Returns:
        RMSE(E)/E or RMSE(x) in cm.
    """
    truth = getattr(showers, target).astype(float)
    error = predicted - truth
    return float(np.sqrt(np.mean((error / truth if target == "energy" else error) ** 2)))


def _choices(params: Mapping[str, Any]) -> tuple[Baseline, Target, DataSet]:
    unknown = [name for name in params if name not in _KEYS]
    if unknown:
        raise InputError(f"expected parameters {', '.join(_KEYS)} of a baseline, came {unknown[0]!r}")
    chosen = []
    for name, allowed in (("baseline", Baseline), ("target", Target), ("showers", DataSet)):
        if params.get(name) not in get_args(allowed):
            shown = " or ".join(map(repr, get_args(allowed)))
            raise InputError(f"expected {name} {shown}, came {name}={params.get(name)!r}")
        chosen.append(params[name])
    return chosen[0], chosen[1], chosen[2]


def _draw(n_train: Any, n_population: int, fewest: int, instance: Instance) -> Ints:
    """Draw the training sample as the networks' trainer does, so that scores of a replicate are paired."""
    n_train = n_population if n_train is None else n_train
    if isinstance(n_train, bool) or not isinstance(n_train, int) or not fewest <= n_train <= n_population:
        raise InputError(
            f"expected {fewest} to {n_population:,} training showers of this population, came n_train={n_train!r}"
        )
    return instance.rng("training_sample").permutation(n_population)[:n_train]


def _boosted(target: Target, sample: Showers, held_out: Showers, seed: int) -> Floats:
    """Predict by boosted trees; for the energy they give a factor on the parametric one, weighted as its score is."""
    try:
        import xgboost
    except ImportError as error:
        raise MissingExtraError("xgboost", "xgboost") from error
    settings: dict[str, Any] = {**_BOOSTING, **BOOSTING[target], "seed": seed % 2**31}
    n_trees = settings.pop("n_trees")
    truth, weights, factors = sample.x.astype(float), None, np.ones(len(held_out))
    if target == "energy":
        calibration = fit_energy(sample)
        energy, parametric = sample.energy.astype(float), calibration.predict(sample)
        truth, weights, factors = energy / parametric, (parametric / energy) ** 2, calibration.predict(held_out)
    known = xgboost.DMatrix(features(sample), truth, weight=weights, nthread=1)
    trees = xgboost.train({**settings, "base_score": float(target == "energy")}, known, n_trees)
    return np.asarray(factors * trees.predict(xgboost.DMatrix(features(held_out), nthread=1)), dtype=float)


def _from_middle(showers: Showers) -> Floats:
    """(N,) barycentre along x from the middle of the central cell, in units of half a cell."""
    return barycentre(showers)[:, 0] / (showers.geometry.cell_cm / 2)


def _odd_powers(at: Floats, limit: float) -> Floats:
    return np.stack([np.clip(at, -limit, limit) ** power for power in _POWERS], axis=1)
