import json
import math
import re

import numpy as np
import pytest
from scipy import stats

from robust_select.analysis.measure import measure
from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.report.card import (
    SCHEMA,
    card_json,
    card_latex,
    card_markdown,
    card_number,
    card_of,
    card_of_result,
    card_rows,
    check_card_path,
    escape_latex,
    escape_markdown,
    percent,
    sentence,
    write_card,
)
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Exhaustive, Halving, TopTwo
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion
from robust_select.stats.winner import Estimate

NASTY = '<script>|a_b*`c`\n[d](e) 50% & #1 $x$ ^~{\\input{f}} "g" --h :i: @j'


def scores(n_candidates=4, n_replicates=30, seed=3):
    rng = np.random.default_rng(seed)
    return rng.normal(0.02, 0.002, (n_candidates, n_replicates)) + 0.01 * np.arange(n_candidates)[:, None]


def selected(names="abcd", fresh=0, direction="minimize", sign=1.0, rule=None, by="mean", conditions=None):
    table = Table(tuple(names), sign * scores(len(names)))
    result = replay(table, rule or Halving(warmup=4), criterion(by), direction, fresh=fresh)
    return card_of_result(result, conditions), result


def test_fresh_instances_alone_are_quoted_with_their_own_intervals():
    card, result = selected(fresh=12)
    own = result.table.scores[result.table.candidates.index(card.candidate)]
    own = own[~np.isnan(own)][-12:]
    interval = stats.t.interval(0.95, 11, own.mean(), stats.sem(own))
    widths = own.std(ddof=1) * np.sqrt(11 / stats.chi2.ppf([0.975, 0.025], 11))
    assert (card.instances, card.fresh, card.unusable) == (12, 12, 0)
    assert (card.score.value, card.score.low, card.score.high) == pytest.approx((own.mean(), *interval))
    assert (card.systematic.value, card.systematic.low, card.systematic.high) == pytest.approx(
        (own.std(ddof=1), *widths)
    )
    assert "12 fresh instances that its selection did not look at" in sentence(card)
    assert not any("fresh" in caveat for caveat in card.caveats)


def test_without_fresh_instances_the_correction_is_said():
    card, result = selected()
    own = np.count_nonzero(~np.isnan(result.table.scores[result.table.candidates.index(card.candidate)]))
    assert (card.instances, card.fresh, card.candidates, card.trainings) == (own, 0, 4, result.trainings)
    assert sentence(card).endswith(f"from {own} instances, corrected for its selection from 4 candidates.")
    assert "no fresh instances: a correction stands in for them" in card.caveats


def test_scores_to_be_maximised_stay_scores():
    low, _ = selected(fresh=10)
    high, _ = selected(fresh=10, direction="maximize", sign=-1.0)
    assert (high.score.value, high.score.low, high.score.high) == pytest.approx(
        (-low.score.value, -low.score.high, -low.score.low)
    )
    assert high.systematic.value == pytest.approx(low.systematic.value)
    assert card_rows(high)[0][0] == "Score (mean; higher is better)"


def test_top_two_gives_its_posterior_probability():
    rng = np.random.default_rng(2)
    table = Table(tuple("abcd"), 0.2 * rng.normal(size=(4, 60)) + 0.3 * np.arange(4)[:, None])
    result = replay(table, TopTwo(), criterion("mean"))
    card = card_of_result(result, {"Rule": "top-two (confidence=0.95)"})
    rows = dict(card_rows(card))
    assert card.probability == result.confidence
    assert rows["Posterior probability"].startswith(percent(result.confidence))
    assert rows["Rule"] == "top-two (confidence=0.95)"


def test_the_tolerance_is_named_with_its_value():
    rng = np.random.default_rng(2)
    table = Table(tuple("abcd"), 0.2 * rng.normal(size=(4, 60)) + 0.3 * np.arange(4)[:, None])
    for tolerance, end in ((0.05, " that no other is better by more than the tolerance of 0.05"), (0.0, "is better")):
        card = card_of_result(replay(table, TopTwo(tolerance=tolerance), criterion("mean")))
        assert dict(card_rows(card))["Posterior probability"].endswith(end)
        assert json.loads(card_json(card))["selection"]["tolerance"] == tolerance
    assert json.loads(card_json(selected()[0]))["selection"]["tolerance"] is None


def test_a_sum_of_probabilities_above_one_is_no_probability_of_zero():
    rng = np.random.default_rng(2)
    equal = Table(tuple("abcdefgh"), rng.normal(size=(8, 60)))
    result = replay(equal, TopTwo(budget=40), criterion("mean"))
    assert result.confidence == 0
    assert dict(card_rows(card_of_result(result)))["Posterior probability"].startswith("not known: ")


def test_undecided_unfinished_and_few():
    undecided = replay(Table(tuple("ab"), np.array([[1.0, 2, 3], [1.1, 2.1, 2.9]])), TopTwo(), criterion("mean"))
    assert "the selection stopped before it was as sure as asked for" in card_of_result(undecided).caveats
    tied, _ = selected(rule=Exhaustive(3))
    assert "the rule did not tell it apart from 3 others" in tied.caveats
    assert "with 3 instances the spread is hardly known" in tied.caveats
    begun = card_of_result(result_of(Selection(["a", "b"], Halving(warmup=2), criterion("mean"))))
    assert sentence(begun) == "a has not been trained."
    assert begun.caveats[0] == "the selection is not finished"
    assert json.loads(card_json(begun))["score"]["value"] is None


def test_diverged_instances_are_counted_and_never_left_out():
    result = replay(Table(("a",), np.array([[1.0, np.inf, 1.2]])), Exhaustive(3), criterion("mean"))
    card = card_of_result(result)
    assert (card.unusable, card.score.value, card.rule, card.candidates) == (1, math.inf, "", 1)
    assert "1 of 3 diverged or failed and count as the worst possible score" in card.caveats
    assert sentence(card).endswith("scores ∞ on average; from 3 instances, 1 of which diverged or failed.")
    assert json.loads(card_json(card))["score"]["value"] is None
    assert r"$\infty$" in card_latex(card)


def test_a_measured_candidate():
    table = Table(("a", "b"), scores(2))
    measured = measure(table, by="q3", confidence=0.9)
    card = card_of(measured, "b", conditions={"Table": "scores.csv"})
    rows = measured.criteria.set_index(["candidate", "criterion"])
    assert card.score.value == pytest.approx(table.scores[1].mean())
    assert card.systematic.value == pytest.approx(table.scores[1].std(ddof=1))
    assert card.criterion_value.value == pytest.approx(np.quantile(table.scores[1], 0.75))
    assert (card.systematic.low, card.systematic.high) == (
        rows.loc[("b", "std"), "low"],
        rows.loc[("b", "std"), "high"],
    )
    assert (card.instances, card.confidence, card.rule, card.caveats) == (30, 0.9, "", ())
    assert dict(card_rows(card))["Table"] == "scores.csv"
    assert "90 % interval" in sentence(card)
    best = card_of(measured)
    assert best.candidate == "a"
    assert "the best of 2 by these very scores" in best.caveats[0]
    with pytest.raises(InputError, match="candidate='zz'"):
        card_of(measured, "zz")


def test_conditions_hold_what_can_be_quoted():
    given = {"Seed": "7", "Command": "robust-select run", "Started": "now", "Study file": "a\nb", "Note": "x" * 161}
    assert selected(conditions=given)[0].conditions == {"Seed": "7"}


def test_the_json_keeps_its_form():
    card, _ = selected(conditions={"Seed": "7"})
    found = json.loads(card_json(card))
    assert list(found) == [
        *("schema", "candidate", "direction", "score", "systematic", "criterion", "evidence", "selection"),
        *("sources", "conditions", "caveats", "sentence", "version"),
    ]
    assert found["schema"] == SCHEMA == "robust-select/robustness-card/1"
    estimate = ["statistic", "value", "low", "high"]
    assert [list(found[key]) for key in ("score", "systematic", "criterion")] == [estimate] * 3
    assert [found[key]["statistic"] for key in ("score", "systematic", "criterion")] == ["mean", "std", "mean"]
    assert list(found["evidence"]) == ["confidence", "instances", "fresh", "unusable", "method"]
    assert list(found["selection"]) == [
        *("candidates", "trainings", "rule", "probability", "equivalent", "tolerance"),
    ]
    assert found["score"]["value"] == card.score.value
    assert found["conditions"] == {"Seed": "7"}


def test_names_are_text_in_markdown():
    card, _ = selected([NASTY, "b", "c", "d"])
    text = card_markdown(card)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
    plain = re.sub(r"\\([!-/:-@[-`{-~])", "", text)  # what is escaped apart, nothing is left of its markup
    assert not set("`*[]$~^@") & set(plain.replace("| | |", ""))
    assert "<script" not in plain
    assert text.splitlines()[0].count("script") == 1


def test_names_are_text_in_latex():
    card, _ = selected([NASTY, "b", "c", "d"])
    text = card_latex(card)
    commands = set(re.findall(r"\\[A-Za-z]+", text))
    assert commands <= {
        *(r"\begin", r"\end", r"\caption", r"\hline", r"\linewidth", r"\textbackslash", r"\textasciitilde"),
        *(r"\textasciicircum", r"\textless", r"\textgreater", r"\textbar", r"\textasciigrave", r"\char"),
    }
    body = text.split("\n", 1)[1]
    assert len(re.findall(r"(?<!\\)[%#]", body)) == 0
    assert len(re.findall(r"(?<!\\)\{", body)) == len(re.findall(r"(?<!\\)\}", body))
    assert all(line.count("&") - line.count(r"\&") == 1 for line in body.splitlines() if line.endswith(r"\\"))
    assert "--" not in body


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Estimate(0.0213345, 0.0209, 0.0217), "0.02133"),
        (Estimate(0.95123, 0.91, 0.99), "0.951"),
        (Estimate(-1.23456, -1.3, -1.2), "−1.235"),
        (Estimate(41567.4, 40000.0, 43000.0), "41,600"),
        (Estimate(0.5), "0.5"),
        (Estimate(0.3, 0.3, 0.3), "0.3"),
        (Estimate(-0.001, -1.0, 1.0), "0.0"),
        (Estimate(math.inf), "∞"),
        (Estimate(math.nan), "not known"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_leaves_them(found, text):
    assert card_number(found) == text


def test_a_probability_is_never_rounded_up():
    assert [percent(share) for share in (0.94999, 0.95, 0.9991, 0.0)] == [
        "94.9 %",
        "95.0 %",
        "more than 99.9 %",
        "0.0 %",
    ]


def test_escapes_keep_the_signs():
    for sign in set(NASTY) - {"\n"}:
        assert escape_markdown(f"x{sign}x").replace("\\", "") == f"x{sign}x".replace("\\", "")
    assert escape_latex("a---b") == "a-{}-{}-b"
    assert escape_markdown("a\x1b\u2028b") == "a  b"


@pytest.mark.parametrize("ending", [".md", ".tex", ".json", ".JSON"])
def test_the_ending_says_the_form(tmp_path, ending):
    card, _ = selected([NASTY + "\ud800", "b", "c", "d"])
    write_card(card, tmp_path / f"card{ending}")
    text = (tmp_path / f"card{ending}").read_text(encoding="utf-8")
    start = {".md": "### Robustness card", ".tex": "% Robustness card", ".json": "{"}[ending.lower()]
    assert text.startswith(start)


def test_other_endings_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.md, \.tex, \.json, came 'card\.pdf'"):
        check_card_path(tmp_path / "card.pdf")
    with pytest.raises(InputError, match="found none at"):
        check_card_path(tmp_path / "nowhere" / "card.md")


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_rare_bad_trainings_that_the_criterion_does_not_see_are_a_caveat(direction, sign):
    scores = sign * np.array([np.append(1 + 0.01 * np.arange(19.0), 9.0), 5 + 0.01 * np.arange(20.0)])
    made = card_of_result(replay(Table(("a", "b"), scores), Exhaustive(20), criterion("q3+iqr"), direction))
    assert "1 of 20 far worse than the others, which q3+iqr does not see" in made.caveats
