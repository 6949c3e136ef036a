"""Pages of the documentation as programs: their code and commands, in the order in which a reader meets them.

Used by the tests of the README and of docs/. Knows nothing of the library.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PREAMBLE = """
import subprocess as _subprocess
import sys as _sys

def _console(command):
    _sys.stdout.flush()
    done = _subprocess.run(command, shell=True)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}"

def _write(name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
"""


class Block(NamedTuple):
    """One fenced block: ``python`` runs, ``console`` runs its lines after ``$``, one with a title is a file.

    The other lines of a console block, and the lines of a ``text`` block, are what comes out (``...`` stands for any
    number of lines); other languages are only shown.
    """

    language: str
    title: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(page.read_text(encoding="utf-8"))]


def commands_in(text: str) -> Iterator[str]:
    """Find the command lines of a console block, without the prompt and with continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            yield " ".join(line.removeprefix("$ ").split())


def is_program(page: Path) -> bool:
    return any(block.language == "python" and not block.title for block in blocks_of(page))


def program_of(page: Path) -> str:
    """Write the page as one Python program."""
    parts = [PREAMBLE]
    for language, title, text in blocks_of(page):
        if title:
            parts.append(f"_write({title!r}, {text!r})\n")
        elif language == "python":
            parts.append(text)
        elif language == "console":
            parts += [f"_console({command!r})\n" for command in commands_in(text)]
    return "\n".join(parts)


def python_of(page: Path) -> str:
    """Give the Python of a page alone."""
    return "\n".join(text for language, title, text in blocks_of(page) if language == "python" and not title)


def output_of(page: Path) -> list[str]:
    """Give the lines that the page says come out, in order."""
    lines = []
    for language, title, text in blocks_of(page):
        if language == "text" and not title:
            lines += text.splitlines()
        elif language == "console":
            lines += [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("$ ")]
    return [" ".join(line.split()) for line in lines if line.strip() not in ("", "...")]


def first_missing(expected: list[str], printed: str) -> str | None:
    """Find the first expected line that was not printed after those before it."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    return next((line for line in expected if line not in lines), None)


def run(*command: str | Path, folder: Path) -> str:
    """Run a command with the programs of this environment first on the path, and give what it prints."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "TERM": "dumb",
    }
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def robust_select_lines(page: Path) -> list[list[str]]:
    """Find the command lines that call robust-select, as words after it."""
    text = [
        command for block in blocks_of(page) if block.language == "console" for command in commands_in(block.text)
    ]
    words = [shlex.split(line, comments=True) for line in text]
    return [line[1:] for line in words if line and Path(line[0]).name == "robust-select"]
