"""Answers for programs: what ``--json`` writes, and where to.

Called by the commands. Knows nothing of terminals.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robust_select.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from robust_select.select.result import Result
    from robust_select.select.rules import Rule


def plain(value: Any) -> Any:
    """Give a value that JSON knows: numpy's numbers as Python's, None for nan and infinite ones.

    Example:
        >>> plain({"a": float("nan"), "b": (1.5, True)})
        {'a': None, 'b': [1.5, True]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Give a data frame as one dictionary a row; empty cells are None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    return [plain(row) for row in rows]


def selection_answer(result: "Result", rule: "Rule", order: Sequence[int] | None) -> dict[str, Any]:
    """Answer ``replay --json``: what the rule did, step by step; candidates by name.

    ``confidence`` and ``equivalent`` are there where the rule gives them. Numbers that are not known or infinite
    are null.

    Args:
        result: of the selection.
        rule: with its settings.
        order: in which replicates were revealed; None for a live study.
    """
    settings = rule.settings()
    answer: dict[str, Any] = {
        "rule": result.rule,
        "test": settings.get("test"),
        "criterion": result.criterion.name,
        "direction": result.direction,
        "warmup": rule.warmup,
        "alpha": settings.get("alpha"),
        "order": order,
        "steps": [
            {
                "step": step.step,
                "instances_used": step.instances_used,
                "best": step.best,
                "best_value": step.best_value,
                "kept": step.kept,
                "removed": step.removed,
                "trainings": step.trainings,
                "seconds": step.seconds,
            }
            for step in result.steps
        ],
        "selected": result.selected,
        "remaining": result.remaining,
        "trainings": result.trainings,
        "seconds": result.seconds,
    }
    if result.confidence is not None:
        answer |= {"confidence": result.confidence, "equivalent": result.equivalent}
    return answer


def study_answer(result: "Result", rule: "Rule", study: str, ledger: str) -> dict[str, Any]:
    """Answer ``run --json`` and ``report --json``: as ``replay`` does, with the study and its summary."""
    return {
        "study": study,
        "ledger": ledger,
        "stop_reason": result.stop_reason,
        **selection_answer(result, rule, order=None),
        "settings": rule.settings(),
        "summary": records(result.summary()),
        **({} if result.pruned is None else {"pruning": _pruning_answer(result)}),
    }


def _pruning_answer(result: "Result") -> dict[str, Any]:
    """Answer who was stopped by its epochs, and whether it was safe; null where that cannot be said."""
    from robust_select.analysis.pruning import pruning

    found = pruning(result)
    stopped = {} if result.table.stopped is None else zip(result.table.candidates, result.table.stopped, strict=True)
    return {
        "verdict": found.verdict,
        "is_safe": found.is_safe,
        "epochs": records(found.to_frame()),
        "stopped": {name: int(epochs.max()) for name, epochs in dict(stopped).items() if epochs.any()},
        "better": found.n_better,
        "low": found.low,
        "high": found.high,
        "epochs_saved": found.epochs_saved,
        "seconds_saved": found.seconds_saved,
    }


def write_json(answer: Mapping[str, Any], target: str) -> None:
    """Write an answer to a file; ``-`` is standard output."""
    text = json.dumps(plain(answer), indent=1, allow_nan=False)
    if target == "-":
        typer.echo(text)
    else:
        Path(target).write_text(text + "\n", encoding="utf-8")


def check_targets(*targets: "str | Path | None") -> None:
    """Check before the work that its results can be written.

    Raises:
        InputError: a file's folder does not exist, or it is a folder itself.
    """
    for target in targets:
        if target is None or str(target) == "-":
            continue
        path = Path(target)
        if not path.parent.is_dir():
            raise InputError(f"expected a folder to write {path.name} to, found none at {path.parent}")
        if path.is_dir():
            raise InputError(f"expected the name of a file to write, came the folder {path}")
