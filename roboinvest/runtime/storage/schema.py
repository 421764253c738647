"""Brings a database to the revision this program knows, or refuses it.

Importing Alembic takes most of a second, so it is only done when there is something to migrate.
All steps run in one transaction: a migration that was killed has not happened.
"""

from __future__ import annotations

from importlib import resources
from typing import Final

import sqlalchemy as sa

from roboinvest.core.errors import BadSettings

REVISIONS: Final = ("0001",)  # every revision this program knows, oldest first
HEAD: Final = REVISIONS[-1]
_ALEMBIC_TABLE: Final = sa.table("alembic_version", sa.column("version_num"))


def bring_to_head(connection: sa.Connection) -> None:
    """Create or upgrade the tables within the connection's transaction.

    Raises:
        BadSettings: the database was written by a newer program, or is not one of ours.
    """
    if known_revision(connection) != HEAD:
        _upgrade(connection)


def require_head(connection: sa.Connection) -> None:
    """Check the revision of a database that must not be changed.

    Raises:
        BadSettings: it is not the one this program reads.
    """
    found = known_revision(connection)
    if found != HEAD:
        raise BadSettings(
            f"{connection.engine.url.database} is at revision {found or 'none'}, this program "
            f"reads {HEAD}; start the daemon once to upgrade it"
        )


def known_revision(connection: sa.Connection) -> str | None:
    """Return the revision of the database; None for an empty one.

    Raises:
        BadSettings: the revision is not known, or there are tables without one.
    """
    present = sa.inspect(connection).get_table_names()
    name = connection.engine.url.database
    if _ALEMBIC_TABLE.name not in present:
        if present:
            raise BadSettings(
                f"{name} holds {len(present)} tables and no revision, so it is not a store of "
                "this program; give another data folder"
            )
        return None
    found: str | None = connection.execute(sa.select(_ALEMBIC_TABLE.c.version_num)).scalar()
    if found is not None and found not in REVISIONS:
        raise BadSettings(
            f"{name} is at revision {found}, this program knows up to {HEAD}; install the version "
            "that wrote it, or give another data folder"
        )
    return found


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    with resources.as_file(resources.files("roboinvest.runtime.migrations")) as scripts:
        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
