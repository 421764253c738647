"""The registry's transactions, on one connection: short, and each whole or not at all.

Everything here blocks, and is called in a thread, or by a command that may wait. What a decision
about a label rests on is read in the transaction that moves it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Self

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.records import canonical_json
from roboinvest.runtime.lanes.file import in_words
from roboinvest.runtime.prompts.form import digest_of
from roboinvest.runtime.prompts.reading import read_prompt
from roboinvest.runtime.prompts.versions import (
    Label,
    Move,
    MoveKind,
    PromptTerms,
    PromptVersion,
    version_of,
)

MAX_EVIDENCE: Final = 64 * 1024  # characters of its JSON
MAX_REASON: Final = 1_000  # characters
_VERSION: Final = (
    "SELECT v.version, v.name, t.text, v.terms, v.made_at FROM versions v "
    "JOIN texts t ON t.digest = v.text "
)
_MOVE: Final = "SELECT seq, name, label, kind, before, after, reason, evidence, by, at FROM moves "


class PromptBook:
    """Reads and writes the registry's file; of one connection, by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._turn = threading.RLock()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Self]:
        """Hold one state of the file for several reads.

        Raises:
            TryLater: the file is held, or cannot be read.
        """
        with self._transaction("BEGIN", "read"):
            yield self

    @contextlib.contextmanager
    def writing(self) -> Iterator[Self]:
        """Write as a whole: an error inside leaves the file as it was.

        Raises:
            TryLater: the file is held, or cannot be written.
        """
        with self._transaction("BEGIN IMMEDIATE", "write"):
            yield self

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._connection.close()

    def changes(self) -> int:
        """Return a figure that is another one when another connection has written."""
        with self._turn:
            try:
                return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as error:
                raise _away("read", error) from error

    def names(self) -> tuple[str, ...]:
        """Return every prompt that has a version, in order."""
        rows = self._connection.execute("SELECT DISTINCT name FROM versions ORDER BY name")
        return tuple(row[0] for row in rows)

    def labelled(self, name: str, label: Label) -> str | None:
        """Return the version that a label is on."""
        row = self._connection.execute(
            "SELECT after FROM moves WHERE name = ? AND label = ? ORDER BY seq DESC LIMIT 1",
            (name, label.value),
        ).fetchone()
        return None if row is None else row[0]

    def version(self, version: str) -> PromptVersion:
        """Return one version.

        Raises:
            BadInput: there is none, or this program cannot read its words.
        """
        row = self._connection.execute(f"{_VERSION} WHERE v.version = ?", (version,)).fetchone()
        if row is None:
            raise BadInput(f"the registry has no version {version!r}")
        return _version(row)

    def versions(self, name: str) -> tuple[tuple[str, datetime], ...]:
        """Return the versions of a prompt and when they were made, oldest first."""
        rows = self._connection.execute(
            "SELECT version, made_at FROM versions WHERE name = ? ORDER BY made_at, version",
            (name,),
        )
        return tuple((row[0], datetime.fromisoformat(row[1])) for row in rows)

    def moves(self, name: str) -> tuple[Move, ...]:
        """Return the history of a prompt's labels, oldest first."""
        rows = self._connection.execute(f"{_MOVE} WHERE name = ? ORDER BY seq", (name,))
        return tuple(_move(row) for row in rows)

    def counts(self, version: str) -> dict[str, int]:
        """Return what was counted for a version."""
        rows = self._connection.execute(
            "SELECT outcome, n FROM counts WHERE version = ? ORDER BY outcome", (version,)
        )
        return {row[0]: row[1] for row in rows}

    def file_seen(self, name: str) -> str | None:
        """Return the digest of what a prompt's file held at the last start."""
        row = self._connection.execute("SELECT text FROM files WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def saw_file(self, name: str, digest: str) -> None:
        """Note what a prompt's file holds."""
        self._connection.execute(
            "INSERT INTO files VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text",
            (name, digest),
        )

    def keep(self, name: str, text: str, terms: PromptTerms, at: datetime) -> str:
        """Keep a version if it is a new one; return its name."""
        version, digest = version_of(name, text, terms), digest_of(text)
        write = self._connection.execute
        write("INSERT INTO texts VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, text))
        write(
            "INSERT INTO versions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (version, name, digest, terms.text(), at.isoformat()),
        )
        return version

    def move(
        self,
        name: str,
        label: Label,
        kind: MoveKind,
        after: str | None,
        *,
        reason: str,
        evidence: Mapping[str, Any],
        by: str,
        at: datetime,
    ) -> Move:
        """Move a label, and return what was moved.

        Raises:
            BadInput: the reason is missing or too long, or the evidence is.
        """
        proof = canonical_json(dict(evidence))
        reason = " ".join(reason.split())
        if not reason or len(reason) > MAX_REASON:
            raise BadInput(f"the reason has {len(reason)} characters; give 1 to {MAX_REASON}")
        if not (reason.isprintable() and by.isprintable()):
            raise BadInput("the reason, or who gives it, holds characters that cannot be seen")
        if len(proof) > MAX_EVIDENCE:
            raise BadInput(f"the evidence has {len(proof)} characters; {MAX_EVIDENCE} are kept")
        row = self._connection.execute(
            "INSERT INTO moves VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM moves), "
            "?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
            (
                name,
                label.value,
                kind.value,
                self.labelled(name, label),
                after,
                reason,
                proof,
                by,
                at.isoformat(),
            ),
        ).fetchall()[0]
        return _move(row)

    def add_counts(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Add to what was counted: {(version, outcome): n}."""
        self._connection.executemany(
            "INSERT INTO counts VALUES (?, ?, ?) "
            "ON CONFLICT (version, outcome) DO UPDATE SET n = n + excluded.n",
            [(version, outcome, n) for (version, outcome), n in counts.items()],
        )

    @contextlib.contextmanager
    def _transaction(self, begin: str, what: str) -> Iterator[None]:
        with self._turn:
            try:
                self._connection.execute(begin)
                try:
                    yield
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise _away(what, error) from error


def _version(row: tuple[str, str, str, str, str]) -> PromptVersion:
    version, name, text, terms, made_at = row
    return PromptVersion(
        version=version,
        name=name,
        prompt=read_prompt(text, where=f"{name}, version {version[:12]}"),
        terms=PromptTerms(**json.loads(terms)),
        made_at=datetime.fromisoformat(made_at),
    )


def _move(row: tuple[Any, ...]) -> Move:
    seq, name, label, kind, before, after, reason, evidence, by, at = row
    return Move(
        seq=seq,
        name=name,
        label=Label(label),
        kind=MoveKind(kind),
        before=before,
        after=after,
        reason=reason,
        evidence=json.loads(evidence),
        by=by,
        at=datetime.fromisoformat(at),
    )


def _away(what: str, error: sqlite3.Error) -> TryLater:
    return TryLater(
        f"the prompt registry could not {what} ({in_words(error)}); nothing was written: "
        "make room, or wait for the process that holds it"
    )
