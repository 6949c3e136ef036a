import numpy as np
import pytest

from robust_select.core.candidates import grid
from robust_select.core.designs import Crossed, Varying
from robust_select.core.instances import STREAMS, Outcome
from robust_select.ledger import open_ledger
from robust_select.study.sources import design_of, read_sources, sources_name, subset_name

SETTINGS = {"seed": 7, "direction": "minimize", "trainer": "train"}
DESIGNS = [
    Crossed(8, 8),
    Crossed(3, 12, 2),
    Varying(("initial_weights",), 50),
    Varying(("training_sample",), 2),
    Varying(("batch_order",), 1000),
    Varying(STREAMS, 50),
]


@pytest.fixture
def ledger():
    with open_ledger("sqlite://") as opened:
        yield opened


@pytest.mark.parametrize("study", ["widths", "a, 8 x 8", "sources of a, 8 x 8", "100 %"])
@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_the_design_is_read_off_the_name(study, design):
    name = sources_name(study, design)
    assert design_of(study, name) == design
    assert design_of(study, subset_name(name, ["x", "y"])) == design
    assert design_of("others", name) is None
    assert design_of(study, study) is None


@pytest.mark.parametrize(
    "rest", ["8 x 8, 3 candidates", "8x8", "luck alone, 50 times", "batch order alone", "", "all"]
)
def test_other_names_are_none(rest):
    assert design_of("widths", f"sources of widths, {rest}") is None


def test_names_that_ledgers_hold_already():
    """As version 0.1 wrote them."""
    assert design_of("digits", "sources of digits, 10 x 10 x 2") == Crossed(10, 10, 2)
    assert design_of("digits", "sources of digits, all streams, 50 times, 1 candidates 5ab3a038") == Varying(
        STREAMS, 50
    )


def test_what_is_trained_is_read_and_the_rest_is_missing(ledger):
    record = ledger.create_study("widths", SETTINGS, grid(width=[1, 2]))
    made = ledger.create_study("sources of widths, 2 x 2", {**SETTINGS, "trainer": "train, 2 x 2"}, grid(width=[2]))
    ledger.record(made, [(0, 0, Outcome(0.5)), (0, 2, Outcome(0.7))])
    (found,) = read_sources(ledger, record)
    assert found.design == Crossed(2, 2)
    assert found.table.candidates == ("width=2",)
    np.testing.assert_array_equal(found.table.scores, [[0.5, np.nan, 0.7, np.nan]])


@pytest.mark.parametrize("change", [{"seed": 8}, {"direction": "maximize"}, {"trainer": "another, 2 x 2"}])
def test_a_study_trained_otherwise_is_not_its_own(ledger, change):
    record = ledger.create_study("widths", SETTINGS, grid(width=[1]))
    own = {**SETTINGS, "trainer": "train, 2 x 2"}
    ledger.create_study("sources of widths, 2 x 2", {**own, **change}, grid(width=[1]))
    assert read_sources(ledger, record) == ()
