"""A strategy on trial: asked anew, with a plan built anew, about one tape after another.

Nothing is cached between two askings. What a strategy raises is an answer too: one that fails where
its tape ends early has looked for what was not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.signals import Signals, signals_of
from roboinvest.core.strategy import Plan, Strategy
from tools.backtester.contract import Played, Request
from tools.backtester.leaks.known import Known
from tools.backtester.leaks.tapes import Tape, read_only

Play = Callable[[Request], Played]

# What code of a strategy may raise on a tape that does not suit it. Anything else is a fault of
# ours and goes through.
FAILURES: Final = (BadInput, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Failed:
    """A strategy gave no answer on a tape."""

    text: str


@dataclass(slots=True, kw_only=True)
class Trial:
    """One request whose strategy is asked again and again; counts what that took."""

    request: Request
    play: Play
    tape: Tape = field(init=False)  # the request's bars, read-only
    runs: int = 0
    rows: int = 0
    played_rows: int = 0

    def __post_init__(self) -> None:
        self.tape = read_only(self.request.bars)

    @property
    def strategy(self) -> Strategy:
        """Return the strategy on trial."""
        return self.request.strategy

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the run's symbols, sorted."""
        return tuple(sorted(self.tape))

    def plan(self) -> Plan:
        """Return a plan that was built just now."""
        return self.strategy.plan(self.request.values)

    def first_row(self, bars: SessionBars) -> int:
        """Return the first row with decisions."""
        first = self.request.first
        return 0 if first is None else int(np.searchsorted(bars.day, first.toordinal()))

    def wishes(
        self,
        tape: Tape,
        *,
        plan: Plan | None = None,
        symbols: tuple[str, ...] | None = None,
        from_row: int = 0,
    ) -> Known:
        """Return the signals on a tape, of some symbols or all, in the order they are named."""
        made = self.plan() if plan is None else plan
        beside = among(tape)
        found = dict[str, Signals]()
        for symbol in self.symbols if symbols is None else symbols:
            bars = beside[symbol]
            found[symbol] = signals_of(
                made,
                bars,
                self.request.timeframe,
                self.request.actions,
                from_row=max(from_row, self.first_row(bars)),
            )
            self.rows += len(bars)
        self.runs += 1
        return Known(signals=found)

    def tried(
        self, tape: Tape, *, symbols: tuple[str, ...] | None = None, from_row: int = 0
    ) -> Known | Failed:
        """Return the signals on a tape, or how the strategy failed there."""
        try:
            return self.wishes(tape, symbols=symbols, from_row=from_row)
        except FAILURES as error:
            return Failed(f"{type(error).__name__}: {error}")

    def played(self, tape: Tape, strategy: Strategy | None = None) -> Played | Failed:
        """Return what an account came to on a tape, or how the strategy failed there."""
        self.runs += 1
        length = sum(map(len, tape.values()))
        self.rows += length
        self.played_rows += length
        asked = replace(self.request, bars=tape, strategy=strategy or self.strategy)
        try:
            return self.play(asked)
        except FAILURES as error:
            return Failed(f"{type(error).__name__}: {error}")


def asks_on_exit(plan: Plan) -> bool:
    """Return whether the exit is a call, which no signal array shows."""
    leave = plan.execution.exit
    return leave is not None and not hasattr(leave, "of")


def entries_of(known: Known) -> Mapping[str, np.ndarray]:
    """Return the rows with an entry, by symbol."""
    return {symbol: np.flatnonzero(each.entry) for symbol, each in known.signals.items()}
