"""What familywise control costs: trainings that several constructions need until only good candidates are left.

Run by hand, ``python benchmarks/familywise.py``; prints the table of docs/adr/0003-familywise-control.md. Knows
nothing of real tables: the gaps are stated below.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.stats import sequential

ALPHA = 0.05
N_MOST = 50
GOOD = 1.0
"""Candidates whose mean is at least so many standard deviations above the best one must go."""

Look = Callable[[Floats, Bools], Bools]
"""Who goes: from losses (S, C, n) and alive (S, C) to (S, C)."""


@dataclass(frozen=True)
class Construction:
    """A way to keep the familywise error below alpha.

    Attributes:
        name: as printed.
        levels: the one-sided level of a comparison after n instances, n = 0 to N_MOST; 0 where there is no look.
        look: from the level to who goes.
    """

    name: str
    levels: Floats
    look: Callable[[float], Look]


def by_test(test: str) -> Callable[[float], Look]:
    """Compare as the rule does."""
    return lambda level: lambda losses, alive: sequential.worse_than_leader(test, losses, alive, level)[0]


def by_raw_welch(level: float) -> Look:
    """Compare by Welch's own p-value, however far from its level it is."""

    def look(losses: Floats, alive: Bools) -> Bools:
        references, rows, columns = _rivals(losses, alive)
        worse = np.zeros(alive.shape, dtype=bool)
        worse[rows, columns] = sequential.one_sided_p_values("welch", losses[rows, columns], references[rows]) < level
        return worse

    return look


def by_mixture(variances: tuple[float, ...]) -> Callable[[float], Look]:
    """Compare by a normal mixture of t statistics of the differences (Lai 1976; Wang and Ramdas 2023).

    The Bayes factor of an effect N(0, g) against none under the right Haar prior on the scale is an e-process;
    here averaged over the variances g and doubled, which a one-sided (half-normal) mixture can at most gain.
    """

    def made(level: float) -> Look:
        def look(losses: Floats, alive: Bools) -> Bools:
            n = losses.shape[2]
            references, rows, columns = _rivals(losses, alive)
            differences = losses[rows, columns] - references[rows]
            t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / np.sqrt(n))
            logs = []
            for variance in variances:
                inflation = 1 + n * variance
                ratio = np.log1p(t**2 / (n - 1)) - np.log1p(t**2 / (n - 1) / inflation)
                logs.append(n / 2 * ratio - np.log(inflation) / 2)
            log_e = special.logsumexp(logs, axis=0) - np.log(len(logs)) + np.log(2)
            worse = np.zeros(alive.shape, dtype=bool)
            worse[rows, columns] = (log_e > -np.log(level)) & (t > 0)
            return worse

        return look

    return made


def _rivals(losses: Floats, alive: Bools) -> tuple[Floats, Ints, Ints]:
    """Give the losses (S, n) of the leaders, and rows and columns of all others alive."""
    leaders = np.where(alive, losses.mean(axis=2), np.inf).argmin(axis=1)
    studies = np.arange(len(losses))
    others = alive.copy()
    others[studies, leaders] = False
    rows, columns = np.nonzero(others)
    return losses[studies, leaders], rows, columns


def spread_over(weights: Floats, n_candidates: int, alpha: float = ALPHA) -> Floats:
    """Spend alpha over rivals and, in proportion to weights (N_MOST + 1,), over looks."""
    return alpha / (n_candidates - 1) * weights / weights.sum()


def constructions(n_candidates: int) -> list[Construction]:
    """List what is compared."""
    n = np.arange(N_MOST + 1.0)
    every = (n >= sequential.LEAST_INSTANCES).astype(float)
    with np.errstate(divide="ignore"):
        inverse, inverse_square = np.where(every > 0, 1 / n, 0.0), np.where(every > 0, 1 / n**2, 0.0)
        spent = 2 * stats.norm.sf(stats.norm.isf(ALPHA / 2 / (n_candidates - 1)) / np.sqrt(n / N_MOST))
    late = np.where(every > 0, np.diff(spent, prepend=0.0), 0.0)
    kept = np.zeros(N_MOST + 1)
    kept[list(sequential.spend("welch", ALPHA, n_candidates - 1, 2, N_MOST).looks)] = 1.0
    whole = np.where(n >= 2, ALPHA / (n_candidates - 1), 0.0)
    rows = [
        ("welch, looks a fifth apart (kept)", kept, by_test("welch")),
        ("welch, every look alike", every, by_test("welch")),
        ("welch, every look as 1/n", inverse, by_test("welch")),
        ("welch, every look as 1/n^2", inverse_square, by_test("welch")),
        ("welch, O'Brien-Fleming spending", late, by_test("welch")),
        ("paired-t, looks a fifth apart (kept)", kept, by_test("paired-t")),
        ("paired-t, every look alike", every, by_test("paired-t")),
        ("paired-t, every look as 1/n^2", inverse_square, by_test("paired-t")),
    ]
    found = [Construction(name, spread_over(weights, n_candidates), look) for name, weights, look in rows]
    for variances in ((1.0,), (10.0,), (0.1, 1.0, 10.0)):
        name = f"mixture t, effects of variance {', '.join(f'{variance:g}' for variance in variances)}"
        found.append(Construction(name, whole, by_mixture(variances)))
    twice = spread_over(kept, n_candidates, 2 * ALPHA)
    return [
        *found,
        Construction("(not valid) welch as kept, without welch_level", spread_over(kept, n_candidates), by_raw_welch),
        Construction("(not valid) paired-t as kept, alpha doubled", twice, by_test("paired-t")),
        Construction("(not valid) published per-look welch", np.where(n >= 2, ALPHA / 2, 0.0), by_raw_welch),
    ]


def simulate(construction: Construction, losses: Floats, means: Floats) -> tuple[float, float, float]:
    """Run one construction.

    Args:
        construction: who goes when.
        losses: (S, C, N_MOST) of S studies.
        means: (S, C) the true ones; candidate 0 is the best.

    Returns:
        Mean trainings until all candidates that are not good are gone, the share of studies that got there, and the
        share that lost the best candidate.
    """
    alive = np.ones(means.shape, dtype=bool)
    bad = means >= GOOD
    trainings, done = np.zeros(len(losses)), np.zeros(len(losses), dtype=bool)
    for n in range(1, losses.shape[2] + 1):
        trainings += np.where(done, 0, alive.sum(axis=1))
        if construction.levels[n] > 0:
            alive &= ~construction.look(construction.levels[n])(losses[:, :, :n], alive)
        done |= ~(alive & bad).any(axis=1)
    return float(trainings.mean()), float(done.mean()), float(1 - alive[:, 0].mean())


def studies(kind: str, n_candidates: int, n_studies: int, seed: int) -> tuple[Floats, Floats]:
    """Draw studies: losses (S, C, N_MOST) and true means (S, C); candidate 0 is the best, with standard deviation 1.

    ``gaps of 1`` and ``gaps of 3``: all others are so many standard deviations worse. ``typical``: gaps lognormal
    about a median of 5 (sigma 1), standard deviations lognormal about 1 (sigma 0.4).
    """
    random = np.random.default_rng(seed)
    shape = (n_studies, n_candidates)
    if kind == "typical":
        means, widths = 5 * np.exp(random.normal(size=shape)), np.exp(0.4 * random.normal(size=shape))
    else:
        means, widths = np.full(shape, float(kind.rsplit(" ", 1)[1])), np.ones(shape)
    means[:, 0], widths[:, 0] = 0.0, 1.0
    return means[:, :, None] + widths[:, :, None] * random.normal(size=(*shape, N_MOST)), means


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    settings = [(size, kind) for size in (20, 100) for kind in ("gaps of 1", "gaps of 3", "typical")]
    rows: dict[str, list[str]] = {}
    for size, kind in settings:
        losses, means = studies(kind, size, asked.studies, asked.seed)
        for construction in constructions(size):
            trainings, share_done, share_lost = simulate(construction, losses, means)
            cell = f"{trainings:.0f} ({share_done:.0%}, {share_lost:.0%})"
            rows.setdefault(construction.name, []).append(cell)
    print("| construction |" + "".join(f" C = {size}, {kind} |" for size, kind in settings))
    print("|---|" + "---|" * len(settings))
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
