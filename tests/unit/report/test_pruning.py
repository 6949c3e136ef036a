"""The section on pruning by epochs: there where it was asked for, and escaped."""

import robust_select as rs
from robust_select.report.page import page_html
from robust_select.report.pruning import pruning_html


def train(params, instance):
    curve = [params["level"] + 1 / epoch for epoch in range(1, 6)]
    stop = next((n for n in range(1, 5) if instance.should_stop(curve[:n])), None)
    return rs.Outcome(curve[-1], curve) if stop is None else rs.Outcome.pruned(curve[:stop])


def result_of(prune):
    candidates = {f"<b>{level}": {"level": level} for level in range(20)}
    return rs.Study(candidates, train, criterion="mean", rule=rs.Exhaustive(1), prune_epochs=prune).run()


def test_a_study_that_prunes_has_the_section():
    result = result_of(rs.PruneEpochs((2, 3), audit=0.3, first=4))
    html = pruning_html(result)
    n_stopped = int((result.table.stopped == 2).sum())
    assert n_stopped > 2
    assert f"<tr><td>2</td><td>{n_stopped}</td>" in html
    assert "Whether pruning was safe cannot be said." in html
    assert "typical of &lt;b&gt;0;" in html
    assert "Saved: " in html
    assert html in page_html(result)
    assert "stopped after epoch 2 of its first training" in page_html(result)


def test_a_study_that_does_not_has_none():
    result = result_of(None)
    assert pruning_html(result) == ""
    assert 'id="pruning"' not in page_html(result)
