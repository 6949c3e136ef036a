"""For MLflow: a study as a run and its candidates as nested ones, while the study runs or afterwards.

Called by users. Needs the extra ``mlflow``.
"""

from robust_select.core.errors import MissingExtraError

try:
    from robust_select.integrations.mlflow.writing import LiveLog, log_study
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "mlflow":
        raise
    raise MissingExtraError("mlflow", "mlflow") from error

__all__ = ["LiveLog", "log_study"]
