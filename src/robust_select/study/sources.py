"""The studies that ``measure --sources`` trains beside a study: how they are named, and finding them again.

Called by the command line. Knows nothing of statistics; never writes.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from robust_select.core.designs import Crossed, Varying
from robust_select.core.instances import STREAMS
from robust_select.core.tables import Table
from robust_select.ledger import Ledger, StudyRecord

_SUBSET = r"(?:, \d+ candidates [0-9a-f]{8})?"
_CROSSED = re.compile(rf"(\d+ x \d+(?: x \d+)?){_SUBSET}")
_ALONE = re.compile(rf"(.+), (\d+) times{_SUBSET}")


@dataclass(frozen=True)
class SourceTable:
    """The scores of one design of a study's candidates.

    Attributes:
        design: how they were trained.
        table: (C, R) scores of the candidates that were chosen, R as the design says; nan where not trained yet.
    """

    design: Crossed | Varying
    table: Table


def sources_name(study: str, design: Crossed | Varying) -> str:
    """Name the study that trains a study's candidates by a design.

    Example:
        >>> sources_name("widths", Crossed(8, 6)), sources_name("widths", Varying(("batch_order",), 50))
        ('sources of widths, 8 x 6', 'sources of widths, batch order alone, 50 times')
    """
    about = f"sources of {study}, {design}"
    return f"{about}, {design.n_instances} times" if isinstance(design, Varying) else about


def design_of(study: str, name: str) -> Crossed | Varying | None:
    """Read the design of a study of sources off its name; None where it is none, or one of another study.

    Example:
        >>> design_of("widths", "sources of widths, 8 x 6, 2 candidates 0a1b2c3d")
        Crossed(n_weights=8, n_samples=6, n_repeats=1)
        >>> design_of("widths", "sources of others, 8 x 6") is None
        True
    """
    begin = f"sources of {study}, "
    if not name.startswith(begin):
        return None
    rest = name.removeprefix(begin)
    if crossed := _CROSSED.fullmatch(rest):
        return Crossed.parse(crossed[1])
    alone = _ALONE.fullmatch(rest)
    known = {str(Varying(streams, 2)): streams for streams in (*((stream,) for stream in STREAMS), STREAMS)}
    return None if alone is None or alone[1] not in known else Varying(known[alone[1]], int(alone[2]))


def read_sources(ledger: Ledger, study: StudyRecord) -> tuple[SourceTable, ...]:
    """Read the scores that ``measure --sources`` made for a study, as far as they are trained; oldest first.

    Args:
        ledger: an open one.
        study: of that ledger. Studies of sources with another seed, direction or trainer are not its own.

    Example:
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.core.instances import Outcome
        >>> from robust_select.ledger import open_ledger
        >>> with open_ledger("sqlite://") as ledger:
        ...     record = ledger.create_study("widths", {}, grid(width=[16]))
        ...     beside = ledger.create_study("sources of widths, 2 x 2", {}, grid(width=[16]))
        ...     ledger.record(beside, [(0, 0, Outcome(0.3)), (0, 1, Outcome(0.2))])
        ...     read_sources(ledger, record)[0].table.scores.tolist()
        [[0.3, 0.2, nan, nan]]
    """
    return tuple(_found(ledger, study))


def _found(ledger: Ledger, study: StudyRecord) -> Iterator[SourceTable]:
    for name in ledger.names():
        design = design_of(study.name, name)
        if design is None:
            continue
        beside = ledger.study(name)
        if _is_of(beside, study, design):
            yield SourceTable(design, _complete(ledger.table(beside), design.n_instances))


def _is_of(beside: StudyRecord, study: StudyRecord, design: Crossed | Varying) -> bool:
    """Say whether it was trained as the study is; another study may have the same name after an edit."""
    trainer = study.settings.get("trainer")
    expected = {
        "seed": study.settings.get("seed"),
        "direction": study.settings.get("direction"),
        "trainer": trainer and f"{trainer}, {design}",
    }
    return all(beside.settings.get(key) == value for key, value in expected.items())


def _complete(table: Table, n_replicates: int) -> Table:
    """Give a table of so many replicates, nan where they are not trained."""
    scores = np.full((table.n_candidates, n_replicates), np.nan)
    n_known = min(table.n_replicates, n_replicates)
    scores[:, :n_known] = table.scores[:, :n_known]
    return replace(table, scores=scores, seconds=None, curves=None)


def subset_name(about: str, names: Sequence[str]) -> str:
    """Add to a study's name which candidates were chosen.

    Example:
        >>> subset_name("sources of widths, 8 x 8", ["a", "b"])
        'sources of widths, 8 x 8, 2 candidates 5ab3a038'
    """
    return f"{about}, {len(names)} candidates {zlib.crc32(repr(list(names)).encode()):08x}"
