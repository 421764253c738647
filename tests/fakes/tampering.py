"""Ways to falsify an audit log that people and programs with access to its files have."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from roboinvest.core.audit import GENESIS

COLUMNS: Final = ("kind", "subject", "who", "why", "before", "after", "undo", "at")
ALL: Final = ("number", *COLUMNS, "previous", "digest")
Row = list[object]
Tamper = Callable[[Path, Path, random.Random], str]


def rewritten(path: Path, change: Callable[[list[Row]], list[Row]]) -> None:
    """Write the whole log anew, guards and all taken away and put back."""
    with closing(sqlite3.connect(path)) as connection:
        names = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'"
        guards = connection.execute(names).fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        rows = [list(row) for row in connection.execute("SELECT * FROM audit ORDER BY number")]
        connection.execute("DELETE FROM audit")
        marks = ", ".join("?" * len(ALL))
        statement = f"INSERT INTO audit VALUES ({marks})"  # noqa: S608 question marks
        connection.executemany(statement, change(rows))
        for _, sql in guards:
            connection.execute(sql)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def digest_of(row: Row) -> str:
    """Return what the digest of a row has to be, told anew and not by the product."""
    import hashlib

    number, *fields, previous, _ = row
    text = json.dumps([previous, number, *fields], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def mended(rows: list[Row], first: int = 1) -> list[Row]:
    """Number rows anew and give them fitting digests from row `first` on."""
    previous = GENESIS
    for number, row in enumerate(rows, 1):
        if number >= first:
            row[0], row[-2] = number, previous
            row[-1] = digest_of(row)
        previous = str(row[-1])
    return rows


def edit_a_field(path: Path, anchors: Path, chance: random.Random) -> str:
    """Change a field of a row; half of the time its digest is mended, too."""
    mends = chance.random() < 0.5

    def change(rows: list[Row]) -> list[Row]:
        row = chance.choice(rows)
        at = 1 + chance.randrange(len(COLUMNS))
        text = row[at]
        row[at] = None if text is None and at > 8 else f"{text or ''} "
        if mends:
            row[-1] = digest_of(row)
        return rows

    rewritten(path, change)
    return f"a field edited, digest mended: {mends}"


def edit_a_digest(path: Path, anchors: Path, chance: random.Random) -> str:
    """Change one digit of a digest, or of the one before."""
    at = chance.choice((-1, -2))

    def change(rows: list[Row]) -> list[Row]:
        row = chance.choice(rows)
        text = str(row[at])
        place = chance.randrange(64)
        other = "0" if text[place] != "0" else "1"
        row[at] = f"{text[:place]}{other}{text[place + 1 :]}"
        return rows

    rewritten(path, change)
    return f"a digest edited at {at}"


def remove_rows(path: Path, anchors: Path, chance: random.Random) -> str:
    """Remove rows from the middle; at times those after them are numbered, and mended, anew."""
    how = chance.choice(("left", "numbered", "mended"))

    def change(rows: list[Row]) -> list[Row]:
        first = chance.randrange(len(rows) - 1)
        last = min(first + chance.randint(1, 3), len(rows) - 1)
        del rows[first:last]
        return _as(rows, how)

    rewritten(path, change)
    return f"rows removed, rest {how}"


def cut_the_end(path: Path, anchors: Path, chance: random.Random) -> str:
    """Remove the newest rows."""
    rewritten(path, lambda rows: rows[: len(rows) - chance.randint(1, len(rows))])
    return "the end cut off"


def insert_a_row(path: Path, anchors: Path, chance: random.Random) -> str:
    """Insert a row that fits where it is put."""
    how = chance.choice(("numbered", "mended"))

    def change(rows: list[Row]) -> list[Row]:
        place = chance.randrange(len(rows))
        copy = list(chance.choice(rows))
        copy[3] = "mallory"
        rows.insert(place, copy)
        return _as(rows, how)

    rewritten(path, change)
    return f"a row inserted, rest {how}"


def swap_rows(path: Path, anchors: Path, chance: random.Random) -> str:
    """Let two rows change places."""
    how = chance.choice(("contents", "numbered", "mended"))

    def change(rows: list[Row]) -> list[Row]:
        one, two = chance.sample(range(len(rows)), 2)
        if how == "contents":
            rows[one][1:-2], rows[two][1:-2] = rows[two][1:-2], rows[one][1:-2]
            return rows
        rows[one], rows[two] = rows[two], rows[one]
        return _as(rows, how)

    rewritten(path, change)
    return f"two rows swapped, rest {how}"


def rewrite_from_a_row(path: Path, anchors: Path, chance: random.Random) -> str:
    """Change a row, and write all after it anew, so that the chain is whole again."""

    def change(rows: list[Row]) -> list[Row]:
        first = chance.randint(1, len(rows))
        rows[first - 1][3] = "mallory"
        return mended(rows, first)

    rewritten(path, change)
    return "written anew from a row on"


def flip_a_byte(path: Path, anchors: Path, chance: random.Random) -> str:
    """Change a byte of a row in the file itself, behind SQLite's back."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rows = _raw_rows(path) or []
    honest = path.read_bytes()
    while True:  # pages keep copies of what once stood elsewhere; those are no rows
        row = chance.choice(rows)
        text = str(chance.choice([row[2], row[4], row[8], row[9], row[10]])).encode()
        places = [at for at in range(len(honest)) if honest.startswith(text, at)]
        at = chance.choice(places) + chance.randrange(len(text))
        bit = 1 << chance.randrange(8)
        path.write_bytes(honest[:at] + bytes([honest[at] ^ bit]) + honest[at + 1 :])
        if _raw_rows(path) != rows:
            return f"bit {bit} flipped at byte {at}"


def swap_bytes(path: Path, anchors: Path, chance: random.Random) -> str:
    """Let two pieces of the file of equal length change places."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = connection.execute("SELECT subject, digest FROM audit").fetchall()
    one, two = chance.sample(rows, 2)
    content = path.read_bytes()
    a, b, mark = one[1].encode(), two[1].encode(), b"!" * 64
    path.write_bytes(content.replace(a, mark).replace(b, a).replace(mark, b))
    return "two digests swapped in the bytes of the file"


def edit_the_anchors(path: Path, anchors: Path, chance: random.Random) -> str:
    """Change, remove the first of, or invent an anchor."""
    lines = anchors.read_text().splitlines()
    what = chance.choice(("number", "digest", "first", "file", "invented"))
    facts = json.loads(lines[at := chance.randrange(len(lines))])
    if what == "number":
        facts["number"] += chance.choice((-1, 1, 50))
        lines[at] = json.dumps(facts)
    elif what == "digest":
        facts["digest"] = "f" * 64
        lines[at] = json.dumps(facts)
    elif what == "first":
        del lines[0]
    elif what == "invented":
        lines.insert(at, "all is well")
    anchors.write_text("" if what == "file" else "".join(f"{line}\n" for line in lines))
    return f"an anchor falsified: {what}"


def drop_a_guard(path: Path, anchors: Path, chance: random.Random) -> str:
    """Take a trigger away, to come back later."""
    with closing(sqlite3.connect(path)) as connection:
        names = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        name = chance.choice(connection.execute(names).fetchall())[0]
        connection.execute(f"DROP TRIGGER {name}")
        connection.commit()
    return f"the trigger {name} dropped"


def _raw_rows(path: Path) -> list[tuple[object, ...]] | None:
    """Return the rows as they are stored; None where they cannot be read any more."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
        try:
            return connection.execute("SELECT * FROM audit").fetchall()
        except sqlite3.Error:
            return None


def _as(rows: list[Row], how: str) -> list[Row]:
    if how == "mended":
        return mended(rows)
    if how == "numbered":
        for number, row in enumerate(rows, 1):
            row[0] = number
    return rows


TAMPERS: Final[tuple[Tamper, ...]] = (
    *(edit_a_field, edit_a_digest, remove_rows, cut_the_end, insert_a_row, swap_rows),
    *(rewrite_from_a_row, flip_a_byte, swap_bytes, edit_the_anchors, drop_a_guard),
)
