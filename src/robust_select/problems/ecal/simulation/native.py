"""Calls C++ functions of Geant4 that geant4-pybind exports but does not bind: constructors of processes and models.

Called by ``physics_list`` in the worker process. Knows nothing of physics. The names are mangled as GCC does, the
strings are those of libstdc++: right for the wheel of geant4-pybind 0.1.3 and for no other.
"""

import ctypes
from typing import Any

_OBJECT_BYTES = 16384  # more than the largest process or model takes


class _Text(ctypes.Structure):
    """A G4String, which is a std::string of libstdc++: pointer, length, and a buffer for short ones."""

    _fields_ = (("start", ctypes.c_char_p), ("length", ctypes.c_size_t), ("buffer", ctypes.c_char * 16))


class Native:
    """The extension module's C++ functions.

    Args:
        path: of the extension module, which must be imported already.
    """

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        self._libc = ctypes.CDLL(None)
        self._libc.calloc.restype = ctypes.c_void_p
        self._libc.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        self._kept: list[Any] = []

    def call(self, symbol: str, *arguments: Any, gives: Any = None) -> Any:
        """Call a function or method.

        Args:
            symbol: its mangled name.
            arguments: of ctypes; a method's first is its object.
            gives: the ctypes type of the result.

        Returns:
            What it gives; a ``pointer`` where that is an object.
        """
        function = getattr(self._library, symbol)
        function.restype = gives
        return function(*arguments)

    def pointer(self, symbol: str) -> ctypes.c_void_p:
        """Call a function without arguments that gives an object."""
        return ctypes.c_void_p(self.call(symbol, gives=ctypes.c_void_p))

    def new(self, constructor: str, *arguments: Any) -> ctypes.c_void_p:
        """Construct an object; Geant4 owns it, and frees it if anybody does."""
        made = ctypes.c_void_p(self._libc.calloc(1, _OBJECT_BYTES))
        self.call(constructor, made, *arguments)
        return made

    def text(self, words: str) -> Any:
        """Give a reference to a G4String, kept for the life of the process."""
        encoded = words.encode()
        made = _Text(encoded, len(encoded), b"")
        self._kept.append((encoded, made))
        return ctypes.byref(made)

    def flush(self) -> None:
        """Write out what C++ has buffered."""
        self._libc.fflush(None)
