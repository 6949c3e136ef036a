"""irace: the real race of Debian's r-cran-irace on a fixed list of candidates, many studies in one Rscript.

Called by the benchmark of rules. The R side is ``race.R`` beside this file.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from robust_select.core.errors import RobustSelectError
from robust_select.core.protocols import Floats, Ints

from .base import Peer, check_losses, check_replicates

_SCRIPT = Path(__file__).with_name("race.R")


@dataclass(frozen=True)
class IraceKnob:
    """Settings of a race; the names are irace's.

    Attributes:
        first_test: replicates of every candidate before the first test (``firstTest``, by default 5).
        elitist_limit: the race ends after so many tests without elimination (``elitistLimit``, by default 2).
        confidence: of the tests (``confidence``, by default 0.95).
    """

    first_test: int = 5
    elitist_limit: int = 2
    confidence: float = 0.95


def run(losses: Floats, knob: IraceKnob, seed: int = 0, *, test: Literal["friedman", "t.none"]) -> tuple[Ints, Ints]:
    """Race all candidates of each study; see ``base.Run``.

    This is ``irace:::race``, the race of one iteration of irace, with all candidates given and no new ones
    sampled; a replicate is an instance. Set by us: ``minSurvival = 1`` instead of 2 (one candidate is wanted),
    ``maxExp = 0`` (no limit but the replicates), ``sampleInstances = FALSE`` (replicates are exchangeable).
    ``eachTest = 1`` and ``elitist = TRUE`` are the defaults. Selected is the first of irace's own ranking.

    Raises:
        RobustSelectError: Rscript failed; the message holds what it said.
    """
    losses = check_losses(losses)
    n_studies, n_candidates, n_replicates = losses.shape
    check_replicates("irace", knob.first_test, n_replicates)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "losses.bin", Path(folder) / "found.csv"
        np.ascontiguousarray(losses).tofile(source)
        settings = (
            n_studies,
            n_candidates,
            n_replicates,
            test,
            knob.first_test,
            knob.confidence,
            knob.elitist_limit,
            seed,
        )
        done = subprocess.run(
            ["Rscript", "--vanilla", str(_SCRIPT), str(source), *map(str, settings), str(target)],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        if done.returncode != 0:
            raise RobustSelectError(f"expected Rscript to race {n_studies} studies, it failed: {done.stderr.strip()}")
        found = np.loadtxt(target, delimiter=",", dtype=np.int64, ndmin=2)
    return found[:, 0] - 1, found[:, 1]


@lru_cache(maxsize=1)
def _missing() -> str:
    advice = "apt-get install r-cran-irace"
    if shutil.which("Rscript") is None:
        return advice
    asked = subprocess.run(
        ["Rscript", "--vanilla", "-e", "library(irace)"], capture_output=True, text=True, check=False
    )
    return advice if asked.returncode != 0 else ""


def _peer(name: str, test: Literal["friedman", "t.none"]) -> Peer:
    return Peer(
        name=name,
        run=partial(run, test=test),
        default=IraceKnob(),
        knobs=(
            IraceKnob(2, 2),
            IraceKnob(2, 5),
            IraceKnob(2, 20),
            IraceKnob(5, 2),
            IraceKnob(5, 5),
            IraceKnob(5, 20),
            IraceKnob(5, 50, 0.99),
            IraceKnob(10, 5),
            IraceKnob(10, 20, 0.99),
            IraceKnob(20, 5),
            IraceKnob(20, 20, 0.99),
            IraceKnob(40, 5),
        ),
        needs=lambda knob: int(knob.first_test),
        knob_is="firstTest (5), elitistLimit (2) and confidence (0.95)",
        missing=_missing,
    )


PEERS = (_peer("irace, F-test", "friedman"), _peer("irace, t-test", "t.none"))
