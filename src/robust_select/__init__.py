"""Robust model selection: which candidate is still good when it is trained again?

Everything that users need is here, each name loaded when it is first asked for; ``import robust_select`` loads
neither torch nor matplotlib nor scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from robust_select.core.version import __version__

if TYPE_CHECKING:
    from robust_select.core.candidates import Candidate, Integers, Uniform, grid, sample
    from robust_select.core.errors import (
        ExecutorBrokenError,
        InputError,
        LedgerError,
        MissingExtraError,
        RobustSelectError,
        SettingsDifferError,
        StudyFileError,
        TableError,
        TrainerError,
        WorkerLostError,
    )
    from robust_select.core.instances import Instance, Outcome, Seeds, State, seeds_for
    from robust_select.core.tables import Table, read_table
    from robust_select.select.plan import Plan, plan
    from robust_select.select.pruning import PruneEpochs
    from robust_select.select.replay import replay
    from robust_select.select.result import Result
    from robust_select.select.rules import Exhaustive, Halving, Rule, Significance, TopTwo
    from robust_select.select.selection import Selection, Step
    from robust_select.stats.comparisons import comparison
    from robust_select.stats.criteria import criterion
    from robust_select.study import Study
    from robust_select.train.nn import TorchTrainer

__all__ = [
    "Candidate",
    "ExecutorBrokenError",
    "Exhaustive",
    "Halving",
    "InputError",
    "Instance",
    "Integers",
    "LedgerError",
    "MissingExtraError",
    "Outcome",
    "Plan",
    "PruneEpochs",
    "Result",
    "RobustSelectError",
    "Rule",
    "Seeds",
    "Selection",
    "SettingsDifferError",
    "Significance",
    "State",
    "Step",
    "Study",
    "StudyFileError",
    "Table",
    "TableError",
    "TopTwo",
    "TorchTrainer",
    "TrainerError",
    "Uniform",
    "WorkerLostError",
    "__version__",
    "comparison",
    "criterion",
    "grid",
    "plan",
    "read_table",
    "replay",
    "sample",
    "seeds_for",
]

_HOMES = {
    "core.candidates": "Candidate Integers Uniform grid sample",
    "core.errors": "ExecutorBrokenError InputError LedgerError MissingExtraError RobustSelectError "
    "SettingsDifferError StudyFileError TableError TrainerError WorkerLostError",
    "core.instances": "Instance Outcome Seeds State seeds_for",
    "core.tables": "Table read_table",
    "select.plan": "Plan plan",
    "select.pruning": "PruneEpochs",
    "select.replay": "replay",
    "select.result": "Result",
    "select.rules": "Exhaustive Halving Rule Significance TopTwo",
    "select.selection": "Selection Step",
    "stats.comparisons": "comparison",
    "stats.criteria": "criterion",
    "study": "Study",
    "train.nn": "TorchTrainer",
}
"""Where the public names live; the imports above say the same to type checkers."""

_HOME_OF = {name: f"robust_select.{home}" for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that the command line answers ``--help`` at once."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'robust_select' has no attribute {name!r}")
    found = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names, those not loaded yet, too."""
    return sorted({*globals(), *__all__})
