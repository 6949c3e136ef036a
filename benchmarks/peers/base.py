"""What a peer is: a selector of another project, driven on scores that exist already.

Implemented by the files beside this one, called by the benchmark of rules. Knows nothing of robust_select's rules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats, Ints


class Run(Protocol):
    """Runs a peer on several studies, as if their scores came one by one."""

    def __call__(self, losses: Floats, knob: Any, seed: int = 0) -> tuple[Ints, Ints]:
        """Run.

        Args:
            losses: (S, C, R) finite losses of S independent studies; a column is a replicate.
            knob: what trades trainings for reliability; ``Peer.default`` and ``Peer.knobs`` show its kind.
            seed: of whatever the peer draws at random.

        Returns:
            (S,) position of the selected candidate, (S,) trainings: how many (candidate, replicate) were
            revealed to the peer, counted by us, again where it trains again.
        """
        ...


@dataclass(frozen=True)
class Peer:
    """A selector of another project.

    Attributes:
        name: as the tables and figures show it.
        run: runs it.
        default: its knob where the user sets nothing.
        knobs: from cheap to thorough, for a curve of reliability against trainings.
        needs: n replicates that a knob asks for at most; a knob that needs more than there are is refused.
        knob_is: what the knob is, in words.
        missing: says what to install, or nothing if the peer can run here.
    """

    name: str
    run: Run
    default: Any
    knobs: tuple[Any, ...]
    needs: Callable[[Any], int]
    knob_is: str
    missing: Callable[[], str]


def check_losses(losses: Floats) -> Floats:
    """Check the scores that a peer is run on.

    Raises:
        InputError: not (S, C, R) with two candidates at least, or a loss that is not finite: what each peer makes
            of nan and infinity is another question than this benchmark's.
    """
    losses = np.asarray(losses, dtype=float)
    if losses.ndim != 3 or losses.shape[1] < 2 or losses.size == 0:
        raise InputError(
            "expected losses of shape (studies, candidates, replicates) with at least two candidates, came shape "
            f"{losses.shape}"
        )
    if not np.isfinite(losses).all():
        raise InputError(f"expected finite losses, came {np.count_nonzero(~np.isfinite(losses))} that are not")
    return losses


def check_replicates(peer: str, n_needed: int, n_replicates: int) -> None:
    """Check that there are as many replicates as a knob asks for.

    Raises:
        InputError: there are fewer.
    """
    if n_needed > n_replicates:
        raise InputError(
            f"expected at least {n_needed} replicates for this knob of {peer}, came {n_replicates}: draw more or "
            "choose a smaller knob"
        )
