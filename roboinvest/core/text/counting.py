"""Numbers with their nouns, for sentences that people read."""

from __future__ import annotations


def counted(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 trade", "2 trades"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
