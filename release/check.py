"""Tries what would be released as a stranger would: wheel and sdist, each where nothing else is installed.

Usage: python release/check.py [FOLDER] (by default a temporary one). Builds both, installs the wheel with the core's
dependencies alone and goes through two tutorials there; then unpacks the sdist and runs every command and example of
its README as printed. Takes some minutes, most of them pip's.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.pages import PREAMBLE, first_missing, output_of, program_of  # noqa: E402

WANTED = ("py.typed", "report/assets/page.js", "problems/digits/study.toml", "problems/ecal/data/A.npz")
NOT_OF_THE_CORE = ("torch", "sklearn", "matplotlib", "pyarrow", "distributed", "optuna")
OF_THE_CORE = ("python-function", "table")


def main(folder: Path) -> None:
    """Build, install, try."""
    wheel, sdist = build(folder)
    with zipfile.ZipFile(wheel) as held:
        names = set(held.namelist())
    assert all(f"robust_select/{name}" in names for name in WANTED), sorted(names)
    assert not any(name.startswith(("tests", "benchmarks", "release")) for name in names)
    try_core(wheel, folder)
    with tarfile.open(sdist) as held:
        held.extractall(folder, filter="data")
    try_readme(folder / sdist.name.removesuffix(".tar.gz"))
    print(f"{wheel.name} and {sdist.name} work")


def build(folder: Path) -> tuple[Path, Path]:
    """Build wheel and sdist of the files that git knows or does not ignore."""
    tree = folder / "tree"
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", at=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    python = environment(folder / "build", "build")
    run(python, "-m", "build", "--outdir", folder / "dist", tree, at=folder)
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def try_core(wheel: Path, folder: Path) -> None:
    """Go through the tutorials that need no extra: a Python function, a table; command line, ledger and page."""
    python = environment(folder / "core", str(wheel))
    code = f"from importlib.util import find_spec; print(*[n for n in {NOT_OF_THE_CORE} if find_spec(n)])"
    assert run(python, "-c", code, at=folder).split() == [], "more than the core is installed"
    for name in OF_THE_CORE:
        page, place = ROOT / "docs" / "tutorials" / f"{name}.md", folder / name
        place.mkdir()
        (place / "printed.py").write_text(program_of(page), encoding="utf-8")
        path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
        printed = run(python, "printed.py", at=place, PATH=path)
        assert first_missing(output_of(page), printed) is None, printed
        print(f"docs/tutorials/{name}.md works with the core alone", flush=True)


def try_readme(clone: Path) -> None:
    """Run the README from its first command to its last, in what the sdist holds, with nothing installed before."""
    path = os.pathsep.join([str(clone / ".venv" / "bin"), os.environ["PATH"]])
    setup, example, rest = program_of(clone / "README.md").partition("from sklearn")
    (clone / "setup.txt").write_text(setup, encoding="utf-8")  # make demo: it makes the environment
    run(sys.executable, "setup.txt", at=clone, PATH=path)
    (clone / "printed.py").write_text(f"{PREAMBLE}\n{example}{rest}", encoding="utf-8")
    run(clone / ".venv" / "bin" / "python", "printed.py", at=clone, PATH=path)
    assert (clone / "out" / "digits.html").is_file()
    assert (clone / "page.html").is_file()
    print("the README works as printed", flush=True)


def environment(folder: Path, package: str) -> Path:
    """Make a virtual environment with one package, and give its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package, at=folder)
    return python


def run(*command: str | Path, at: Path, **variables: str) -> str:
    """Run a command to its end; what it prints is shown where it fails."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, command)), cwd=at, env={**clean, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) > 1:
        place = Path(sys.argv[1]).resolve()
        place.mkdir(parents=True)
        main(place)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
