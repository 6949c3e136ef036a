import numpy as np
import pytest
from benchmarks.peers import PEERS, irace, optuna_wilcoxon, sklearn_halving
from benchmarks.peers.irace import IraceKnob
from benchmarks.peers.optuna_wilcoxon import WilcoxonKnob
from benchmarks.peers.sklearn_halving import HalvingKnob, schedule
from scipy import stats

from robust_select import InputError, RobustSelectError

IRACE = [name for name in PEERS if name.startswith("irace")]


def need(name):
    if PEERS[name].missing():
        pytest.skip(PEERS[name].missing())


def clear(n_studies=3, n_candidates=6, n_replicates=90, seed=0):
    """Losses where candidate s + 1 of study s is better than all others in every replicate."""
    rng = np.random.default_rng(seed)
    losses = rng.uniform(1.0, 2.0, (n_studies, n_candidates, n_replicates))
    for study in range(n_studies):
        losses[study, study + 1] -= 1.5
    return losses


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_finds_a_clearly_best_candidate(name):
    need(name)
    losses = clear()
    selected, trainings = PEERS[name].run(losses, PEERS[name].default)
    assert selected.tolist() == [1, 2, 3]
    assert trainings.dtype == selected.dtype == np.int64
    assert ((trainings >= 6) & (trainings <= 2 * 6 * 90)).all()


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_gives_the_same_for_the_same_seed(name):
    need(name)
    losses = np.random.default_rng(1).normal(1.0, 0.3, (4, 8, 90)) + np.linspace(0, 0.3, 8)[:, None]
    first, again = (PEERS[name].run(losses, PEERS[name].default, seed=3) for _ in range(2))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_refuses_what_it_cannot_run(name):
    peer = PEERS[name]
    for losses in (np.ones((3, 4)), np.ones((1, 1, 90)), np.full((1, 3, 90), np.nan), np.full((1, 3, 90), np.inf)):
        with pytest.raises(InputError, match="expected"):
            peer.run(losses, peer.default)
    with pytest.raises(InputError, match="draw more"):
        peer.run(np.ones((1, 3, 1)), peer.default)
    assert all(peer.needs(knob) >= 1 for knob in peer.knobs)
    assert peer.needs(peer.default) > 1


@pytest.mark.parametrize("name", IRACE)
def test_irace_tests_first_after_five_replicates(name):
    need(name)
    # Ranks 1, 2, 3, ... in every replicate: the first test leaves the best one alone.
    losses = np.arange(4.0)[:, None] * 10 + np.random.default_rng(0).uniform(0, 1, (2, 4, 30))
    selected, trainings = PEERS[name].run(losses, IraceKnob())
    assert selected.tolist() == [0, 0]
    assert trainings.tolist() == [20, 20]
    _, trainings = PEERS[name].run(losses, IraceKnob(first_test=9))
    assert trainings.tolist() == [36, 36]


@pytest.mark.parametrize("name", IRACE)
def test_irace_gives_up_after_tests_without_elimination(name):
    need(name)
    # Everybody wins equally often, so no test ever rejects: 5 replicates, then two (four) more tests, then the end.
    losses = np.tile(np.array([[1.0, 2.0], [2.0, 1.0]]), 20)[None]
    for limit, expected in ((2, 2 * 7), (4, 2 * 9), (1000, 2 * 40)):
        _, trainings = PEERS[name].run(losses, IraceKnob(elitist_limit=limit))
        assert trainings.tolist() == [expected]


def test_irace_with_t_test_drops_whom_scipys_paired_t_test_drops():
    need("irace, t-test")
    rng = np.random.default_rng(5)
    losses = rng.normal(0.0, 1.0, (40, 5, 6)) + np.linspace(0, 1.5, 5)[:, None]
    expected = []
    for study in losses:
        best = int(study[:, :5].mean(axis=1).argmin())
        kept = [
            other
            for other in range(5)
            if other == best
            or (
                not (study[best, :5] <= study[other, :5]).all()
                and stats.ttest_rel(study[best, :5], study[other, :5]).pvalue >= 0.05
            )
        ]
        expected.append(25 + (len(kept) if len(kept) > 1 else 0))
    _, trainings = PEERS["irace, t-test"].run(losses, IraceKnob())
    assert trainings.tolist() == expected
    assert len(set(expected)) > 2


def test_irace_says_what_r_said(monkeypatch, tmp_path):
    need(IRACE[0])
    broken = tmp_path / "broken.R"
    broken.write_text('stop("the reason")')
    monkeypatch.setattr(irace, "_SCRIPT", broken)
    with pytest.raises(RobustSelectError, match="the reason"):
        PEERS[IRACE[0]].run(clear(), IraceKnob())


def test_optuna_prunes_when_the_wilcoxon_p_value_allows():
    pytest.importorskip("optuna")
    # All differences have one sign: p = 2**-n after n steps, below 0.1 after 4 and below 0.01 after 7.
    losses = np.arange(2.0)[:, None] * 10 + np.random.default_rng(0).uniform(0, 1, (30, 2, 12))
    orders, _ = optuna_wilcoxon._shuffled(30, 2, 12, seed=2)
    for threshold, n_pruned in ((0.1, 4), (0.01, 7)):
        knob = WilcoxonKnob(n_steps=12, p_threshold=threshold)
        selected, trainings = optuna_wilcoxon.run(losses, knob, seed=2)
        assert selected.tolist() == [0] * 30
        assert trainings.tolist() == [12 + n_pruned if order[0] == 0 else 24 for order in orders]
    assert 0 < (orders[:, 0] == 0).sum() < 30


@pytest.mark.parametrize(
    ("knob", "decimals"),
    [(WilcoxonKnob(10), 12), (WilcoxonKnob(8, 0.3, 4), 12), (WilcoxonKnob(60, 0.02), 12), (WilcoxonKnob(7), 0)],
)
def test_the_replayed_pruner_does_what_optuna_does(knob, decimals):
    pytest.importorskip("optuna")
    rng = np.random.default_rng(decimals)
    losses = np.round(rng.normal(0, 1, (3, 6, 60)) + np.linspace(0, 1, 6)[:, None], decimals)  # 0: ties and zeros
    orders, steps = optuna_wilcoxon._shuffled(3, 6, knob.n_steps, seed=1)
    selected, trainings = optuna_wilcoxon.replay_pruner(losses, knob, orders, steps)
    real = [optuna_wilcoxon.run_optuna(losses[i], knob, orders[i], steps[i]) for i in range(3)]
    assert list(zip(selected.tolist(), trainings.tolist(), strict=True)) == real


def test_a_pruner_that_changed_is_noticed(monkeypatch):
    monkeypatch.setattr(optuna_wilcoxon, "run_optuna", lambda *_: (0, 1))
    with pytest.raises(RobustSelectError, match="select and train the same"):
        optuna_wilcoxon.run(clear(), WilcoxonKnob(5))


@pytest.mark.parametrize("n_candidates", [2, 5, 9, 27, 40])
@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize(
    "knob", [HalvingKnob(20), HalvingKnob(9, "smallest"), HalvingKnob(24, 2), HalvingKnob(4, "exhaust")]
)
def test_halving_does_what_scikit_learn_does(n_candidates, factor, knob):
    model_selection = pytest.importorskip("sklearn.model_selection")
    from sklearn.base import BaseEstimator
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401

    losses = np.random.default_rng(n_candidates).normal(size=(n_candidates, 24))
    fits = []

    class Repeated(BaseEstimator):
        def __init__(self, candidate=0, repeats=1):
            self.candidate = candidate
            self.repeats = repeats

        def fit(self, X, y=None):
            fits.append(self.repeats)
            return self

        def score(self, X, y=None):
            return -losses[self.candidate, : self.repeats].mean()

    search = model_selection.HalvingGridSearchCV(
        Repeated(),
        {"candidate": list(range(n_candidates))},
        factor=factor,
        resource="repeats",
        max_resources=knob.max_resources,
        min_resources=knob.min_resources,
        cv=[([0, 1], [2, 3])],
        refit=False,
    )
    search.fit(np.zeros((4, 1)), np.zeros(4))
    assert schedule(n_candidates, factor, knob) == tuple(zip(search.n_candidates_, search.n_resources_, strict=True))
    selected, trainings = sklearn_halving.run(losses[None], knob, factor=factor, keeps_trainings=False)
    last = search.cv_results_["iter"] == search.n_iterations_ - 1
    scores = np.where(last, search.cv_results_["mean_test_score"], -np.inf)
    assert int(selected[0]) == search.cv_results_["param_candidate"][scores.argmax()]
    assert int(trainings[0]) == sum(fits)


def test_halving_counts_kept_trainings_once():
    losses = clear(1, 9, 9)
    retrained = sklearn_halving.run(losses, HalvingKnob(9), factor=3, keeps_trainings=False)[1]
    kept = sklearn_halving.run(losses, HalvingKnob(9), factor=3, keeps_trainings=True)[1]
    assert retrained.tolist() == [9 * 1 + 3 * 3 + 1 * 9]
    assert kept.tolist() == [9 * 1 + 3 * 2 + 1 * 6]
    with pytest.raises(InputError, match="min_resources between 1"):
        schedule(9, 3, HalvingKnob(2, 3))
