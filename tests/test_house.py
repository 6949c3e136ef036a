"""The house itself: floors, sizes, circles, public names, weight of the import, documentation of what is public."""

import ast
import dataclasses
import enum
import graphlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

import robust_select

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "robust_select"
FILES = sorted(SOURCE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

PUBLIC_NAMES = {
    "Candidate",
    "Exhaustive",
    "Halving",
    "InputError",
    "Instance",
    "Integers",
    "LedgerError",
    "MissingExtraError",
    "Outcome",
    "Plan",
    "PruneEpochs",
    "Result",
    "RobustSelectError",
    "Rule",
    "Seeds",
    "Selection",
    "SettingsDifferError",
    "Significance",
    "State",
    "Step",
    "Study",
    "StudyFileError",
    "Table",
    "TableError",
    "TopTwo",
    "TorchTrainer",
    "TrainerError",
    "ExecutorBrokenError",
    "Uniform",
    "WorkerLostError",
    "__version__",
    "comparison",
    "criterion",
    "grid",
    "plan",
    "read_table",
    "replay",
    "sample",
    "seeds_for",
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_room_imports_only_the_floors_below_it():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_imports_itself_in_a_circle():
    graph = grimp.build_graph("robust_select", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) == len(FILES)
    graphlib.TopologicalSorter(imports).prepare()  # a circle raises CycleError, which names it


def test_nothing_but_the_command_line_reaches_down_through_the_root():
    graph = grimp.build_graph("robust_select", cache_dir=None)
    importers = graph.find_modules_that_directly_import("robust_select")
    assert {module for module in importers if not module.startswith("robust_select.cli")} == set()


def test_no_file_is_longer_than_500_lines():
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert lengths
    assert {path: length for path, length in lengths.items() if length > 500} == {}


def test_no_module_knows_everyone():
    vague = {"util", "utils", "common", "helpers", "misc"}
    assert [relative(path) for path in FILES if {path.stem, *path.relative_to(SOURCE).parts} & vague] == []


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_each_module_opens_by_saying_what_is_here(path: Path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring is not None
    assert len([line for line in docstring.splitlines() if line.strip()]) >= 2


def test_the_library_does_not_print():
    printing = [
        f"{relative(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_public_names_are_frozen():
    assert set(robust_select.__all__) == PUBLIC_NAMES
    assert len(robust_select.__all__) == len(PUBLIC_NAMES)
    assert all(hasattr(robust_select, name) for name in PUBLIC_NAMES)


@pytest.mark.parametrize("name", sorted(PUBLIC_NAMES - {"__version__"}))
def test_what_is_public_explains_itself(name: str):
    thing = getattr(robust_select, name)
    docstring = inspect.getdoc(thing)
    assert docstring
    if inspect.isclass(thing):
        assert docstring != inspect.getdoc(thing.__mro__[1]), "the docstring is inherited"
        if issubclass(thing, (BaseException, enum.Enum)) or is_record(thing):
            return
    assert "Example:" in docstring
    assert ">>> " in docstring


def is_record(thing: type) -> bool:
    return dataclasses.is_dataclass(thing) and thing.__dataclass_params__.frozen


def test_every_public_dataclass_is_frozen():
    classes = [getattr(robust_select, name) for name in PUBLIC_NAMES]
    assert [made.__name__ for made in classes if dataclasses.is_dataclass(made) and not is_record(made)] == []


@pytest.mark.parametrize("statement", ["import robust_select", "from robust_select import *"])
def test_import_loads_nothing_heavy(statement: str):
    """With a star every public name is loaded, so that what they need comes to light, too."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "robust_select" in loaded
    heavy = {"torch", "matplotlib", "sklearn", "plotly", "dask", "distributed", "optuna", "xgboost", "psycopg"}
    assert loaded & heavy == set()


def test_one_version_everywhere():
    version = robust_select.__version__
    assert importlib.metadata.version("robust-select") == version
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^version: {re.escape(version)}$", citation, re.MULTILINE)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[?(\d+\.\d+\.\d+)", changes, re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def test_every_extra_is_documented():
    extras = set(PROJECT["project"]["optional-dependencies"])
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z0-9]+)` \|", page, re.MULTILINE)) == extras


def test_every_missing_extra_names_one_that_exists():
    named = {
        (relative(path), node.args[1].value)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "MissingExtraError"
        and isinstance(node.args[1], ast.Constant)
    }
    extras = set(PROJECT["project"]["optional-dependencies"])
    assert {extra for _, extra in named} <= extras
    assert {extra for _, extra in named} >= {"parquet", "figures", "sklearn"}


def test_every_pinned_version_is_exact_and_covers_what_is_declared():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^=*\s]+", pin) for pin in pins)
    pinned = {canonical(pin.partition("==")[0]) for pin in pins}
    project = PROJECT["project"]
    groups = PROJECT["dependency-groups"]
    extras = project["optional-dependencies"]
    declared = [
        *project["dependencies"],
        *(item for extra in ("parquet", "figures", "sklearn", "torch") for item in extras[extra]),
        *(item for group in groups.values() for item in group if isinstance(item, str)),
    ]
    names = {canonical(re.match(r"[A-Za-z0-9._-]+", item)[0]) for item in declared}
    assert names - pinned == set()


def test_the_oldest_versions_are_those_that_are_allowed():
    """Each lower bound of the core and of the extras in constraints-oldest.txt stands there as it is declared."""
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {canonical(name): version for name, version in pins.items()}
    extras = PROJECT["project"]["optional-dependencies"]
    names = ("parquet", "figures", "sklearn", "dask", "optuna", "hdf5", "root", "postgres")
    declared = [*PROJECT["project"]["dependencies"], *(item for extra in names for item in extras[extra])]
    for item in declared:
        name, version = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[\w+\])?>=([0-9.]+)", item).groups()
        assert re.fullmatch(rf"{re.escape(version)}(\.0)*", pinned[canonical(name)]), item


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
