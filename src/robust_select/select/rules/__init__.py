"""The rules, one file each; ``rule`` makes one by name.

Called by studies and the command line. Knows nothing of how candidates are trained.
"""

from collections.abc import Callable
from typing import Any

from robust_select.core.errors import InputError
from robust_select.select.rules.base import Decision, Evidence, Rule, Trainings
from robust_select.select.rules.exhaustive import Exhaustive
from robust_select.select.rules.halving import Halving
from robust_select.select.rules.significance import Significance
from robust_select.select.rules.top_two import TopTwo

__all__ = [
    "DEFAULT_RULE",
    "RULES",
    "Decision",
    "Evidence",
    "Exhaustive",
    "Halving",
    "Rule",
    "Significance",
    "TopTwo",
    "Trainings",
    "rule",
]

RULES: dict[str, Callable[..., Rule]] = {
    "exhaustive": Exhaustive,
    "halving": Halving,
    "significance": Significance,
    "top-two": TopTwo,
}
"""The rules by the name that the command line and study files use."""

DEFAULT_RULE = "top-two"
"""The rule of studies and of the command line where none is asked for (docs/adr/0007-top-two.md)."""


def rule(name: str, **settings: Any) -> Rule:
    """Make a rule by name.

    Raises:
        InputError: no rule of that name, a setting it does not have, or a value out of range.

    Example:
        >>> rule("halving", warmup=3)
        Halving(warmup=3, final_instances=0)
    """
    if not isinstance(name, str) or name not in RULES:
        raise InputError(f"expected a rule among {', '.join(RULES)}, came {name!r}")
    try:
        return RULES[name](**settings)
    except TypeError as error:
        known = ", ".join(RULES[name].__dataclass_fields__)  # type: ignore[attr-defined]
        raise InputError(f"expected settings of rule {name!r} among {known}, came {', '.join(settings)}") from error
