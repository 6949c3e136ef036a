"""Text that Markdown and LaTeX show as it is.

Called by the card. Knows nothing of what the text says.
"""

import re


def escape_markdown(text: str) -> str:
    r"""Keep text from being read as Markdown or HTML, in a table's cell, too.

    Example:
        >>> escape_markdown("a|b <c>\n*d*: 1")
        'a\\|b \\<c\\> \\*d\\*: 1'
    """
    return re.sub(r"[\\`*_{}\[\]<>#!|~$&^@]|:(?=\S)", r"\\\g<0>", _one_line(text))


_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: rf"\{sign}" for sign in "{}$&#_%"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    "∞": r"$\infty$",
    "−": "$-$",
    "±": r"$\pm$",
    "’": "'",
}


def escape_latex(text: str) -> str:
    r"""Keep text from being read as LaTeX.

    Example:
        >>> escape_latex("50 % of a_b & \\input{x}")
        '50 \\% of a\\_b \\& \\textbackslash{}input\\{x\\}'
    """
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(text)).replace("--", "-{}-").replace("--", "-{}-")


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)
