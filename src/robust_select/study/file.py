"""Study files: a study as a TOML document, checked before anything runs.

Called by the command line. Knows how to find what a file names, nothing of what it does.
"""

import importlib
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from robust_select.core.candidates import Candidate, Integers, Uniform, as_candidates, grid, name_of, sample
from robust_select.core.errors import InputError, StudyFileError
from robust_select.select.pruning import PruneEpochs
from robust_select.select.rules import RULES, Rule, rule
from robust_select.stats.criteria import criterion
from robust_select.study.study import Study

_MOST_BITS = 1024


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _kind(given: Any) -> str | None:
    """Tell a list from a table, so that an error speaks only of the one that was meant."""
    if isinstance(given, Mapping | BaseModel):
        return "_table"
    return "_list" if isinstance(given, list) else None


class _Range(_Section):
    low: int | float
    high: int | float
    log: bool = False

    def distribution(self) -> Uniform | Integers:
        if isinstance(self.low, int) and isinstance(self.high, int):
            return Integers(self.low, self.high, self.log)
        return Uniform(float(self.low), float(self.high), self.log)


_Choices = Annotated[
    Annotated[list[Any], Tag("_list")] | Annotated[_Range, Tag("_table")],
    Discriminator(
        _kind,
        custom_error_type="neither",
        custom_error_message="expected a list of choices, or a range: { low = 1e-4, high = 1e-1, log = true }",
    ),
]


class _Sample(_Section):
    n: int = Field(ge=1)
    seed: int = Field(default=0, ge=0)
    space: dict[str, _Choices] = Field(min_length=1)


class _CandidatesSection(_Section):
    grid: dict[str, list[Any]] | None = Field(default=None, min_length=1)
    sample: _Sample | None = None
    function: str | None = None

    @model_validator(mode="after")
    def _has_one(self) -> "_CandidatesSection":
        if sum(part is not None for part in (self.grid, self.sample, self.function)) != 1:
            raise ValueError("expected exactly one of grid, sample, function (or a list, [[candidates]])")
        return self


_Candidates = Annotated[
    Annotated[list[dict[str, Any]], Tag("_list")] | Annotated[_CandidatesSection, Tag("_table")],
    Discriminator(
        _kind,
        custom_error_type="neither",
        custom_error_message="expected a table with grid, sample or function, or a list, [[candidates]]",
    ),
]


def _check_criterion(name: Any) -> Any:
    criterion(str(name))
    return name


def _check_rule(given: Any) -> Any:
    if not isinstance(given, Mapping) or "name" not in given:
        raise ValueError(f'expected a table with a name among {", ".join(RULES)}: [rule] name = "halving"')
    rule(**{str(key): value for key, value in given.items()})
    return dict(given)


def _check_pruning(given: Any) -> Any:
    if not isinstance(given, list | Mapping):
        raise ValueError("expected epochs, [10, 20], or a table: { epochs = [10, 20], keep = 0.5, audit = 0.1 }")
    PruneEpochs.of(given)
    return given


class _StudyFile(_Section):
    trainer: str
    candidates: _Candidates
    name: str | None = Field(default=None, pattern=r"\S")
    criterion: Annotated[str, BeforeValidator(_check_criterion)] = "q3+iqr"
    tolerance: float = Field(default=0.0, ge=0)
    direction: Literal["minimize", "maximize"] = "minimize"
    seed: int = Field(default=0, ge=0)
    ledger: str | None = None
    workers: int | None = Field(default=None, ge=1)
    time_limit: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    fresh: int = Field(default=0, ge=0)
    rule: Annotated[dict[str, Any] | None, BeforeValidator(_check_rule)] = None
    prune_epochs: Annotated[list[int] | dict[str, Any] | None, BeforeValidator(_check_pruning)] = None


def read_study(path: str | Path, rule_override: Rule | None = None) -> tuple[Study, int | None]:
    r"""Read a study file.

    What it names (``trainer = "module:function"``) is imported with the file's folder first on the path. The
    ledger is beside the file unless it says otherwise.

    Args:
        path: of the TOML file.
        rule_override: used instead of the file's rule.

    Returns:
        The study, and how many workers the file asks for (None if it does not say).

    Raises:
        StudyFileError: every problem with its path inside the file.

    Example:
        >>> import tempfile
        >>> text = 'trainer = "math:fsum"\ncandidates = [{ width = 16 }, { width = 32 }]\nworkers = 2\n'
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "widths.toml"
        ...     _ = path.write_text(text, encoding="utf-8")
        ...     study, workers = read_study(path)
        >>> [candidate.name for candidate in study.candidates], workers
        (['width=16', 'width=32'], 2)
    """
    path = Path(path)
    document = _parse(path)
    try:
        checked = _StudyFile.model_validate(document)
    except ValidationError as error:
        problems = [
            (_where(item["loc"]), _sentence(item, document))
            for item in error.errors(include_url=False, include_context=False)
        ]
        raise StudyFileError(str(path), problems) from error
    folder = str(path.resolve().parent)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    trainer = _import(str(path), "trainer", checked.trainer)
    try:
        candidates = _candidates(str(path), checked.candidates)
    except StudyFileError:
        raise
    except InputError as error:
        raise StudyFileError(str(path), [("candidates", str(error))]) from error
    made_rule = rule(**checked.rule) if checked.rule else None
    try:
        study = Study(
            candidates,
            trainer,
            criterion=criterion(checked.criterion, checked.tolerance),
            direction=checked.direction,
            rule=rule_override or made_rule,
            ledger=_ledger(path, checked.ledger),
            seed=checked.seed,
            name=checked.name or path.stem,
            fresh=checked.fresh,
            prune_epochs=PruneEpochs.of(checked.prune_epochs),
        )
    except InputError as error:
        raise StudyFileError(str(path), [("" if rule_override else "rule", str(error))]) from error
    study.time_limit = checked.time_limit
    study.origin["study_file"] = path.read_text(encoding="utf-8")
    return study, checked.workers


def _parse(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise StudyFileError(str(path), [("", "expected a TOML file, found none")])
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or lists in lists, hundreds deep
        raise StudyFileError(str(path), [("", f"expected TOML: {error}")]) from error
    _refuse_large(document, str(path))
    return document


def _refuse_large(document: Mapping[str, Any], source: str) -> None:
    """Refuse whole numbers that nothing can be done with, not even write them down."""
    waiting: list[tuple[str, Any]] = list(document.items())
    while waiting:
        where, item = waiting.pop()
        if isinstance(item, int) and item.bit_length() > _MOST_BITS:
            raise StudyFileError(source, [(where, f"expected numbers below 2**{_MOST_BITS}, came a larger one")])
        if isinstance(item, Mapping):
            waiting += [(f"{where}.{key}", value) for key, value in item.items()]
        elif isinstance(item, list):
            waiting += [(f"{where}[{position}]", value) for position, value in enumerate(item)]


def _where(location: tuple[int | str, ...]) -> str:
    """Write a path inside the file; names of the alternatives that pydantic tried are left out."""
    parts = [part for part in location if not (isinstance(part, str) and ("[" in part or part.startswith("_")))]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _sentence(item: Any, document: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        known = _StudyFile.model_fields if len(item["loc"]) == 1 else {}
        if item["loc"][:2] == ("candidates", "_table") and len(item["loc"]) == 3:
            known = _CandidatesSection.model_fields
        allowed = f"; allowed: {', '.join(known)}" if known else ""
        return f"unknown key{allowed}"
    if item["type"] == "string_pattern_mismatch":
        return f"expected text that is not blank, came {item['input']!r}"
    if item["type"] == "missing":
        return "this key is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    return message if item["type"] == "value_error" else f"{message}, came {item['input']!r}"


def _import(source: str, where: str, target: str) -> Any:
    """Import what ``module:name`` names."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise StudyFileError(source, [(where, f'expected "module:function", came {target!r}')])
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # the user's module may raise anything while it is imported
        raise StudyFileError(
            source, [(where, f"the module {module_name!r} cannot be imported: {type(error).__name__}: {error}")]
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise StudyFileError(source, [(where, f"the module {module_name!r} has no {attribute!r}")])
        found = getattr(found, part)
    if not callable(found):
        raise StudyFileError(source, [(where, f"expected a function, came {target} = {found!r}")])
    return found


def _candidates(source: str, given: list[dict[str, Any]] | _CandidatesSection) -> tuple[Candidate, ...]:
    if isinstance(given, list):
        return as_candidates([_listed(position, item) for position, item in enumerate(given)])
    if given.grid is not None:
        return grid(**given.grid)
    if given.sample is not None:
        space = {
            key: values.distribution() if isinstance(values, _Range) else values
            for key, values in given.sample.space.items()
        }
        return sample(given.sample.n, space, given.sample.seed)
    make: Callable[[], Any] = _import(source, "candidates.function", str(given.function))
    try:
        return as_candidates(make())
    except Exception as error:  # the function is the user's: it may raise anything
        where = "candidates.function"
        raise StudyFileError(source, [(where, f"{given.function} raised {type(error).__name__}: {error}")]) from error


def _listed(position: int, item: Mapping[str, Any]) -> Candidate:
    params = {key: value for key, value in item.items() if key not in {"name", "base"}}
    is_base = item.get("base", False)
    if not isinstance(is_base, bool):
        raise InputError(f"expected base = true or false, came base={is_base!r} in candidate {position}")
    return Candidate(str(item.get("name") or name_of(params)), params, is_base)


def _ledger(path: Path, given: str | None) -> str:
    """Place the ledger: a URL as it is, a path from the file's folder, beside the file by default."""
    if given is not None and "://" in given:
        return given
    return str(path.parent / (given or f"{path.stem}.db"))
