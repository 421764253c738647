"""Edges that are too good: certain for one bar, or won without looking at the bars.

Both are statistical, and accuse only on evidence that no honest trader produces. They are there for
what asking again cannot show: knowledge that lies in the data, in a table or in a chosen seed.

Lag: an entry whose very first bar goes its way nearly always, and whose second bar is a coin, knew
that bar. Fast strategies win the first bar more often than not; not four times of five.

Blind: entries that are the same on other prices at the same times cannot have come from prices. If
they beat entries at the same time of other days all the same, somebody knew which days to take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.session_bars import SessionBars
from tools.backtester.contract import Played
from tools.backtester.leaks.findings import (
    Detector,
    Finding,
    clean,
    not_applicable,
    suspected,
)
from tools.backtester.leaks.known import Known
from tools.backtester.leaks.tapes import other_world
from tools.backtester.leaks.trial import Failed, Trial, entries_of

_FEWEST: Final = 30  # entries
_MOST: Final = 4_000  # entries drawn from
_DRAWS: Final = 1_000
_CERTAIN: Final = 0.78  # of first bars won, at least, for sure
_COIN: Final = 0.64  # of second bars won, at most, for sure
_RARE: Final = 0.001  # of the bootstrap, on either side
_BEYOND_CHANCE: Final = 3.2  # standard errors, one side: 7 in 10,000
_FEWEST_TRADES: Final = 8


def lag(trial: Trial, base: Known, rng: np.random.Generator) -> Finding:
    """Return whether the edge is certain in the first bar and gone in the second."""
    wins = np.concatenate(
        [_first_bars(trial.tape[symbol], base, symbol) for symbol in trial.symbols]
        or [np.zeros((0, 2))]
    )
    if len(wins) < _FEWEST:
        return not_applicable(
            Detector.LAG, f"{len(wins)} entries are too few to judge; {_FEWEST} are needed"
        )
    wins = wins[:: max(1, len(wins) // _MOST)]
    drawn = rng.integers(0, len(wins), size=(_DRAWS, len(wins)))
    shares = wins[drawn].mean(axis=1)
    at_least = float(np.quantile(shares[:, 0], _RARE))
    at_most = float(np.quantile(shares[:, 1], 1.0 - _RARE))
    first, second = wins.mean(axis=0)
    text = f"{first:.0%} of {len(wins)} entries win in their first bar, {second:.0%} one bar later"
    if at_least >= _CERTAIN and at_most <= _COIN:
        return suspected(Detector.LAG, f"{text}: such an edge that one bar destroys knew that bar")
    return clean(Detector.LAG, text)


def blind(trial: Trial, base: Known, played: Played | None, rng: np.random.Generator) -> Finding:
    """Return whether it wins on these bars without looking at them."""
    if played is None:
        return not_applicable(Detector.BLIND, "the run could not be played")
    other = trial.tried(other_world(trial.tape, rng))
    if isinstance(other, Failed):
        return clean(Detector.BLIND, "it depends on prices: it fails on others")
    ours, theirs = entries_of(base), entries_of(other)
    if not all(np.array_equal(ours[symbol], theirs[symbol]) for symbol in trial.symbols):
        return clean(Detector.BLIND, "its entries change with the prices")
    gains = [
        gain
        for symbol in trial.symbols
        for gain in _gains(trial.tape[symbol], _trades(played, symbol))
    ]
    if len(gains) < _FEWEST_TRADES:
        return not_applicable(Detector.BLIND, f"{len(gains)} trades at chosen times are too few")
    table = np.array(gains)
    spread = float(np.sqrt(table[:, 2].sum()))
    beyond = float((table[:, 0] - table[:, 1]).sum()) / spread if spread > 0.0 else 0.0
    text = (
        f"its entries do not depend on prices, and beat entries at the same time of other days by "
        f"{beyond:.1f} standard errors over {len(gains)} trades"
    )
    if beyond > _BEYOND_CHANCE:
        return suspected(Detector.BLIND, f"{text}: somebody knew the outcome")
    return clean(Detector.BLIND, text)


def _first_bars(bars: SessionBars, base: Known, symbol: str) -> Floats:
    """Return (k, 2): whether an entry wins the bar it is filled in, and the one after."""
    sides = base.signals[symbol].entry.astype(np.float64)
    rows = np.flatnonzero(sides[: max(len(bars) - 3, 0)])
    move = np.sign(bars.open[1:] - bars.open[:-1])  # of bar i, from its open to the next
    won = sides[rows][:, None] * np.stack((move[rows + 1], move[rows + 2]), axis=1)
    return np.where(won > 0, 1.0, np.where(won < 0, 0.0, 0.5))


def _trades(played: Played, symbol: str) -> Sequence[tuple[int, int, int]]:
    """Return entry row, exit row and side of each trade that was closed."""
    first: dict[int, tuple[int, int]] = {}
    last: dict[int, int] = {}
    for fill in played.fills:
        if fill.symbol != symbol:
            continue
        if fill.entry not in first:
            first[fill.entry] = (fill.row, 1 if fill.qty > 0 else -1)
        last[fill.entry] = fill.row
    return [
        (row, last[number], side) for number, (row, side) in first.items() if last[number] > row
    ]


def _gains(
    bars: SessionBars, trades: Sequence[tuple[int, int, int]]
) -> list[tuple[float, float, float]]:
    """Return of each trade its move, and the mean and variance of such moves on other days."""
    found: list[tuple[float, float, float]] = []
    clock: Ints = bars.ts - bars.opens
    for begin, end, side in trades:
        held = end - begin
        alike = np.flatnonzero(clock == clock[begin])
        alike = alike[alike + held < len(bars)]
        if len(alike) < _FEWEST_TRADES:
            continue
        moves = side * np.log(bars.open[alike + held] / bars.open[alike])
        mine = side * float(np.log(bars.open[end] / bars.open[begin]))
        found.append((mine, float(moves.mean()), float(moves.var())))
    return found
