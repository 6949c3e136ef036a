"""Runs a selection for real: selection, trainer, executor and ledger together; and reads studies from files.

Called by users and the command line. Knows nothing of figures or of particular problems.
"""

from robust_select.study.study import Study

__all__ = ["Study"]
