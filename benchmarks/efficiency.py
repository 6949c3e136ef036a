"""Every rule and every real peer on the same scores: how many trainings each needs to be right 95 times in 100.

Run as ``python -m benchmarks.efficiency``; needs what README.md beside this file lists. Knows nothing of how rules
decide.

For each table a population is fitted (benchmarks/population.py: a MODEL of the table, because 3 to 5 replicates are
all there are) and studies are drawn from it: fresh columns, common to all candidates, so that pairing survives. A run
is right where the selected candidate's true criterion is within the tolerance, 0.1 of the median true standard
deviation, of the best. ``trainings`` is the least mean number of trainings among a selector's settings that are right
in at least 95 % of the studies.
"""

import argparse
import datetime
import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks import population, tables
from benchmarks.peers import PEERS
from loky import ProcessPoolExecutor, as_completed

from robust_select.analysis.trials import try_rules
from robust_select.core.protocols import Bools, Floats
from robust_select.select.rules import Exhaustive, Halving, Rule, Significance, TopTwo
from robust_select.stats.bounds import least_trainings, variance_factor
from robust_select.stats.criteria import criterion

FOLDER = Path(__file__).parent / "results"
CONFIDENCE = 0.95
N_REPLICATES = 200
SEED = 20261128
"""Of the studies that are drawn. No choice in a rule was made while looking at these draws."""
_COUNTS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)
_ALPHAS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.005, 0.001)
_CONFIDENCES = (0.5, 0.8, 0.95)
_PER_PIECE = 25
_PUBLISHED = {"mean": ("welch", "ks"), "q3+iqr": ("welch", "ks"), "std": ("bartlett", "fligner")}


def families(by_name: str, tolerance: float) -> dict[str, tuple[Rule, list[Rule]]]:
    """List the rules: default settings, and the settings tried."""
    by = criterion(by_name)
    least = by.min_instances
    found: dict[str, tuple[Rule, list[Rule]]] = {
        "exhaustive": (Exhaustive(least), [Exhaustive(n) for n in _COUNTS if n >= least]),
        "halving": (Halving(5), [Halving(n) for n in _COUNTS[:-1] if n >= least]),
    }
    for test in _PUBLISHED[by_name]:
        settings: list[Rule] = [
            Significance(test, alpha=alpha, warmup=warmup, max_instances=N_REPLICATES)
            for warmup in (2, 3, 5)
            for alpha in _ALPHAS
        ]
        found[f"significance:{test}"] = (Significance(test, max_instances=N_REPLICATES), settings)
    familywise = [
        Significance("paired-t", alpha=alpha, control="familywise", max_instances=N_REPLICATES)
        for alpha in (0.5, 0.2, 0.05)
    ]
    if by.kind == "location":
        found["significance:paired-t:familywise"] = (familywise[-1], list(familywise))
    default = TopTwo(tolerance=tolerance)
    found["top-two"] = (default, [TopTwo(tolerance=tolerance, confidence=value) for value in _CONFIDENCES])
    return found


def measure(
    table_name: str, kind: str, by_name: str, n_studies: int, with_peers: bool, only: str
) -> list[dict[str, Any]]:
    """Run everything (or one rule only, or the peers) on one table and one criterion; one record a selector."""
    table = tables.load(table_name)
    drawn_from = population.fit(table, seed=0).take(tables.easy_and_hard(table, 0)[kind])
    by = criterion(by_name)
    values, spreads = drawn_from.truth(by), drawn_from.truth(criterion("std"))
    tolerance = 0.1 * float(np.median(spreads))
    is_right = np.asarray(values <= values.min() + tolerance)
    factor = variance_factor(by)
    bound = math.nan if factor is None else least_trainings(values, factor * spreads**2, CONFIDENCE, tolerance)
    about = {
        "table": table_name,
        "kind": kind,
        "criterion": by_name,
        "candidates": len(values),
        "right": int(is_right.sum()),
        "bound": bound,
        "studies": n_studies,
        "seed": SEED,
    }
    losses = drawn_from.draw_studies(n_studies, N_REPLICATES, seed=SEED)
    found = []
    for name, (default, settings) in families(by_name, tolerance).items():
        if only and name != only:
            continue
        started = time.perf_counter()
        points = list(
            rule_points([default, *(made for made in settings if made != default)], losses, by_name, is_right)
        )
        found.append({**about, "selector": name, **summary(points), "seconds": time.perf_counter() - started})
    if with_peers and only in {"", "peers"}:
        found += [{**about, **record} for record in peer_records(losses, is_right, is_theirs=by_name == "mean")]
    return found


def rule_points(
    rules: list[Rule], losses: Floats, by_name: str, is_right: Bools
) -> Iterator[tuple[str, float, float]]:
    """Give knob, mean trainings and share of right choices of each rule."""
    pieces = [
        try_rules(rules, losses[first : first + _PER_PIECE], criterion(by_name))
        for first in range(0, len(losses), _PER_PIECE)
    ]
    trainings = np.concatenate([piece.trainings for piece in pieces]).mean(axis=0)
    right = is_right[np.concatenate([piece.selected for piece in pieces])].mean(axis=0)
    for k, made in enumerate(rules):
        yield repr(made), float(trainings[k]), float(right[k])


def peer_records(losses: Floats, is_right: Bools, is_theirs: bool) -> Iterator[dict[str, Any]]:
    """Run the peers that are installed; say so where one is not.

    All of them select by the mean or by ranks. Judged by another criterion (``is_theirs`` is false) no setting makes
    up for that, so only two are tried: the default and the most thorough one.
    """
    for name, peer in PEERS.items():
        if peer.missing():
            print(f"left out: {name} ({peer.missing()})", file=sys.stderr)
            continue
        started = time.perf_counter()
        points = []
        others = [knob for knob in peer.knobs if knob != peer.default and peer.needs(knob) <= losses.shape[2]]
        for knob in (peer.default, *(others if is_theirs else others[-1:])):
            selected, trainings = peer.run(losses, knob)
            points.append((repr(knob), float(trainings.mean()), float(is_right[selected].mean())))
            if points[-1][2] >= CONFIDENCE and len(points) > 1:
                break  # knobs come from cheap to thorough
        yield {"selector": name, **summary(points), "seconds": time.perf_counter() - started}


def summary(points: list[tuple[str, float, float]]) -> dict[str, Any]:
    """Summarise the settings of one selector, the default first."""
    reached = [(trainings, knob) for knob, trainings, right in points if right >= CONFIDENCE]
    trainings, knob = min(reached) if reached else (math.nan, "")
    return {
        "trainings": trainings,
        "knob": knob,
        "default_trainings": points[0][1],
        "default_right": points[0][2],
        "points": [[round(n, 1), round(right, 4)] for _, n, right in points],
    }


def verdicts(frame: pd.DataFrame) -> list[str]:
    """Compare TopTwo with all others: tuned with hindsight, and as they come; geometric means of ratios by table."""
    lines = []
    wide = frame.pivot_table(
        index=["table", "kind", "criterion"], columns="selector", values="trainings", dropna=False
    )
    ours = frame[frame.selector == "top-two"].set_index(["table", "kind", "criterion"])
    for (kind, by_name), part in ours.groupby(["kind", "criterion"], sort=False):
        lines.append(
            f"{kind}, {by_name}: {len(part)} tables; TopTwo at its defaults is right in "
            f"{part.default_right.min():.2f} to {part.default_right.max():.2f} (mean {part.default_right.mean():.3f})"
        )
        for other in (name for name in wide.columns if name != "top-two"):
            pair = pd.concat([part.default_trainings, wide.loc[part.index, other]], axis=1).dropna()
            if pair.empty:
                if other in _names(frame, kind, by_name):
                    lines.append(f"  never at 95 %: {other}")
                continue
            ratio = pair.iloc[:, 0] / pair.iloc[:, 1]
            n_all = int((frame[(frame.kind == kind) & (frame.criterion == by_name)].selector == other).sum())
            lines.append(
                f"  TopTwo (default) / {other} at 95 %: geometric mean {np.exp(np.log(ratio).mean()):.2f} "
                f"({ratio.min():.2f} to {ratio.max():.2f}), fewer on {int((ratio <= 1).sum())} of {len(ratio)}"
                f"{'' if n_all == len(ratio) else f'; never at 95 % on {n_all - len(ratio)}'}"
            )
            tuned = (part.trainings / wide.loc[part.index, other]).dropna()
            if len(tuned):
                lines.append(
                    f"    both at their cheapest setting: {np.exp(np.log(tuned).mean()):.2f} ({tuned.min():.2f} to "
                    f"{tuned.max():.2f}), fewer on {int((tuned <= 1).sum())} of {len(tuned)}"
                )
        large = part[np.isfinite(part.bound) & (part.bound > 2 * part.candidates)]
        if len(large):
            ratio = large.default_trainings / large.bound
            lines.append(
                f"  TopTwo (default) / bound where that exceeds twice the warm-up ({len(large)}): geometric mean "
                f"{np.exp(np.log(ratio).mean()):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
            )
        lines += as_they_come(frame[(frame.kind == kind) & (frame.criterion == by_name)])
    return lines


def as_they_come(frame: pd.DataFrame) -> Iterator[str]:
    """Compare TopTwo with all others, each at its defaults, on the tables of both."""
    ours = frame[frame.selector == "top-two"].set_index("table")
    for name, other in frame[frame.selector != "top-two"].groupby("selector"):
        theirs = other.set_index("table")
        mine = ours.loc[theirs.index]
        ratio = mine.default_trainings / theirs.default_trainings
        yield (
            f"  as they come, TopTwo / {name}: trainings {np.exp(np.log(ratio).mean()):.2f}, right "
            f"{mine.default_right.mean():.3f} against {theirs.default_right.mean():.3f} ({len(ratio)} tables)"
        )


def _names(frame: pd.DataFrame, kind: Any, by_name: Any) -> set[str]:
    return set(frame[(frame.kind == kind) & (frame.criterion == by_name)].selector)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draw trainings to 95 % by selector and table: the easy tables, the mean."""
    from matplotlib.figure import Figure

    from robust_select.report.figures import house_style

    part = frame[(frame.criterion == "mean") & (frame.kind == "easy")].copy()
    part.loc[part.selector == "top-two", "trainings"] = part.default_trainings[part.selector == "top-two"]
    wide = part.pivot_table(index="selector", columns="table", values="trainings", dropna=False)
    order = wide.index[np.lexsort((np.log(wide).mean(axis=1), wide.isna().sum(axis=1)))]
    with house_style():
        figure = Figure(figsize=(6.8, 0.27 * len(order) + 1.0))
        ax = figure.add_subplot()
        for row, name in enumerate(reversed(order)):
            values = wide.loc[name].dropna()
            ax.plot(
                values,
                np.full(len(values), row),
                "o",
                color="#D55E00" if name == "top-two" else "#0072B2",
                markersize=4,
                alpha=0.6,
                linewidth=0,
            )
            if len(values):
                ax.plot(np.exp(np.log(values).mean()), row, "|", color="black", markersize=11, markeredgewidth=1.5)
            if len(values) < wide.shape[1]:
                ax.annotate(
                    f"never on {wide.shape[1] - len(values)} of {wide.shape[1]}",
                    (1.0, row),
                    xycoords=("axes fraction", "data"),
                    ha="left",
                    va="center",
                    fontsize=6,
                )
        ax.set_yticks(range(len(order)), list(reversed(order)))
        ax.set_xscale("log")
        ours = part[part.selector == "top-two"].default_right
        ax.set_xlabel(
            "trainings for 95 % right, each at its cheapest setting; a point a table, | geometric mean\n"
            f"top-two at its defaults, right in {ours.min():.2f} to {ours.max():.2f}"
        )
        figure.savefig(path)


def main() -> None:
    """Measure, print, and write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="", help="names, separated by commas; all by default")
    parser.add_argument("--criteria", default="mean,q3+iqr,std")
    parser.add_argument("--kinds", default="easy,hard", help="hard tables are run for the mean alone")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--only", default="", help="run this rule (or 'peers') anew and keep the others")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    names = given.tables.split(",") if given.tables else list(tables.names())
    jobs = [
        (name, kind, by_name, given.studies, not given.no_peers and kind == "easy", given.only)
        for by_name in given.criteria.split(",")
        for kind in given.kinds.split(",")
        if kind == "easy" or by_name == "mean"
        for name in names
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "efficiency.json"
    done: list[dict[str, Any]] = json.loads(path.read_text())["records"] if path.exists() else []
    wanted = {job[:3] for job in jobs}
    anew = set(PEERS) if given.only == "peers" else {given.only}
    done = [
        record
        for record in done
        if record["selector"] not in anew or (record["table"], record["kind"], record["criterion"]) not in wanted
    ]
    known = set() if given.only else {(record["table"], record["kind"], record["criterion"]) for record in done}
    jobs = [job for job in jobs if job[:3] not in known]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with ProcessPoolExecutor(max_workers=given.workers, env=one_thread) as executor:
        futures = {executor.submit(measure, *job): job for job in jobs}
        for future in as_completed(futures):
            done += future.result()
            ours = [
                f"{record['default_trainings']:.0f} at {record['default_right']:.2f}"
                for record in future.result()
                if record["selector"] == "top-two"
            ]
            print(*futures[future][:3], *(f"top-two {each}" for each in ours), flush=True)
            machine = {
                "date": f"{datetime.date.today()}",
                "cores": os.cpu_count(),
                "python": platform.python_version(),
            }
            path.write_text(json.dumps({"machine": machine, "records": done}, indent=0))
    frame = pd.DataFrame(done)
    frame.drop(columns=["points", "seconds"]).to_csv(given.out / "efficiency.csv", index=False, float_format="%.5g")
    draw(frame, given.out / "efficiency.svg")
    lines = verdicts(frame)
    (given.out / "efficiency.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
