"""A study as long tables, piece by piece, so that a large one needs little memory.

Called by the ledger beside this file. Knows nothing of the files they may be written to.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from robust_select.core.candidates import Candidate
from robust_select.core.instances import State
from robust_select.core.protocols import Floats
from robust_select.core.tables import curve_array, params_columns
from robust_select.ledger import schema
from robust_select.ledger.outcomes import Outcomes, read_curves, read_messages, read_outcomes


def frames_of(
    connection: sa.Connection, study_id: int, candidates: Sequence[Candidate], with_curves: bool, n_rows: int
) -> Iterator[pd.DataFrame]:
    """Read a study's instances as data frames of the same columns, one at least.

    Args:
        connection: in a transaction, so that all pieces show the same moment.
        study_id: of the study.
        candidates: (C,) of the study.
        with_curves: whether to add the score after each epoch.
        n_rows: about how many rows a piece is to have.
    """
    table = schema.outcomes
    n_bytes = sa.func.coalesce(sa.func.max(sa.func.length(table.c.curve)), 0)
    n_pruned = sa.func.count().filter(table.c.state == State.PRUNED.value)
    query = sa.select(sa.func.count(), n_bytes, n_pruned).where(table.c.study_id == study_id)
    n_outcomes, longest, pruned = connection.execute(query).one()
    n_epochs = longest // 8 if with_curves else 0
    names = np.array([candidate.name for candidate in candidates], dtype=object)
    first = {"candidate", "replicate", "score", "state", "seconds", "message", "stopped_at"}
    params = params_columns([candidate.params for candidate in candidates], first)
    n_at_once = max(1, len(candidates) * n_rows // max(n_outcomes, 1))
    for start in range(0, len(candidates), n_at_once):
        rows = range(start, min(start + n_at_once, len(candidates)))
        found = read_outcomes(connection, study_id, len(candidates), rows)
        messages = read_messages(connection, study_id, rows)
        keys = zip(found.positions.tolist(), found.replicates.tolist(), strict=True)
        data: dict[str, Any] = {
            "candidate": names[found.positions],
            "replicate": found.replicates,
            "score": found.scores,
            "state": found.states,
            "seconds": found.seconds,
            "message": np.array([messages.get(key, "") for key in keys], dtype=object),
        }
        if pruned:
            stopped_at = pd.Series(found.n_epochs, dtype="Int64")
            data["stopped_at"] = stopped_at.where(found.is_in(State.PRUNED)).array
        if n_epochs:
            data |= _epochs(connection, study_id, rows, found, n_epochs)
        data |= {name: values.take(found.positions) for name, values in params.items()}
        yield pd.DataFrame(data).astype(dict.fromkeys(("candidate", "state", "message"), "str"))


def _epochs(
    connection: sa.Connection, study_id: int, rows: range, found: Outcomes, n_epochs: int
) -> dict[str, Floats]:
    """Give a column an epoch, nan where a curve is shorter or none is there."""
    curves = {
        (position - rows.start, replicate): curve
        for (position, replicate), curve in read_curves(connection, study_id, rows).items()
    }
    laid = np.full((len(found.positions), n_epochs), np.nan)
    gathered = curve_array(curves, (len(rows), found.n_replicates))
    if gathered is not None:
        laid[:, : gathered.shape[2]] = gathered[found.positions - rows.start, found.replicates]
    return {f"epoch_{epoch + 1}": laid[:, epoch] for epoch in range(n_epochs)}
