"""Writes a result to an Optuna storage, one trial a candidate, so that Optuna's dashboard and plots show it.

Called by users. Knows nothing of where the result comes from.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from robust_select.core.candidates import params_json
from robust_select.core.errors import InputError
from robust_select.select.result import Result
from robust_select.study.reading import Reading

_LOG_FROM = 100.0  # a range that spans so large a factor is shown on a logarithmic axis


def export_study(
    result: Result | Reading,
    storage: str | BaseStorage,
    name: str,
    distributions: Mapping[str, BaseDistribution] | None = None,
) -> optuna.Study:
    """Write a result as a study of Optuna.

    A trial is a candidate: its value is the criterion in units of the score, its intermediate values are the scores
    by replicate, its user attributes the instances, how many diverged or failed, the step that discarded it and all
    parameters as text. A candidate whose criterion is not finite (not trained, too few scores, or diverged) is a
    failed trial. Optuna's best trial need not be the selected one: it may have been discarded, or trained too rarely;
    the study's user attributes name the selected one. A criterion that is a spread is minimised, whatever the scores.

    Args:
        result: of a study, a replay, or as ``read_result`` reads it from a ledger.
        storage: of Optuna, a URL or an object.
        name: of the new study.
        distributions: of the parameters, if they are known; by default the range of the candidates' values.

    Raises:
        InputError: there is a study of that name, or a parameter lies outside its distribution.

    Example:
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Exhaustive
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 3.0], [2.0, 4.0]]), params=({"lr": 0.1}, {"lr": 0.2}))
        >>> result = replay(table, Exhaustive(2), criterion("mean"))
        >>> study = export_study(result, optuna.storages.InMemoryStorage(), "shown")
        >>> study.best_value, study.best_params, study.best_trial.intermediate_values
        (2.0, {'lr': 0.1}, {0: 1.0, 1: 3.0})
    """
    result = result.result if isinstance(result, Reading) else result
    shown = _shown(result, distributions or {})
    try:
        trials = [_trial(result, row, shown) for row in range(result.table.n_candidates)]
    except ValueError as error:
        raise InputError(f"expected parameters within their distributions, but {error}") from error
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        is_metric = result.direction == "maximize" and result.criterion.kind == "location"
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize" if is_metric else "minimize"
        )
    except DuplicatedStudyError as error:
        raise InputError(f"expected a name that no study in the storage has, came {name!r}: take another") from error
    finally:
        optuna.logging.set_verbosity(verbosity)
    study.add_trials(trials)
    for key, value in {
        "selected": result.selected,
        "equivalent": list(result.equivalent),
        "confidence": result.confidence,
        "criterion": result.criterion.name,
        "direction of the scores": result.direction,
        "rule": result.rule,
        "stop reason": result.stop_reason,
        "trainings": result.trainings,
    }.items():
        study.set_user_attr(key, value)
    return study


def _trial(result: Result, row: int, shown: Mapping[str, BaseDistribution]) -> FrozenTrial:
    table = result.table
    losses = table.losses(result.direction)[row]
    is_trained = ~np.isnan(losses)
    value = math.inf
    if is_trained.any():
        value = float(result.criterion.in_score_units(result.criterion(losses), result.direction))
    params = {key: value for key, value in table.params[row].items() if key in shown}
    discarded_at = result.discarded_at[row]
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if math.isfinite(value) else TrialState.FAIL,
        value=value if math.isfinite(value) else None,
        params=params,
        distributions={key: shown[key] for key in params},
        intermediate_values={int(at): float(table.scores[row, at]) for at in np.flatnonzero(np.isfinite(losses))},
        user_attrs={
            "candidate": table.candidates[row],
            "is selected": table.candidates[row] == result.selected,
            "instances": int(is_trained.sum()),
            "diverged or failed": int(np.isposinf(losses).sum()),
            "discarded at step": discarded_at,
            "params": json.loads(params_json(table.params[row])),
        },
    )


def _shown(result: Result, given: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
    """Find a distribution for each parameter that Optuna can show: texts and numbers."""
    keys = dict.fromkeys(key for params in result.table.params for key in params)
    found: dict[str, BaseDistribution] = {}
    for key in keys:
        values = [params[key] for params in result.table.params if key in params]
        made = given.get(key) or _range_of(values)
        if made is not None:
            found[key] = made
    return found


def _range_of(values: Sequence[Any]) -> BaseDistribution | None:
    """Give the distribution that spans some values; None where Optuna has no such values."""
    if all(_is_whole(value) for value in values):
        low, high = min(values), max(values)
        return IntDistribution(int(low), int(high), log=bool(low > 0 and high >= _LOG_FROM * low))
    if all(_is_whole(value) or (isinstance(value, float) and math.isfinite(value)) for value in values):
        low, high = float(min(values)), float(max(values))
        return FloatDistribution(low, high, log=bool(low > 0 and high >= _LOG_FROM * low))
    if all(value is None or isinstance(value, (bool, int, float, str)) for value in values):
        different = {(type(value), value): value for value in values}
        return CategoricalDistribution(tuple(different.values()))
    return None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
