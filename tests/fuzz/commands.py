"""What is fuzzed of the program: options, tables with awkward scores, damaged ledgers. Each target runs one command.

Used by the tests and the campaign. Knows nothing of limits. The commands run in this process, their last line of
defence taken away, so that what it would hide comes to light.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from robust_select.cli.app import TRACEBACK, app
from robust_select.core.candidates import as_candidates, grid
from robust_select.core.errors import RobustSelectError
from robust_select.core.instances import Outcome
from robust_select.core.tables import read_table
from robust_select.ledger import open_ledger
from robust_select.report.live import LiveServer, LiveStudy
from robust_select.select.rules import Halving
from robust_select.study import Study

from .guard import CrashError
from .source import NUMBERS, Source, damaged

Target = Callable[[bytes], None]

_SCORES = ("0.1", "0.2", "0.2", "0.30000001", "0", "-0.0", "-1", "nan", "inf", "-inf", "", "5e-324", "1e-300", "1e16")
_SCORES += ("1e999", "1", "1", "2", "3", "0.5", "0.25", "1.0000000000000002")
_HUGE = ("1e308", "-1e308", "1e200", "-1e155", "1e154", "1e-200", "5e-324")

_NAMES = ("a", "b", "=1+1", "<script>", "a b", "", "é", "\u2028", "x" * 300, "$x$", "#N/A", "nan", "1", "-2", "[red]")


class RefusedError(RobustSelectError):
    """A command ended with a message and an exit code, as it should where it is given something bad."""


def invoke(*arguments: object) -> None:
    """Run a command.

    Raises:
        RefusedError: it ended with exit code 1 or 2 and one message.
        CrashError: it ended otherwise.
    """
    words = [str(argument) for argument in arguments]
    done = CliRunner(env={TRACEBACK: "1"}).invoke(app, words, prog_name="robust-select")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    said = done.stderr
    if done.exit_code == 0:
        return
    n_messages = said.count("robust-select: ") + said.count("Usage: ")
    if done.exit_code not in (1, 2) or n_messages != 1 or "Traceback" in said:
        raise CrashError(f"ended with {done.exit_code} and {n_messages} messages: {said[:300]}")
    raise RefusedError(said)


def scores(folder: Path) -> Target:
    """Give every command that reads a table one of awkward scores.

    Where scores are so large that their squares are infinite, numpy may warn of it.
    """
    path = folder / "scores.csv"

    def target(plan: bytes) -> None:
        source = Source(plan)
        if source.is_one_in(4):
            with np.errstate(all="ignore"):
                use(source, _SCORES + _HUGE)
        else:
            use(source, _SCORES)

    def use(source: Source, known: tuple[str, ...]) -> None:
        n_candidates, n_replicates = 1 + source.below(5), 1 + source.below(8)
        values = [source.choice(known) for _ in range(1 + source.below(4))] if source.below(3) else list(known)
        rows = [
            f'"{source.choice(_NAMES) if source.is_one_in(4) else name}",{replicate},{source.choice(values)}'
            for name in range(n_candidates)
            for replicate in range(n_replicates)
            if not source.is_one_in(12)
        ]
        path.write_text("candidate,replicate,score\n" + "\n".join(rows) + "\n", encoding="utf-8")
        invoke(*_command(source, path, folder))

    return target


def curves(folder: Path) -> Target:
    """Give the commands that read curves a table of awkward ones."""
    path = folder / "curves.csv"

    def target(plan: bytes) -> None:
        source = Source(plan)
        n_epochs = 1 + source.below(4)
        header = ",".join(["candidate", "replicate", "score", *(f"epoch_{at + 1}" for at in range(n_epochs))])
        rows = [
            ",".join([name, str(replicate), *(source.choice(_SCORES) for _ in range(1 + n_epochs))])
            for name in ("a", "b", "c")
            for replicate in range(1 + source.below(4))
        ]
        path.write_text(f"{header}\n" + "\n".join(rows) + "\n", encoding="utf-8")
        command = ["stability", path, "--json", "-", "--top", source.choice((0.1, 0.5, 1, 0, -1, "nan", 1e308))]
        if source.is_one_in(4):
            command = ["replay", path, "--rule", "halving", "--warmup", 1, "--html", folder / "page.html"]
        invoke(*command)

    return target


def _command(source: Source, path: Path, folder: Path) -> list[Any]:
    criterion = ["--criterion", source.choice(("mean", "std", "q3+iqr", "median", "q3", "mean+std", "max"))]
    shared = criterion if source.below(2) else []
    shared += ["--maximize"] if source.below(2) else []
    rule = source.choice(
        (
            ["--rule", "halving", "--warmup", 1 + source.below(3)],
            ["--rule", "significance", "--warmup", 2, "--test", source.choice(("welch", "ks", "levene", "paired-t"))],
            ["--rule", "significance", "--warmup", 2, "--control", "familywise"],
            ["--rule", "top-two", "--warmup", 2, "--tolerance", source.choice((0, 0.1, 1e308, 5e-324))],
            ["--rule", "exhaustive", "--instances", 1 + source.below(4)],
        )
    )
    return [
        ["measure", path, "--resamples", 20, "--card", folder / source.choice(("c.md", "c.tex", "c.json")), *shared],
        ["replay", path, *rule, *shared],
        ["replay", path, *rule, "--html", folder / "page.html", *shared],
        ["plan", "--pilot", path, *rule, "--studies", 2, *shared],
        ["measure", path, "--sources", "--resamples", 10, "--design", "2x2"],
    ][source.below(5)]


def options(folder: Path) -> Target:
    """Give commands awkward options."""
    good = folder / "good.csv"
    rows = [f"{name},{at},{0.1 * at + level}" for level, name in enumerate("abc") for at in range(5)]
    good.write_text("candidate,replicate,score\n" + "\n".join(rows) + "\n", encoding="utf-8")
    numbers = {
        "replay": ("--warmup", "--final-instances", "--alpha", "--patience", "--confidence", "--tolerance"),
        "plan": ("--warmup", "--final-instances", "--alpha", "--budget", "--instances", "--batch", "--max-instances"),
        "measure": ("--confidence", "--resamples", "--seed"),
        "efficiency": ("--confidence", "--tolerance", "--repeats", "--seed"),
        "stability": ("--top", "--seed"),
    }
    more = {
        "replay": ("--replicates", "--seed", "--order", "--max-instances", "--batch", "--budget", "--samples"),
        "plan": ("--against", "--replicates", "--spread", "--gap-spread", "--correlation", "--seconds", "--workers"),
        "measure": ("--criterion", "--candidate", "--design", "--instances", "--workers"),
        "efficiency": ("--criterion", "--resample", "--score-prefix"),
        "stability": ("--criterion", "--against", "--study", "--format"),
    }
    small = {"measure": ["--resamples", 20], "efficiency": ["--repeats", 2, "--workers", 1], "stability": []}

    def target(plan: bytes) -> None:
        source = Source(plan)
        name = source.choice(("replay", "plan", "plan", "measure", "efficiency", "stability"))
        words: list[Any] = [name]
        if name == "plan":
            words += ["--candidates", source.choice((1, 2, 72, 10**6)), "--studies", 2]
            words += ["--spread", 0.1, "--gap-spread", 0.1] if source.below(2) else []
        else:
            words += [good, *small.get(name, [])]
        if name in ("replay", "plan"):
            words += ["--rule", source.choice(("halving", "significance", "top-two", "exhaustive"))]
        for _ in range(1 + source.below(3)):
            option = source.choice((*numbers[name], *more[name]))
            value = source.choice(NUMBERS) if source.below(4) else source.scalar()
            is_costly = option in ("--repeats", "--workers", "--resamples") and isinstance(value, int) and value > 3
            words += [option, 3 if is_costly else value]
        with np.errstate(all="ignore"):
            invoke(*words)

    return target


def columns(folder: Path) -> Target:
    """Import tables of other tools with awkward names of columns."""
    path = folder / "other.csv"

    def target(plan: bytes) -> None:
        source = Source(plan)
        header = ("trial", "value", "state", "params_lr", "seed", "seconds")
        rows = [
            ",".join(str(source.choice((at, source.choice(_SCORES), "COMPLETE", "RUNNING", 0.1))) for _ in header)
            for at in range(1 + source.below(6))
        ]
        path.write_text(",".join(header) + "\n" + "\n".join(rows) + "\n", encoding="utf-8")
        words: list[Any] = ["replay", path, "--rule", "halving", "--warmup", 1, "--json", "-"]
        for option in ("candidate", "replicate", "score", "seconds", "state"):
            if source.below(2):
                words += [f"--{option}-column", source.choice((*header, "none", ""))]
        if source.below(2):
            words += ["--parameter-columns", source.choice(("params_*", "params_lr", "*", "", ",", "seed,trial"))]
        invoke(*words)

    return target


def _good_ledger(folder: Path) -> bytes:
    """Make a ledger with two studies, one of them with curves, failures and steps."""
    path = folder / "good.db"
    rng = np.random.default_rng(1)

    def train(params: Any, instance: Any) -> Outcome:
        if params["width"] == 3:
            raise ValueError("too wide")
        return Outcome(params["width"] + rng.normal(), curve=(2.0, 1.0))

    Study(grid(width=[1, 2, 3, 4]), train, rule=Halving(warmup=2), ledger=path, fresh=2).run()
    with open_ledger(path) as ledger:
        other = ledger.create_study("other", {"rule": {"name": "exhaustive", "n": 1}}, grid(a=[1, 2]))
        ledger.record(other, [(0, 0, Outcome(0.5))])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.read_bytes()


def ledger_bytes(folder: Path) -> Target:
    """Damage the bytes of a ledger."""
    good = _good_ledger(folder)
    path = folder / "bytes.db"

    def target(plan: bytes) -> None:
        source = Source(plan)
        for left in folder.glob("bytes.db-*"):
            left.unlink()
        path.write_bytes(damaged(source, good))
        _use_ledger(source, path, folder)

    return target


def ledger_values(folder: Path) -> Target:
    """Put awkward values into the cells of a ledger, remove tables, columns and rows."""
    good = _good_ledger(folder)
    path = folder / "values.db"
    cells = {
        "robust_select_meta": ("key", "value"),
        "studies": ("id", "name", "settings", "origin", "created_at", "stop_reason"),
        "candidates": ("study_id", "position", "name", "params", "is_base"),
        "outcomes": ("position", "replicate", "state", "score", "seconds", "curve", "message", "log", "finished_at"),
        "steps": ("number", "record"),
    }
    settings = '{"rule": {"name": "halving", "warmup": %s}, "criterion": %s, "direction": "minimize"}'
    texts = (
        "",
        "x",
        "null",
        "[]",
        "{}",
        '{"name": 1}',
        '{"name": "halving", "warmup": "x"}',
        "[[[",
        "complete",
        "nan",
    )
    texts += (
        settings % ("1e99", '"mean"'),
        settings % (2, '["mean"]'),
        settings % (10**15, '"mean"'),
        "[" * 9000,
        "inf",
    )
    values: tuple[Any, ...] = (*texts, None, 0, 1, -1, 7, 10**6, 2**40, 2**62, -(2**62), 0.5, 1e308, -1e308)
    values += (float("inf"), b"", b"x", b"\xff" * 16, b"\0" * 8000, "\u2028<script>", "\x1b[2J", "2026-99-01 00:00")

    def target(plan: bytes) -> None:
        source = Source(plan)
        path.write_bytes(good)
        for left in folder.glob("values.db-*"):
            left.unlink()
        connection = sqlite3.connect(path, isolation_level=None)
        for _ in range(1 + source.below(3)):
            table = source.choice(tuple(cells))
            column = source.choice(cells[table])
            row = 1 + source.below(12)
            kind = source.below(12)
            try:
                if kind == 0:
                    connection.execute(f"DROP TABLE {table}")
                elif kind == 1:
                    connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO elsewhere")
                elif kind == 2:
                    connection.execute(f"DELETE FROM {table} WHERE rowid >= ?", (row,))
                else:
                    where = "" if kind == 3 else "WHERE rowid = :row"
                    words = f"UPDATE OR IGNORE {table} SET {column} = :value {where}"
                    connection.execute(words, {"value": source.choice(values), "row": row})
            except sqlite3.Error:
                continue  # refused by the database itself
        connection.close()
        with np.errstate(all="ignore"):
            _use_ledger(source, path, folder)

    return target


def _use_ledger(source: Source, path: Path, folder: Path) -> None:
    match source.below(8):
        case 0:
            invoke("status", path)
        case 1:
            invoke("status", path, "--json", "-")
        case 2:
            invoke("export", path, folder / "out.csv", *(["--study", "study"] if source.below(4) else []))
        case 3:
            invoke("export", path, folder / "out.parquet", "--study", "study", "--curves")
        case 4:
            invoke("report", path, "--study", "study", "--html", folder / "p.html", "--card", folder / "c.md")
        case 5:
            invoke("stability", path, "--study", "study", "--json", "-")
        case 6:
            LiveStudy(str(path), source.choice((None, "study"))).snapshot()
        case _:

            def train(params: Any, instance: Any) -> float:
                return 1.0

            Study(grid(width=[1, 2, 3, 4]), train, rule=Halving(warmup=2), ledger=path, fresh=2).run()


def ledger_urls(folder: Path) -> Target:
    """Open what is no place for a ledger."""
    schemes = ("sqlite", "sqlite+pysqlite", "postgresql", "mysql", "mssql+x", "http", "", "a b", "SQLITE", "oracle")
    parts = ("", "/", "//", "///", "x", ":y", "@", "?a=b", "?uri=true", "?timeout=x", "%", "%zz", "[::", "]", "#")
    parts += (
        "\0",
        "file:x?mode=ro",
        ":memory:",
        ":99999",
        "::",
        "é",
        "..",
        "?check_same_thread=x",
        "\ud800",
        "a" * 5000,
    )

    def target(plan: bytes) -> None:
        source = Source(plan)
        url = "".join(source.choice(parts) for _ in range(1 + source.below(5)))
        if source.below(4):
            url = f"{source.choice(schemes)}://{url}"
        if "postgresql" in url and "@" in url:
            return  # would ask a name server
        with open_ledger(url, must_exist=bool(source.below(2))):
            pass

    return target


def live_requests(_folder: Path) -> Target:
    """Ask whether awkward Host headers name the live view's server."""
    server = LiveServer(LiveStudy("nowhere.db").snapshot)
    server.server_close()  # it is asked, not connected to
    parts = ("localhost", "127.0.0.1", "[::1]", "evil.example", ":", ":80", "@", "[", "]", "\0", "é", "/", "?", "#")

    def target(plan: bytes) -> None:
        source = Source(plan)
        host = "".join(source.choice(parts) for _ in range(source.below(6)))
        if server.is_own(host) and "evil" in host:
            raise CrashError(f"takes {host!r} for its own name")

    return target


def exports(folder: Path) -> Target:
    """Write a table with awkward names and read it back: nothing of it changes."""

    def target(plan: bytes) -> None:
        source = Source(plan)
        names = sorted({str(source.choice((*_NAMES, source.scalar()))) for _ in range(3)} - {""})
        made = [name for name in names if name.strip()]
        if not made:
            return
        path = folder / "export.db"
        path.unlink(missing_ok=True)
        with open_ledger(path) as ledger:
            candidates = [{"name": name, "text": str(source.scalar())} for name in made]
            record = ledger.create_study("s", {}, as_candidates(candidates))
            ledger.record(record, [(at, 0, Outcome(float(at))) for at in range(len(made))])
        written = folder / "export.csv"
        invoke("export", path, written)
        if read_table(written).candidates != tuple(made):
            raise CrashError(f"{made} came back as {read_table(written).candidates}")

    return target


TARGETS: dict[str, Callable[[Path], Target]] = {
    "scores in tables": scores,
    "curves in tables": curves,
    "command-line options": options,
    "columns of other tools": columns,
    "ledger, bytes": ledger_bytes,
    "ledger, values": ledger_values,
    "ledger, URLs": ledger_urls,
    "ledger, export and back": exports,
    "live view, Host header": live_requests,
}
