"""Draws the gallery: every figure from committed results, into docs/images/gallery/, and the page docs/gallery.md.

Run in the project's root: ``python docs/make_gallery.py``. A figure whose results are not committed yet is named on
the page with what it needs. Each function below draws one figure, and its code stands on the page as it stands here.
"""

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from robust_select.report.figures.style import Axes, figure_of, house_style

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "images" / "gallery"
PAGE = ROOT / "docs" / "gallery.md"
IMAGES = "validation/images/results/digits-one-cycle.csv"
_DPI = 200

Draw = Callable[[], Axes]
ENTRIES: dict[str, tuple[str, str, Draw]] = {}
"""Name of the image to title, file that it needs, and function."""

HEAD = """\
# Gallery

Every figure of the library, drawn from results that are committed in this repository, with the code that draws it.
Paths are from the repository's root. `python docs/make_gallery.py` draws them anew and writes this page;
`robust-select report LEDGER --figures DIR` saves those that a study of yours has the data for.

Each function takes records from `robust_select.analysis`, gives matplotlib's axes, and draws on yours if you hand it
`ax=`. Figures are one column wide (3.4 inches), in colours that everybody tells apart; text in SVG and PDF stays
text.

```python
from matplotlib.axes import Axes
```
"""


def figure(name: str, title: str, needs: str) -> Callable[[Draw], Draw]:
    """Put a function into the gallery."""

    def register(draw: Draw) -> Draw:
        ENTRIES[name] = (title, needs, draw)
        return draw

    return register


@figure("01-epoch-scores", "1 · Score after epoch e against the final score", IMAGES)
def figure_01() -> Axes:
    """Mean scores of every candidate after an epoch and after the last; the final top ones are marked."""
    from robust_select.analysis.stability import epoch_scores
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_epoch_scores

    table = read_table("validation/images/results/digits-one-cycle.csv")
    return draw_epoch_scores(epoch_scores(table, 10), unit="misread share")


@figure("02-tau-by-epoch", "2 · Density of Kendall's tau by epoch", IMAGES)
def figure_02() -> Axes:
    """How well the ranking after an epoch agrees with the last one, over the replicates."""
    from robust_select.analysis.distributions import score_densities
    from robust_select.analysis.stability import stability
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_tau_densities

    found = stability(read_table("validation/images/results/digits-one-cycle.csv"))
    return draw_tau_densities(score_densities(found.tau.T), found.tau)


@figure("02-fashion-tau", "2b · The same for clothes", "validation/images/results/fashion-one-cycle-1000.csv")
def figure_02b() -> Axes:
    """Small residual networks on Fashion-MNIST, one-cycle: which is best is known in the last epochs only."""
    from robust_select.analysis.distributions import score_densities
    from robust_select.analysis.stability import stability
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_tau_densities

    found = stability(read_table("validation/images/results/fashion-one-cycle-1000.csv"))
    return draw_tau_densities(score_densities(found.tau.T), found.tau)


@figure("03-overlap-by-epoch", "3 · Overlap of the top candidates by epoch", IMAGES)
def figure_03() -> Axes:
    """Which share of the top tenth after an epoch is in the top tenth at the end."""
    from robust_select.analysis.stability import stability
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_overlap

    found = stability(read_table("validation/images/results/digits-one-cycle.csv"))
    return draw_overlap(found.overlap, found.n_top, found.n_candidates)


@figure("04-criterion-fractions", "4 · Fraction of candidates below a loss", "benchmarks/data/digits.csv")
def figure_04() -> Axes:
    """For each of the six published criteria, which fraction of the 25 digit classifiers is at least so good."""
    from robust_select.analysis.fractions import criterion_fractions
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_criterion_fractions

    table = read_table("benchmarks/data/digits.csv")
    return draw_criterion_fractions(criterion_fractions(table), unit="misread share")


@figure("05-score-histogram", "5 · Losses of the instances of one candidate", "benchmarks/data/digits-alone.csv")
def figure_05() -> Axes:
    """Two hundred trainings of one small network, all random streams varying, with the six criteria as lines."""
    import pandas as pd

    from robust_select.analysis.histograms import score_histograms
    from robust_select.report.figures import draw_score_histogram

    frame = pd.read_csv("benchmarks/data/digits-alone.csv")
    scores = frame.loc[frame["varying"] == "all streams", "score"].to_numpy()
    return draw_score_histogram(score_histograms({"MLP 16": scores}), unit="misread share")


@figure("06-source-histograms", "6 · The same by source of randomness", "benchmarks/data/digits-alone.csv")
def figure_06() -> Axes:
    """One stream varies at a time, the others keep their seed. For this network initial weights matter most."""
    import pandas as pd

    from robust_select.analysis.histograms import score_histograms
    from robust_select.report.figures import draw_source_histograms

    frame = pd.read_csv("benchmarks/data/digits-alone.csv")
    samples = {name: part["score"].to_numpy() for name, part in frame.groupby("varying", sort=False)}
    return draw_source_histograms(score_histograms(samples), unit="misread share")[0]


@figure("06-sources", "6b · Share of the variance of each source", "benchmarks/data/digits-sources.csv")
def figure_06b() -> Axes:
    """From a crossed design (10 initial weights x 10 training samples x 2), with 95 % intervals."""
    from robust_select.analysis.sources import sources
    from robust_select.core.designs import Crossed
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_sources

    table = read_table("benchmarks/data/digits-sources.csv")
    return draw_sources(sources(table, Crossed(10, 10, 2)))


@figure("06-ecal-histograms", "6c · The same for a calorimeter's network", "validation/ecal/results/sources.csv")
def figure_06c() -> Axes:
    """Model 2, energy of photons of data set B, from 2,000 showers; trainings that ended at a constant left out."""
    import pandas as pd

    from robust_select.analysis.histograms import score_histograms
    from robust_select.report.figures import draw_source_histograms

    frame = pd.read_csv("validation/ecal/results/sources.csv").query("candidate == 'Model 2' and score < 0.5")
    samples = {name: part["score"].to_numpy() for name, part in frame.groupby("varies", sort=False)}
    return draw_source_histograms(score_histograms(samples), unit="RMSE(E)/E")[0]


@figure("07-curves", "7 · Loss against epoch", "validation/ecal/results/energy_b.csv")
def figure_07() -> Axes:
    """All instances of Model 2, their median and their middle half."""
    from robust_select.analysis.curves import curve_band
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_curves

    table = read_table("validation/ecal/results/energy_b.csv").subset(["Model 2"])
    return draw_curves(curve_band(table.curves[0]), "Model 2", unit="RMSE(E)/E")


@figure("08-sizes", "8 · Box plots against training sample size", "validation/ecal/results/sizes.csv")
def figure_08() -> Axes:
    """Networks and baselines side by side: energy on B."""
    import pandas as pd

    from robust_select.analysis.groups import boxes_by_size
    from robust_select.report.figures import draw_sizes

    frame = pd.read_csv("validation/ecal/results/sizes.csv").query("target == 'energy' and showers == 'B'")
    scores = {
        name: {size: rows["score"].to_numpy() for size, rows in part.groupby("n_train")}
        for name, part in frame.groupby("name", sort=False)
    }
    return draw_sizes(boxes_by_size(scores), unit="RMSE(E)/E")


@figure("09-fine-sizes", "9 · The same as bands", "validation/ecal/results/sizes.csv")
def figure_09() -> Axes:
    """For a fine logarithmic grid of sizes: medians, middle halves and whiskers as bands. Position on B."""
    import pandas as pd

    from robust_select.analysis.groups import boxes_by_size
    from robust_select.report.figures import draw_fine_sizes

    frame = pd.read_csv("validation/ecal/results/sizes.csv").query("target == 'x' and showers == 'B'")
    scores = {
        name: {size: rows["score"].to_numpy() for size, rows in part.groupby("n_train")}
        for name, part in frame.groupby("name", sort=False)
    }
    return draw_fine_sizes(boxes_by_size(scores), unit="cm")


@figure("10-selection-path", "10 · The selection path", "benchmarks/data/digits.csv")
def figure_10() -> Axes:
    """Halving on 25 digit classifiers: each goes on until it is discarded; the selected one is bold."""
    import robust_select as rs
    from robust_select.analysis.path import selection_path
    from robust_select.report.figures import draw_selection_path
    from robust_select.report.figures.style import make_logarithmic

    table = rs.read_table("benchmarks/data/digits.csv")
    result = rs.replay(table, rs.Halving(warmup=5, final_instances=5), rs.criterion("q3+iqr"))
    ax = draw_selection_path(selection_path(result), "q3+iqr [misread share]", result.selected, base="logistic C=1")
    make_logarithmic(ax.yaxis)
    return ax


@figure("10-fashion-path", "10b · The same for clothes", "validation/images/results/fashion-one-cycle-500.csv")
def figure_10b() -> Axes:
    """Halving on 18 residual networks that learn Fashion-MNIST from 500 images; the base model is starred."""
    import robust_select as rs
    from robust_select.analysis.path import selection_path
    from robust_select.problems.images import small_residual
    from robust_select.report.figures import draw_selection_path

    table = rs.read_table("validation/images/results/fashion-one-cycle-500.csv")
    result = rs.replay(table, rs.Halving(warmup=4), rs.criterion("q3+iqr"))
    base = next(made.name for made in small_residual() if made.is_base)
    return draw_selection_path(selection_path(result), "q3+iqr of the error", result.selected, base=base)


@figure("11-score-densities", "11 · Score densities of all candidates", "benchmarks/data/digits.csv")
def figure_11() -> Axes:
    """Twenty-five digit classifiers, 60 trainings of each; the selected one is highlighted."""
    from robust_select.analysis.distributions import score_densities
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_score_densities

    table, name = read_table("benchmarks/data/digits.csv"), "svm rbf C=10"
    densities = score_densities(table.scores)
    return draw_score_densities(densities, table.candidates.index(name), name, unit="misread share")


@figure("12-by-step", "12 · Candidates trained at each step", "benchmarks/data/digits.csv")
def figure_12() -> Axes:
    """Three rules on 25 digit classifiers: how soon each leaves most of them alone."""
    import robust_select as rs
    from robust_select.analysis.trainings import trained_by_step
    from robust_select.report.figures import draw_trained_by_step

    table = rs.read_table("benchmarks/data/digits.csv")
    rules = {
        "halving, warm-up 5": rs.Halving(warmup=5),
        "significance, Welch": rs.Significance("welch", warmup=3, patience=5),
        "top-two": rs.TopTwo(tolerance=0.001),
    }
    found = {name: trained_by_step(rs.replay(table, rule, "mean")) for name, rule in rules.items()}
    return draw_trained_by_step(found)


@figure("12-trainings", "12b · Trainings of each candidate", "benchmarks/data/digits.csv")
def figure_12b() -> Axes:
    """Where TopTwo puts its effort: on the leader and those that may yet be better."""
    import robust_select as rs
    from robust_select.analysis.trainings import training_counts
    from robust_select.report.figures import draw_trainings

    table = rs.read_table("benchmarks/data/digits.csv")
    result = rs.replay(table, rs.TopTwo(tolerance=0.001), rs.criterion("mean"))
    return draw_trainings(training_counts(result), result.selected, base="logistic C=1")


@figure("13-rule-costs", "13 · Trainings against confidence for the rules", "benchmarks/results/efficiency.json")
def figure_13() -> Axes:
    """Mean trainings to be right in 85 % and in 95 % of studies, 128 networks of HPOBench's data set segment."""
    import json
    from pathlib import Path

    from robust_select.analysis.costs import rule_costs
    from robust_select.report.figures import draw_rule_costs

    records = json.loads(Path("benchmarks/results/efficiency.json").read_text())["records"]
    chosen = [record for record in records if record["table"] == "hpobench-segment" and record["kind"] == "easy"]
    points = {record["selector"]: record["points"] for record in chosen if record["criterion"] == "mean"}
    return draw_rule_costs(rule_costs(points), highlighted="top-two")


@figure("14-top-n", "14 · Is the true best among the first N?", "benchmarks/data/digits.csv")
def figure_14() -> Axes:
    """Ranked by few instances of each candidate; the best of all 60 is the truth."""
    from robust_select.analysis.chosen import top_n_of_table
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_top_n

    table = read_table("benchmarks/data/digits.csv")
    return draw_top_n(top_n_of_table(table, by="q3+iqr", n_instances=(1, 2, 5, 10, 20)))


@figure("15-step-times", "15 · Score against training time at each step", "benchmarks/data/digits.csv")
def figure_15() -> Axes:
    """Who was kept and who removed."""
    import robust_select as rs
    from robust_select.analysis.times import step_times
    from robust_select.report.figures import draw_step_times

    table = rs.read_table("benchmarks/data/digits.csv")
    result = rs.replay(table, rs.Halving(warmup=5), rs.criterion("q3+iqr"))
    return draw_step_times(step_times(result), "q3+iqr [misread share]", result.selected)[0]


@figure("16-mean-spread", "16 · Mean against spread", "benchmarks/data/digits.csv")
def figure_16() -> Axes:
    """The Pareto front: nobody beats these in both at once."""
    from robust_select.analysis.front import spread_front
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_mean_spread
    from robust_select.report.figures.style import make_logarithmic

    front = spread_front(read_table("benchmarks/data/digits.csv"), "minimize")
    ax = draw_mean_spread(front, "svm rbf C=10", base="logistic C=1", unit="misread share")
    make_logarithmic(ax.xaxis)
    return ax


@figure("17-optimisers", "17 · Optimisers compared", "validation/ecal/results/optimisers.csv")
def figure_17() -> Axes:
    """Model 2 trained by six optimisers, each at the learning rate with its best median: energy on B."""
    import numpy as np

    from robust_select.analysis.groups import boxes_by_parameter
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_parameter

    table = read_table("validation/ecal/results/optimisers.csv")
    best: dict[str, str] = {}
    for row in np.argsort(np.median(table.losses("minimize"), axis=1)):
        best.setdefault(table.params[row]["optimiser"], table.candidates[row])
    return draw_parameter(boxes_by_parameter(table.subset([*best.values()]), "optimiser"), unit="RMSE(E)/E")


@figure("17-activations", "17b · Activations compared", "validation/ecal/results/activations.csv")
def figure_17b() -> Axes:
    """Model 2 with seven activations: energy on B."""
    from robust_select.analysis.groups import boxes_by_parameter
    from robust_select.core.tables import read_table
    from robust_select.report.figures import draw_parameter

    table = read_table("validation/ecal/results/activations.csv")
    return draw_parameter(boxes_by_parameter(table, "activation"), unit="RMSE(E)/E")


def code_of(draw: Draw) -> str:
    """Give a function's code without its decorator and docstring."""
    source = dedent(inspect.getsource(draw))
    source = source[source.index("def ") :]
    return re.sub(r'\n    """.*?"""\n', "\n", source, count=1, flags=re.DOTALL).strip()


def section(name: str) -> str:
    """Write the section of one figure: the picture where its results are there, else what it needs."""
    title, needs, draw = ENTRIES[name]
    text = inspect.getdoc(draw) or ""
    shown = f"![{title}](images/gallery/{name}.png)"
    if not (ROOT / needs).is_file():
        shown = f"*Not drawn yet: its results, `{needs}`, are not in the repository.*"
    return f"## {title}\n\n{text} Data: `{needs}`.\n\n{shown}\n\n```python\n{code_of(draw)}\n```\n"


def main() -> None:
    """Draw what there is, and write the page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (_, needs, draw) in ENTRIES.items():
        if not (ROOT / needs).is_file():
            sys.stderr.write(f"left out: {name} ({needs} is missing)\n")
            continue
        ax = draw()
        with house_style():
            figure_of(ax).draw_without_rendering()
            figure_of(ax).savefig(FOLDER / f"{name}.png", dpi=_DPI, metadata={"Software": None})
    PAGE.write_text("\n".join([HEAD, *map(section, ENTRIES)]), encoding="utf-8")


if __name__ == "__main__":
    main()
