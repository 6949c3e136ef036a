"""How often the true best is among the first N of a study's summary, against how often the result says so.

Made-up candidates with known true means, normal scores, one standard deviation from training to training. A claim is
the mean of ``analysis.chosen.top_n_of_result`` over the studies; what is true beside it has a standard error of about
0.5 / sqrt(studies).

Run by hand and by ``make bench``: ``python benchmarks/top_n.py``. Needs nothing but the library.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robust_select import Exhaustive, Halving, Table, TopTwo, criterion, replay
from robust_select.analysis.chosen import top_n_of_result
from robust_select.core.protocols import Floats
from robust_select.select.rules import Rule

SHOWN = (1, 2, 3, 5, 10)
N_DRAWS = 300


@dataclass(frozen=True)
class Situation:
    """Candidates whose true means spread by ``spread`` standard deviations of a score, and how they are trained."""

    spread: float
    correlation: float
    rule: Rule
    n_candidates: int = 20
    n_replicates: int = 40

    def scores(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw true means (C,) and scores (C, R)."""
        means = self.spread * rng.standard_normal(self.n_candidates)
        shared = np.sqrt(self.correlation) * rng.standard_normal((1, self.n_replicates))
        own = np.sqrt(1 - self.correlation) * rng.standard_normal((self.n_candidates, self.n_replicates))
        return means, means[:, None] + shared + own


SITUATIONS = (
    Situation(1.0, 0.0, Exhaustive(5)),
    Situation(0.3, 0.0, Exhaustive(5)),
    Situation(0.1, 0.0, Exhaustive(5)),
    Situation(0.3, 0.5, Exhaustive(5)),
    Situation(0.3, 0.0, Halving(3)),
    Situation(0.3, 0.5, Halving(3)),
    Situation(0.3, 0.0, TopTwo(budget=100)),
    Situation(0.3, 0.0, Exhaustive(3), n_candidates=100),
)


def claims_and_truths(given: Situation, n_studies: int, seed: int) -> tuple[Floats, Floats]:
    """Give the mean claim (C,) for each N, and how often (C,) the true best was among the first N."""
    claims, truths = zip(*_studies(given, n_studies, np.random.default_rng(seed)), strict=True)
    return np.mean(claims, axis=0), np.mean(truths, axis=0)


def _studies(given: Situation, n_studies: int, rng: np.random.Generator) -> Iterator[tuple[Floats, Floats]]:
    names = tuple(f"c{row}" for row in range(given.n_candidates))
    for _ in range(n_studies):
        means, scores = given.scores(rng)
        result = replay(Table(names, scores), given.rule, criterion("mean"))
        found = top_n_of_result(result, n_draws=N_DRAWS, seed=int(rng.integers(2**31)))
        if found is None:
            raise RuntimeError("expected probabilities of a study in which everybody was trained, came none")
        place = result.summary()["candidate"].tolist().index(names[int(means.argmin())])
        yield found.probabilities[0], (np.arange(given.n_candidates) >= place).astype(float)


def main() -> None:
    """Print one line of claims and one of truths for each situation."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--studies", type=int, default=100, help="for each situation (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.studies < 1 or arguments.seed < 0:
        parser.error(f"expected --studies from 1 and --seed from 0, came {arguments.studies} and {arguments.seed}")
    print("candidates  spread  correlation  rule               N: " + "".join(f"{n:6d}" for n in SHOWN))
    for given in SITUATIONS:
        about = f"{given.n_candidates:10d}  {given.spread:6g}  {given.correlation:11g}  {given.rule.name:11s}"
        rows = claims_and_truths(given, arguments.studies, arguments.seed)
        for label, row in zip(("claimed", "true"), rows, strict=True):
            print(f"{about}  {label:>8s}:" + "".join(f"{row[n - 1]:6.2f}" for n in SHOWN), flush=True)


if __name__ == "__main__":
    main()
