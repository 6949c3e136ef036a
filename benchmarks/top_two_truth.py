"""How often TopTwo at its defaults selects a candidate within the tolerance, on simulated studies.

Run as ``python -m benchmarks.top_two_truth``; prints the table of docs/adr/0007-top-two.md. The truth tests run the
same designs on fewer studies.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robust_select.analysis.trials import try_rules
from robust_select.core.protocols import Floats
from robust_select.select.rules import TopTwo
from robust_select.stats.criteria import criterion

_Q3_IQR = 3 * 0.6744897501960817


@dataclass(frozen=True)
class Design:
    """One population of studies: normal scores, drawn afresh with each study's own candidates.

    Attributes:
        name: how the candidates are drawn.
        n_candidates: C.
        tolerance: in units of the typical standard deviation, 1.
    """

    name: str
    n_candidates: int
    tolerance: float

    def candidates(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw true means and standard deviations (C,)."""
        n = self.n_candidates
        ones = np.ones(n)
        if self.name == "gaps":  # exponential gaps: the best two are 0.15 apart on average
            return rng.exponential(3, n), ones
        if self.name == "gaps and spreads":
            return rng.exponential(3, n), np.exp(rng.normal(0, 0.5, n))
        if self.name == "even":  # from the best one to one standard deviation above
            return np.linspace(0, 1, n), ones
        if self.name == "just beyond":  # the second best misses the tolerance by a hair, the worst case
            return np.concatenate([[0.0, 1.05 * self.tolerance], 1 + rng.exponential(3, n - 2)]), ones
        if self.name == "wide best":
            return np.where(np.arange(n) == 0, 0.0, 1.5), np.where(np.arange(n) == 0, 3.0, 1.0)
        if self.name == "spreads":
            return np.zeros(n), np.exp(rng.normal(0, 0.6, n))
        raise ValueError(self.name)


DESIGNS = {
    "mean": [Design(name, 20, 0.3) for name in ("gaps", "gaps and spreads", "even", "wide best", "just beyond")],
    "q3+iqr": [Design(name, 20, 0.6) for name in ("gaps", "gaps and spreads", "wide best", "just beyond")],
    "std": [Design("spreads", 20, 0.1)],
}


def studies(
    design: Design, by: str, correlation: float, n_studies: int, n_replicates: int, seed: int
) -> Iterator[tuple[Floats, Floats]]:
    """Draw (C, R) losses and (C,) true criteria of each study."""
    for study in range(n_studies):
        rng = np.random.default_rng([seed, study])
        means, spreads = design.candidates(rng)
        common, own = rng.normal(size=(1, n_replicates)), rng.normal(size=(len(means), n_replicates))
        noise = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
        truth = {"mean": means, "std": spreads, "q3+iqr": means + _Q3_IQR * spreads}[by]
        yield means[:, None] + spreads[:, None] * noise, truth


def rate(
    design: Design, by: str, correlation: float, n_studies: int, n_replicates: int = 200, seed: int = 0
) -> tuple[float, float, float]:
    """Give the share of studies that select within the tolerance, mean and median trainings."""
    right, trainings = [], []
    rule = TopTwo(tolerance=design.tolerance)
    for losses, truth in studies(design, by, correlation, n_studies, n_replicates, seed):
        found = try_rules([rule], losses[None], criterion(by))
        right.append(truth[found.selected[0, 0]] <= truth.min() + design.tolerance + 1e-12)
        trainings.append(found.trainings[0, 0])
    return float(np.mean(right)), float(np.mean(trainings)), float(np.median(trainings))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=400)
    given = parser.parse_args()
    print("| criterion | candidates | correlation | within the tolerance | trainings: mean, median | seconds |")
    print("|---|---|---|---|---|---|")
    for by, designs in DESIGNS.items():
        for design in designs:
            for correlation in (0.0, 0.3, 0.7):
                started = time.perf_counter()
                share, mean, median = rate(design, by, correlation, given.studies)
                seconds = time.perf_counter() - started
                print(
                    f"| {by} | {design.n_candidates}, {design.name} | {correlation} | {share:.3f} | {mean:.0f}, "
                    f"{median:.0f} | {seconds:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
