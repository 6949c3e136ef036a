"""What the sources may not do with what others made: read from their text, as the house rules are."""

import ast
import csv
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from robust_select.core.tables import Table, read_table
from robust_select.core.writing import write_frame
from robust_select.report.figures import save_figures
from robust_select.select.replay import replay
from robust_select.select.rules import Halving
from robust_select.stats.criteria import criterion
from robust_select.train.nn.checkpoints import checkpoint_path, keep_checkpoints

SOURCE = Path(__file__).parents[2] / "src" / "robust_select"
TREES = {
    path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")
}
CALLS = [
    (name, node, ast.unparse(node.func))
    for name, tree in sorted(TREES.items())
    for node in ast.walk(tree)
    if isinstance(node, ast.Call)
]
NASTY = (
    "<script>window.harm = 1</script>",
    '"><image href="x" onload="window.harm = 1"/>',
    "javascript:window.harm = 1 \u2028 ]]>",
    "$\\frac{1}{x$ ${a}$ _x_ ^",
    "\x1b[2J\x07 &amp; &lt;",
)


def keyword(node, name):
    return next((ast.unparse(given.value) for given in node.keywords if given.arg == name), None)


def test_nothing_is_unpickled_but_what_our_own_processes_sent():
    loads = {
        (name, called)
        for name, _, called in CALLS
        if called.split(".")[-1] in {"load", "loads", "Unpickler", "read_pickle"}
        and called.split(".")[0] in {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve", "pd"}
    }
    assert loads == {
        ("train/executors/borrowed.py", "pickle.loads"),  # the trainer, from the coordinator to its worker
        ("train/executors/dask.py", "pickle.loads"),  # the same and the outcomes, through a cluster
    }
    unpicklers = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any("Unpickler" in ast.unparse(base) for base in node.bases)
    }
    assert unpicklers == {"problems/images/cifar.py"}  # which finds no class but two of its own


def test_arrays_and_weights_are_read_as_data_only():
    arrays = [(name, keyword(node, "allow_pickle")) for name, node, called in CALLS if called == "np.load"]
    assert len(arrays) >= 3
    assert {allowed for _, allowed in arrays} == {"False"}
    weights = [(name, keyword(node, "weights_only")) for name, node, called in CALLS if called == "torch.load"]
    assert weights == [("train/nn/checkpoints.py", "True")]


def test_no_text_is_run():
    running = {"eval", "exec", "os.system", "os.popen", "compile", "yaml.load", "builtins.eval"}
    assert [(name, called) for name, _, called in CALLS if called in running] == []
    assert [name for name, node, _ in CALLS if keyword(node, "shell") not in (None, "False")] == []


def test_sql_is_made_of_constants_and_parameters():
    """Text that a database is given is a constant; what varies is a parameter, or a name out of a fixed list."""
    given = [
        (name, ast.unparse(node.args[0]))
        for name, node, called in CALLS
        if called.split(".")[-1] in {"exec_driver_sql", "execute", "executescript", "text"}
        and name.startswith("ledger/")
        and node.args
        and made_of_pieces(node.args[0])
    ]
    allowed = {
        ("ledger/holding.py", "f'SET tcp_keepalives_{setting} = {value}'"),  # of a list of constants beside it
        ("ledger/checking.py", "f'PRAGMA integrity_check({_MOST_OF_THE_FILE})'"),  # a number, a constant
        ("ledger/sqlite.py", "'BEGIN IMMEDIATE' if writes else 'BEGIN'"),
    }
    assert set(given) - allowed == set()


def made_of_pieces(node):
    """Say whether text is put together: an f-string, a sum, a format, a choice of texts."""
    if isinstance(node, ast.Constant):
        return False
    is_text = any(isinstance(inner, ast.Constant) and isinstance(inner.value, str) for inner in ast.walk(node))
    pieces = (ast.JoinedStr, ast.BinOp, ast.IfExp)
    is_format = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".format")
    return is_text and (isinstance(node, pieces) or is_format)


def test_a_piece_of_text_would_be_noticed():
    assert made_of_pieces(ast.parse("f'DROP TABLE {name}'", mode="eval").body)
    assert made_of_pieces(ast.parse("'SELECT ' + name", mode="eval").body)
    assert made_of_pieces(ast.parse("'SELECT {}'.format(name)", mode="eval").body)
    assert not made_of_pieces(ast.parse("'SELECT 1'", mode="eval").body)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "..", ".", "a/b", "a\\b", "a\0b", "x" * 999, "CON", "~"])
def test_a_candidates_name_is_one_folder_of_the_checkpoints(tmp_path, name):
    path = checkpoint_path(tmp_path / "weights", name, 0)
    assert path.parent.parent == tmp_path / "weights"
    assert path.resolve().is_relative_to((tmp_path / "weights").resolve())
    path.parent.mkdir(parents=True)
    (tmp_path / "other").mkdir()
    path.write_bytes(b"")
    assert keep_checkpoints(tmp_path / "weights", name) == 0
    assert (tmp_path / "other").is_dir()


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")  # of signs that the font does not have
def test_figures_hold_names_as_text_and_are_named_by_numbers(tmp_path):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(len(NASTY), 6)) + np.arange(len(NASTY))[:, None]
    params = tuple({name: position % 2} for position, name in enumerate(NASTY))
    found = replay(Table(NASTY, scores, None, params), Halving(warmup=2), criterion("mean"))
    written = save_figures(found, tmp_path / "figures", "svg", base=NASTY[0])
    assert len(written) >= 5
    assert {path.parent for path in written} == {tmp_path / "figures"}
    for path in written:
        assert path.name[:2].isdigit()
        for element in ElementTree.parse(path).iter():  # it is XML: no sign is in it that XML does not know
            assert element.tag.rpartition("}")[2].lower() not in {"script", "image", "foreignobject", "iframe"}
            assert not [key for key in element.attrib if key.lower().startswith("on")]
            assert "javascript:" not in "".join(element.attrib.values()).lower()


def test_exports_keep_names_as_they_are_formulas_included(tmp_path):
    """A spreadsheet may run such cells; changed names would not be the candidates' any more (see SECURITY.md)."""
    names = ("=1+1", "+1", "-1", "@SUM(1)", '=HYPERLINK("x")', "\t=1", "a,b")
    path = tmp_path / "scores.csv"
    write_frame(Table(names, np.ones((len(names), 2))).to_frame(), path)
    with path.open(newline="", encoding="utf-8") as file:
        assert [row["candidate"] for row in csv.DictReader(file)][::2] == list(names)
    assert read_table(path).candidates == names
