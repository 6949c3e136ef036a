"""Options that several commands share, and how they become a rule.

Called by the commands. Knows the names of settings, nothing of what they do.
"""

import dataclasses
import functools
import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robust_select.core.errors import InputError

if TYPE_CHECKING:
    from robust_select.core.columns import Columns
    from robust_select.select.rules import Rule

Json = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write the answer as JSON; - prints it.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="PAGE", help="Write a page to look at.")]
Figures = Annotated[Path | None, typer.Option("--figures", metavar="DIR", help="Save the figures there.")]
Format = Annotated[str, typer.Option("--format", help="Of the figures: pdf, svg or png.")]
StudyName = Annotated[str | None, typer.Option("--study", metavar="NAME", help="If the ledger holds several.")]
Workers = Annotated[int | None, typer.Option("--workers", metavar="N", help="Train in N processes.")]
LedgerOption = Annotated[
    str | None, typer.Option("--ledger", metavar="LEDGER", help="Path of a SQLite file, or a database URL.")
]
LedgerArgument = Annotated[str, typer.Argument(metavar="LEDGER", help="Path of a SQLite file, or a database URL.")]
Maximize = Annotated[bool, typer.Option("--maximize", help="Scores are metrics: the higher, the better.")]
Fresh = Annotated[
    int | None,
    typer.Option("--fresh", metavar="N", min=0, help="N further instances of the selected, unseen by the choice."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")]
ScorePrefix = Annotated[
    str | None,
    typer.Option("--score-prefix", metavar="TEXT", help="Wide table: score columns are TEXT and a number."),
]
SecondsPrefix = Annotated[
    str | None, typer.Option("--seconds-prefix", metavar="TEXT", help="The same for training times.")
]

_PANEL = "Columns of a table that another tool has written, one row a training"
CandidateColumn = Annotated[
    str | None,
    typer.Option("--candidate-column", metavar="NAME", rich_help_panel=_PANEL, help="Names of the candidates."),
]
ReplicateColumn = Annotated[
    str | None,
    typer.Option(
        "--replicate-column",
        metavar="NAME",
        rich_help_panel=_PANEL,
        help="Whole numbers (a seed, say) that pair trainings; without it they are numbered as they come.",
    ),
]
ScoreColumn = Annotated[
    str | None, typer.Option("--score-column", metavar="NAME", rich_help_panel=_PANEL, help="Scores.")
]
SecondsColumn = Annotated[
    str | None, typer.Option("--seconds-column", metavar="NAME", rich_help_panel=_PANEL, help="Training times.")
]
StateColumn = Annotated[
    str | None,
    typer.Option("--state-column", metavar="NAME", rich_help_panel=_PANEL, help="How each training ended."),
]
ParameterColumns = Annotated[
    str | None,
    typer.Option(
        "--parameter-columns",
        metavar="lr,width",
        rich_help_panel=_PANEL,
        help="Parameters; a * at the end stands for all that begin so: 'params_*'. Without --candidate-column, "
        "rows with equal ones are replicates of one candidate.",
    ),
]

TYPED = "robust_select.typed"
"""Where a context keeps the words that were typed after the program's name."""

RULE_OPTIONS: Mapping[str, tuple[type, str]] = {
    "warmup": (int, "Instances of everybody before anybody is discarded."),
    "instances": (int, "exhaustive: instances of everybody."),
    "final_instances": (int, "halving: further instances of the survivor."),
    "test": (
        str,
        "significance: welch, ks, mann-whitney, paired-t, wilcoxon, bartlett, levene or fligner.",
    ),
    "alpha": (float, "significance: level of the test."),
    "patience": (int, "significance: stop after so many steps without a discard."),
    "control": (str, "significance: alpha holds per-look or familywise."),
    "confidence": (float, "top-two: stop when so sure."),
    "tolerance": (float, "Differences of the criterion that do not matter, in units of the score."),
    "max_instances": (int, "significance, top-two: at most so many instances of one candidate."),
    "budget": (int, "top-two: at most so many trainings together."),
    "batch": (int, "top-two: trainings at the same time after the warm-up."),
}
"""Options that are settings of rules: their type and help. A rule's own default holds where none is given."""

_SET_BY_PROGRAMS = frozenset({"taken_over"})  # what a selection goes on with, which nobody types

_SETTING_OF = {"instances": "n"}  # where the option is named otherwise than the setting


@dataclass(frozen=True)
class Choice:
    """The rule and the settings that a user gave, as text and numbers.

    Attributes:
        rule: name of the rule; None if not given.
        options: the options that were given, by the names in ``RULE_OPTIONS``.
    """

    rule: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_given(self) -> bool:
        """Whether the user said anything."""
        return self.rule is not None or bool(self.options)


def takes_rule(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--rule`` and every option of a rule; it gets them as its argument ``choice``."""

    @functools.wraps(command)
    def with_rule(**given: Any) -> None:
        rule = given.pop("rule")
        options = {name: given.pop(name) for name in RULE_OPTIONS}
        found = {name: value for name, value in options.items() if value is not None}
        command(choice=Choice(rule, found), **given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    added = {"rule": (str, "exhaustive, halving, significance or top-two."), **RULE_OPTIONS}
    parameters = [
        parameter.replace(kind=keyword)
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "choice"
    ] + [
        inspect.Parameter(
            name,
            keyword,
            default=None,
            annotation=Annotated[made | None, typer.Option(_flag(name), help=text, rich_help_panel="The rule")],
        )
        for name, (made, text) in added.items()
    ]
    with_rule.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_rule.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del with_rule.__wrapped__  # else its signature is read instead of this one
    return with_rule


def make_rule(choice: Choice, base: Mapping[str, Any] | None = None, is_tolerance_used: bool = False) -> "Rule":
    """Make the rule that the user asked for.

    Args:
        choice: what was given.
        base: name and settings of the rule to start from, used where the user gave no other rule's name.
        is_tolerance_used: whether the criterion takes the tolerance, so that the rule need not.

    Raises:
        InputError: an unknown rule, an option that the rule does not have, or a value out of range.

    Example:
        >>> make_rule(Choice("halving", {"warmup": 3}))
        Halving(warmup=3, final_instances=0)
        >>> make_rule(Choice(None, {"warmup": 4}), {"name": "significance", "alpha": 0.01}).alpha
        0.01
    """
    from robust_select.select.rules import DEFAULT_RULE, RULES, rule

    settings = dict(base or {"name": DEFAULT_RULE})
    name = settings.pop("name")
    if choice.rule is not None and choice.rule != name:
        name, settings = choice.rule, {}
    if name not in RULES:
        return rule(name)  # raises, and lists those that there are
    for option, value in choice.options.items():
        setting = _SETTING_OF.get(option, option)
        if setting in settings_of(name):
            settings[setting] = value
        elif not (option == "tolerance" and is_tolerance_used):
            raise InputError(_misplaced(name, option))
    return rule(name, **settings)


def columns_of(**given: str | None) -> "Columns | None":
    """Make the columns that the user named; None if there are none.

    Args:
        given: a column's name for each field of ``Columns``, ``params`` with commas; None if not given.

    Example:
        >>> columns_of(score="loss", params="lr, opt.*", state=None).params
        ('lr', 'opt.*')
    """
    from robust_select.core.columns import Columns

    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not found:
        return None
    if "params" in found:
        found["params"] = tuple(part for name in found["params"].split(",") if (part := name.strip()))
    return Columns(**found)


def settings_of(name: str) -> frozenset[str]:
    """List the settings of a rule that a user gives."""
    from robust_select.select.rules import RULES

    made: Any = RULES[name]
    return frozenset(item.name for item in dataclasses.fields(made)) - _SET_BY_PROGRAMS


def _misplaced(name: str, option: str) -> str:
    from robust_select.select.rules import RULES

    own = [_flag(key) for key in RULE_OPTIONS if _SETTING_OF.get(key, key) in settings_of(name)]
    homes = [other for other in RULES if _SETTING_OF.get(option, option) in settings_of(other)]
    text = f"expected options that rule {name!r} has ({', '.join(own)}), came {_flag(option)}"
    if homes:
        text += f": it belongs to rule {' and '.join(map(repr, homes))}, so add --rule {homes[0]} or leave it out"
    return text


def typed(context: typer.Context) -> str:
    """Give the command as it was typed, quoted for a shell."""
    return shlex.join(["robust-select", *context.meta[TYPED]])


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"
