"""The tables of a ledger, version 2.

Used by the ledger alone. A change here raises ``SCHEMA_VERSION`` and comes with a step in ``migrations``, and with a
ledger of the version before among ``tests/files``.
"""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 2

metadata = MetaData()

meta = Table(
    "robust_select_meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("settings", Text, nullable=False),  # JSON; must be the same when the study goes on
    Column("origin", Text, nullable=False),  # JSON; versions, machine, study file: for the record only
    Column("created_at", DateTime, nullable=False),  # UTC
    Column("stop_reason", Text, nullable=False, default=""),  # empty while the study is not finished
    Column("answer", Text, nullable=False, default=""),  # JSON; what was selected when it ended, or empty
)

candidates = Table(
    "candidates",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("params", Text, nullable=False),  # JSON
    Column("is_base", Boolean, nullable=False, default=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("replicate", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("score", Float),  # null unless complete
    Column("seconds", Float),
    Column("curve", LargeBinary),  # little-endian float64, one an epoch
    Column("message", Text, nullable=False, default=""),
    Column("log", Text, nullable=False, default=""),
    Column("finished_at", DateTime, nullable=False),  # UTC
)

steps = Table(
    "steps",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True),  # 0, 1, ... in the order they were made
    Column("record", Text, nullable=False),  # JSON; the candidates kept follow from those removed
)
