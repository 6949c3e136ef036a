"""What the README and the documentation show works as printed: their Python runs, their commands exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import robust_select
from robust_select.cli.app import app
from robust_select.study.file import read_study

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = Path(sys.executable).with_name("robust-select")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def command_lines(page: Path) -> list[list[str]]:
    """Find the command lines that call robust-select, without the prompt and with continued lines joined."""
    text = "\n".join(blocks(page, "console")).replace("\\\n", " ")
    lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line and Path(line[0]).name == "robust-select"]


def run(*command: str | Path, folder: Path) -> str:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_script(page: Path, folder: Path) -> Path:
    script = folder / "printed.py"
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    return script


README = ROOT / "README.md"
WITH_PYTHON = [page for page in PAGES if blocks(page, "python") and page != README]
COMMAND_LINES = [line for page in PAGES for line in command_lines(page)]


def test_the_tour_shows_python():
    assert "tour.md" in {page.name for page in WITH_PYTHON}


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_python_runs_as_printed(page: Path, tmp_path: Path):
    run(sys.executable, "-W", "error", write_script(page, tmp_path), folder=tmp_path)


def test_readme_example_runs_as_printed_and_goes_on_where_it_was(tmp_path: Path):
    script = write_script(README, tmp_path)
    first = run(sys.executable, "-W", "error", script, folder=tmp_path)
    assert "trainings: the selected candidate is within the tolerance of the best with confidence 0.95" in first
    assert "as good within the tolerance:" in first
    assert (tmp_path / "study.db").is_file()
    assert run(sys.executable, "-W", "error", script, folder=tmp_path) == first


@pytest.mark.parametrize("number", range(4))
def test_study_files_can_be_read(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    printed = blocks(ROOT / "docs" / "study-files.md", "toml")
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
    long, wide = blocks(ROOT / "docs" / "tables.md", "csv")
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
    assert line[0] in commands
    known = {option for parameter in commands[line[0]].params for option in parameter.opts} | {"--help"}
    assert {word for word in line if word.startswith("--")} <= known


def test_the_program_is_installed():
    text = run(PROGRAM, "--help", folder=ROOT)
    assert {line[0] for line in COMMAND_LINES} <= set(text.split())


def test_readme_shows_commands():
    shown = {line[0] for line in command_lines(README)}
    assert shown >= {"demo", "plan", "run", "replay"}


def test_every_command_is_documented():
    shown = {line[0] for line in command_lines(ROOT / "docs" / "cli.md")}
    assert shown == set(typer.main.get_command(app).commands)


def test_public_names_are_all_in_the_reference():
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    documented = re.findall(r"^::: robust_select\.(\w+)$", reference, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == set(robust_select.__all__) - {"__version__"}


def test_links_between_files_lead_somewhere():
    pages = [*PAGES, *ROOT.glob("*.md"), *(ROOT / "docs" / "adr").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
