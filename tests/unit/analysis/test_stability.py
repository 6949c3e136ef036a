import numpy as np
import pytest
from scipy.stats import binomtest, kendalltau

from robust_select.analysis.stability import epoch_scores, size_agreement, stability
from robust_select.core.errors import InputError
from robust_select.core.tables import Table


def table_of(curves, scores=None, names=None):
    curves = np.asarray(curves, dtype=float)
    names = names or tuple(f"c{row}" for row in range(len(curves)))
    return Table(names, curves[..., -1] if scores is None else scores, curves=curves)


@pytest.fixture(scope="module")
def curves():
    """9 candidates x 7 replicates x 10 epochs that come to their order late."""
    rng = np.random.default_rng(4)
    final = np.linspace(0.1, 0.5, 9)[:, None, None] + 0.03 * rng.normal(size=(9, 7, 1))
    weights = np.linspace(0, 1, 10) ** 3
    return final * weights + rng.normal(size=(9, 7, 10)) * (1 - weights)


def test_tau_of_each_replicate_and_epoch_is_that_of_scipy(curves):
    found = stability(table_of(curves))
    assert found.tau.shape == (7, 10)
    for replicate, epoch in np.ndindex(7, 10):
        expected = kendalltau(curves[:, replicate, epoch], curves[:, replicate, -1]).statistic
        assert found.tau[replicate, epoch] == pytest.approx(expected)
    pairs = [
        kendalltau(curves[:, one, -1], curves[:, other, -1]).statistic for one in range(7) for other in range(one)
    ]
    assert found.between == pytest.approx(np.mean(pairs))


def test_overlap_counts_the_top_ones_that_stay(curves):
    found = stability(table_of(curves), top=0.3)
    assert found.n_top == 3
    for replicate, epoch in np.ndindex(7, 10):
        early = set(np.argsort(curves[:, replicate, epoch])[:3])
        late = set(np.argsort(curves[:, replicate, -1])[:3])
        assert found.overlap[replicate, epoch] == pytest.approx(len(early & late) / 3)


def halve(curve, first):
    """Halve one replicate (C, E) over epochs in the plainest way: who is left, and epochs trained."""
    alive, spent, before = list(range(len(curve))), 0, 0
    epoch = first
    while epoch < curve.shape[1] and len(alive) > 1:
        spent += len(alive) * (epoch - before)
        before = epoch
        alive = sorted(alive, key=lambda row: curve[row, epoch - 1])[: len(alive) // 2]
        epoch *= 2
    return alive, spent + len(alive) * (curve.shape[1] - before)


def test_halving_over_epochs_is_what_it_says(curves):
    found = stability(table_of(curves))
    best = int(curves[..., -1].mean(axis=1).argmin())
    assert found.best == f"c{best}"
    for first in range(1, 10):
        ends = [halve(curves[:, replicate], first) for replicate in range(7)]
        n_lost = sum(best not in alive for alive, _ in ends)
        n_own = sum(curves[:, k, -1].argmin() not in alive for k, (alive, _) in enumerate(ends))
        assert found.lost[first - 1] == pytest.approx(n_lost / 7)
        assert found.lost_own[first - 1] == pytest.approx(n_own / 7)
        assert {spent for _, spent in ends} == {round((1 - found.saved[first - 1]) * 90)}
        exact = binomtest(n_lost, 7).proportion_ci(0.95, method="exact")
        assert (found.lost_low[first - 1], found.lost_high[first - 1]) == pytest.approx((exact.low, exact.high))
    assert (found.lost[-1], found.lost_own[-1], found.saved[-1]) == (0, 0, 0)


def test_by_hand():
    # after epoch 1 of 4 the order is reversed; halving at 1 keeps c and d, at 2 (the final order) c
    curve = [[0.4, 0.1, 0.1, 0.1], [0.3, 0.2, 0.2, 0.2], [0.2, 0.3, 0.3, 0.3], [0.1, 0.4, 0.4, 0.4]]
    found = stability(table_of(np.array(curve)[:, None]))
    assert found.tau.tolist() == [[-1, 1, 1, 1]]
    assert found.overlap.tolist() == [[0, 1, 1, 1]]
    assert found.lost.tolist() == [1, 0, 0, 0]
    # 4 x 1 + 2 x 1 + 1 x 2 of 16; then 4 x 2 + 2 x 2; 4 x 3 + 2 x 1; all
    assert (16 * (1 - found.saved)).tolist() == pytest.approx([8, 12, 14, 16])
    assert (found.guessing_before, found.settled_from) == (2, 2)
    assert np.isnan(found.between)
    assert found.verdict.startswith("Pruning before epoch 2 of 4 would be guessing")
    assert (
        "loses the best candidate, c0, with probability 0 % (95 % interval 0 % to 98 %, from 1 searches)"
        in found.verdict
    )
    assert "saves 25 % of the epochs" in found.verdict


def test_ties_are_broken_at_random_and_say_nothing():
    flat = np.full((4, 400, 3), 0.9)
    flat[..., -1] = np.arange(4)[:, None] / 10
    found = stability(table_of(flat), top=0.25)
    assert (found.tau[:, :2] == 0).all()
    np.testing.assert_allclose(found.overlap[:, :2], 0.25)
    assert found.lost[1] == pytest.approx(0.5, abs=0.05)  # half of four are kept, whoever they are
    assert found.lost[0] == pytest.approx(0.75, abs=0.05)
    assert found.guessing_before == 3


def test_an_instance_that_diverged_is_the_worst_from_there_on():
    curves = np.array([[[0.1, 0.1, np.nan]], [[0.2, 0.2, 0.2]], [[0.3, 0.3, 0.3]]])
    found = stability(table_of(curves, scores=[[np.inf], [0.2], [0.3]]))
    assert found.best == "c1"
    assert found.tau[0].tolist() == pytest.approx([kendalltau([1, 2, 3], [9, 2, 3]).statistic] * 2 + [1])
    failed = np.array([[[np.nan] * 3], [[0.2] * 3], [[0.3] * 3]])
    assert stability(table_of(failed, scores=[[np.inf], [0.2], [0.3]])).tau.tolist() == [[1, 1, 1]]
    ended = np.array([[[0.1, 0.1, 0.1]], [[0.2, 0.2, 0.2]], [[0.3, 0.3, 0.3]]])  # failed after its last epoch
    assert stability(table_of(ended, scores=[[np.inf], [0.2], [0.3]])).best == "c1"


def test_only_replicates_of_all_candidates_that_differ_count(curves):
    scores = curves[..., -1].copy()
    scores[2, 1] = np.nan
    level = curves.copy()
    level[:, 3, -1] = scores[:, 3] = 0.2
    found = stability(table_of(level, scores))
    np.testing.assert_array_equal(found.tau, stability(table_of(np.delete(curves, [1, 3], axis=1))).tau)
    assert found.n_replicates == 5


def test_a_metric_is_a_loss_with_another_sign(curves):
    low, high = stability(table_of(curves)), stability(table_of(-curves), "maximize")
    np.testing.assert_array_equal(low.tau, high.tau)
    np.testing.assert_array_equal(low.lost, high.lost)
    assert low.best == high.best


def test_the_order_of_candidates_does_not_matter(curves):
    order = np.random.default_rng(0).permutation(9)
    names = tuple(f"c{row}" for row in order)
    one, other = stability(table_of(curves)), stability(table_of(curves[order], names=names))
    for name in ("tau", "overlap", "lost", "saved"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name))
    assert one.best == other.best


def test_the_verdict_of_a_ranking_that_is_there_at_once():
    curves = np.linspace(0.1, 0.5, 5)[:, None, None] * np.ones((5, 3, 4))
    found = stability(table_of(curves))
    assert found.verdict.startswith("After epoch 1 of 4 the ranking already tells of the final one (mean tau 1.00).")
    assert "agree by a tau of 1.00" in found.verdict


def test_the_frame_has_a_row_an_epoch(curves):
    found = stability(table_of(curves))
    frame = found.to_frame()
    assert frame["epoch"].tolist() == list(range(1, 11))
    np.testing.assert_allclose(frame["tau_std"], np.std(found.tau, axis=0, ddof=1))
    assert stability(table_of(curves[:, :1])).to_frame()["tau_std"].isna().all()


def test_epoch_scores_are_means_and_mark_the_top(curves):
    found = epoch_scores(table_of(-curves), 4, "maximize", top=0.3)
    np.testing.assert_allclose(found.at, -curves[:, :, 3].mean(axis=1))
    np.testing.assert_allclose(found.final, -curves[:, :, -1].mean(axis=1))
    assert set(np.flatnonzero(found.is_top)) == set(np.argsort(curves[..., -1].mean(axis=1))[:3])
    with pytest.raises(InputError, match="from 1 to 10, came epoch=11"):
        epoch_scores(table_of(curves), 11)


def test_refuses_what_has_no_curves_to_rank(curves):
    with pytest.raises(InputError, match="a table without"):
        stability(Table(("a", "b"), np.zeros((2, 2))))
    with pytest.raises(InputError, match="came 1 and 10"):
        stability(table_of(curves[:1]))
    with pytest.raises(InputError, match="came 9 and 1"):
        stability(table_of(curves[..., :1]))
    short = curves.copy()
    short[3, 2, 6:] = np.nan
    with pytest.raises(
        InputError, match=r"10 epochs for every instance, came 6 epochs for candidate 'c3', replicate 2"
    ):
        stability(table_of(short, curves[..., -1]))
    scores = curves[..., -1].copy()
    scores[0] = np.nan
    with pytest.raises(InputError, match="at least one replicate"):
        stability(table_of(curves, scores))
    with pytest.raises(InputError, match="all candidates equal"):
        stability(table_of(np.ones((3, 2, 4))))
    with pytest.raises(InputError, match="top=0"):
        stability(table_of(curves), top=0)


def test_sizes_are_compared_replicate_by_replicate():
    rng = np.random.default_rng(1)
    large = np.linspace(0.1, 0.3, 8)[:, None] + 0.02 * rng.normal(size=(8, 6))
    small = large + 0.1 * rng.normal(size=(8, 6))
    names = tuple("abcdefgh")
    shuffled = Table(names[::-1], np.hstack([small, np.full((8, 3), 0.5)])[::-1])  # three replicates more
    found = size_agreement(shuffled, Table(names, large), top=0.25)
    expected = [kendalltau(small[:, k], large[:, k]).statistic for k in range(6)]
    np.testing.assert_allclose(found.tau, expected)
    chosen, order = small.mean(axis=1), large.mean(axis=1)
    assert found.tau_of_all == pytest.approx(kendalltau(chosen, order).statistic)
    assert (found.chosen, found.best) == (names[chosen.argmin()], names[order.argmin()])
    assert found.rank == 1 + int((order < order[chosen.argmin()]).sum())
    assert found.regret == pytest.approx(order[chosen.argmin()] - order.min())
    both = [len(set(np.argsort(small[:, k])[:2]) & set(np.argsort(large[:, k])[:2])) / 2 for k in range(6)]
    np.testing.assert_allclose(found.overlap, both)


def test_the_verdict_on_sizes():
    large = np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4]])
    names = tuple("abcd")
    same = size_agreement(Table(names, large + 0.1), Table(names, large))
    assert same.verdict.startswith("One search on the small samples ranks like one on the large samples")
    assert same.verdict.endswith("Both choose a.")
    reverse = size_agreement(Table(names, -large), Table(names, large))
    assert (reverse.tau.tolist(), reverse.rank, reverse.regret) == ([-1, -1], 4, pytest.approx(0.3))
    assert "ranks unlike" in reverse.verdict
    assert (
        "choose d, which is number 4 of 4 on the large ones, where it is 0.3 worse than the best, a"
        in reverse.verdict
    )


def test_refuses_sizes_that_cannot_be_compared():
    one = Table(("a", "b"), np.array([[1.0, np.nan], [2.0, 3.0]]))
    other = Table(("a", "b"), np.array([[np.nan, 1.0], [2.0, 3.0]]))
    with pytest.raises(InputError, match="at least one replicate of all"):
        size_agreement(one, other)
    with pytest.raises(InputError, match="only one has 'b'"):
        size_agreement(one, Table(("a", "c"), np.ones((2, 2))))
    with pytest.raises(InputError, match="there is only 'a'"):
        size_agreement(one.subset(["a"]), one.subset(["a"]))
    with pytest.raises(InputError, match="top=2"):
        size_agreement(one, one, top=2)
