"""Brings a ledger of an earlier schema to the present one: one small step a version, all of them or none.

Called by the ledger when it is opened. A step never changes once it was released; knows nothing of studies.
"""

import re
from collections.abc import Callable, Mapping

import sqlalchemy as sa

from robust_select.core.errors import LedgerError
from robust_select.ledger import schema

Migration = Callable[[sa.Connection], None]
"""Changes the tables of one version into those of the next; must not use ``schema``, which goes on changing."""


def _keep_answers(connection: sa.Connection) -> None:
    """A finished study holds what was selected, and by which version."""
    connection.exec_driver_sql("ALTER TABLE studies ADD COLUMN answer TEXT NOT NULL DEFAULT ''")


MIGRATIONS: Mapping[int, Migration] = {1: _keep_answers}
"""By the version that each starts from."""


def find_version(connection: sa.Connection, url: str) -> int:
    """Find the schema version of a ledger.

    Raises:
        LedgerError: it is no ledger, of a newer version, or of one that never was.
    """
    found = set(sa.inspect(connection).get_table_names())
    if schema.meta.name not in found:
        kind = "an empty database" if not found else "a database with other tables"
        raise LedgerError(f"expected a ledger of robust-select, came {kind}", url)
    text = connection.execute(sa.select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")).scalar()
    version = int(str(text)) if re.fullmatch("[0-9]{1,9}", str(text)) else None
    if version is not None and version > schema.SCHEMA_VERSION:
        raise LedgerError(
            f"expected schema version {schema.SCHEMA_VERSION} or an earlier one, came version {version}: a newer "
            "robust-select made it. Use that one, or export the scores there and replay the table here",
            url,
        )
    if version is None or (version != schema.SCHEMA_VERSION and version not in MIGRATIONS):
        raise LedgerError(
            f"expected schema version {schema.SCHEMA_VERSION} or an earlier one, came version {text!r}, which never "
            "was: the ledger is damaged. Go on from a backup",
            url,
        )
    missing = sorted(table.name for table in schema.metadata.sorted_tables if table.name not in found)
    if missing and version == schema.SCHEMA_VERSION:
        raise LedgerError(
            f"expected the tables of a ledger, came one without {', '.join(missing)}: the ledger is damaged. Go on "
            "from a backup",
            url,
        )
    return version


def migrate(connection: sa.Connection, version: int) -> None:
    """Bring a ledger to the present schema version.

    Args:
        connection: in a transaction that can write; where it ends by an error nothing must be committed.
        version: that the ledger has.
    """
    for earlier in range(version, schema.SCHEMA_VERSION):
        MIGRATIONS[earlier](connection)
    meta = schema.meta
    changed = sa.update(meta).where(meta.c.key == "schema_version").values(value=str(schema.SCHEMA_VERSION))
    connection.execute(changed)
