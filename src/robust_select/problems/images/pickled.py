"""Looks through a pickle before it is loaded: only what plain values and one array need may be in it.

Called by ``cifar``. Knows nothing of images. What a pickle names is no business of this file: loading refuses that.
"""

import pickletools

_TEXTS = frozenset(
    {"STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "UNICODE", "BINUNICODE"}
    | {"SHORT_BINUNICODE", "BINUNICODE8", "GLOBAL", "STACK_GLOBAL"}
)
_NUMBERS = frozenset({"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"})
_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
_OTHERS = frozenset(
    {"PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "EMPTY_LIST", "APPEND", "APPENDS", "LIST"}
    | {"EMPTY_TUPLE", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "REDUCE", "BUILD", "PERSID", "BINPERSID"}
)
_KEEPING = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_FETCHING = frozenset({"GET", "BINGET", "LONG_BINGET"})
_MOST_TUPLES = 100


def why_not(content: bytes) -> str:
    """Say why a pickle is refused before it is loaded; empty if it is not.

    A small pickle can take all memory (an object kept under a number of billions), or all time (tuples of the same
    tuple twice, again and again, as a key), or end the process (tuples in tuples, thousands deep).

    Args:
        content: the pickle.

    Raises:
        ValueError: it is none, or cut off.

    Example:
        >>> import pickle
        >>> why_not(pickle.dumps({"labels": [1, 2]})), why_not(pickle.dumps({1, 2}))
        ('', 'EMPTY_SET')
    """
    kinds: dict[int, str] = {}
    before, n_tuples, n_kept = "", 0, 0
    for made, argument, _ in pickletools.genops(content):
        name = made.name
        n_tuples += name in _TUPLES
        if n_tuples > _MOST_TUPLES:
            return f"more than {_MOST_TUPLES} tuples"
        if name == "MEMOIZE" or name in _KEEPING:
            number = n_kept if name == "MEMOIZE" else int(argument or 0)
            if not 0 <= number <= len(content):
                return f"{name} {number}"
            kinds[number] = before
            n_kept += 1
            continue
        if name in _FETCHING:
            number = int(argument or 0)
            if kinds.get(number, "") not in _TEXTS:
                return f"{name} {number} of what is no text"
            name = kinds[number]
        elif name not in _TEXTS | _NUMBERS | _TUPLES | _OTHERS:
            return name
        before = name
    return ""
