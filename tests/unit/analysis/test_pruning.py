"""Whether pruning was safe, against SciPy, against a full table, and by hand."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import beta, kendalltau

from robust_select.analysis.pruning import pruning
from robust_select.core.errors import InputError
from robust_select.core.instances import Outcome
from robust_select.select.pruning import FirstRound, PruneEpochs
from robust_select.select.result import result_of
from robust_select.select.rules import Exhaustive
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion
from robust_select.study.reading import curves_of


def pruned_study(curves, prune, seed=0, direction="minimize", obeys=True, n_each=1):
    """Run a study on curves (C, E); the second and later instances end like the first."""
    n_candidates, n_epochs = curves.shape
    first_round = FirstRound(prune, n_candidates, direction, seed)
    names = [f"c{at}" for at in range(n_candidates)]
    selection = Selection(names, Exhaustive(n_each), criterion("mean"), direction, first_round=first_round)
    known = {}
    while asked := selection.ask():
        for candidate, replicate in asked:
            curve, limits = curves[candidate].tolist(), selection.limits(candidate, replicate)
            stop = next((n for n in range(1, n_epochs) if obeys and limits.is_missed(curve[:n])), None)
            outcome = Outcome(curve[-1], curve, 1.0) if stop is None else Outcome.pruned(curve[:stop], 0.5)
            known[candidate, replicate] = outcome
            selection.hear(candidate, replicate, outcome)
    table = result_of(selection).table
    given = {asked: outcome.curve for asked, outcome in known.items()}
    curved = dataclasses.replace(table, curves=curves_of(given, selection.scores, selection.stopped))
    return result_of(selection, curved)


def noisy(n_candidates, noise, seed=0, n_epochs=10):
    """Make losses that fall to a level of each candidate's own, ever less noisy."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(n_candidates, 1))
    epochs = np.arange(1, n_epochs + 1)
    return level + 3 / epochs + noise * (1 - epochs / n_epochs) * rng.normal(size=(n_candidates, n_epochs))


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_where_everybody_is_trained_to_the_end_tau_is_that_of_scipy(direction):
    curves = noisy(90, 2.0) * (1 if direction == "minimize" else -1)
    found = pruning(pruned_study(curves, PruneEpochs((2, 5), audit=0), direction=direction, obeys=False))
    expected = [kendalltau(curves[:, epoch - 1], curves[:, -1]).statistic for epoch in (2, 5)]
    np.testing.assert_allclose(found.tau, expected)
    assert found.n_stopped == found.n_audited == found.epochs_saved == found.seconds_saved == 0
    assert found.n_witnesses > 30


def test_the_tau_of_audited_ones_estimates_that_of_all_and_survivors_alone_do_not():
    errors, survivors = [], []
    for seed in range(60):
        curves = noisy(200, 2.0, seed)
        truth = kendalltau(curves[:, 1], curves[:, -1]).statistic
        found = pruning(pruned_study(curves, PruneEpochs((2,), audit=0.25), seed))
        errors.append(found.tau[0] - truth)
        result = pruned_study(curves, PruneEpochs((2,), audit=0.0), seed)
        kept = ~result.table.is_stopped[:, 0]
        survivors.append(kendalltau(curves[kept, 1], curves[kept, -1]).statistic - truth)
    standard_error = np.std(errors) / np.sqrt(len(errors))
    assert abs(np.mean(errors)) < 3 * standard_error
    assert np.mean(survivors) < -10 * standard_error


def test_a_weighted_tau_by_hand():
    """Three of four that were behind were stopped: the pairs of the fourth with the others count four times."""
    found = pruning(pruned_study(noisy(40, 3.0, 7), PruneEpochs((3,), audit=0.3, first=8), seed=2))
    result = pruned_study(noisy(40, 3.0, 7), PruneEpochs((3,), audit=0.3, first=8), seed=2)
    curves, due = noisy(40, 3.0, 7), result.pruned.due_at > 0
    trained = np.flatnonzero(~result.table.is_stopped[:, 0])
    n, total = int((due & ~result.table.is_stopped[:, 0]).sum()), int(due.sum())
    assert 2 <= n < total
    agree = x = y = 0.0
    for i in trained:
        for j in trained[trained > i]:
            weight = {0: 1.0, 1: total / n, 2: total * (total - 1) / (n * (n - 1))}[int(due[i]) + int(due[j])]
            at, end = np.sign(curves[i, 2] - curves[j, 2]), np.sign(curves[i, -1] - curves[j, -1])
            agree, x, y = agree + weight * at * end, x + weight * at**2, y + weight * end**2
    assert found.tau[0] == pytest.approx(agree / np.sqrt(x * y))


def test_counts_and_the_exact_interval():
    curves = noisy(200, 0.3)
    result = pruned_study(curves, PruneEpochs((3,), audit=0.5), seed=4, n_each=3)
    found = pruning(result)
    due, stopped = result.pruned.due_at > 0, result.table.is_stopped[:, 0]
    assert found.stopped.tolist() == [stopped.sum()]
    n = int((due & ~stopped).sum())
    assert found.n_witnesses == found.n_audited == n > 36
    assert found.n_better == 0
    assert found.low == 0
    assert found.high == pytest.approx(beta.ppf(0.975, 1, n))
    assert found.typical == curves[:, -1].min()
    assert found.is_safe is True
    assert found.verdict.startswith(f"Pruning was safe. Of {n} that were behind and still trained to the end, none")
    assert found.epochs_saved == 7 * stopped.sum()
    assert found.share_saved == pytest.approx(7 * stopped.sum() / 2000)
    assert found.seconds_saved == pytest.approx(stopped.sum() * 0.5 / 3 * 7)
    assert found.to_frame()["witnesses"].tolist() == [n]


def test_where_the_ranking_turns_round_it_is_not_safe():
    level = np.arange(60.0)[:, None]
    curves = np.concatenate([-level, -level, level], axis=1)
    found = pruning(pruned_study(curves, PruneEpochs((1,), audit=0.3), seed=1))
    assert found.tau[0] == pytest.approx(-1)
    assert found.is_safe is False
    assert found.n_better == 0 or found.is_selected_witness
    assert found.guessed_at == (1,)
    assert "Kendall's tau of -1.00 only (below 0.5): to prune there is to guess." in found.verdict


def test_a_selected_candidate_that_was_behind_itself_says_that_it_was_not_safe():
    for seed in range(20):
        curves = noisy(40, 0.1)
        prune = PruneEpochs((1,), audit=0.3)
        audited = FirstRound(prune, 40, seed=seed).result.is_audited
        row = int(np.flatnonzero(audited)[0])
        curves[row, :-1], curves[row, -1] = 100, -100
        found = pruning(pruned_study(curves, prune, seed))
        assert found.selected == f"c{row}"
        assert found.is_selected_witness
        assert found.is_safe is False
        assert f"The selected candidate, c{row}, was itself behind" in found.verdict


def test_with_few_witnesses_nothing_can_be_said():
    found = pruning(pruned_study(noisy(30, 0.1), PruneEpochs((3,), audit=0.5), seed=4))
    assert 0 < found.n_witnesses < 10
    assert found.is_safe is None
    assert found.verdict.startswith("Whether pruning was safe cannot be said.")
    assert found.verdict.endswith("A larger audit tells more.")


def test_without_an_audit_nothing_can_be_said():
    found = pruning(pruned_study(noisy(30, 0.1), PruneEpochs((3,), audit=0)))
    assert (found.n_witnesses, found.low, found.high, found.is_safe) == (0, 0.0, 1.0, None)
    assert np.isnan(found.tau).all()
    assert found.verdict.endswith("none that was behind was trained to the end: raise audit.")


def test_where_nobody_was_behind_nothing_was_lost():
    found = pruning(pruned_study(np.ones((20, 4)), PruneEpochs((2, 3))))
    assert found.is_safe is True
    assert found.verdict == "Nobody was behind after epoch 2 and 3: nothing was stopped, so nothing was lost."


def test_a_trainer_without_curves_is_told_so():
    selection = Selection(["a", "b"], Exhaustive(1), criterion("mean"), first_round=FirstRound(PruneEpochs((5,)), 2))
    while asked := selection.ask():
        for candidate, replicate in asked:
            selection.tell(candidate, replicate, float(candidate))
    found = pruning(result_of(selection))
    assert found.is_safe is None
    assert found.verdict == "Nobody could be stopped: no first training gave a curve that reaches epoch 5."


def test_a_study_that_does_not_prune_is_refused():
    result = result_of(Selection(["a", "b"], Exhaustive(1), criterion("mean")))
    with pytest.raises(InputError, match="prune_epochs"):
        pruning(result)
