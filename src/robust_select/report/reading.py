"""Reads what a ledger knows of a study's sources of randomness.

Called by the command line and the live view. Computes nothing that belongs to analysis; never writes.
"""

import numpy as np

from robust_select.analysis.sources import compare_alone, sources
from robust_select.core.designs import Crossed
from robust_select.core.protocols import Direction
from robust_select.core.tables import Table
from robust_select.ledger import Ledger, StudyRecord
from robust_select.report.sources import CrossedSources, Sources
from robust_select.study.sources import design_of, read_sources


def sources_of(ledger: Ledger, study: StudyRecord, direction: Direction) -> Sources | None:
    """Gather what ``measure --sources`` found out for a study; None where it was never asked.

    Args:
        ledger: an open one.
        study: of that ledger.
        direction: of its scores.

    Example:
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.core.instances import Outcome
        >>> from robust_select.ledger import open_ledger
        >>> with open_ledger("sqlite://") as ledger:
        ...     record = ledger.create_study("widths", {}, grid(width=[16]))
        ...     beside = ledger.create_study("sources of widths, 2 x 2", {}, grid(width=[16]))
        ...     ledger.record(beside, [(0, at, Outcome(score)) for at, score in enumerate([0.3, 0.2, 0.5, 0.4])])
        ...     sources_of(ledger, record, "minimize").crossed[0].design
        '2 x 2'
    """
    crossed: list[CrossedSources] = []
    alone: dict[tuple[int, tuple[str, ...]], dict[str, Table]] = {}
    for found in read_sources(ledger, study):
        table, design = found.table, found.design
        if np.isnan(table.scores).all():
            continue
        if isinstance(design, Crossed):
            crossed.append(CrossedSources(str(design), sources(table, design)))
        else:
            alone.setdefault((design.n_instances, table.candidates), {})[str(design)] = table
    if not crossed and not alone:
        return None
    return Sources(tuple(crossed), tuple(compare_alone(tables, direction) for tables in alone.values()))


def sources_version(ledger: Ledger, study: StudyRecord) -> str:
    """Give a text that is another one whenever ``sources_of`` may be; empty where there is nothing to find.

    Example:
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.ledger import open_ledger
        >>> with open_ledger("sqlite://") as ledger:
        ...     sources_version(ledger, ledger.create_study("widths", {}, grid(width=[16, 32])))
        ''
    """
    besides = [ledger.study(name) for name in ledger.names() if design_of(study.name, name) is not None]
    return "-".join(f"{one.id}.{sum(ledger.count(one).values())}" for one in besides)
