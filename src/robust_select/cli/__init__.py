"""The command line: wires parts, calls one function a command.

Called by the ``robust-select`` program. Computes nothing itself; each command imports what it needs when it runs.
"""

from robust_select.cli.app import main

__all__ = ["main"]
