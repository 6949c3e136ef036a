"""A short form of the fault campaign: each kind of fault but kills and Ctrl-C, which have tests of their own."""

import pytest
from benchmarks import faults
from benchmarks.striking import can_forbid, open_nursery


@pytest.fixture(scope="module")
def campaign(nursery, tmp_path_factory):
    with open_nursery() as second:
        yield faults.Campaign((nursery, second), tmp_path_factory.mktemp("campaign"), seed=11)


def assert_harmless(row, n):
    assert (row.injected, row.lost, row.twice, row.changed) == (n, 0, 0, 0), row.said


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("ledger deleted", "was removed"),
        ("ledger replaced by an empty file", "replaced by another one"),
        ("ledger cut to half its size", "was cut short"),
        ("ledger overwritten with zeros", "overwritten by somebody else"),
        ("disk full", "make room"),
        ("ledger made read-only", "make it writable"),
    ],
)
def test_what_happens_to_a_ledger_under_a_running_study(campaign, tmp_path, fault, words):
    if fault == "ledger made read-only" and not can_forbid(tmp_path):
        pytest.skip("no right to make files immutable")
    row = campaign.ledger_strikes(fault, "in-process", faults.LEDGER_STRIKES[fault], 1)
    assert_harmless(row, 1)
    assert row.told == 1
    assert words in row.said


def test_a_disk_that_is_full_before_the_ledger_is_made(campaign):
    row = campaign.disk_full_from_the_beginning(1)
    assert_harmless(row, 1)
    assert "make room" in row.said


def test_a_clock_that_goes_back(campaign):
    assert_harmless(campaign.clock_back("in-process", 1), 1)


@pytest.mark.parametrize("at_once", [True, False])
def test_two_coordinators(campaign, at_once):
    row = campaign.two_coordinators(at_once, 1)
    assert_harmless(row, 1)
    assert "another process runs study" in row.said


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)  # one of the faults: sys.exit there
@pytest.mark.parametrize("executor", faults.EXECUTORS)
def test_trainers_that_commit_faults(campaign, executor):
    rows = list(campaign.trainers(executor, 1))
    assert len(rows) >= (9 if executor == "in-process" else 16)
    for row in rows:
        assert_harmless(row, 1)
