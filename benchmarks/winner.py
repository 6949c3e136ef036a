"""How honest are estimates of the selected candidate's mean? Bias and coverage of four, after four rules.

Run by hand, ``python benchmarks/winner.py [STUDIES] [CANDIDATES] [CORRELATION]``; prints the tables of
docs/adr/0008-honest-winner.md. Knows nothing of real tables: the populations are stated below.
"""

import sys
import warnings
from collections.abc import Callable

import numpy as np
from scipy import stats

from robust_select.core.protocols import Floats
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving, Rule, Significance, TopTwo
from robust_select.stats.criteria import criterion
from robust_select.stats.posteriors import posterior
from robust_select.stats.winner import shrunken_winner

Interval = tuple[float, float, float]

N_REPLICATES = 60
MEAN = criterion("mean")
POPULATIONS = ("equal", "normal", "typical", "unequal", "edge")


def population(name: str, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Give true means and standard deviations (n,) of the candidates."""
    ones = np.ones(n)
    if name == "equal":
        return 0 * ones, ones
    if name == "normal":
        return rng.normal(size=n), ones
    if name == "typical":  # gaps to the best lognormal about 5 standard deviations
        return np.concatenate([[0.0], rng.lognormal(np.log(5), 1, n - 1)]), ones
    if name == "unequal":
        return 0.5 * rng.normal(size=n), rng.lognormal(0, 0.5, n)
    return rng.lognormal(0, 1.5, n), ones  # many crowd at the best value there can be, others are far away


def naive(means: Floats, errors: Floats, scores: Floats, row: int) -> Interval:
    """Its own scores and the t interval."""
    n = len(scores)
    reach = stats.t.ppf(0.975, n - 1) * scores.std(ddof=1) / np.sqrt(n) if n > 1 else np.inf
    return means[row], means[row] - reach, means[row] + reach


def moments(means: Floats, errors: Floats, scores: Floats, row: int) -> Interval:
    """Shrink towards the mean of all, its spread by the method of moments (DerSimonian and Laird)."""
    weights = 1 / errors**2
    center = (weights * means).sum() / weights.sum()
    excess = (weights * (means - center) ** 2).sum() - (len(means) - 1)
    between = max(0.0, excess / (weights.sum() - (weights**2).sum() / weights.sum()))
    total = errors**2 + between
    center, share = (means / total).sum() / (1 / total).sum(), errors[row] ** 2 / total[row]
    estimate = share * center + (1 - share) * means[row]
    error = np.sqrt((1 - share) * errors[row] ** 2 + share**2 / (1 / total).sum())
    return estimate, estimate - 1.96 * error, estimate + 1.96 * error


def normal(means: Floats, errors: Floats, scores: Floats, row: int) -> Interval:
    """A normal prior whose spread is integrated out, without outliers; no correlation."""
    others = np.arange(len(means)) != row
    unit = np.median(errors[others])
    spreads = np.concatenate([[0], np.geomspace(0.02 * unit, 3 * max(np.ptp(means[others]), unit), 60)])
    variances = errors[others] ** 2 + spreads[:, None] ** 2
    total = (1 / variances).sum(axis=1)
    centers = (means[others] / variances).sum(axis=1) / total
    logs = -0.5 * (np.log(variances) + (means[others] - centers[:, None]) ** 2 / variances).sum(axis=1)
    weights = np.exp(logs - logs.max()) / np.sqrt(total) * np.gradient(spreads)
    steps = np.linspace(-10, 10, 801)
    points, widths = means[row] + errors[row] * steps, np.sqrt(spreads**2 + 1 / total)
    density = (weights / widths) @ np.exp(-0.5 * ((points - centers[:, None]) / widths[:, None]) ** 2)
    density = density * np.exp(-0.5 * steps**2)
    low, high = np.interp([0.025, 0.975], np.cumsum(density) / density.sum(), points)
    return (density * points).sum() / density.sum(), low, high


ESTIMATES: dict[str, Callable[[Floats, Floats, Floats, int], Interval]] = {
    "naive": naive,
    "moments": moments,
    "normal": normal,
}


def rules(n: int) -> dict[str, Rule]:
    """Give the rules that select from n candidates."""
    return {
        "exhaustive(5)": Exhaustive(5),
        "halving(5)": Halving(5),
        "significance(welch)": Significance("welch", max_instances=12),
        "top-two": TopTwo(tolerance=0.3, max_instances=N_REPLICATES, budget=3 * n + 100),
    }


def compare(name: str, n: int, rule: Rule, n_studies: int, rho: float) -> dict[str, str]:
    """Simulate studies; give bias and coverage in per cent of each estimate, and coverage of the kept one's std."""
    rng = np.random.default_rng(5)
    errors_of: dict[str, list[float]] = {}
    holds: dict[str, list[bool]] = {}
    for _ in range(n_studies):
        means, scales = population(name, n, rng)
        noise = np.sqrt(rho) * rng.normal(size=(1, N_REPLICATES)) + np.sqrt(1 - rho) * rng.normal(
            size=(n, N_REPLICATES)
        )
        table = Table(tuple(map(str, range(n))), means[:, None] + scales[:, None] * noise)
        result = replay(table, rule, MEAN)
        losses, row = result.table.losses("minimize"), int(result.selected)
        found = posterior(losses, MEAN)
        own = losses[row][~np.isnan(losses[row])]
        made = {
            key: estimate(found.means, found.scales / np.sqrt(found.counts), own, row)
            for key, estimate in ESTIMATES.items()
        }
        kept = shrunken_winner(losses, row, MEAN)
        made["kept"] = (kept.mean.value, kept.mean.low, kept.mean.high)
        for key, (value, low, high) in made.items():
            errors_of.setdefault(key, []).append(value - means[row])
            holds.setdefault(key, []).append(low <= means[row] <= high)
        holds.setdefault("kept std", []).append(kept.std.low <= scales[row] <= kept.std.high)
    shown = {key: f"{np.mean(errors_of[key]):+.2f}, {100 * np.mean(holds[key]):.0f}" for key in errors_of}
    return {**shown, "kept std": f"{100 * np.mean(holds['kept std']):.0f}"}


def main() -> None:
    """Print the table, one row a population and rule."""
    warnings.simplefilter("error")
    n_studies = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    sizes = [int(sys.argv[2])] if len(sys.argv) > 2 else [20, 100]
    rho = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    columns = [*ESTIMATES, "kept", "kept std"]
    print(f"| population, C, rule | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for n in sizes:
        for name in POPULATIONS:
            for key, rule in rules(n).items():
                found = compare(name, n, rule, n_studies, rho)
                print(f"| {name}, {n}, {key} | {' | '.join(found[column] for column in columns)} |", flush=True)


if __name__ == "__main__":
    main()
