"""Remembers: everything that happened in studies, in a database.

Called by studies and the command line; only a study's coordinator writes. Knows nothing of rules or criteria.
"""

from robust_select.ledger.ledger import Ledger, StudyRecord, open_ledger

__all__ = ["Ledger", "StudyRecord", "open_ledger"]
