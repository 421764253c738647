"""What has to be asked for so that a range is whole, and what that costs before it starts.

The vendor counts base aggregates, so that one call holds some fifty sessions of minutes however
long the bars are. Sessions that are whole already are left out; where a few whole ones lie between
two that are not, asking again for them is cheaper than a second call.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from tools.data_fetcher.polygon.aggregates import PAGE_SIZE

_LONGEST_DAY_MIN: Final = 960  # extended hours included
ACTION_CALLS: Final = 2  # a symbol's splits and its dividends


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One call: a symbol's bars of some exchange days."""

    symbol: str
    timeframe: Timeframe
    first: date
    last: date  # included
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlan:
    """Everything that has to be asked."""

    symbols: tuple[str, ...]
    timeframe: Timeframe
    first: date
    last: date  # included
    sessions: int  # of the exchange in the range
    whole: int  # symbol-sessions that the store has already
    pieces: tuple[Piece, ...]
    actions_of: tuple[str, ...]  # symbols whose splits and dividends have to be asked for

    @property
    def calls(self) -> int:
        """Return how many calls it costs, when every answer is whole at once."""
        return len(self.pieces) + ACTION_CALLS * len(self.actions_of)

    def minutes(self, calls_per_minute: int) -> int:
        """Return about how many minutes the calls take at the plan's pace, rounded up."""
        return math.ceil(self.calls / calls_per_minute)


def sessions_a_call(timeframe: Timeframe) -> int:
    """Return how many sessions one page can hold."""
    return PAGE_SIZE // (1 if timeframe is Timeframe.DAY else _LONGEST_DAY_MIN)


def pieces_of(
    symbol: str, timeframe: Timeframe, sessions: Sequence[Session], whole: Collection[date]
) -> list[Piece]:
    """Return the fewest calls that hold every session not in `whole`, oldest first."""
    most = sessions_a_call(timeframe)
    found: list[Piece] = []
    place = 0
    while place < len(sessions):
        if sessions[place].day in whole:
            place += 1
            continue
        reach = sessions[place : place + most]
        while reach[-1].day in whole:
            reach = reach[:-1]
        found.append(
            Piece(
                symbol=symbol,
                timeframe=timeframe,
                first=reach[0].day,
                last=reach[-1].day,
                sessions=len(reach),
            )
        )
        place += most
    return found
