"""Where a fuzzed input's choices come from, and how valid bytes are damaged.

Used by the targets. Knows nothing of who gives the bytes: Hypothesis, atheris or a random generator.
"""

import math
from collections.abc import Sequence
from typing import Any

_EDGES = 64  # bytes at either end, where formats keep what they are and how much there is
_LARGE = (0, 1, 0x7F, 0xFF, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 10**12, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
_TOKENS = (b"\0", b"\0" * 16, b"\xff" * 16, b"nan", b"-1", b"1e999", b"9" * 40, b",", b'"', b"\r\n", b"]", b"[" * 9)

NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 100, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 10**400),
    *(0.0, -0.0, 0.5, -0.5, 1.0, 0.05, 0.95, 1e-300, 5e-324, 1e300, 1.7976931348623157e308),
    *(-1.7976931348623157e308, math.inf, -math.inf, math.nan),
)
"""Numbers that programs trip over."""

TEXTS = (
    *("", " ", "a", "A", "0", "-1", "nan", "inf", "1e999", "true", "None", "mean", "q3+iqr", "welch", "é", "\u2028"),
    *("\u202e", "\U0001f600", "a" * 3000, "a,b", 'a"b', "a'b", "a\nb", "a\tb", "\x7f", "\x1b[2J", "=1+1", "../../x"),
    *("<script>x</script>", "{x}", "%s", "$x", "\\", "[x]", "9" * 5000, "0,1", "1x1", "8x8x8", "٣", "1_0", "0x10"),
)
"""Texts that programs trip over."""


class Source:
    """Reads choices from bytes; when they are used up, every further choice is the first one."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, n: int) -> bytes:
        """Give the next bytes, fewer at the end."""
        found = self._content[self._at : self._at + n]
        self._at += len(found)
        return found

    def below(self, n: int) -> int:
        """Give a whole number from 0 to n - 1."""
        n_bytes = max(1, ((n - 1).bit_length() + 7) // 8)
        return int.from_bytes(self.take(n_bytes), "little") % n

    def is_one_in(self, n: int) -> bool:
        """Say yes once in n times; where the bytes are used up, no."""
        return self.below(n) == n - 1

    def choice(self, options: Sequence[Any]) -> Any:
        """Give one of the options."""
        return options[self.below(len(options))]

    def scalar(self) -> Any:
        """Give an awkward number or text."""
        return self.choice(NUMBERS) if self.below(2) else self.choice(TEXTS)


def damaged(source: Source, content: bytes) -> bytes:
    """Damage valid bytes in one to six places; once in thirty times, give bytes of no form at all."""
    if source.is_one_in(30):
        return source.take(64)
    for _ in range(1 + source.below(6)):
        content = _edited(source, content)
    return content


def _edited(source: Source, content: bytes) -> bytes:
    at = _place(source, len(content))
    end = min(len(content), at + source.choice((1, 2, 4, 8, 16, 100, 1000)))
    match source.below(9):
        case 0:
            flipped = bytes([content[at] ^ (1 << source.below(8))]) if content else b""
            return content[:at] + flipped + content[at + 1 :]
        case 1:
            return content[:at] + source.take(end - at) + content[end:]
        case 2 | 3:
            size = source.choice((1, 2, 4, 8))
            number = source.choice(_LARGE) % 2 ** (8 * size)
            return content[:at] + number.to_bytes(size, source.choice(("little", "big"))) + content[at + size :]
        case 4:
            return content[:at] + content[end:]
        case 5:
            return content[:end] + content[at:end] * (1 + source.below(8)) + content[end:]
        case 6:
            return content[:at]
        case 7:
            other = _place(source, len(content))
            return content[:at] + content[other : other + end - at] + content[end:]
        case _:
            return content[:at] + source.choice(_TOKENS) + content[at:]


def _place(source: Source, n: int) -> int:
    """Choose a place among n bytes, in two of three cases near an end."""
    if n < 2:
        return 0
    match source.below(3):
        case 0:
            return source.below(n)
        case 1:
            return source.below(min(n, _EDGES))
        case _:
            return n - 1 - source.below(min(n, _EDGES))
