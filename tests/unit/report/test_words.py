from dataclasses import replace

import numpy as np
import pytest

from robust_select.analysis.overview import overview
from robust_select.core.tables import Table
from robust_select.report.words import caveats, duration, headline, key_numbers, number, savings
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion

Q3_IQR = criterion("q3+iqr")
CLEAR = np.array([[1.0, 1.1, 1.2, 1.0], [2.0, 2.1, 2.2, 2.1], [8.0, 8.1, 8.0, 8.1], [9.0, 9.1, 9.2, 9.1]])


def found(scores=CLEAR, rule=None, by="mean", direction="minimize"):
    table = Table(tuple(f"c{row}" for row in range(len(scores))), np.array(scores, dtype=float))
    return overview(replay(table, rule or Halving(warmup=2), criterion(by), direction))


def test_halving_says_what_it_selected_and_that_it_gives_no_probability():
    what, how_sure = headline(found())
    assert (
        what
        == '<b class="name">c0</b> was selected from 4 candidates: mean 1.1 over 3 instances, standard deviation 0.1.'
    )
    assert "no probability" in how_sure
    assert '<b class="name">c1</b>, by 1' in how_sure


def test_a_criterion_with_a_cryptic_name_is_explained():
    what = headline(found(rule=Exhaustive(4), by="q3+iqr"))[0]
    assert "4 candidates: q3+iqr (the worse quartile plus the interquartile range) 1.25 over 4 instances" in what


def test_a_close_margin_is_called_close():
    scores = [[1.0, 2.0, 3.0], [1.3, 1.9, 3.1], [9, 9, 9], [9, 9, 9]]
    assert "close call" in headline(found(scores))[1]
    assert "close call" not in headline(found())[1]


def test_a_rival_with_the_better_mean_is_not_hidden():
    scores = [[5.0, 5.0, 5.0, 5.0], [1.0, 1.0, 1.0, 9.0]]
    assert "even has the better mean score, by 2" in headline(found(scores, Exhaustive(4), "max"))[1]


def test_several_left_means_undecided():
    scores = np.array([[1.0, 2.0, 3.0], [1.1, 2.2, 2.9], [1.2, 1.9, 3.2]])
    what, how_sure = headline(found(scores, Significance("welch")))
    assert "was selected from 3" in what
    assert how_sure.startswith("It is not decided")
    assert "c1</b> and" in how_sure


def test_many_left_are_counted_not_listed():
    rng = np.random.default_rng(0)
    assert "34 others" in headline(found(rng.normal(size=(40, 2)), Significance("welch", alpha=1e-9)))[1]


def test_significance_admits_its_repeated_looks():
    assert "larger than one test’s alpha" in headline(found(rule=Significance("welch")))[1]


def test_confidence_comes_first_where_there_is_one():
    sure = replace(found(), confidence=0.9734)
    assert "97.3 %" in headline(sure)[1]
    equal = headline(replace(sure, equivalent=("c0", "c1")))[1]
    assert "equally good" in equal
    assert "c0" not in equal
    assert "more than 99.9 %" in headline(replace(sure, confidence=1.0))[1]


def test_undecided_comes_before_the_confidence():
    sure = replace(found(), confidence=0.81, remaining=("c0", "c1", "c2"), equivalent=("c0", "c2"))
    assert headline(replace(sure, stop_reason="the budget is spent"))[1] == (
        "It is not decided: the budget is spent. The probability that no other candidate is better by more than the "
        'tolerance is at least 81.0 %; still in question: <b class="name">c1</b>; equally good for that purpose: '
        '<b class="name">c2</b> — take the cheapest or the steadiest.'
    )
    begun = headline(replace(sure, stop_reason="not finished", equivalent=("c0",)))[1]
    assert begun.startswith("The selection is not finished. The probability")
    assert "still in question" in begun
    assert "<b>" not in headline(replace(sure, stop_reason="<b>"))[1]


def test_a_bound_that_says_nothing_is_not_quoted():
    unsure = replace(found(), confidence=0.0, remaining=("c0", "c1"), stop_reason="the replicates are used up")
    assert headline(unsure)[1] == (
        "It is not decided: the replicates are used up. Whether another candidate is better by more than the "
        'tolerance cannot be said on these scores; still in question: <b class="name">c1</b>.'
    )


def test_a_bound_is_never_rounded_up():
    assert "at least 94.9 %" in headline(replace(found(), confidence=0.94999))[1]
    assert "at least 95.0 %" in headline(replace(found(), confidence=0.95))[1]


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (
            None,
            "The posterior probability, given these scores, that no other candidate is better is",
        ),
        (13, "It is not decided: the budget is spent"),
    ],
)
def test_top_two_stops_sure_or_by_its_budget(budget, text):
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(4, 60)) * 0.2 + np.arange(4)[:, None] * (0.3 if budget is None else 0.01)
    assert headline(found(scores, TopTwo(budget=budget)))[1].startswith(text)
    assert headline(found(scores[:1], TopTwo(budget=budget)))[1] == "There was nothing to choose from."


@pytest.mark.parametrize(
    ("scores", "text"),
    [([[np.inf, np.inf]], "mean is ∞"), ([[np.inf, 1.0], [1.0, np.inf]], "no candidate left is usable")],
)
def test_an_unusable_winner_is_not_praised(scores, text):
    assert text in headline(found(scores, Exhaustive(2)))[0]


def test_a_selection_that_has_not_begun():
    begun = overview(result_of(Selection(["a", "b"], Halving(warmup=2), criterion("mean"))))
    assert "has not been trained" in headline(begun)[0]
    assert "not finished" in headline(begun)[1]
    assert key_numbers(begun)[0].note == "nothing trained yet"


def test_names_are_escaped():
    table = Table(("<img src=x onerror=alert(1)>", "b&b"), CLEAR[:2])
    text = "".join(headline(overview(replay(table, Halving(warmup=2), criterion("mean")))))
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "b&amp;b" in text


def test_caveats():
    texts = " ".join(caveats(found([[1.0, 1.1, 1.2], [2.0, 2.0, np.inf], [3, np.inf, 3], [4, 4, 4]])))
    assert "flatter" in texts
    assert "With 3 instances" in texts
    assert "2 trainings of 10 diverged or failed, of 2 candidates" in texts
    assert not any("flatter" in text for text in caveats(found([[1.0, 2.0]])))


def test_key_numbers_hold_trainings_against_exhaustive():
    trainings = key_numbers(found())[0]
    assert trainings.value == "10"
    assert trainings.note == "12 for every candidate 3 times: 1.2 times as many"
    assert key_numbers(found(rule=Exhaustive(4)))[0].note == "every candidate 4 times"
    assert "higher is better" in key_numbers(found(direction="maximize"))[3].note
    assert "lower is better" in key_numbers(found(direction="maximize", by="std"))[3].note


def test_numbers_and_times():
    assert [number(x) for x in (1e-5, 12345.678, float("nan"), -float("inf"))] == [
        "1e−05",
        "1.235e+04",
        "not known",
        "−∞",
    ]
    assert [duration(x) for x in (9.96, 60, 3599.6, 86400, float("nan"))] == [
        "10 s",
        "1 min 0 s",
        "1 h 0 min",
        "1 d 0 h",
        "not known",
    ]


def test_savings_hold_against_training_everybody_as_often():
    table = Table(tuple("abcd"), CLEAR, np.full(CLEAR.shape, 30.0))
    saved = savings(overview(replay(table, Halving(warmup=2), criterion("mean"))))
    assert [(row.label, row.text) for row in saved] == [
        ("Trainings", "10 of the 12 that training every candidate 3 times takes"),
        ("Training time", "5 min 0 s of about 6 min 0 s, all workers added"),
    ]
    assert [row.share for row in saved] == pytest.approx([10 / 12, 10 / 12])
    assert [row.label for row in savings(found())] == ["Trainings"]  # no time is known
    assert savings(found(rule=Exhaustive(4))) == ()
    assert savings(replace(found(), stop_reason="not finished")) == ()


def test_the_tolerance_is_named_with_its_value():
    sure = replace(found(), rule="top-two", confidence=0.9734, tolerance=0.0025)
    assert "that no other candidate is better by more than the tolerance of 0.0025 is 97.3 %" in headline(sure)[1]
    assert "better is 97.3 %" in headline(replace(sure, tolerance=0.0))[1]
    assert "tolerance of 0.0025 cannot be said" in headline(replace(sure, confidence=0.1))[1]
    result = replay(Table(("a", "b"), CLEAR[[0, 3]]), TopTwo(tolerance=0.5), criterion("mean"))
    assert overview(result).tolerance == 0.5
    assert found().tolerance is None


def test_where_the_posterior_is_too_sure_is_a_caveat():
    sure = replace(found(), rule="top-two", confidence=0.9734, tolerance=0.0025)
    assert any("selected more often than that" in text for text in caveats(sure))
    for other in (replace(sure, confidence=0.1), replace(sure, rule="halving", confidence=None)):
        assert not any("selected more often than that" in text for text in caveats(other))


def test_who_looks_better_on_fewer_instances_is_a_caveat_of_top_two():
    sure = replace(found(), rule="top-two", confidence=0.9734, n_ahead=1)
    assert any(text.startswith("1 other has a better mean in the table, on fewer") for text in caveats(sure))
    assert any(text.startswith("3 others have a better mean") for text in caveats(replace(sure, n_ahead=3)))
    for other in (replace(sure, n_ahead=0), replace(sure, rule="halving")):
        assert not any("on fewer instances" in text for text in caveats(other))


def test_the_probability_of_top_two_is_a_posterior_one():
    sure = replace(found(), rule="top-two", confidence=0.9734)
    assert headline(sure)[1].startswith("The posterior probability, given these scores, that no other candidate")
    assert "is 97.3 %" in headline(sure)[1]
    assert "at least" not in headline(sure)[1]
    assert "is at least 97.3 %" in headline(replace(sure, rule="mine"))[1]


def test_rare_bad_trainings_that_the_criterion_does_not_see_are_told():
    scores = np.array([np.append(1 + 0.01 * np.arange(18.0), [7.0, 9.0]), 5 + 0.01 * np.arange(20.0)])
    table = Table(("a", "b"), scores)
    told = " ".join(caveats(overview(replay(table, Exhaustive(20), criterion("q3+iqr")))))
    assert "2 of its 20 instances are far worse than the others, which q3+iqr does not see" in told
    assert "far worse" not in " ".join(caveats(overview(replay(table, Exhaustive(20), criterion("mean")))))


def test_rare_bad_trainings_of_an_equally_good_candidate_are_told():
    usual = 1 + 0.01 * np.arange(20.0)
    made = replay(
        Table(("a", "b", "c"), np.array([usual, np.append(usual[:-1], 9.0), usual])), Exhaustive(20), Q3_IQR
    )
    told = " ".join(caveats(overview(replace(made, selected="a", equivalent=("a", "b", "c")))))
    assert 'Of those equally good, <b class="name">b</b> had trainings far worse' in told
    assert "far worse" not in " ".join(caveats(overview(replace(made, selected="a", equivalent=("a", "c")))))
