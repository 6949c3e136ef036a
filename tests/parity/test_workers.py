"""How many workers train, and where, changes nothing but the time."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.study import Study
from robust_select.study.study import step_record

RULES = {
    "exhaustive": Exhaustive(n=5),
    "halving": Halving(warmup=4, final_instances=5),
    "top-two": TopTwo(budget=60),
    "top-two in batches": TopTwo(budget=60, batch=4),
    **{
        test: Significance(test, alpha=0.2, warmup=4, max_instances=8, patience=3)
        for test in ("welch", "ks", "mann-whitney", "paired-t", "wilcoxon", "bartlett", "levene", "fligner")
    },
}
CANDIDATES = {f"c{i}": {"mean": 0.2 * (i % 4), "spread": 0.4 / (1 + i)} for i in range(7)}


def make_trainer():
    """Make a closure, so that it travels by value; its times vary, so that outcomes come in another order."""
    import time

    def train(params, instance):
        time.sleep(0.002 * ((instance.seeds.batch_order + len(instance.candidate)) % 3) * (1 + params["mean"]))
        if instance.candidate == "c3" and instance.replicate == 2:
            raise RuntimeError("no memory left")
        if instance.candidate == "c5" and instance.replicate == 1:
            return float("inf")
        return params["mean"] + params["spread"] * instance.rng("training_sample").normal()

    return train


def shown(study, **where):
    result = study.run(**where)
    with open_ledger(study.ledger) as ledger:
        held = {found[:2]: (found[2].state, found[2].message) for found in ledger.outcomes(ledger.study())}
        reason = ledger.study().stop_reason
    steps = [{**step_record(step), "seconds": None} for step in result.steps]
    return (result.selected, result.remaining, result.stop_reason, result.discarded_at, steps, held, reason), result


def study_of(rule, ledger, direction="minimize"):
    return Study(
        CANDIDATES, make_trainer(), criterion="q3", direction=direction, rule=RULES[rule], ledger=ledger, seed=4
    )


@pytest.mark.parametrize("rule", RULES)
def test_two_workers_find_what_one_finds(rule, tmp_path):
    alone, expected = shown(study_of(rule, tmp_path / "1.db"))
    together, result = shown(study_of(rule, tmp_path / "2.db"), workers=2)
    assert together == alone
    np.testing.assert_array_equal(result.table.scores, expected.table.scores)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_borrowed_executors_find_the_same(direction, tmp_path):
    alone, expected = shown(study_of("welch", tmp_path / "alone.db", direction))
    context = multiprocessing.get_context("spawn")
    for name, executor in [("threads", ThreadPoolExecutor(3)), ("processes", ProcessPoolExecutor(2, context))]:
        with executor:
            found, result = shown(study_of("welch", tmp_path / f"{name}.db", direction), workers=3, executor=executor)
        assert found == alone
        np.testing.assert_array_equal(result.table.scores, expected.table.scores)


def test_a_study_may_change_its_workers_on_the_way(tmp_path):
    alone, _ = shown(study_of("halving", tmp_path / "alone.db"))
    steps = study_of("halving", tmp_path / "study.db").steps(workers=2)
    next(steps)
    steps.close()
    with ThreadPoolExecutor(2) as executor:
        steps = study_of("halving", tmp_path / "study.db").steps(workers=2, executor=executor)
        [next(steps) for _ in range(2)]
        steps.close()
    assert shown(study_of("halving", tmp_path / "study.db"))[0] == alone
