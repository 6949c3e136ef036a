import json

import numpy as np
import pytest

from robust_select.analysis.sources import sources
from robust_select.core.designs import Crossed
from robust_select.core.tables import Table

TRAINER = """\
import pathlib

FOLDER = pathlib.Path(__file__).parent


def train(params, instance):
    with open(FOLDER / "trained.txt", "a") as log:
        log.write(f"{instance.candidate} {instance.replicate}\\n")
    weights = instance.rng("initial_weights").normal()
    sample = instance.rng("training_sample").normal()
    return params["width"] + params["width"] * weights + 0.1 * sample
"""


@pytest.fixture
def streams_file(study_file):
    """The study file, with a trainer of which two streams add up; candidate ``four`` gets the most of the first."""
    module = next(study_file.parent.glob("trainer_of_*.py"))
    module.write_text(TRAINER)
    return study_file


def test_a_study_file_is_trained_on_a_crossed_design_and_goes_on(answer, streams_file, trained):
    options = ["measure", streams_file, "--sources", "--design", "3x4", "--candidate", "four", "--candidate", "two"]
    found = answer(*options)
    assert found["design"] == {"initial_weights": 3, "training_samples": 4, "repeats": 1}
    assert len(trained()) == 24
    assert answer(*options) == found
    assert len(trained()) == 24
    rows = {(row["candidate"], row["source"]): row for row in found["sources"]}
    assert rows["two", "interaction and batch order"]["std"] == 0
    ratio = rows["four", "initial weights"]["std"] / rows["two", "initial weights"]["std"]
    assert ratio == pytest.approx(2)
    assert rows["four", "training sample"]["std"] == pytest.approx(rows["two", "training sample"]["std"])
    assert rows["two", "initial weights"]["share"] > 0.9
    answer(*options[:3], "--design", "4x3", *options[5:])
    assert len(trained()) == 48  # another design is another study


def test_instances_make_the_largest_square(answer, streams_file, trained):
    found = answer("measure", streams_file, "--sources", "--instances", 11, "--candidate", "one")
    assert found["design"] == {"initial_weights": 3, "training_samples": 3, "repeats": 1}
    assert len(trained()) == 9


def test_in_words(invoke, streams_file):
    shown = invoke("measure", streams_file, "--sources", "--design", "3x3", "--candidate", "one").stdout
    assert "Sources of randomness, initial weights x training samples: 3 x 3" in shown
    assert "share of variance" in shown
    assert "--design 3x3x2" in shown
    shown = invoke("measure", streams_file, "--sources", "--design", "3x3x2", "--candidate", "one").stdout
    assert "batch order" in shown
    assert "train each pair twice" not in shown


def test_each_stream_alone(answer, invoke, streams_file, trained):
    options = ["measure", streams_file, "--sources", "--alone", "--instances", 20, "--candidate", "four"]
    found = answer(*options, "--resamples", 100)
    assert len(trained()) == 80
    rows = {row["varying"]: row for row in found["alone"]}
    assert list(rows) == ["initial weights alone", "training sample alone", "batch order alone", "all streams"]
    assert rows["batch order alone"]["std"] == 0
    assert rows["training sample alone"]["std"] == pytest.approx(0.1, rel=0.5)
    assert rows["initial weights alone"]["std"] == pytest.approx(4, rel=0.5)
    assert answer(*options, "--resamples", 100) == found
    assert len(trained()) == 80
    assert "training sample alone" in invoke(*options).stdout


def test_the_report_of_the_study_shows_what_was_measured(answer, invoke, streams_file, tmp_path):
    page, card, ledger = tmp_path / "page.html", tmp_path / "card.json", streams_file.with_suffix(".db")
    report = ["report", ledger, "--study", "widths", "--html", page, "--card", card]
    assert invoke("run", streams_file, "--quiet").exit_code == 0
    assert invoke(*report).exit_code == 0
    assert json.loads(card.read_text())["sources"] is None
    assert 'id="sources"' not in page.read_text("utf-8")
    selected = json.loads(card.read_text())["candidate"]
    options = ["measure", streams_file, "--sources", "--candidate", selected, "--candidate", "four"]
    found = answer(*options, "--design", "3x4")["sources"]
    answer(*options, "--alone", "--instances", 5)
    assert invoke(*report).exit_code == 0
    shares = json.loads(card.read_text())["sources"]
    assert shares["design"] == "3 x 4"
    own = [row for row in found if row["candidate"] == selected]
    assert [one["share"] for one in shares["shares"]] == pytest.approx([row["share"] for row in own])
    assert [one["low"] for one in shares["shares"]] == pytest.approx([row["low"] for row in own])
    assert invoke(*report[:4], "--figures", tmp_path / "figures", "--format", "svg").exit_code == 0
    assert "initial weights" in (tmp_path / "figures" / "06-sources.svg").read_text("utf-8")
    html = page.read_text("utf-8")
    charts = json.loads(html.split('id="page-data">')[1].split("</script>")[0])["sources"]
    assert [(chart["value"], chart["names"]) for chart in charts] == [
        (kind, [selected, "four"]) for kind in ("share", "std")
    ]
    assert [one["name"] for one in charts[1]["series"]][-1] == "all streams"


def test_a_table_of_a_design(answer, tmp_path):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(3, 1)) + 0.2 * rng.normal(size=(1, 4)) + 0.1 * rng.normal(size=(2, 3, 4))
    rows = [f"{name},{n},{x!r}" for name in "ab" for n, x in enumerate(scores.ravel().tolist())]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(["candidate,replicate,score", *rows]))
    found = answer("measure", path, "--sources", "--design", "3x4x2", "--candidate", "b")
    expected = sources(Table(("b",), scores.reshape(1, -1)), Crossed(3, 4, 2))
    assert [row["candidate"] for row in found["sources"]] == ["b"] * 4
    for key in ("share", "low", "high", "std"):
        assert [row[key] for row in found["sources"]] == pytest.approx(expected[key].tolist())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--design", "3x3"], "--design together with --sources"),
        (["--alone"], "--alone together with --sources"),
        (["--sources"], "add --design 8x8"),
        (["--sources", "--design", "3"], "expected a design such as 8x8"),
        (["--sources", "--design", "3x3"], "9 replicates of a design 3 x 3, came a table of 4"),
        (["--sources", "--alone"], "--alone with"),
        (["--sources", "--alone", "--design", "2x2"], "no --design with --sources --alone"),
        (["--sources", "--criterion", "mean"], "no --criterion with --sources"),
    ],
)
def test_bad_input_of_a_table(invoke, table, options, words):
    done = invoke("measure", table, *options)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--instances", 3], "4 instances at least"), (["--instances", 9, "--design", "3x3"], "came both")],
)
def test_bad_input_of_a_study_file(invoke, streams_file, options, words):
    done = invoke("measure", streams_file, "--sources", *options)
    assert done.exit_code == 2
    assert words in done.stderr
