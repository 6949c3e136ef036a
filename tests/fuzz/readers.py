"""What is fuzzed of the readers: study files, tables, images, showers, checkpoints. Each target reads a file it made.

Used by the tests and the campaign. Knows nothing of limits.
"""

import gzip
import io
import json
import math
import pickle
import pickletools
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
import uproot

from robust_select.core.columns import Columns
from robust_select.core.tables import read_table
from robust_select.problems.ecal.readers import read_showers
from robust_select.problems.images.cifar import read_cifar10_binary, read_cifar10_pickle
from robust_select.problems.images.idx import read_idx, read_idx_images
from robust_select.study.file import read_study
from robust_select.train.nn.checkpoints import checkpoint_path, load_instance

from .source import Source, damaged

Target = Callable[[bytes], None]

STUDY = """\
trainer = "fuzz_trainer:train"
name = "widths"
criterion = "q3+iqr"
tolerance = 0.0
direction = "minimize"
seed = 7
ledger = "study.db"
workers = 1
fresh = 2

[rule]
name = "halving"
warmup = 2

[candidates.grid]
width = [1, 2, 3]
lr = [0.1, 0.01]
"""

TRAINER = """\
def train(params, instance):
    return 1.0


def make():
    return [{"width": 1}, {"width": 2}]


not_a_function = 3
"""

LONG = """\
candidate,replicate,score,seconds,state,width,epoch_1,epoch_2
a,0,0.1,1.5,complete,16,0.5,0.1
a,1,0.2,1.5,complete,16,0.6,0.2
b,0,,2,diverged,32,,
b,1,0.4,2,complete,32,0.7,0.4
"""
WIDE = "model,score_0,score_1,score_2,seconds_0,note\nx,0.1,0.2,inf,1,u\ny,0.3,,0.5,2,v\nz,0.2,nan,0.1,2,w\n"


def study_bytes(folder: Path) -> Target:
    """Damage the bytes of a study file."""
    _trainer(folder)

    def target(plan: bytes) -> None:
        source = Source(plan)
        path = folder / "bytes.toml"
        content = damaged(source, STUDY.encode())
        if source.is_one_in(10):
            deep = source.choice(("[", "{a=", "0x" + "f" * 6000 + ",")) * source.choice((1, 10, 300, 3000))
            content += f"\n[candidates.grid]\nx = [{deep}]\n".encode()
        path.write_bytes(content)
        read_study(path)

    return target


def study_values(folder: Path) -> Target:
    """Write study files that are TOML, with awkward values in the places of good ones."""
    _trainer(folder)

    def target(plan: bytes) -> None:
        source = Source(plan)
        document = _document(source)
        for _ in range(1 + source.below(3)):
            _spoil(source, document)
        path = folder / "values.toml"
        path.write_text(_toml(document), encoding="utf-8")
        read_study(path)

    return target


def table_bytes(folder: Path) -> Target:
    """Damage the bytes of CSV tables, long and wide."""

    def target(plan: bytes) -> None:
        source = Source(plan)
        path = folder / "bytes.csv"
        path.write_bytes(damaged(source, source.choice((LONG, WIDE)).encode()))
        read_table(path)

    return target


def table_cells(folder: Path) -> Target:
    """Write CSV tables with awkward names of columns and cells, read with options."""
    words = ("candidate", "model", "replicate", "score", "state", "seconds", "epoch_1", "epoch_2", "score_0", "lr")

    def target(plan: bytes) -> None:
        source = Source(plan)
        n = 1 + source.below(6)
        header = [source.choice(words) if source.below(5) else str(source.scalar()) for _ in range(n)]
        rows = [[str(source.scalar()) for _ in range(n)] for _ in range(source.below(6))]
        path = folder / f"cells{source.choice(('.csv', '.parquet'))}"
        frame = pd.DataFrame(rows, columns=header)
        if path.suffix == ".csv":
            frame.to_csv(path, index=False, errors="replace")
        else:
            frame.loc[:, ~frame.columns.duplicated()].to_parquet(path)
        columns = None
        if source.below(2):
            fields = ("score", "candidate", "replicate", "seconds", "state")
            named = {name: source.choice(header) for name in fields if source.below(2)}
            wanted = tuple(source.choice((*header, "l*", "*")) for _ in range(source.below(3)))
            columns = Columns(**named, params=wanted)
        prefix = source.choice((None, None, "score_", "", "s"))
        read_table(path, prefix, source.choice((None, "t_")), columns)

    return target


def table_parquet(folder: Path) -> Target:
    """Damage the bytes of Parquet tables."""
    made = folder / "good.parquet"
    pd.read_csv(io.StringIO(LONG)).to_parquet(made)
    return _damaging(made.read_bytes(), folder / "bad.parquet", read_table)


def idx(folder: Path) -> Target:
    """Damage IDX files, plain, compressed, and before they are compressed."""
    images = struct.pack(">BBBB3I", 0, 0, 8, 3, 5, 4, 4) + bytes(range(80))
    labels = struct.pack(">BBBBI", 0, 0, 8, 1, 5) + bytes(range(5))
    good = folder / "labels"
    good.write_bytes(labels)

    def target(plan: bytes) -> None:
        source = Source(plan)
        path = folder / "images"
        match source.below(5):
            case 0:
                path.write_bytes(damaged(source, images))
            case 1:
                path.write_bytes(gzip.compress(damaged(source, images), mtime=0))
            case 2:
                path.write_bytes(damaged(source, gzip.compress(images, mtime=0)))
            case 3:
                path.write_bytes(gzip.compress(bytes(source.below(4) * 1_000_000), mtime=0))
            case _:
                n_axes = source.below(256)
                sizes = [source.choice((0, 1, 2, 2**16, 2**32 - 1)) for _ in range(n_axes)]
                header = bytes([0, 0, source.choice((8, 9, 11, 12, 13, 14)), n_axes]) + struct.pack(
                    f">{n_axes}I", *sizes
                )
                path.write_bytes(header + source.take(9))
        read_idx(path) if source.below(2) else read_idx_images(path, good)

    return target


def cifar_binary(folder: Path) -> Target:
    """Damage files of CIFAR-10's binary version."""
    return _damaging(b"\x03" + bytes(3072) + b"\x09" + bytes(3072), folder / "data_batch_1.bin", read_cifar10_binary)


ARRAY_OF_ONE = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\n"
    + (b"(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", 3072))
    + (bytes(3072) + b"tb")
)
"""An image as Python 2 wrote an array of (1, 3072) bytes."""

_PYTHON_2 = b"\x80\x02}(U\x06labels]K\x03aU\x04data" + ARRAY_OF_ONE + b"u."


def cifar_pickle(folder: Path) -> Target:
    """Damage pickles of CIFAR-10's Python version, or put together opcodes by chance."""
    content = {b"batch_label": b"x", b"labels": [1, 2], b"data": np.zeros((2, 3072), np.uint8), b"filenames": [b"a"]}
    seeds = [_PYTHON_2, *(pickle.dumps(content, protocol=protocol) for protocol in (2, 3, 4))]
    codes = [made.code.encode("latin-1") for made in pickletools.opcodes]
    names = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cos\nsystem\n"
    pieces = (*codes, *names, b"K\x01", b"U\x04data", b"U\x06labels", b"(", b"}", b"]", b")", b"\x85", b"\x81", b"b")

    def target(plan: bytes) -> None:
        source = Source(plan)
        path = folder / "data_batch_1"
        if source.below(2) == 0:
            path.write_bytes(damaged(source, source.choice(seeds)))
        else:
            body = b"".join(source.choice(pieces) + source.take(source.below(3)) for _ in range(source.below(40)))
            path.write_bytes(b"\x80\x02" + source.choice((b"", b"}(U\x06labels](K\x01eU\x04data")) + body + b".")
        read_cifar10_pickle(path)

    return target


def showers(suffix: str) -> Callable[[Path], Target]:
    """Give what damages a file of showers of one format."""

    def make(folder: Path) -> Target:
        arrays: dict[str, Any] = {
            "cells": np.linspace(0, 1, 3 * 225).reshape(3, 15, 15),
            **{name: np.arange(1.0, 4.0) for name in ("energy", "x", "y", "theta_x")},
        }
        good = folder / f"good{suffix}"
        if suffix == ".npz":
            np.savez(good, **arrays, cell_cm=4.0)
        elif suffix == ".h5":
            with h5py.File(good, "w") as file:
                for name, values in arrays.items():
                    file.create_dataset(name, data=values, chunks=values.shape, compression="gzip")
        elif suffix == ".parquet":
            listed = {name: [row.reshape(-1).tolist() for row in values] for name, values in arrays.items()}
            pd.DataFrame({**listed, **{name: arrays[name] for name in arrays if name != "cells"}}).to_parquet(good)
        else:
            with uproot.recreate(good) as file:
                file["showers"] = {**arrays, "cells": arrays["cells"].reshape(3, 225)}
        return _damaging(good.read_bytes(), folder / f"bad{suffix}", read_showers)

    return make


def shower_arrays(folder: Path) -> Target:
    """Write npz files of arrays of awkward shapes and kinds."""
    kinds = ("f4", "f8", "i8", "u1", "?", "S3", "U3", "c16", "M8[s]", "f2", "V8")

    def target(plan: bytes) -> None:
        source = Source(plan)
        arrays = {}
        for name in ("cells", "energy", "x", "y", "theta_x", "cell_cm", "n_layers", "depth_cm"):
            if source.below(8):
                shape = source.choice(((3, 15, 15), (3, 225), (3,), (), (0,), (1, 1), (3, 15), (0, 15, 15)))
                usual = (3, 15, 15) if name == "cells" else () if name.endswith(("_cm", "layers")) else (3,)
                value = source.choice((1.0, 0.0, 1e39, -1.0, np.nan))
                array = np.full(shape if source.below(3) == 0 else usual, value)
                with np.errstate(all="ignore"):
                    arrays[name] = array if source.below(2) else array.astype(source.choice(kinds[:-1]))
        path = folder / "arrays.npz"
        np.savez(path, **arrays)
        scale = {source.choice(("cells", "energy", "x")): source.choice((1e-3, 1e300, 5e-324, math.inf))}
        read_showers(path, scale=scale if source.below(2) else None)

    return target


def checkpoint(folder: Path) -> Target:
    """Damage the file of a trained network's weights."""
    path = checkpoint_path(folder, "a", 0)
    path.parent.mkdir(parents=True)
    state = torch.nn.Linear(2, 2).state_dict()
    held = {"candidate": "a", "replicate": 0, "params": "{}", "score": 0.5, "state": state}
    torch.save(held, path)
    return _damaging(
        path.read_bytes(), path, lambda _: load_instance(lambda params: torch.nn.Linear(2, 2), {}, folder, "a", 0)
    )


TARGETS: dict[str, Callable[[Path], Target]] = {
    "study file, bytes": study_bytes,
    "study file, values": study_values,
    "table, bytes of CSV": table_bytes,
    "table, cells and options": table_cells,
    "table, bytes of Parquet": table_parquet,
    "IDX, plain and gzip": idx,
    "CIFAR-10, binary": cifar_binary,
    "CIFAR-10, pickle": cifar_pickle,
    "showers, npz": showers(".npz"),
    "showers, arrays in npz": shower_arrays,
    "showers, HDF5": showers(".h5"),
    "showers, Parquet": showers(".parquet"),
    "showers, ROOT": showers(".root"),
    "checkpoint": checkpoint,
}


def _damaging(good: bytes, path: Path, read: Callable[[Path], object]) -> Target:
    def target(plan: bytes) -> None:
        path.write_bytes(damaged(Source(plan), good))
        read(path)

    return target


def _trainer(folder: Path) -> None:
    (folder / "fuzz_trainer.py").write_text(TRAINER, encoding="utf-8")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _document(source: Source) -> dict[str, Any]:
    """Make a good study."""
    candidates = source.choice(
        (
            {"grid": {"width": [1, 2], "lr": [0.1, 0.01]}},
            {"sample": {"n": 3, "seed": 1, "space": {"w": [1, 2, 4], "lr": {"low": 0.1, "high": 1.0, "log": True}}}},
            {"function": "fuzz_trainer:make"},
            [{"name": "a", "width": 1, "base": True}, {"width": 2}],
        )
    )
    rule = source.choice(
        (
            {"name": "halving", "warmup": 2, "final_instances": 1},
            {"name": "exhaustive", "n": 3},
            {"name": "significance", "warmup": 2, "alpha": 0.05, "test": "welch", "patience": 3, "max_instances": 9},
            {"name": "top-two", "confidence": 0.9, "tolerance": 0.1, "warmup": 2, "budget": 50, "batch": 2},
        )
    )
    numbers = {"tolerance": 0.0, "seed": 7, "fresh": 1, "workers": 1}
    texts = {"trainer": "fuzz_trainer:train", "name": "s", "criterion": "mean", "direction": "minimize"}
    return {**texts, **numbers, "ledger": "study.db", "rule": rule, "candidates": candidates}


def _spoil(source: Source, document: dict[str, Any]) -> None:
    """Put an awkward value somewhere, take something away, or add something."""
    here: Any = document
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = source.choice(keys) if keys else None
        deeper = here[key] if key is not None else None
        if not isinstance(deeper, dict | list) or not deeper or source.is_one_in(4):
            break
        here = deeper
    values: tuple[Any, ...] = ([], {}, [[]], [source.scalar()] * 3, {"low": source.scalar(), "high": source.scalar()})
    values += ("fuzz_trainer", "fuzz_trainer:", ":", "fuzz_trainer:not_a_function", "fuzz_trainer:train.x.y", "..:x")
    values += ("postgresql://h:x/d", "sqlite:///a?b=c", "://", "mysql://h/d", "a\0b", "http://x", "sqlite://")
    value = source.scalar() if source.below(3) else source.choice(values)
    if isinstance(here, list):
        here[source.below(len(here)) if here else slice(0)] = value if here else [value]
    elif key is None or source.is_one_in(8):
        here[str(source.scalar())] = value
    elif source.is_one_in(6):
        del here[key]
    else:
        here[key] = value


def _toml(document: Any) -> str:
    """Write a document as TOML, tables within tables on one line."""
    return "".join(f"{json.dumps(str(key), ensure_ascii=False)} = {_value(item)}\n" for key, item in document.items())


def _value(item: Any) -> str:
    if isinstance(item, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_value(inner)}" for key, inner in item.items()) + "}"
    if isinstance(item, list):
        return "[" + ", ".join(map(_value, item)) + "]"
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, str):
        return json.dumps(item).replace("\x7f", "\\u007f") if not any(ord(sign) > 0xFFFF for sign in item) else '"x"'
    if isinstance(item, float) and not math.isfinite(item):
        return str(item)
    if isinstance(item, float):
        return repr(item) if "e" in repr(item) or "." in repr(item) else f"{item!r}.0"
    return hex(item) if isinstance(item, int) and item >= 2**64 else str(item)
