"""For scikit-learn: ``RobustSearchCV``, a search like ``GridSearchCV`` that trains again before it trusts.

Called by users. Needs the extra ``sklearn``.
"""

from robust_select.core.errors import MissingExtraError

try:
    from robust_select.integrations.sklearn.search import RobustSearchCV
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise
    raise MissingExtraError("scikit-learn", "sklearn") from error

__all__ = ["RobustSearchCV"]
