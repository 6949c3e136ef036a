"""Real trainings of all candidates: can the final ranking be read off earlier, or on smaller training samples?

Run as ``python validation/images/stability.py digits`` and ``... fashion`` (add ``--quick`` for a trial); what is
there already in the ledger is not trained again. Results go to ``validation/images/results``.

digits: 36 small convolutional networks x 20 instances x 50 epochs, with a one-cycle and a constant learning rate.
fashion: 18 small residual networks on Fashion-MNIST, one-cycle on three sizes of training samples, and a constant
learning rate on the middle one.
"""

import argparse
import json
import os
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer

from robust_select import Candidate, Exhaustive, Halving, Study, Table, criterion, replay
from robust_select.analysis.distributions import score_densities
from robust_select.analysis.path import selection_path
from robust_select.analysis.stability import epoch_scores, size_agreement, stability
from robust_select.cli.answers import plain, records
from robust_select.core.writing import write_frame
from robust_select.ledger import open_ledger
from robust_select.problems.images import digits_trainer, fashion_mnist_trainer, small_convolutional, small_residual
from robust_select.report.figures import (
    draw_epoch_scores,
    draw_overlap,
    draw_selection_path,
    draw_tau_densities,
    save_figure,
)
from robust_select.report.figures.style import COLUMN_INCHES, Figure, house_style
from robust_select.train.nn import TorchTrainer

RESULTS = Path(__file__).parent / "results"
ONE_CYCLE, CONSTANT = "one-cycle", "constant"
CRITERION = "q3+iqr"
SEED = 2025
WARMUP = 4  # of halving, whose paths are drawn


@dataclass(frozen=True)
class Setup:
    """One table to train.

    Attributes:
        name: of the study, and of the results.
        trainer: with all settings.
    """

    name: str
    trainer: TorchTrainer


@dataclass(frozen=True)
class Problem:
    """What is trained.

    Attributes:
        name: of the results.
        candidates: C.
        n_replicates: R.
        schedules: with the tables to compare by epoch.
        sizes: with the tables to compare by size, from the smallest.
    """

    name: str
    candidates: tuple[Candidate, ...]
    n_replicates: int
    schedules: dict[str, Setup]
    sizes: dict[int, Setup]


def some_of(candidates: tuple[Candidate, ...], every: int) -> tuple[Candidate, ...]:
    """Take every so many candidates, and the base model."""
    return tuple(made for position, made in enumerate(candidates) if position % every == 0 or made.is_base)


def digits(is_quick: bool) -> Problem:
    """Describe the study of digits."""
    epochs = {"epochs": 6} if is_quick else {}
    return Problem(
        "digits",
        some_of(small_convolutional(), 6 if is_quick else 1),
        3 if is_quick else 20,
        {name: Setup(name, digits_trainer(schedule=name, **epochs)) for name in (ONE_CYCLE, CONSTANT)},
        {},
    )


def fashion(is_quick: bool) -> Problem:
    """Describe the study of Fashion-MNIST."""
    small, middle, large = (100, 200, 400) if is_quick else (500, 1000, 2000)
    settings: dict[str, Any] = {"n_held_out": 200, "epochs": 3} if is_quick else {"n_held_out": 1500, "epochs": 20}

    def setup(schedule: str, n_train: int) -> Setup:
        trainer = fashion_mnist_trainer(batch_size=64, schedule=schedule, n_train=n_train, **settings)
        return Setup(f"{schedule}-{n_train}", trainer)

    sizes = {n_train: setup(ONE_CYCLE, n_train) for n_train in (small, middle, large)}
    schedules = {ONE_CYCLE: sizes[middle], CONSTANT: setup(CONSTANT, middle)}
    return Problem("fashion", some_of(small_residual(), 4 if is_quick else 1), 5 if is_quick else 8, schedules, sizes)


PROBLEMS = {"digits": digits, "fashion": fashion}


def main() -> None:
    """Train what is missing, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem", choices=list(PROBLEMS))
    parser.add_argument("--quick", action="store_true", help="a trial of a minute, into out/")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ledger", type=Path, help="by default out/validation-PROBLEM.db")
    given = parser.parse_args()
    problem = PROBLEMS[given.problem](given.quick)
    out = Path("out") / "images-quick" if given.quick else RESULTS
    out.mkdir(parents=True, exist_ok=True)
    stem = f"validation-{problem.name}{'-quick' if given.quick else ''}"
    ledger = given.ledger or Path("out") / f"{stem}.db"
    ledger.parent.mkdir(parents=True, exist_ok=True)
    setups = {setup.name: setup for setup in (*problem.schedules.values(), *problem.sizes.values())}
    tables = {name: train(problem, setup, ledger, given.workers) for name, setup in setups.items()}
    for name, table in tables.items():
        frame = table.to_frame()
        epochs = [column for column in frame.columns if column.startswith("epoch_")]
        frame[["score", *epochs]] = frame[["score", *epochs]].round(5)
        frame["seconds"] = frame["seconds"].round(3)
        write_frame(frame, out / f"{problem.name}-{name}.csv")
    answer = {
        "command": f"python validation/images/stability.py {problem.name}{' --quick' if given.quick else ''}",
        "machine": f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}",
        "candidates": len(problem.candidates),
        "replicates": problem.n_replicates,
        "seconds of training": {name: float(np.nansum(table.seconds)) for name, table in tables.items()},
        "median score": {name: float(np.median(table.scores)) for name, table in tables.items()},
        "diverged": {name: int(np.isinf(table.scores).sum()) for name, table in tables.items()},
        **compare_epochs(problem, tables, out),
        **compare_sizes(problem, tables, out),
    }
    text = json.dumps(plain(answer), indent=1, allow_nan=False)
    (out / f"{problem.name}.json").write_text(text + "\n", encoding="utf-8")


def train(problem: Problem, setup: Setup, ledger: Path, workers: int) -> Table:
    """Train a table, or what is missing of it, and read it back with its curves."""
    started = time.perf_counter()
    study = Study(
        problem.candidates,
        setup.trainer,
        criterion=CRITERION,
        rule=Exhaustive(problem.n_replicates),
        ledger=ledger,
        seed=SEED,
        name=setup.name,
    )
    study.run(workers=workers, progress=True)
    typer.echo(f"{problem.name}, {setup.name}: {time.perf_counter() - started:.0f} s")
    with open_ledger(ledger) as opened:
        record = opened.study(setup.name)
        return replace(opened.table(record), curves=opened.curves(record))


def compare_epochs(problem: Problem, tables: dict[str, Table], out: Path) -> dict[str, Any]:
    """Say and draw, for each schedule, when the final ranking can be read off."""
    found = {name: stability(tables[setup.name], by=CRITERION) for name, setup in problem.schedules.items()}
    n_epochs = next(iter(found.values())).n_epochs
    with house_style():
        figure = Figure(figsize=(2 * COLUMN_INCHES, 2.7))
        axes = figure.subplots(1, len(found), sharey=True)
    for ax, (name, each) in zip(axes, found.items(), strict=True):
        draw_tau_densities(score_densities(each.tau.T), each.tau, ax=ax).set_title(name, fontsize=8)
    save_figure(axes[0], out / f"{problem.name}-02-tau-by-epoch.svg")
    ax = None
    for series, (name, each) in enumerate(found.items()):
        ax = draw_overlap(each.overlap, each.n_top, each.n_candidates, name, series, ax)
    if ax is not None:
        save_figure(ax, out / f"{problem.name}-03-overlap-by-epoch.svg")
    with house_style():
        figure = Figure(figsize=(2 * COLUMN_INCHES, 2.7))
        axes = figure.subplots(1, 2)
    for ax, epoch in zip(axes, (n_epochs // 2, n_epochs - n_epochs // 10 - 1), strict=True):
        draw_epoch_scores(epoch_scores(tables[problem.schedules[ONE_CYCLE].name], epoch), ax=ax)
    save_figure(axes[0], out / f"{problem.name}-01-epoch-scores.svg")
    for name, each in found.items():
        typer.echo(f"{problem.name}, {name}: {each.verdict}")
    return {
        "epochs": {
            name: {
                "verdict": each.verdict,
                "guessing_before": each.guessing_before,
                "settled_from": each.settled_from,
                "between": each.between,
                "n_top": each.n_top,
                "by epoch": records(each.to_frame().round(4)),
            }
            for name, each in found.items()
        }
    }


def compare_sizes(problem: Problem, tables: dict[str, Table], out: Path) -> dict[str, Any]:
    """Say how rankings on smaller samples agree with those on the largest; draw the selection on each."""
    if not problem.sizes:
        return {}
    *smaller, largest = problem.sizes
    base = next(candidate.name for candidate in problem.candidates if candidate.is_base)
    answer: dict[str, Any] = {}
    for n_train in smaller:
        found = size_agreement(tables[problem.sizes[n_train].name], tables[problem.sizes[largest].name], by=CRITERION)
        typer.echo(f"{problem.name}, {n_train} against {largest}: {found.verdict}")
        answer[f"{n_train} against {largest}"] = {
            "verdict": found.verdict,
            "tau": found.tau.round(4).tolist(),
            "tau_of_all": found.tau_of_all,
            "between": found.between,
            "overlap": found.overlap.tolist(),
            "chosen": found.chosen,
            "best": found.best,
            "rank": found.rank,
            "regret": found.regret,
        }
    selected = {}
    for n_train, setup in problem.sizes.items():
        result = replay(tables[setup.name], Halving(warmup=WARMUP), criterion(CRITERION))
        ax = draw_selection_path(
            selection_path(result), f"{CRITERION} of the error", result.selected, result.remaining, base
        )
        ax.set_title(f"{n_train:,} training images", fontsize=8)
        save_figure(ax, out / f"{problem.name}-10-selection-path-{n_train}.svg")
        selected[str(n_train)] = {"selected": result.selected, "trainings": result.trainings}
    return {"sizes": answer, "halving": selected}


if __name__ == "__main__":
    main()
