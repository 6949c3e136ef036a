"""For Optuna: its spaces as candidates, its TPE inside the selection and beside it, results shown by its dashboard.

Called by users. Needs the extra ``optuna``.
"""

from robust_select.core.errors import MissingExtraError

try:
    from robust_select.integrations.optuna.exporting import export_study
    from robust_select.integrations.optuna.proposing import Proposed, Rounds, propose_and_select
    from robust_select.integrations.optuna.searching import Searched, tpe_search
    from robust_select.integrations.optuna.spaces import Space, sample_space
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "optuna":
        raise
    raise MissingExtraError("optuna", "optuna") from error

__all__ = [
    "Proposed",
    "Rounds",
    "Searched",
    "Space",
    "export_study",
    "propose_and_select",
    "sample_space",
    "tpe_search",
]
