"""Every public name is in the reference, and has a docstring with an example (which the doctests run)."""

import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import pytest

import robust_select

DOCS = Path(__file__).resolve().parents[3] / "docs"
DOCUMENTED = sorted(
    name for page in DOCS.rglob("*.md") for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
)
ROOMS = (
    "robust_select.train.nn",
    "robust_select.integrations.optuna",
    "robust_select.integrations.sklearn",
    "robust_select.report.figures",
    "robust_select.problems.digits",
    "robust_select.problems.ecal",
    "robust_select.problems.images",
)
NO_THINGS_OF_OURS = {"Format", "Space"}  # names of types that Python's typing makes


def find(name: str):
    """Import what stands behind a dotted name."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def has_example(thing) -> bool:
    docstrings = [inspect.getdoc(thing) or ""]
    if inspect.isclass(thing):
        docstrings += [inspect.getdoc(made) or "" for name, made in vars(thing).items() if is_method(name, made)]
    return any("Example:" in text and ">>> " in text for text in docstrings)


def is_method(name: str, made) -> bool:
    is_own = not name.startswith("_") or name == "__call__"
    return is_own and (inspect.isfunction(made) or isinstance(made, (classmethod, property)))


def test_nothing_is_documented_twice():
    assert len(DOCUMENTED) == len(set(DOCUMENTED))
    assert len(DOCUMENTED) > 100


def test_what_the_root_offers_is_in_the_reference():
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")
    documented = re.findall(r"^::: robust_select\.(\w+)$", reference, re.MULTILINE)
    assert set(documented) == set(robust_select.__all__) - {"__version__"}


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_offers_is_documented(room: str):
    documented = [find(name) for name in DOCUMENTED if name.startswith(f"{room}.") or name.count(".") == 1]
    offered = {name: find(f"{room}.{name}") for name in importlib.import_module(room).__all__}
    ours = {
        name: thing
        for name, thing in offered.items()
        if name not in NO_THINGS_OF_OURS and (inspect.isfunction(thing) or inspect.isclass(thing))
    }
    assert ours
    assert [name for name, thing in ours.items() if not any(thing is known for known in documented)] == []


@pytest.mark.parametrize("name", DOCUMENTED)
def test_what_is_public_has_an_example(name: str):
    thing = find(name)
    assert inspect.getdoc(thing), "no docstring"
    if inspect.isclass(thing) and not dataclasses.is_dataclass(thing):
        assert thing.__doc__ is not None, "the docstring is inherited"
    assert has_example(thing)
