"""Inputs that once ended in a traceback, took all memory or never ended, by name: what the message says now."""

import gzip
import pickle
import struct
import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
import uproot
from typer.testing import CliRunner

from robust_select.cli.app import app
from robust_select.core.candidates import Integers, Uniform, grid, sample
from robust_select.core.columns import Columns
from robust_select.core.errors import InputError, LedgerError, StudyFileError, TableError
from robust_select.core.tables import read_table
from robust_select.ledger import open_ledger
from robust_select.problems.ecal.readers import read_showers
from robust_select.problems.ecal.showers import ShowerError
from robust_select.problems.images.cifar import read_cifar10_pickle
from robust_select.problems.images.idx import read_idx
from robust_select.problems.images.records import ImageError
from robust_select.select.rules import Exhaustive, Halving, rule
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion
from robust_select.study.file import read_study
from robust_select.train.nn.checkpoints import checkpoint_path, load_instance

from . import readers
from .guard import check

LABELS = b"U\x06labels](K\x01e"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n)R"


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# ---- tables


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,score_1,score_01\na,1,2\n", "different numbers, came 'score_1' and 'score_01'"),
        (f"model,score_{'9' * 5000}\na,1\n", "expected scores"),
        (
            "candidate,replicate,score\n" + "".join(f"c{row},{row},1\n" for row in range(5000)),
            "share their replicates",
        ),
    ],
)
def test_tables_that_are_refused(tmp_path, text, message):
    with pytest.raises(TableError, match=message):
        read_table(written(tmp_path / "scores.csv", text))


def test_a_whole_number_of_hundreds_of_digits_is_infinite(tmp_path):
    table = read_table(written(tmp_path / "a.csv", f"candidate,replicate,score\na,0,{10**400}\na,1,0.5\n"))
    assert table.scores.tolist() == [[np.inf, 0.5]]


@pytest.mark.parametrize("names", [["-2", "-inf"], ["01", "1"], ["1e3", "1000"], ["True", "False"]])
def test_names_that_look_like_numbers_stay_as_they_are(tmp_path, names):
    text = "candidate,replicate,score\n" + "".join(f"{name},0,1\n" for name in names)
    path = written(tmp_path / "scores.csv", text)
    assert list(read_table(path).candidates) == names
    theirs = written(tmp_path / "theirs.csv", text.replace("candidate", "trial"))
    assert list(read_table(theirs, columns=Columns(candidate="trial")).candidates) == names


def test_parquet_that_claims_more_than_it_can_hold(tmp_path, monkeypatch):
    monkeypatch.setattr("robust_select.core.limits._ENOUGH_BYTES", 1 << 20)
    path = tmp_path / "scores.parquet"
    pyarrow.parquet.write_table(pa.table({"score": np.zeros(1_000_000)}), path)
    assert path.stat().st_size < 2**16
    with pytest.raises(TableError, match="one that claims 8,000,000"):
        read_table(path)


def test_parquet_with_damaged_words_of_pandas(tmp_path):
    table = pa.table({"candidate": ["a"], "score_0": [1.0]}).replace_schema_metadata({"pandas": '{"columns": 3}'})
    pyarrow.parquet.write_table(table, tmp_path / "scores.parquet")
    with pytest.raises(TableError, match="Is it complete"):
        read_table(tmp_path / "scores.parquet")


# ---- images


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes([0, 0, 8, 200]) + struct.pack(">200I", *[1] * 200) + b"x", "came 200 of them"),
        (
            bytes([0, 0, 8, 4]) + struct.pack(">4I", 0, 2**32 - 1, 2**32 - 1, 2**32 - 1),
            "came 4 of them: 0, 4294967295",
        ),
    ],
)
def test_idx_of_shapes_that_no_array_has(tmp_path, content, message):
    with pytest.raises(ImageError, match=message):
        read_idx(written(tmp_path / "images", content))


def test_a_gzip_bomb_is_not_unpacked_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("robust_select.core.limits._ENOUGH_BYTES", 1 << 20)
    content = bytes([0, 0, 8, 1]) + struct.pack(">I", 5 << 20) + bytes(5 << 20)
    with pytest.raises(ImageError, match="at most 1,048,576 bytes in a compressed file"):
        read_idx(written(tmp_path / "images", gzip.compress(content, mtime=0)))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"}r\xff\xff\xff\x7f.", "LONG_BINPUT 2147483647"),  # would take 16 GiB for the list of what is kept
        (
            b"}()q\x00" + b"".join(b"h%ch%c\x86q%c" % (at, at, at + 1) for at in range(30)) + b"h\x1eK\x01u.",
            "no text",
        ),
        (b"}()" + b"2\x86" * 40 + b"K\x01u.", "DUP"),  # a key whose hash takes 2**40 steps
        (b"})" + b"\x85" * 200_000 + b"K\x01s.", "more than 100 tuples"),  # a key whose hash ends the process
        (b"}(" + LABELS + b"U\x04datacnumpy\nndarray\n)\x81u.", "NEWOBJ"),
        (b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "expected a pickle"),  # a bytearray of 8 EiB
        (b"}(" + LABELS + b"U\x04data" + ARRAY + b"u.", "came shape None of None"),
        (b"}(U\x06labels](\x8a\x10" + b"\x7f" * 16 + b"eU\x04data" + ARRAY + b"u.", "came shape None"),
    ],
)
def test_pickles_that_would_take_all(tmp_path, body, message):
    with pytest.raises(ImageError, match=message):
        read_cifar10_pickle(written(tmp_path / "data_batch_1", b"\x80\x02" + body))


@pytest.mark.parametrize("label", [2**70, -(2**70)])
def test_labels_that_fit_no_array(tmp_path, label):
    listed = b"U\x06labels]" + pickle.dumps(label, protocol=2)[2:-1] + b"a"
    content = b"\x80\x02}(" + listed + b"U\x04data" + readers.ARRAY_OF_ONE + b"u."
    with pytest.raises(ImageError, match="labels from 0 to 9"):
        read_cifar10_pickle(written(tmp_path / "data_batch_1", content))


# ---- showers


def test_an_npz_that_claims_a_petabyte(tmp_path):
    path = tmp_path / "showers.npz"
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 15, 15), }".ljust(117) + "\n"
    np.savez(path, energy=np.ones(3), x=np.ones(3), y=np.ones(3))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("cells.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() + bytes(80))
    with pytest.raises(ShowerError, match="a claim of 1,800,000,000,000,000"):
        read_showers(path)


def test_an_hdf5_file_that_claims_terabytes(tmp_path):
    path = tmp_path / "showers.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("cells", shape=(10**9, 15, 15), dtype="f8", chunks=(1, 15, 15))
        for name in ("energy", "x", "y"):
            file[name] = np.ones(3)
    with pytest.raises(ShowerError, match="a claim of 1,800,000,000,000"):
        read_showers(path)


@pytest.mark.parametrize("part", ["header", "footer", "list of pages"])
def test_a_damaged_rntuple_is_not_counted_through(tmp_path, part):
    path = tmp_path / "showers.root"
    with uproot.recreate(path) as file:
        arrays = {"cells": np.ones((3, 225)), **{name: np.ones(3) for name in ("energy", "x", "y")}}
        file.mkrntuple("showers", arrays)
    assert len(read_showers(path)) == 3
    with uproot.open(path) as file:
        ntuple = file["showers"]
        place = {
            "header": lambda: ntuple.member("fSeekHeader"),
            "footer": lambda: ntuple.member("fSeekFooter"),
            "list of pages": lambda: ntuple.footer.cluster_group_records[0].page_list_link.locator.offset,
        }[part]()
    content = bytearray(path.read_bytes())
    content[place + 20] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(ShowerError, match=r"damaged|cannot be read as ROOT"):
        read_showers(path)


def test_text_cannot_be_scaled(tmp_path):
    np.savez(tmp_path / "a.npz", cells=np.ones((1, 15, 15)), energy=np.array(["a"]), x=np.ones(1), y=np.ones(1))
    with pytest.raises(ShowerError, match="numbers to scale as energy"):
        read_showers(tmp_path / "a.npz", scale={"energy": 1e-3})


def test_a_checkpoint_whose_parts_claim_more_than_the_file(tmp_path):
    path = checkpoint_path(tmp_path, "a", 0)
    path.parent.mkdir()
    torch.save({"state": {"w": torch.zeros(4)}, "params": "{}"}, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("more", bytes(1 << 20))
    with pytest.raises(InputError, match="its parts claim"):
        load_instance(lambda params: torch.nn.Linear(2, 2), {}, tmp_path, "a", 0)


# ---- study files and rules


@pytest.mark.parametrize("deep", ["[" * 3000, "{a=" * 3000, f"0x{'f' * 300}, "])
def test_a_study_file_beyond_all_bounds(tmp_path, deep):
    text = f'trainer = "a:b"\n[candidates.grid]\nx = [{deep}' + ("1]\n" if deep.startswith("0x") else "\n")
    path = written(tmp_path / "study.toml", text)
    with pytest.raises(StudyFileError, match=r"expected (TOML|numbers below 2\*\*1024)"):
        read_study(path)


def test_a_grid_of_more_than_anybody_trains():
    with pytest.raises(InputError, match=r"about 10\^40: use sample"):
        grid(**{f"axis_{number}": list(range(100)) for number in range(20)})


def test_a_sample_of_more_than_anybody_trains():
    with pytest.raises(InputError, match="at most 10,000,000"):
        sample(10**12, {"lr": Uniform(0, 1)})


@pytest.mark.parametrize("made", [lambda: Uniform(-1.7e308, 1.7e308), lambda: Integers(0, 2**70)])
def test_ranges_that_no_generator_draws_from(made):
    with pytest.raises(InputError, match="low < high, at most"):
        made()


def test_rules_beyond_all_bounds():
    with pytest.raises(InputError, match="expected a rule among"):
        rule(["halving"])
    with pytest.raises(InputError, match="at most 1,000,000,000,000"):
        Halving(warmup=10**30)
    with pytest.raises(InputError, match="trainings in the warm-up"):
        Selection(["a", "b"], Exhaustive(2**31), criterion("mean"))


# ---- ledgers and the program


@pytest.mark.parametrize(
    "location",
    [
        *("postgresql://host:port/name", "postgresql://a..b/c", "sqlite:///a\0b", "a\0b", "a" * 5000, "://"),
        *("sqlite:///x?timeout=soon", "sqlite:///\ud800.db"),
    ],
    ids=range(8),
)
def test_what_is_no_place_for_a_ledger(location, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LedgerError, match="expected a path or a database URL"):
        open_ledger(location)


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="robust-select")


def test_an_error_that_nobody_foresaw_is_one_message(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyError("lost\x1b[2J")

    monkeypatch.setattr("robust_select.core.tables.read_table", fail)
    done = invoke("replay", "scores.csv")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("robust-select: stopped by an error that nobody foresaw, KeyError: 'lost")
    assert "ROBUST_SELECT_TRACEBACK=1" in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    monkeypatch.setenv("ROBUST_SELECT_TRACEBACK", "1")
    assert isinstance(invoke("replay", "scores.csv").exception, KeyError)


def test_too_little_memory_is_said(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("robust_select.core.tables.read_table", fail)
    done = invoke("replay", "scores.csv")
    assert (done.exit_code, done.stderr.startswith("robust-select: there is not enough memory")) == (1, True)


def test_a_message_does_not_steer_the_terminal(tmp_path):
    path = written(tmp_path / "scores.csv", "\x1b]0;gone\x07,b\n1,2\n")
    done = invoke("replay", path)
    assert done.exit_code == 2
    assert "expected scores" in done.stderr
    assert not {"\x1b", "\x07"} & set(done.stderr)


def test_measuring_a_candidate_that_always_diverged(tmp_path):
    path = written(tmp_path / "scores.csv", "candidate,replicate,score\na,0,nan\na,1,inf\n")
    done = invoke("measure", path, "--resamples", 20)
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("values", [(1e308, -1e308, 1e307), (1e200, 2e200, 5e-324), (1e154, 3e154, 2e154)])
@pytest.mark.parametrize("command", [["measure", "--resamples", 20], ["replay", "--rule", "top-two"], ["plan"]])
@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered:RuntimeWarning")
def test_scores_whose_squares_are_infinite(tmp_path, values, command):
    rows = [f"{name},{at},{value}" for name in "ab" for at, value in enumerate(values)]
    path = written(tmp_path / "scores.csv", "candidate,replicate,score\n" + "\n".join(rows) + "\n")
    words = [command[0], *(["--pilot"] if command[0] == "plan" else []), path, *command[1:]]
    done = invoke(*words, *(["--studies", 1, "--rule", "halving", "--warmup", 2] if command[0] == "plan" else []))
    assert done.exit_code in (0, 2), (done.exit_code, done.stderr)


# ---- the harness itself


def test_the_guard_sees_a_crash(tmp_path):
    def crash(_):
        raise KeyError("lost")

    with pytest.raises(AssertionError, match="KeyError: 'lost'"):
        check(crash, b"")


def test_the_guard_sees_what_takes_too_long(monkeypatch):
    monkeypatch.setattr("tests.fuzz.guard.SECONDS", 0.2)

    def hang(_):
        while True:
            pass

    with pytest.raises(AssertionError, match=r"longer than 0\.2 s"):
        check(hang, b"")


def test_the_guard_sees_what_takes_too_much_memory():
    with pytest.raises(AssertionError, match=r"MemoryError|MiB of memory"):
        check(lambda _: np.ones(1 << 33), b"")


@pytest.mark.parametrize("name", readers.TARGETS)
def test_the_undamaged_input_of_a_target_can_be_read(tmp_path, name, monkeypatch):
    """A plan of zeros damages next to nothing: most targets read it, so that damage is what they refuse else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tests.fuzz.readers.damaged", lambda source, content: content)
    refused = check(readers.TARGETS[name](tmp_path), bytes(40))
    assert refused is (name in {"table, cells and options", "showers, arrays in npz", "study file, values"})
