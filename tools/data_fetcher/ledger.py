"""Which sessions of a series were fetched whole: one small file beside its bars.

A quiet session has fewer bars than minutes, so that bars alone cannot tell whether all of it is
there. The bars are on disk before a day is noted; a process that dies in between asks once more.
A note without its bars, after somebody removed a file, counts for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final
from urllib.parse import quote

from roboinvest.core.errors import BadInput, BadSettings
from roboinvest.core.market.values import Timeframe
from roboinvest.runtime.folder import replace_file

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notes:
    days: frozenset[date]  # exchange days that were fetched whole
    actions: tuple[date, date] | None  # first and last day of which actions are kept


class FetchLedger:
    """The notes of one store of bars."""

    def __init__(self, folder: Path) -> None:
        """Use the folder of the store, which need not exist yet."""
        self._folder = folder

    def whole_days(self, symbol: str, timeframe: Timeframe) -> frozenset[date]:
        """Return the noted days; none where there is no note.

        Raises:
            BadInput: the file is damaged.
        """
        return self._read(symbol, timeframe).days

    def has_actions(self, symbol: str, timeframe: Timeframe, first: date, last: date) -> bool:
        """Return whether the splits and dividends of all these days were asked for.

        Raises:
            BadInput: the file is damaged.
        """
        span = self._read(symbol, timeframe).actions
        return span is not None and span[0] <= first and last <= span[1]

    def note(self, symbol: str, timeframe: Timeframe, days: Iterable[date]) -> None:
        """Add days to what is noted, durably.

        Raises:
            BadSettings: the folder cannot be written.
        """
        known = self._read(symbol, timeframe)
        every = known.days | frozenset(days)
        if every != known.days:
            self._write(symbol, timeframe, _Notes(days=every, actions=known.actions))

    def note_actions(self, symbol: str, timeframe: Timeframe, first: date, last: date) -> None:
        """Note that the splits and dividends of these days are kept.

        Raises:
            BadSettings: the folder cannot be written.
        """
        days = self._read(symbol, timeframe).days
        self._write(symbol, timeframe, _Notes(days=days, actions=(first, last)))

    def _read(self, symbol: str, timeframe: Timeframe) -> _Notes:
        path = self._path(symbol, timeframe)
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            days = frozenset(date.fromisoformat(day) for day in read["days"])
            span = [date.fromisoformat(day) for day in read["actions"]]
        except FileNotFoundError:
            return _Notes(days=frozenset(), actions=None)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{path} is damaged ({error}); remove it, its days are asked for once more"
            ) from error
        return _Notes(days=days, actions=(span[0], span[1]) if len(span) > 1 else None)

    def _write(self, symbol: str, timeframe: Timeframe, notes: _Notes) -> None:
        path = self._path(symbol, timeframe)
        value = {
            "schema_version": _VERSION,
            "actions": [day.isoformat() for day in notes.actions or ()],
            "days": sorted(day.isoformat() for day in notes.days),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, json.dumps(value).encode())
        except OSError as error:
            raise BadSettings(f"{path} cannot be written ({error}); mend the folder") from error

    def _path(self, symbol: str, timeframe: Timeframe) -> Path:
        return self._folder / quote(symbol, safe="") / timeframe.value / "fetched.json"
