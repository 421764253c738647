"""A database of the product, read as any outsider could: by SQL, read only.

It does not go through the product's own readers, so that a fault there cannot hide one in the file.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

_BUSY_S: Final = 5.0


class Outsider:
    """One file; it may be in use, and it may not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, statement: str, *values: object) -> list[Any]:
        """Return the rows of a SELECT; none where there is no file, or no table, yet."""
        try:
            with closing(
                sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=_BUSY_S)
            ) as connection:
                return connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error) or "unable to open" in str(error):
                return []
            raise
