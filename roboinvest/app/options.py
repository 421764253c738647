"""What a start is asked for, and how a run ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a person asked of this start."""

    fresh: bool = False  # set the data folder's old content aside first
    exit_when_done: bool = False  # a replay that has ended ends the daemon
    max_ticks: int | None = None  # after so many the market counts as ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    exit_code: int
    reason: str
    summary: Mapping[str, Any] | None  # None where trading never got its books
    last_tick: Mapping[str, Any] | None  # everything the last tick knew, decided and did
