"""Proves the audit log: its chain, its anchors, its guards, and that the inbox says the same.

What is found is told and not raised: who asks wants to know all of it. Anchors are read before the
rows, so that a transaction between the two is no finding.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from roboinvest.core.audit import Break, ChainCheck, StoredRow, check_chain
from roboinvest.core.errors import BadInput, BadSettings, Refused
from roboinvest.runtime.governance.anchors import anchors_beside, read_anchors
from roboinvest.runtime.governance.file import COLUMNS
from roboinvest.runtime.governance.schema import AUDIT, INBOX, KEEPERS, KIND, OUTCOMES
from roboinvest.runtime.lanes.file import in_words, open_reader

_ROWS: Final = f"SELECT {COLUMNS} FROM audit ORDER BY number"  # noqa: S608 the columns are ours
_SAID: Final = "SELECT subject, kind, after FROM audit WHERE kind GLOB 'proposal.*' ORDER BY number"


def verify(path: Path, anchors: Path | None = None) -> ChainCheck:
    """Return what is wrong with the audit log of a governance file; nothing is changed.

    Args:
        path: of the database; it has to be there.
        anchors: the log file with the anchors; None: where they lie by default.

    Raises:
        BadInput: there is no such file.
        OSError: the anchors cannot be read.
        TryLater: other processes hold the file.
    """
    if not path.exists():
        raise BadInput(f"{path} does not exist; nothing was proposed or changed here yet")
    known, faults = read_anchors(anchors or anchors_beside(path))
    try:
        with contextlib.closing(open_reader(path, KIND)) as connection:
            connection.text_factory = _text
            connection.execute("BEGIN")  # one moment, whoever writes meanwhile
            found = check_chain(_rows(connection), known)
            others = [*_guards(connection), *_inbox(connection)]
    except BadSettings as error:
        return _of(0, (Break(number=0, text=str(error)),))
    except sqlite3.Error as error:
        return _of(0, (Break(number=0, text=f"{path} cannot be read: {in_words(error)}"),))
    breaks = (*found.breaks, *faults, *others)
    return ChainCheck(rows=found.rows, digest=found.digest, anchors=found.anchors, breaks=breaks)


def require_whole(path: Path, anchors: Path | None = None) -> None:
    """Raise Refused where the audit log is not what was written; for whoever is about to promote.

    Raises:
        Refused: a row was edited, removed, inserted or moved, or a guard is missing.
    """
    found = verify(path, anchors)
    if not found.is_whole:
        raise Refused(
            f"the audit log is not what was written: {found.breaks[0].text}; nothing is promoted "
            "until a person has looked: roboinvest audit verify"
        )


def _rows(connection: sqlite3.Connection) -> Iterator[StoredRow]:
    """Return the rows; one that cannot be read is a row without content, and the last."""
    number = 0
    try:
        for row in connection.execute(_ROWS):
            number = row[0]
            yield row
    except sqlite3.Error:
        yield (number + 1, *[b""] * (len(COLUMNS.split(", ")) - 1))


def _guards(connection: sqlite3.Connection) -> Iterator[Break]:
    """Return the tables and triggers that are not as they were made."""
    texts = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    there = {str(text).strip() for (text,) in texts}
    for statement in (*AUDIT, *INBOX, *OUTCOMES, *KEEPERS):
        if statement.strip() not in there:
            kind, name = [word for word in statement.split() if word != "UNIQUE"][1:3]
            text = f"the {kind.lower()} {name} is missing or was changed: it guards what stands"
            yield Break(number=0, text=text)


def _inbox(connection: sqlite3.Connection) -> Iterator[Break]:
    """Return the proposals that say something else than the audit log does."""
    told: dict[str, dict[str, str]] = {}  # the last row of each proposal
    digests: set[tuple[str, str]] = set()
    used: set[str] = set()
    for name, kind, after in connection.execute(_SAID):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            said = json.loads(after)
            told[name] = said
            digests.add((name, said["digest"]))
            if kind == "proposal.used":
                used.add(name)
    rows = connection.execute("SELECT proposal_id, state, digest FROM proposals").fetchall()
    for name, state, digest in rows:
        said = told.pop(name, {})
        if (said.get("state"), said.get("digest")) != (state, digest):
            text = f"proposal {name} is {state} in the inbox, and {said.get('state')} by the log"
            yield Break(number=0, text=text)
    for name in told:
        yield Break(number=0, text=f"proposal {name} is in the log, and missing in the inbox")
    yield from _versions(connection, digests)
    approvals = "SELECT DISTINCT proposal_id FROM approvals WHERE used_at IS NOT NULL"
    for (name,) in connection.execute(approvals).fetchall():
        if name not in used:
            text = f"an approval of {name} is marked as used, and the log knows of no use"
            yield Break(number=0, text=text)


def _versions(connection: sqlite3.Connection, digests: set[tuple[str, str]]) -> Iterator[Break]:
    contents = connection.execute("SELECT proposal_id, digest, content FROM proposal_versions")
    for name, digest, content in contents.fetchall():
        found = hashlib.sha256(str(content).encode("utf-8", "surrogateescape")).hexdigest()
        if found != digest or (name, digest) not in digests:
            text = (
                f"what was proposed as {name} was changed: it does not give the digest in the log"
            )
            yield Break(number=0, text=text)


def _text(content: bytes) -> str:
    """Return text as it is stored, also where it is no text: its digest will not fit then."""
    return content.decode("utf-8", "surrogateescape")


def _of(rows: int, breaks: tuple[Break, ...]) -> ChainCheck:
    return ChainCheck(rows=rows, digest="", anchors=0, breaks=breaks)
