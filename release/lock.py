"""Writes requirements.lock: what the library alone needs, each with its version and the hash of its wheel.

    python release/lock.py

Run in the repository. The versions are those of constraints.txt; the hashes are of the wheels that pip takes on this
machine (for Python 3.11 on Linux x86_64 the committed ones), because pip tells no others.
"""

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Have pip say what it would install, and write that down."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = ["install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        subprocess.run([sys.executable, "-m", "pip", *words, "-c", "constraints.txt", "."], cwd=ROOT, check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    lines = [
        "# What the library alone needs, with the hashes of the wheels, for",
        f"# Python {sys.version_info.major}.{sys.version_info.minor}, {platform.system()} {platform.machine()}.",
        "# pip install --require-hashes -r requirements.lock, then: pip install --no-deps .",
        "# Made by release/lock.py from constraints.txt.",
        "",
    ]
    for item in sorted(found, key=lambda item: str(item["metadata"]["name"]).lower()):
        hashes = item["download_info"].get("archive_info", {}).get("hashes", {})
        if "sha256" in hashes:  # the library itself is a folder
            name = f"{item['metadata']['name']}=={item['metadata']['version']}"
            lines.append(f"{name} --hash=sha256:{hashes['sha256']}")
    (ROOT / "requirements.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
