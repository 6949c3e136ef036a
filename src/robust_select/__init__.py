"""Robust model selection: which candidate is still good when it is trained again?

Everything that users need is here; ``import robust_select`` loads neither torch nor matplotlib nor
scikit-learn.
"""

from robust_select.core.candidates import Candidate, Integers, Uniform, grid, sample
from robust_select.core.errors import (
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
from robust_select.core.version import __version__
from robust_select.select.plan import Plan, plan
from robust_select.select.replay import replay
from robust_select.select.result import Result
from robust_select.select.rules import Exhaustive, Halving, Rule, Significance
from robust_select.select.selection import Selection, Step
from robust_select.stats.comparisons import comparison
from robust_select.stats.criteria import criterion
from robust_select.study import Study

__all__ = [
    "Candidate",
    "Exhaustive",
    "Halving",
    "InputError",
    "Instance",
    "Integers",
    "LedgerError",
    "MissingExtraError",
    "Outcome",
    "Plan",
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
