"""The scripts behind docs/scale.md: what they make and count is what they say."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import coordinator, scale

from robust_select.ledger import open_ledger
from robust_select.study.checking import check_ledger

ROOT = Path(__file__).resolve().parents[3]


def test_a_ledger_is_that_of_a_study_which_lacks_its_last_trainings(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(scale.__file__.rpartition("/")[0])
    monkeypatch.setattr(scale, "_CHUNK", 70)
    study_file = scale.write_study(tmp_path, 100, 3)
    assert scale.fill(study_file, 3) > 0
    with open_ledger(study_file.with_suffix(".db")) as ledger:
        problems, [found] = check_ledger(ledger)
        assert (problems, found.problems) == ([], ())
        assert (found.n_candidates, found.n_outcomes, found.is_finished) == (100, 290, False)


def test_a_command_is_measured_in_a_process_of_its_own(tmp_path):
    program = (
        "import sys; from pathlib import Path; from benchmarks import scale\n"
        "command = [sys.executable, '-c', 'bytearray(200 << 20)']\n"
        "print(*scale.measure(command, Path(sys.argv[1])))"
    )
    command = [
        sys.executable,
        "-c",
        program,
        str(tmp_path),
    ]  # not from here: a process begins with its parent's memory
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(scale.__file__).parents[1])
    seconds, cpu, megabytes = map(float, done.stdout.split())
    assert seconds > 0
    assert cpu > 0
    assert 200 < megabytes < 230


def test_a_command_that_fails_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="came exit code 3: no"):
        scale.measure([sys.executable, "-c", "import sys; print('no'); sys.exit(3)"], tmp_path)


def test_the_size_of_an_outcome_is_that_of_the_file(tmp_path):
    plain = coordinator.bytes_an_outcome(2_000, 0, tmp_path)
    curved = coordinator.bytes_an_outcome(2_000, 100, tmp_path)
    assert 60 < plain < 200
    assert curved - plain == pytest.approx(800, rel=0.25)  # 100 epochs of 8 bytes, and room on the pages
    assert list(tmp_path.iterdir()) == []


def test_what_travels_is_counted():
    sizes = coordinator.message_sizes()
    assert sizes["an outcome with a curve of 50 epochs"] - sizes["an outcome"] == pytest.approx(50 * 9, rel=0.1)
    assert sizes["an instance with 5 parameters"] < sizes["a stack of 16 of them, as Dask is sent it"]


@pytest.mark.parametrize(("mean_seconds", "rate"), [(1.0, 1.0), (0.1, 100.0), (5.0, 2.0)])
def test_one_worker_waits_for_each_answer(mean_seconds, rate):
    n = 400
    durations = mean_seconds * np.exp(np.random.default_rng(0).normal(-0.125, 0.5, size=n))
    expected = durations.sum() / (durations.sum() + (n + 1) / rate)
    assert coordinator.busy_share(mean_seconds, rate, 1, n) == pytest.approx(expected)


def test_many_workers_get_no_more_than_the_coordinator_gives():
    share = coordinator.busy_share(1.0, 100.0, 1000, 20_000)
    assert share == pytest.approx(100.0 * 1.0 / 1000, rel=0.1)
    assert coordinator.busy_share(1.0, 1e6, 1000, 20_000) > 0.85
    assert math.isclose(coordinator.busy_share(2.0, 50.0, 1000, 20_000), share, rel_tol=1e-9)  # only the ratio counts


def test_the_ledger_of_a_tenth_is_beside(tmp_path):
    rows = [
        scale.Measured(10, 5, "status", 1.0, 1.0, 100.0, 0.0),
        scale.Measured(100, 5, "status", 9.0, 4.0, 150.0, 2.0),
    ]
    text = scale.table_text(rows, "head")
    assert [line.split() for line in text.splitlines()[4:5]] == [
        ["100", "x", "5", "status", "9.0", "4.0", "4.0", "150", "1.5", "2.0"]
    ]


def test_the_page_says_what_was_measured():
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    results = ROOT / "benchmarks" / "results"
    cells = {cell.strip() for line in page.splitlines() if line.startswith("|") for cell in line.split("|")}
    found = json.loads((results / "coordinator.json").read_text(encoding="utf-8"))
    told = [rates["a_second_of_the_coordinators_core"] for rates in found["rates"].values()]
    assert {f"{rate:,.0f}" for rate in [*told, *found["choices_a_second"].values()]} <= cells
    rows = json.loads((results / "scale.json").read_text(encoding="utf-8"))["rows"]
    assert {f"{row['cpu']:.1f}" for row in rows} | {f"{row['megabytes']:.0f}" for row in rows} <= cells
