"""Makes ``ledger_v2.db``, a ledger of schema version 2: run once, by the code of that version, and never again.

Kept beside the file to say what is in it; ``tests/unit/ledger/test_versions.py`` reads it.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robust_select import Candidate, Instance, Outcome, Study, TopTwo
from robust_select.ledger.schema import SCHEMA_VERSION

CANDIDATES = (
    Candidate("near", {"level": 1.0}, is_base=True),
    Candidate("far ☃", {"level": 9.0}),
    Candidate("broken"),
)


def train(params: Mapping[str, Any], instance: Instance) -> Outcome:
    """Give a level and a noise that the replicate alone makes; "broken" always fails."""
    if instance.candidate == "broken":
        return Outcome.failed("ValueError: no level ☃", 0.125, "Traceback (most recent call last):\n  ...")
    score = params["level"] + (instance.replicate * 37 % 8) / 64
    return Outcome(score, curve=(2 * score, score), seconds=0.25)


def main(path: Path) -> None:
    """Write the file; there must be none yet."""
    if path.exists() or SCHEMA_VERSION != 2:
        sys.exit(f"expected schema version 2 and no file yet, came version {SCHEMA_VERSION}, {path}")
    Study(CANDIDATES, train, criterion="mean", rule=TopTwo(confidence=0.9), ledger=path, seed=7, name="sure").run()


if __name__ == "__main__":
    main(Path(__file__).with_name("ledger_v2.db"))
