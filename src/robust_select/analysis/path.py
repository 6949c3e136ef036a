"""The selection path: the criterion of every candidate at each step for as long as it was alive.

Called by the page and by figure 10. Knows nothing of drawing, nor of why a rule decided what it decided.
"""

from dataclasses import dataclass

import numpy as np

from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.select.result import Result


@dataclass(frozen=True)
class SelectionPath:
    """What the rule looked at, step by step; S steps, those of the warm-up included.

    Attributes:
        candidates: (C,) names.
        steps: (S,) number of each step, ascending.
        instances: (S,) how many instances of each alive candidate the step looked at.
        values: (S, C) the criterion in units of the score; nan where the candidate was discarded before or its
            criterion is not known, infinite where a diverged or failed instance makes it so.
        is_alive: (S, C) whether the candidate took part in the step.
        is_warmup: (S,) whether the step belongs to the warm-up, in which nobody is discarded.
    """

    candidates: tuple[str, ...]
    steps: Ints
    instances: Ints
    values: Floats
    is_alive: Bools
    is_warmup: Bools

    @property
    def n_alive(self) -> Ints:
        """(S,) how many candidates took part in each step."""
        return np.asarray(self.is_alive.sum(axis=1), dtype=np.int64)


def selection_path(result: Result) -> SelectionPath:
    """Follow the criterion of every candidate through a selection.

    Each step is evaluated on the first ``instances`` replicates, which all alive candidates had by then. The
    steps of the warm-up come first, from the fewest instances that the criterion can do with.

    Args:
        result: of a selection, finished or not; one without steps gives a path without steps.

    Example:
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 3.0], [5.0, 5.0]]))
        >>> selection_path(replay(table, Halving(warmup=2), criterion("mean"))).values
        array([[1., 5.],
               [2., 5.]])
    """
    losses = result.table.losses(result.direction)
    discarded_at = np.array([np.inf if step is None else step for step in result.discarded_at], dtype=float)
    looks = [(step.step, step.instances_used, False) for step in result.steps]
    if looks:
        first_step, first_instances, _ = looks[0]
        earlier = range(result.criterion.min_instances, first_instances)
        looks = [(first_step - first_instances + n, n, True) for n in earlier] + looks
    values = np.full((len(looks), len(discarded_at)), np.nan)
    is_alive = np.zeros(values.shape, dtype=bool)
    for row, (step, n_instances, _) in enumerate(looks):
        alive = discarded_at >= step
        is_alive[row] = alive
        values[row, alive] = result.criterion.in_score_units(
            result.criterion(losses[alive, :n_instances]), result.direction
        )
    return SelectionPath(
        candidates=result.table.candidates,
        steps=np.array([step for step, _, _ in looks], dtype=np.int64),
        instances=np.array([n_instances for _, n_instances, _ in looks], dtype=np.int64),
        values=values,
        is_alive=is_alive,
        is_warmup=np.array([is_warmup for _, _, is_warmup in looks], dtype=bool),
    )
