"""The fault campaign: studies that are killed, interrupted, robbed of their disk, and trained by bad trainers.

Prints a table, one row a fault: how often it was injected, how many finished trainings were lost or trained a second
time although they were recorded, and how many studies ended otherwise than the same study left alone:
all are to be 0.

    python -m benchmarks.faults --kills 100 --repeats 20 --save     # the long campaign; about an hour on two cores
"""

import argparse
import contextlib
import csv
import datetime
import itertools
import json
import os
import platform
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks import faulty, striking
from benchmarks.striking import Nursery, Strike, Tally
from benchmarks.struck import FAILED, INTERRUPTED, RULES, Order

from robust_select.core.instances import Outcome, State
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive
from robust_select.study import Study

RESULTS = Path(__file__).parent / "results"
EXECUTORS = {"in-process": 1, "processes": 2}

_STRIKES_A_STUDY = 5
_TIME_LIMIT = 3.0  # of trainings that hang; those that do not take milliseconds
_N_REPLICATES = 3
_MOST_SAID = 400


@dataclass(frozen=True)
class Row:
    """What came of one kind of fault.

    Attributes:
        fault: what was done.
        where: rule and executor.
        injected: how often.
        lost: finished trainings that were in the ledger and are not any more, or with another score.
        twice: trainings that were recorded and yet trained again, or are in the ledger twice.
        changed: studies that ended otherwise than the same study left alone.
        in_flight: trainings that had just finished and were not recorded yet: they were trained again.
        told: how often a message said what happened. A study that is killed cannot say anything, and one that stops
            at Ctrl-C says so by its exit code here; a training that returns nan has diverged, without a message.
        said: the message, the first time that there was one; names of files left out.
        seconds: that it took.
    """

    fault: str
    where: str
    injected: int
    lost: int
    twice: int
    changed: int
    in_flight: int
    told: int
    said: str
    seconds: float


class Campaign:
    """Runs all faults, a row a kind.

    Args:
        nurseries: start the studies; the second one is for two studies at once.
        folder: for all that they write.
        seed: of the moments.
    """

    def __init__(self, nurseries: tuple[Nursery, Nursery], folder: Path, seed: int = 0) -> None:
        self._nurseries = nurseries
        self._folder = folder
        self._seeds = itertools.count(seed)
        self._undisturbed: dict[str, dict[str, Any]] = {}

    def rows(self, n_kills: int, n_repeats: int) -> Iterator[Row]:
        """Inject everything.

        Args:
            n_kills: of the coordinator, in each rule with each executor.
            n_repeats: how often each other fault is injected.
        """
        for rule in RULES:
            for executor in EXECUTORS:
                yield self.strikes("coordinator killed", rule, executor, _kills, n_kills, -signal.SIGKILL)
        for executor in EXECUTORS:
            yield self.strikes("Ctrl-C", "significance", executor, _once, n_repeats, INTERRUPTED)
            yield self.strikes("Ctrl-C twice", "significance", executor, _twice, n_repeats, INTERRUPTED)
        for name, strike in LEDGER_STRIKES.items():
            if strike is striking.forbid and not striking.can_forbid(self._folder):
                continue
            for executor in EXECUTORS:
                yield self.ledger_strikes(name, executor, strike, n_repeats)
        yield self.read_only(n_repeats)
        yield self.disk_full_from_the_beginning(n_repeats)
        for executor in EXECUTORS:
            yield self.clock_back(executor, n_repeats)
        for at_once in (True, False):
            yield self.two_coordinators(at_once, n_repeats)
        for executor in EXECUTORS:
            yield from self.trainers(executor, n_repeats)

    def strikes(self, fault: str, rule: str, executor: str, strikes: Sequence[Strike], n: int, code: int) -> Row:
        """Strike studies, five times each, with one kind of strike after the other; each ends them with this code."""
        began, tally = time.monotonic(), Tally()
        for at in range(0, n, _STRIKES_A_STUDY):
            strike = strikes[at // _STRIKES_A_STUDY % len(strikes)]
            moments = striking.moments_of(next(self._seeds), min(_STRIKES_A_STUDY, n - at), self.alone(rule), first=1)
            order = Order(str(self._new_folder()), rule, EXECUTORS[executor])
            tally.add(striking.run_under_fire(self._nurseries[0], order, moments, strike, self.alone(rule)))
        if set(tally.codes) != {code}:
            raise RuntimeError(
                f"{fault}, {rule}, {executor}: expected exit code {code}, came {sorted(set(tally.codes))}"
            )
        return _row(fault, f"{rule}, {executor}", tally, time.monotonic() - began)

    def ledger_strikes(self, fault: str, executor: str, strike: Strike, n: int) -> Row:
        """Strike the ledger of a study that goes on after Ctrl-C, and do what the message says."""
        began, tally, alone = time.monotonic(), Tally(), self.alone("significance")
        for _ in range(n):
            order = Order(str(self._new_folder()), workers=EXECUTORS[executor])
            moments = striking.moments_of(next(self._seeds), 3, alone, first=4)[1:]
            strikes = [striking.interrupt(is_whole_group=True), strike]
            tally.add(
                striking.run_under_fire(self._nurseries[0], order, moments, strikes, alone, striking.put_back, 1)
            )
        tally.n_strikes -= n  # Ctrl-C came first
        return _row(fault, f"significance, {executor}", tally, time.monotonic() - began)

    def read_only(self, n: int) -> Row:
        """Start a study again while its folder is read-only, and once more when it is not."""
        began, tally, alone = time.monotonic(), Tally(), self.alone("significance")
        for _ in range(n):
            folder = self._new_folder()
            moments = striking.moments_of(next(self._seeds), 2, alone, first=4)[1:]

            def refuse(place: Path) -> None:
                striking.open_gate(place)
                with striking.read_only(place) as is_done:
                    if not is_done:
                        return
                    code = self._nurseries[0].start(Order(str(place), said_in=str(self._folder))).wait()
                    tally.n_strikes += 1
                    tally.codes.append(code)
                if code == FAILED:
                    tally.said.append((self._folder / "said").read_text())

            found = striking.run_under_fire(self._nurseries[0], Order(str(folder)), moments, _once[0], alone, refuse)
            found.n_strikes = 0
            tally.add(found)
        return _row("folder read-only at the start", "significance, in-process", tally, time.monotonic() - began)

    def disk_full_from_the_beginning(self, n: int) -> Row:
        """Start a study where nothing can be written, and again where it can."""
        began, tally, alone = time.monotonic(), Tally(), self.alone("significance")
        for _ in range(n):
            folder = self._new_folder()
            code = self._nurseries[0].start(Order(str(folder), is_disk_full=True)).wait()
            said = [(folder / "said").read_text()] if code == FAILED else []
            found = striking.run_under_fire(self._nurseries[0], Order(str(folder)), [], _once[0], alone)
            found.add(Tally(1, codes=[code], said=said))
            tally.add(found)
        return _row(
            "disk full before the ledger is made", "significance, in-process", tally, time.monotonic() - began
        )

    def clock_back(self, executor: str, n: int) -> Row:
        """Let the clock go back by a day whenever it is read, in a study that is killed once."""
        began, tally, alone = time.monotonic(), Tally(), self.alone("significance")
        for _ in range(n):
            order = Order(str(self._new_folder()), workers=EXECUTORS[executor], is_clock_back=True)
            moments = striking.moments_of(next(self._seeds), 2, alone, first=4)[1:]
            tally.add(striking.run_under_fire(self._nurseries[0], order, moments, striking.kill(True), alone))
        return _row("clock goes back; killed once", f"significance, {executor}", tally, time.monotonic() - began)

    def two_coordinators(self, at_once: bool, n: int) -> Row:
        """Start a study twice."""
        began, tally, alone = time.monotonic(), Tally(), self.alone("significance")
        for _ in range(n):
            order = Order(str(self._new_folder()))
            tally.add(striking.run_two(self._nurseries, order, alone, at_once))
        when = "at the same moment" if at_once else "one after the other"
        return _row(f"two coordinators, started {when}", "significance, in-process", tally, time.monotonic() - began)

    def trainers(self, executor: str, n: int) -> Iterator[Row]:
        """Run studies in which one replicate of each candidate commits the fault that it is named by."""
        n_workers = EXECUTORS[executor]
        faults = dict(faulty.HARMLESS) if n_workers == 1 else {**faulty.HARMLESS, **faulty.DEADLY, **faulty.HANGING}
        tallies = {name: Tally() for name in faults}
        began = time.monotonic()
        for _ in range(n):
            rng = np.random.default_rng(next(self._seeds))
            guilty = {name: int(rng.integers(_N_REPLICATES)) for name in faults}
            found = train_badly(guilty, n_workers, self._new_folder() / "study.db")
            for name, tally in found.items():
                tallies[name].add(tally)
        seconds = (time.monotonic() - began) / len(tallies)  # they are all in the same studies
        for name, tally in tallies.items():
            yield _row(f"a training {name}", f"exhaustive, {executor}", tally, seconds)

    def alone(self, rule: str) -> dict[str, Any]:
        """Give the result of the study that is left alone."""
        if rule not in self._undisturbed:
            folder = self._new_folder()
            self._undisturbed[rule] = striking.undisturbed_result(self._nurseries[0], folder, rule)
        return self._undisturbed[rule]

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))


_kills = (striking.kill(is_whole_group=True), striking.kill(is_whole_group=False))
_once = (striking.interrupt(is_whole_group=True), striking.interrupt(is_whole_group=False))
_twice = tuple(striking.interrupt(True, 2, seconds) for seconds in (0.0005, 0.002, 0.01, 0.05))

LEDGER_STRIKES: Mapping[str, Strike] = {
    "ledger deleted": striking.delete,
    "ledger replaced by an empty file": striking.replace,
    "ledger cut to half its size": striking.truncate,
    "ledger overwritten with zeros": striking.overwrite,
    "disk full": striking.fill_disk,
    "ledger made read-only": striking.forbid,
}


def train_badly(guilty: Mapping[str, int], n_workers: int, ledger: Path) -> dict[str, Tally]:
    """Run a study in which each candidate commits a fault in one replicate; say what came of each.

    Args:
        guilty: the replicate that commits it, by candidate, which is named by the fault.
        n_workers: processes; 1 trains in this one.
        ledger: where to.

    Returns:
        By candidate. Changed: the guilty instance has not failed, or its message does not say why, or another
        instance's score is not what its seeds give.
    """
    faults = {**faulty.HARMLESS, **faulty.DEADLY, **faulty.HANGING}
    candidates = {name: {"mean": 0.1 * at} for at, name in enumerate(guilty)}
    study = Study(
        candidates,
        faulty.FaultyTrainer(guilty),
        criterion="mean",
        rule=Exhaustive(_N_REPLICATES),
        ledger=ledger,
        seed=3,
    )
    study.run(workers=n_workers, time_limit=None if n_workers == 1 else _TIME_LIMIT)
    with open_ledger(ledger, must_exist=True) as opened:
        rows = list(opened.outcomes(opened.study()))
    found: dict[tuple[str, int], Outcome] = {}
    tallies = {name: Tally(1) for name in guilty}
    names = list(guilty)
    for position, replicate, outcome in rows:
        tallies[names[position]].n_twice += (names[position], replicate) in found
        found[names[position], replicate] = outcome
    good = faulty.FaultyTrainer({})
    for name, tally in tallies.items():
        for replicate in range(_N_REPLICATES):
            outcome = found.get((name, replicate))
            if outcome is None:
                tally.n_lost += 1
            elif replicate == guilty[name]:
                told = faults[name][1]
                tally.n_changed += outcome.state is not (State.FAILED if told else State.DIVERGED)
                tally.n_changed += told not in outcome.message
                tally.said += [outcome.message] if told else []
            else:
                expected = good(candidates[name], striking.instance_of(name, replicate, seed=3))
                tally.n_changed += outcome.score != expected
    return tallies


def _row(fault: str, where: str, tally: Tally, seconds: float) -> Row:
    unforeseen = set(tally.codes) - {0, FAILED, INTERRUPTED, -9}
    if unforeseen:
        raise RuntimeError(f"{fault}, {where}: a study ended with exit code {sorted(unforeseen)}")
    said = tally.said[0] if tally.said else ""
    for word in said.split():
        if "/tmp/" in word:
            said = said.replace(word.strip(":;,'"), Path(word.strip(":;,'")).name)
    return Row(
        fault,
        where,
        tally.n_strikes,
        tally.n_lost,
        tally.n_twice,
        tally.n_changed,
        tally.n_in_flight,
        len(tally.said),
        said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]}...",
        round(seconds, 1),
    )


def table(rows: Sequence[Row]) -> str:
    """Write rows for people to read."""
    width = max(len(row.fault) for row in rows)
    lines = [f"{'fault':{width}}  {'rule, executor':26}  injected  lost  twice  changed  in flight  told  seconds"]
    lines += [
        f"{row.fault:{width}}  {row.where:26}  {row.injected:8}  {row.lost:4}  {row.twice:5}  {row.changed:7}  "
        f"{row.in_flight:9}  {row.told:4}  {row.seconds:7.1f}"
        for row in rows
    ]
    names = ("injected", "lost", "twice", "changed", "in_flight", "told", "seconds")
    total = {name: sum(getattr(row, name) for row in rows) for name in names}
    lines.append(
        f"{'all':{width}}  {'':26}  {total['injected']:8}  {total['lost']:4}  {total['twice']:5}  "
        f"{total['changed']:7}  {total['in_flight']:9}  {total['told']:4}  {total['seconds']:7.1f}"
    )
    return "\n".join(lines)


def save(rows: Sequence[Row], settings: Mapping[str, Any]) -> None:
    """Write the results."""
    about = {
        **settings,
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[2], 1),
    }
    said = {row.fault: row.said for row in rows if row.said}
    text = f"{about}\n\n{table(rows)}\n\nWhat was said:\n" + "".join(
        f"- {key}: {value}\n" for key, value in said.items()
    )
    (RESULTS / "faults.txt").write_text(text, encoding="utf-8")
    answer = {"about": about, "rows": [asdict(row) for row in rows]}
    (RESULTS / "faults.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    with (RESULTS / "faults.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [name for name in asdict(rows[0]) if name != "said"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def main() -> int:
    """Run the campaign; 1 if anything was lost, trained twice or changed."""
    parser = argparse.ArgumentParser(description="Inject faults into studies, and count what they cost.")
    parser.add_argument("--kills", type=int, default=10, help="of the coordinator, in each rule with each executor")
    parser.add_argument("--repeats", type=int, default=2, help="of every other fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help=f"write faults.txt, .json and .csv to {RESULTS.name}/")
    given = parser.parse_args()
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        contextlib.ExitStack() as opened,
    ):
        nurseries = (opened.enter_context(striking.open_nursery()), opened.enter_context(striking.open_nursery()))
        for row in Campaign(nurseries, Path(folder), given.seed).rows(given.kills, given.repeats):
            rows.append(row)
            print(f"{row.fault}, {row.where}: {row.injected} injected, {row.lost} lost, {row.twice} twice, "
                  f"{row.changed} changed, {row.in_flight} in flight, {row.seconds} s", flush=True)  # fmt: skip
    print(table(rows))
    if given.save:
        save(rows, {"kills": given.kills, "repeats": given.repeats, "seed": given.seed})
    return int(any(row.lost or row.twice or row.changed for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
