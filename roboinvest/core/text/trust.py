"""How far a value may be trusted, by whoever had a hand in it.

Trust is carried, never earned: no check of a stranger's text makes it ours, and what is computed of
several values is worth the least trusted of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Trust(StrEnum):
    """Who could have written it, the least trusted first."""

    STRANGER = "stranger"  # anybody: headlines, pages, and all that was read out of them
    VENDOR = "vendor"  # a party we pay: bars, calendars, an account
    HOUSE = "house"  # computed here, of nothing but the house's own


_RISING: Final = tuple(Trust)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """Where a value came from."""

    source: str  # who said it; several are joined by "+"
    trust: Trust
    at: datetime  # UTC, when it became known


def joined(taints: Iterable[Taint]) -> Taint:
    """Return the taint of what is made of several values: the lowest trust, the latest time.

    Raises:
        ValueError: nothing was joined.
    """
    parts = tuple(taints)
    if not parts:
        raise ValueError("nothing has no source; join one taint at least")
    return Taint(
        source="+".join(sorted({name for part in parts for name in part.source.split("+")})),
        trust=min((part.trust for part in parts), key=_RISING.index),
        at=max(part.at for part in parts),
    )
