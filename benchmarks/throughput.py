"""How fast many small networks are trained on all cores: four ways to do the same work, in one run.

Run as ``python benchmarks/throughput.py`` (all models, batches of 32, 64 and 256), with ``--save`` to write
``results/throughput.json``, ``.csv`` and ``.svg``; ``--models model1,model2 --batch 32 --json -`` is the short form.

The work is whole training steps: a fresh batch out of the data, forward, loss, backward, AdamW. GFLOP are counted for
all ways alike, by ``flops_of`` of the plain module. The ways:

- plain_dataloader: one network after the other, DataLoader with shuffling, and everything else as torch has it when
  nothing is set: torch.optim.AdamW, number of threads, memory layout;
- plain_processes: one network after the other in a single-threaded process a core, batches by index;
- vmap: torch.func.vmap over stacked parameters, in a single-threaded process a core;
- stacked: robust_select's stacks, optimiser and fitting loop, in a single-threaded process a core.

The others get their best setting, measured beforehand: memory layout for plain_processes, stack size for vmap and
ours; plain_processes and vmap use torch.optim's fused AdamW. Then come rounds in which all ways take turns; the best
round counts, for the peak, too: sgemm of square matrices, of the best size, in a single-threaded process a core, all
at once.
"""

import argparse
import csv
import datetime
import json
import multiprocessing
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robust_select.core.errors import MissingExtraError

try:
    import torch
except ImportError as error:
    raise MissingExtraError("torch", "torch") from error

if __name__ == "__main__":  # run as a script: the root is then not among the places where Python looks
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training import MODELS, N_EXAMPLES, WAYS, Job, Step, settings_of

FOLDER = Path(__file__).parent / "results"
BATCHES = (32, 64, 256)
_SGEMM_SIZES = (512, 768, 1024)
_N_STEPS_BEFORE = 2
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def serve(connection: Any, seed: int, n_threads: int | None) -> None:
    """Be a process of a crew: make a job's step, then take steps for some seconds, as often as asked.

    Args:
        connection: to the parent, which sends jobs and seconds, and closes it at the end.
        seed: of data and weights.
        n_threads: of torch; None for its default.
    """
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    torch.manual_seed(seed)
    made: dict[Job, Step] = {}
    while (job := _received(connection)) is not None:
        try:
            made = {
                known: step for known, step in made.items() if (known.model, known.batch) == (job.model, job.batch)
            }
            step = made[job] if job in made else made.setdefault(job, job.step(seed))
            for _ in range(_N_STEPS_BEFORE):
                step()
            connection.send("")
        except Exception:  # noqa: BLE001  whatever it is, the parent has to hear of it
            connection.send(traceback.format_exc())
            continue
        seconds = connection.recv()
        n_steps, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds or n_steps == 0:
            step()
            n_steps += 1
        connection.send(n_steps / elapsed)


def _received(connection: Any) -> Job | None:
    """Receive a job; None where the parent has closed the connection, or is gone."""
    try:
        job: Job = connection.recv()
    except (EOFError, ConnectionResetError):
        return None
    return job


class Crew:
    """Processes that do the same at the same time.

    Args:
        n_processes: how many.
        n_threads: of torch in each; None for torch's default, whatever the environment says.
    """

    def __init__(self, n_processes: int, n_threads: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._connections, self._processes = [], []
        with _environment(n_threads):
            for seed in range(n_processes):
                ours, theirs = context.Pipe()
                process = context.Process(target=serve, args=(theirs, seed, n_threads), daemon=True)
                process.start()
                theirs.close()
                self._connections.append(ours)
                self._processes.append(process)

    def gflop_a_second(self, job: Job, seconds: float) -> float:
        """Do a job for some seconds in all processes at once, and add up what they did.

        Raises:
            RuntimeError: a process could not.
        """
        for connection in self._connections:
            connection.send(job)
        failures = [failure for connection in self._connections if (failure := connection.recv())]
        if failures:
            raise RuntimeError(f"expected every process to do {job}, came\n{failures[0]}")
        for connection in self._connections:
            connection.send(seconds)
        return job.gflop * sum(connection.recv() for connection in self._connections)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()  # the process reads the end of it, and ends
        for process in self._processes:
            process.terminate()
            process.join()


@contextmanager
def _environment(n_threads: int | None) -> Iterator[None]:
    """Set what children see of the number of threads; libraries read it when they are loaded."""
    before = {name: os.environ.pop(name) for name in _THREAD_VARIABLES if name in os.environ}
    if n_threads is not None:
        os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(n_threads)))
    try:
        yield
    finally:
        for name in _THREAD_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(before)


@dataclass(frozen=True)
class Measured:
    """One way to train one network at one batch size.

    Attributes:
        model: name of the network.
        batch: examples of an instance a step.
        way: how it was trained.
        setting: layout or stack size, the best of those tried.
        samples: instances x samples a second.
        gflop: GFLOP a second.
        peak_share: of the sgemm peak of all cores.
        to_dataloader: times what plain_dataloader does.
        to_processes: times what plain_processes does.
    """

    model: str
    batch: int
    way: str
    setting: str
    samples: float
    gflop: float
    peak_share: float
    to_dataloader: float
    to_processes: float


def measure(
    cases: Sequence[tuple[str, int]], n_rounds: int, seconds: float, crews: Mapping[str, Crew]
) -> tuple[float, list[Measured]]:
    """Measure all ways on all cases, and the peak between them.

    Args:
        cases: names of networks with batch sizes.
        n_rounds: in which all ways take turns.
        seconds: of one measurement.
        crews: of ``"plain_dataloader"``, and of the others (``"cores"``).

    Returns:
        The sgemm peak in GFLOP/s, and what was measured.
    """

    def rate(job: Job, share: float = 1.0) -> float:
        return crews.get(job.way, crews["cores"]).gflop_a_second(job, seconds * share)

    def best(jobs: Sequence[Job]) -> Job:
        rates = {job: max(rate(job, 0.4) for _ in range(2)) for job in jobs}
        return max(jobs, key=rates.__getitem__)

    product = best([Job("sgemm", size) for size in _SGEMM_SIZES])
    peak = 0.0
    found: dict[Job, float] = {}
    for model, batch in cases:
        print(f"{model}, batch {batch} ...", file=sys.stderr, flush=True)
        settings = {way: settings_of(way, MODELS[model], batch) for way in WAYS}
        jobs = [best([Job(way, setting, model, batch) for setting in settings[way]]) for way in WAYS]
        for _ in range(n_rounds):
            peak = max(peak, rate(product))
            for job in jobs:
                found[job] = max(found.get(job, 0.0), rate(job))
    by_case = {(job.model, job.batch, job.way): gflop for job, gflop in found.items()}
    return peak, [
        Measured(
            job.model,
            job.batch,
            job.way,
            str(job.setting),
            gflop / job.gflop * job.batch * (1 if job.way.startswith("plain") else job.setting),
            gflop,
            gflop / peak,
            gflop / by_case[job.model, job.batch, "plain_dataloader"],
            gflop / by_case[job.model, job.batch, "plain_processes"],
        )
        for job, gflop in found.items()
    ]


def contract(peak: float, found: Sequence[Measured]) -> dict[str, Any]:
    """Give what ``--json`` writes: GFLOP/s by model, batch size and way."""
    results: dict[str, dict[str, dict[str, float]]] = {}
    for one in found:
        results.setdefault(one.model, {}).setdefault(str(one.batch), {})[one.way] = float(f"{one.gflop:.4g}")
    return {"sgemm_peak": float(f"{peak:.4g}"), "results": results}


def table(peak: float, found: Sequence[Measured]) -> Iterator[str]:
    """Give the lines of a table for people."""
    yield f"sgemm peak of all cores: {peak:.1f} GFLOP/s"
    yield (
        f"{'model':<8}{'batch':>6}  {'way':<17}{'setting':>14}{'samples/s':>13}{'GFLOP/s':>9}{'of peak':>9}"
        f"{'to loader':>11}{'to processes':>14}"
    )
    for one in found:
        yield (
            f"{one.model:<8}{one.batch:>6}  {one.way:<17}{one.setting:>14}{one.samples:>13,.0f}{one.gflop:>9.1f}"
            f"{one.peak_share:>9.0%}{one.to_dataloader:>11.2f}{one.to_processes:>14.2f}"
        )


def machine() -> dict[str, Any]:
    """Say where and when this was measured."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return {
        "cpu": name,
        "cores": n_cores(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
    }


def n_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def draw(peak: float, found: Sequence[Measured], about: Mapping[str, Any], path: Path) -> None:
    """Draw GFLOP/s by case and way, with the peak."""
    from matplotlib.figure import Figure

    from robust_select.report.figures import house_style

    cases = list(dict.fromkeys((one.model, one.batch) for one in found))
    colours = dict(zip(WAYS, ("#7F7F7F", "#0072B2", "#009E73", "#D55E00"), strict=True))
    with house_style():
        figure = Figure(figsize=(3.4, 0.9 + 0.42 * len(cases)))
        ax = figure.add_subplot()
        for place, (way, colour) in enumerate(colours.items()):
            rates = [
                next(one.gflop for one in found if (one.model, one.batch, one.way) == (*case, way)) for case in cases
            ]
            rows = [row + 0.2 * (place - 1.5) for row in range(len(cases))]
            ax.barh(rows, rates, height=0.2, color=colour, label=way.replace("_", ", "))
        ax.axvline(peak, color="black", linewidth=0.8)
        ax.axvline(peak / 2, color="black", linewidth=0.8, linestyle=":")
        ax.set_yticks(range(len(cases)), [f"{model}, {batch}" for model, batch in cases])
        ax.set_ylim(len(cases) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(
            f"GFLOP/s; lines: the sgemm peak and half of it\n{about['cores']} cores, {about['cpu']}, {about['date']}"
        )
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
        figure.savefig(path, metadata={"Date": None})


def save(peak: float, found: Sequence[Measured], folder: Path) -> None:
    """Write the table and the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    about = machine()
    content = {"machine": about, **contract(peak, found), "records": [asdict(one) for one in found]}
    (folder / "throughput.json").write_text(json.dumps(content, indent=1) + "\n")
    with (folder / "throughput.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(found[0])))
        writer.writeheader()
        writer.writerows(
            {key: f"{value:.5g}" if isinstance(value, float) else value for key, value in asdict(one).items()}
            for one in found
        )
    draw(peak, found, about, folder / "throughput.svg")


def main(given: Sequence[str] | None = None) -> None:
    """Measure, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS), help="separated by commas (default: %(default)s)")
    parser.add_argument("--batch", default=",".join(map(str, BATCHES)), help="sizes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="in which all ways take turns (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.6, help="of one measurement (default: %(default)s)")
    parser.add_argument("--json", metavar="PATH", help="write GFLOP/s as JSON; - is standard output, and no table")
    parser.add_argument("--save", action="store_true", help=f"write the table and the figure into {FOLDER.name}/")
    options = parser.parse_args(given)
    names = options.models.split(",")
    if unknown := [name for name in names if name not in MODELS]:
        parser.error(f"expected --models among {', '.join(MODELS)}, came {', '.join(unknown)}")
    sizes = options.batch.split(",")
    if not all(size.isdecimal() and 2 <= int(size) <= N_EXAMPLES for size in sizes):
        parser.error(f"expected --batch as numbers from 2 to {N_EXAMPLES}, separated by commas, came {options.batch}")
    if options.rounds < 1 or not 0 < options.seconds < 60:
        parser.error(
            f"expected --rounds from 1 and --seconds from 0 to 60, came {options.rounds} and {options.seconds:g}"
        )
    cases = [(name, int(size)) for name in names for size in sizes]
    with ExitStack() as stack:
        crews = {
            "plain_dataloader": stack.enter_context(Crew(1, None)),
            "cores": stack.enter_context(Crew(n_cores(), 1)),
        }
        peak, found = measure(cases, options.rounds, options.seconds, crews)
    if options.json and options.json != "-":
        Path(options.json).write_text(json.dumps(contract(peak, found)) + "\n")
    if options.json == "-":
        print(json.dumps(contract(peak, found)))
    else:
        print("\n".join(table(peak, found)))
    if options.save:
        save(peak, found, FOLDER)


if __name__ == "__main__":
    main()
