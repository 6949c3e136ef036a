"""Makes ``ledger_v1.db``, a ledger of schema version 1: run once, by the code of that version, and never again.

Kept beside the file to say what is in it; ``tests/unit/ledger/test_version_1.py`` reads it.
"""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robust_select import Candidate, Halving, Instance, Outcome, Study
from robust_select.ledger.schema import SCHEMA_VERSION

CANDIDATES = (
    Candidate("narrow", {"width": 16, "layers": [8, 4], "act": "relu"}, is_base=True),
    Candidate("wide ☃", {"width": 64, "lr": 1e-3, "act": None}),
    Candidate("unstable", {"width": 1024}),
    Candidate("broken", {}),
)


def train(params: Mapping[str, Any], instance: Instance) -> Outcome:
    """Give every state: complete, diverged at replicate 1 of "unstable", always failed."""
    if instance.candidate == "broken":
        return Outcome.failed("ValueError: no layers ☃", 0.125, "Traceback (most recent call last):\n  ...")
    if instance.candidate == "unstable" and instance.replicate == 1:
        return Outcome(math.nan, curve=(1.0, math.inf), seconds=0.5)
    score = params["width"] / 1024 + instance.replicate / 8
    return Outcome(score, curve=(2 * score, score), seconds=0.25)


def main(path: Path) -> None:
    """Write the file; there must be none yet."""
    if path.exists() or SCHEMA_VERSION != 1:
        sys.exit(f"expected schema version 1 and no file yet, came version {SCHEMA_VERSION}, {path}")
    study = Study(
        CANDIDATES,
        train,
        criterion="mean",
        rule=Halving(warmup=2, final_instances=1),
        ledger=path,
        seed=7,
        name="old",
    )
    study.run()
    begun = Study(
        CANDIDATES[:2], train, criterion="q3+iqr", rule=Halving(warmup=3), ledger=path, seed=8, name="begun"
    )
    begun.origin["study_file"] = 'trainer = "make_ledger_v1:train"\n'
    steps = begun.steps()
    next(steps)
    steps.close()


if __name__ == "__main__":
    main(Path(__file__).with_name("ledger_v1.db"))
