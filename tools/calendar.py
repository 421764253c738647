"""The exchange's calendar out of exchange-calendars, behind `core.ports.Calendar`.

The package and its pandas cost more than a second to import, so that happens at the first
question and not when this module is imported. One calendar over decades is built then, which costs
a tenth of a second; sessions become values year by year, as they are asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from roboinvest.core.errors import BadInput
from roboinvest.core.market.sessions import Session

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar as Library

_FIRST_YEAR: Final = 1990
_LAST_YEAR: Final = 2035
_YEARS_AHEAD: Final = 10
_LIMIT_YEARS: Final = (1900, 2200)  # what the library's nanoseconds can hold, with room


class ExchangeCalendar:
    """The sessions of one exchange, holidays, half days and clock changes included."""

    def __init__(self, name: str = "XNYS") -> None:
        """Take the exchange's ISO 10383 code; nothing is loaded yet."""
        self.name = name
        self._library: Library | None = None
        self._span = (_FIRST_YEAR, _LAST_YEAR)
        self._years: dict[int, list[Session]] = {}

    def sessions(self, first: date, last: date) -> Sequence[Session]:
        """Return the sessions of exchange days `first` to `last`, both included, oldest first.

        Raises:
            BadInput: there is no calendar of this name.
        """
        first = max(first, date(_LIMIT_YEARS[0], 1, 1))
        last = min(last, date(_LIMIT_YEARS[1], 12, 31))
        return [
            session
            for year in range(first.year, last.year + 1)
            for session in self._year(year)
            if first <= session.day <= last
        ]

    def next_session(self, day: date) -> date | None:
        """Return the first exchange day after `day`."""
        for year in (day.year, day.year + 1):
            for session in self._year(year):
                if session.day > day:
                    return session.day
        return None

    def _year(self, year: int) -> list[Session]:
        if year not in self._years:
            self._years[year] = self._load_year(year)
        return self._years[year]

    def _load_year(self, year: int) -> list[Session]:
        library = self._library_with(year)
        rows = library.schedule.loc[f"{year}-01-01" : f"{year}-12-31"]
        half_days = set(library.early_closes.date)
        return [
            Session(
                day=day,
                opens_at=_utc(opens),
                closes_at=_utc(closes),
                is_half_day=day in half_days,
            )
            for day, opens, closes in zip(
                rows.index.date,
                rows["open"],
                rows["close"],
                strict=True,
            )
        ]

    def _library_with(self, year: int) -> Library:
        """Return the library's calendar, built again where `year` lies outside of it."""
        first, last = self._span
        if self._library is None or not first <= year <= last:
            self._span = (min(first, year), max(last, year + _YEARS_AHEAD))
            self._library = _open_library(self.name, *self._span)
        return self._library


def _open_library(name: str, first_year: int, last_year: int) -> Library:
    import exchange_calendars

    try:
        with warnings.catch_warnings():
            # The library still uses what its pandas calls deprecated; that is theirs to mend.
            warnings.simplefilter("ignore", DeprecationWarning)
            return exchange_calendars.get_calendar(
                name, start=f"{first_year}-01-01", end=f"{last_year}-12-31"
            )
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise BadInput(
            f"{name} is no calendar we know; give an exchange code such as XNYS or XNAS."
        ) from error


def _utc(stamp: datetime) -> datetime:
    """Return a plain datetime in our UTC, whatever kind the library made."""
    return datetime(stamp.year, stamp.month, stamp.day, stamp.hour, stamp.minute, tzinfo=UTC)
