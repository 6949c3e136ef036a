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

COLUMN_OPTIONS: Mapping[str, tuple[str, str]] = {
    "candidate_column": ("NAME", "Names of the candidates."),
    "replicate_column": (
        "NAME",
        "Whole numbers (a seed, say) that pair trainings; without it they are numbered as they come.",
    ),
    "score_column": ("NAME", "Scores."),
    "seconds_column": ("NAME", "Training times."),
    "state_column": ("NAME", "How each training ended."),
    "parameter_columns": (
        "lr,width",
        "Parameters; a * at the end stands for all that begin so: 'params_*'. Without --candidate-column, rows with "
        "equal ones are replicates of one candidate.",
    ),
}
"""Options that say which columns of a table are what: what stands for their value, and their help."""

TYPED = "robust_select.typed"
"""Where a context keeps the words that were typed after the program's name."""

RULE_OPTIONS: Mapping[str, tuple[type, str]] = {
    "warmup": (int, "Instances of everybody before anybody is discarded."),
    "instances": (int, "exhaustive: instances of everybody."),
    "final_instances": (int, "halving: further instances of the survivor."),
    "test": (
        str,
        "significance: welch, ks, mann-whitney, paired-t, wilcoxon, bartlett, levene, fligner or pitman-morgan.",
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
    added = {"rule": (str, "exhaustive, halving, significance or top-two."), **RULE_OPTIONS}
    options = {
        name: Annotated[made | None, typer.Option(_flag(name), help=text, rich_help_panel="The rule")]
        for name, (made, text) in added.items()
    }

    def choice(given: dict[str, Any]) -> Choice:
        rule = given.pop("rule", None)
        return Choice(rule, given)

    return _taking(command, options, "choice", choice)


def takes_columns(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options in ``COLUMN_OPTIONS``; its argument ``columns`` is what was given, by flag."""
    panel = "Columns of a table that another tool has written, one row a training"
    options = {
        name: Annotated[str | None, typer.Option(_flag(name), metavar=metavar, help=text, rich_help_panel=panel)]
        for name, (metavar, text) in COLUMN_OPTIONS.items()
    }
    return _taking(command, options, "columns", lambda given: {_flag(name): text for name, text in given.items()})


def _taking(
    command: Callable[..., None], options: Mapping[str, Any], argument: str, make: Callable[[dict[str, Any]], Any]
) -> Callable[..., None]:
    """Give a command options, by name; it gets what ``make`` makes of those that were given as one argument."""

    @functools.wraps(command)
    def taking(**given: Any) -> None:
        found = {name: given.pop(name) for name in options}
        command(**{argument: make({name: value for name, value in found.items() if value is not None})}, **given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        parameter.replace(kind=keyword)
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != argument
    ] + [inspect.Parameter(name, keyword, default=None, annotation=made) for name, made in options.items()]
    taking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    taking.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del taking.__wrapped__  # else its signature is read instead of this one
    return taking


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


def columns_of(given: Mapping[str, str]) -> "Columns | None":
    """Make the columns that the user named; None if there are none.

    Args:
        given: a column's name by the flag of its option, as ``takes_columns`` gives it.

    Example:
        >>> columns_of({"--score-column": "loss", "--parameter-columns": "lr, opt.*"}).params
        ('lr', 'opt.*')
    """
    from robust_select.core.columns import Columns

    found: dict[str, Any] = {flag[2:].removesuffix("-column"): name for flag, name in given.items()}
    if not found:
        return None
    if parameters := found.pop("parameter-columns", ""):
        found["params"] = tuple(part for name in parameters.split(",") if (part := name.strip()))
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
