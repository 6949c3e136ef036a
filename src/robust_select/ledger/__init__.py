"""Remembers: everything that happened in studies, in a database.

Called by studies and the command line; only a study's coordinator writes. Knows nothing of rules or criteria.
"""

from robust_select.ledger.ledger import Ledger, StudyRecord
from robust_select.ledger.opening import open_ledger
from robust_select.ledger.presence import Watched

__all__ = ["Ledger", "StudyRecord", "Watched", "open_ledger"]
