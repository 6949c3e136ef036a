"""What the README and the documentation show works as printed: their Python runs, their commands exist and run."""

import importlib.metadata
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import typer

import robust_select
from robust_select.cli.app import app
from robust_select.study.file import read_study

from ..pages import (
    README,
    ROOT,
    blocks_of,
    commands_in,
    first_missing,
    is_program,
    output_of,
    program_of,
    python_of,
    robust_select_lines,
    run,
)

DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("tutorials/*.md")), *sorted(DOCS.glob("howto/*.md"))]
PROGRAMS = [*sorted(DOCS.glob("tutorials/*.md")), *sorted(DOCS.glob("howto/*.md"))]
WITH_PYTHON = [page for page in PAGES if is_program(page) and page not in (README, *PROGRAMS)]
COMMAND_LINES = [line for page in PAGES for line in robust_select_lines(page)]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return [block.text for block in blocks_of(page) if block.language == language]


def write_script(text: str, folder: Path) -> Path:
    script = folder / "printed.py"
    script.write_text(text, encoding="utf-8")
    return script


def test_the_tour_shows_python():
    assert "tour.md" in {page.name for page in WITH_PYTHON}


def test_the_tutorials_are_there():
    tutorials = {page.stem for page in PROGRAMS if page.parent.name == "tutorials"}
    assert tutorials == {"python-function", "scikit-learn", "pytorch", "table", "cluster"}


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_runs_as_printed(page: Path, tmp_path: Path):
    run(sys.executable, "-W", "error", write_script(python_of(page), tmp_path), folder=tmp_path)


@pytest.mark.parametrize("page", PROGRAMS, ids=name_of)
def test_a_tutorial_works_from_its_first_line_to_its_last(page: Path, tmp_path: Path):
    printed = run(sys.executable, "-W", "error", write_script(program_of(page), tmp_path), folder=tmp_path)
    assert first_missing(output_of(page), printed) is None, printed


def test_readme_example_runs_as_printed_and_goes_on_where_it_was(tmp_path: Path):
    script = write_script(python_of(README), tmp_path)
    first = run(sys.executable, "-W", "error", script, folder=tmp_path)
    assert "trainings: the selected candidate is within the tolerance of the best with confidence 0.95" in first
    assert "as good within the tolerance:" in first
    assert (tmp_path / "study.db").is_file()
    assert run(sys.executable, "-W", "error", script, folder=tmp_path) == first


def test_readme_commands_run_in_their_order(tmp_path: Path):
    """All but ``make demo`` and what makes its environment, which release/check.py runs."""
    for name in ("examples", "benchmarks/data"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.db*"))
    block = blocks(README, "console")[-1]
    lines = [line for line in commands_in(block) if line.startswith("robust-select ")]
    assert len(lines) >= 10
    for line in lines:
        run(*shlex.split(line), folder=tmp_path)
    assert (tmp_path / "page.html").is_file()
    assert (tmp_path / "card.md").is_file()


@pytest.mark.parametrize("number", range(4))
def test_study_files_can_be_read(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    printed = blocks(DOCS / "study-files.md", "toml")
    assert len(printed) == 4
    text = printed[number] if "trainer" in printed[number] else 'trainer = "my_models:train"\n' + printed[number]
    module = "def train(params, instance):\n    return 1.0\n\n\ndef candidates():\n    return [{'width': 16}]\n"
    (tmp_path / "my_models.py").write_text(module, encoding="utf-8")
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    study, workers = read_study(tmp_path / "study.toml")
    monkeypatch.delitem(sys.modules, "my_models", raising=False)
    assert len(study.candidates) == (2, 6, 20, 1)[number]
    assert workers == (2, None, None, None)[number]


def test_tables_can_be_read(tmp_path: Path):
    long, wide = blocks(DOCS / "tables.md", "csv")
    (tmp_path / "long.csv").write_text(long, encoding="utf-8")
    (tmp_path / "wide.csv").write_text(wide, encoding="utf-8")
    assert robust_select.read_table(tmp_path / "long.csv").scores.tolist()[0] == [0.12, 0.14]
    table = robust_select.read_table(tmp_path / "wide.csv", "ValAccuracy_", "TrainingTime_")
    assert table.scores[0].tolist() == [0.91, 0.92]
    assert table.seconds is not None
    assert table.seconds[1, 0] == 420


@pytest.mark.parametrize("line", COMMAND_LINES, ids=" ".join)
def test_commands_and_their_options_exist(line: list[str]):
    commands = typer.main.get_command(app).commands
    assert line[0] in commands or line[0] == "--help"
    if line[0] in commands:
        known = {option for parameter in commands[line[0]].params for option in parameter.opts} | {"--help"}
        assert {word for word in line if word.startswith("--")} <= known


def test_the_program_is_installed():
    text = run("robust-select", "--help", folder=ROOT)
    assert {line[0] for line in COMMAND_LINES} - {"--help"} <= set(text.split())


def test_readme_shows_commands():
    shown = {line[0] for line in robust_select_lines(README)}
    assert shown >= {"demo", "plan", "run", "replay"}


def test_every_command_is_documented():
    shown = {line[0] for line in robust_select_lines(DOCS / "cli.md")}
    assert shown == set(typer.main.get_command(app).commands)


@pytest.mark.parametrize("name", sorted(typer.main.get_command(app).commands))
def test_every_option_is_documented(name: str):
    words = set(re.findall(r"(?<![\w-])--[a-z-]+", (DOCS / "cli.md").read_text(encoding="utf-8")))
    options = {option for parameter in typer.main.get_command(app).commands[name].params for option in parameter.opts}
    assert {option for option in options if option.startswith("--")} - words == set()


@pytest.mark.parametrize("page", sorted({*PAGES, *ROOT.glob("*.md"), *DOCS.glob("adr/*.md")}), ids=name_of)
def test_what_a_page_names_is_there(page: Path):
    """Scripts, modules that are run, targets of make, and paths in the repository or in the package."""
    text = page.read_text(encoding="utf-8")
    rooms = r"src|tests|benchmarks|validation|examples|docs|release|problems|stats|select|study|report|ledger|train"
    paths = {*re.findall(r"python ([\w/.-]+\.py)", text), *re.findall(rf"`((?:{rooms})/[\w/.-]+)`", text)}
    modules = re.findall(r"python -m ((?:benchmarks|tests|robust_select)\.[\w.]+)", text)
    paths |= {module.rstrip(".").replace(".", "/") for module in modules}
    places = (ROOT, ROOT / "src", ROOT / "src" / "robust_select", page.parent)
    missing = [
        path for path in paths if not any((at / path).exists() or (at / f"{path}.py").exists() for at in places)
    ]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"(?:`|^\$ )make ([a-z-]+)", text, re.MULTILINE)
    assert (missing, set(named) - set(targets)) == ([], set())


def test_links_between_files_lead_somewhere():
    pages = [*PAGES, *ROOT.glob("*.md"), *(DOCS / "adr").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_figure_is_drawn_by_the_command_that_stands_under_it(tmp_path: Path):
    """Byte for byte where matplotlib is the version of constraints.txt, which drew it."""
    shown = re.search(r"`robust-select (replay [^`]+)`", README.read_text(encoding="utf-8"))
    assert shown is not None
    words = shown[1].replace("docs/figures", str(tmp_path)).split()
    run("robust-select", *words, folder=ROOT)
    pinned = re.search(r"^matplotlib==(.+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None
    drawn, printed = tmp_path / "10-selection-path.svg", DOCS / "figures" / "10-selection-path.svg"
    if importlib.metadata.version("matplotlib") == pinned[1]:
        assert drawn.read_bytes() == printed.read_bytes()
    assert drawn.stat().st_size > 10_000
