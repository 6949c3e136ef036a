"""Runs the tests of the core with given versions of the dependencies: the oldest allowed, or the newest there are.

Usage: python release/versions.py FOLDER [CONSTRAINTS]. FOLDER is a virtual environment, made where it is not there;
CONSTRAINTS a file such as constraints-oldest.txt; without one pip takes the newest. Tests that need more than the
extras installed here (torch, say) are left out, and named. Warnings of old libraries are no errors here.
"""

import ast
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = "demo,dask,optuna,hdf5,root,postgres"
TESTS = ("tests/unit", "tests/contract", "tests/property", "tests/parity")
NOT_OF_VERSIONS = ("tests/unit/docs", "tests/unit/benchmarks", "tests/unit/validation", "tests/unit/test_readme.py")
LOAD_TORCH = ("cli/test_demo.py", "ecal/test_candidates.py", "images/test_sources.py")
"""These need torch by what they import, not by name."""
SHADOWED = "benchmarks"  # pyarrow 17 brings a package of this name, which hides ours
WANTED = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])"


def main(folder: Path, constraints: Path | None) -> int:
    """Make the environment, and run the tests in it."""
    python = folder / "bin" / "python"
    if not python.is_file():
        venv.create(folder, with_pip=True)
    bounds = ["-c", str(constraints)] if constraints else ["--upgrade"]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *bounds, "-e", f"{ROOT}[{EXTRAS}]", "pytest", "hypothesis"], check=True)

    files = [path for where in TESTS for path in sorted((ROOT / where).rglob("test_*.py"))]
    files = [path for path in files if not path.relative_to(ROOT).as_posix().startswith(NOT_OF_VERSIONS)]
    imports = {path: set(imported(path)) for path in files}
    for path in files:
        if path.as_posix().endswith(LOAD_TORCH):
            imports[path].add("torch")
    names = sorted(set().union(*imports.values()))
    found = subprocess.run([python, "-c", WANTED, *names], capture_output=True, text=True, check=True)
    missing = {SHADOWED, *found.stdout.split()}
    left_out = [path.relative_to(ROOT).as_posix() for path in files if imports[path] & missing]
    print(f"left out, for {', '.join(sorted(missing))}:", *left_out, sep="\n  ", flush=True)

    run = [path for path in files if not imports[path] & missing]
    environment = {**os.environ, "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]])}
    return subprocess.run(
        [python, "-m", "pytest", "-q", "-W", "default", "--disable-warnings", *run], cwd=ROOT, env=environment
    ).returncode


def imported(path: Path) -> Iterator[str]:
    """Find the packages that a test file imports when it is loaded."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve() if len(sys.argv) == 3 else None))
