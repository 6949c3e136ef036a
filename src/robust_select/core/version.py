"""The version of the library: here alone, so that every floor can name it.

Read by the build, the ledger's record and the page. Knows nothing else.
"""

__version__ = "0.1.0"
