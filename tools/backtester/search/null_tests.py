"""Is it the entry, or would any entry have done? The same execution, entered at random.

Two nulls. `entries_against_chance` deals as many entries in each session as there were (on day
bars: in all), each with the side and the distances of the one that it stands for, left by the same
rules; one that falls into a position is not taken, as everywhere. `exposure_against_chance` deals
the same stretches in the market to random places, without stops or targets: as many positions for
as long, so that what is left is the choice of the moment. Figures are total returns after costs,
which every draw has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.random import Generator

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import UNITS_PER_USD
from roboinvest.core.market.rows import Flags
from roboinvest.core.market.values import Timeframe
from roboinvest.core.signals import in_time
from roboinvest.core.statistics.permutation import (
    AgainstChance,
    against_chance,
)
from roboinvest.core.strategy import EquityShare, Plan, RiskShare
from tools.backtester.contract import Part, RoundTrip, Stage, Terms
from tools.backtester.search.draws import Rows, Stretches
from tools.backtester.search.jobs import PlayMany

DRAWS: Final = 999
_CENT: Final = UNITS_PER_USD // 100


@dataclass(frozen=True, slots=True)
class _Entered:
    """The rows of one symbol at whose close an entry was decided that was filled."""

    rows: Ints  # (k,), oldest first
    allowed: Flags  # (n,) rows that could have been such rows


def entries_against_chance(
    stage: Stage,
    terms: Terms,
    trips: Sequence[RoundTrip],
    *,
    play: PlayMany,
    rng: Generator,
    draws: int = DRAWS,
) -> AgainstChance:
    """Return the total return beside that of random entries with the same execution.

    Args:
        stage: what was played.
        terms: what it was played on.
        trips: the round trips that it came to.
        play: plays the draws.
        rng: deals them.
        draws: how many.

    Raises:
        BadInput: there was no entry, or no draws are asked for.
    """
    entered = _entered(stage, trips)
    dealt = {
        symbol: Rows(each.rows, each.allowed, _groups(stage, stage.parts[symbol])).drawn(rng)
        for symbol, each in entered.items()
    }

    def worlds() -> Iterator[Stage]:
        while True:
            yield replace(
                stage,
                parts={
                    symbol: _moved(part, entered[symbol], next(dealt[symbol]), stage, rng)
                    for symbol, part in stage.parts.items()
                },
            )

    return _against(stage, terms, worlds(), play, draws)


def exposure_against_chance(
    stage: Stage,
    terms: Terms,
    trips: Sequence[RoundTrip],
    *,
    play: PlayMany,
    rng: Generator,
    draws: int = DRAWS,
) -> AgainstChance:
    """Return the total return beside that of the same stretches in the market at random places.

    Draws are on the side that a symbol was held on more often, and are played without limits: they
    carry no stop to size by, and take the mean share of the account that the limits left.
    Arguments and errors are those of `entries_against_chance`.
    """
    _entered(stage, trips)
    within = not any(_crosses_days(stage.parts[trip.symbol], trip) for trip in trips)
    sides = {symbol: _side(symbol, trips) for symbol in stage.parts}
    dealt = {
        symbol: _stretches(stage, part, _held(part, symbol, trips), rng, within=within)
        for symbol, part in stage.parts.items()
    }
    plan = _bare(stage.plan, terms, trips)

    def worlds() -> Iterator[Stage]:
        while True:
            yield replace(
                stage,
                plan=plan,
                parts={
                    symbol: _stretched(part, sides[symbol], next(dealt[symbol]))
                    for symbol, part in stage.parts.items()
                },
            )

    (observed,) = play([stage], terms)
    free = replace(terms, limits=None, protections=None)
    played = play(worlds(), free)
    return against_chance(observed.total_return, lambda: next(played).total_return, draws=draws)


def _against(
    stage: Stage, terms: Terms, worlds: Iterator[Stage], play: PlayMany, draws: int
) -> AgainstChance:
    (observed,) = play([stage], terms)
    played = play(worlds, terms)
    return against_chance(observed.total_return, lambda: next(played).total_return, draws=draws)


def _entered(stage: Stage, trips: Sequence[RoundTrip]) -> Mapping[str, _Entered]:
    if not trips:
        raise BadInput("there was no entry, so none can be held against chance; see the warnings")
    found = dict[str, _Entered]()
    for symbol, part in stage.parts.items():
        rows = np.array(
            sorted({trip.signal_row for trip in trips if trip.symbol == symbol}), dtype=np.int64
        )
        allowed = _allowed(stage, part)
        allowed[rows] = True
        found[symbol] = _Entered(rows, allowed)
    return found


def _allowed(stage: Stage, part: Part) -> Flags:
    """Return the rows at whose close the execution lets anybody enter; never the last one."""
    plan = in_time(stage.plan, stage.timeframe)
    how, bars = plan.execution, part.bars
    shut = max(how.no_entry_before_close_min, how.flat_before_close_min or 0.0)
    allowed: Flags = ~(part.signals.leave | part.signals.late)
    allowed[: max(part.first_row, plan.warm_up)] = False
    allowed[-1:] = False
    if shut > 0.0:
        allowed &= bars.ends - bars.closes_at > shut * 60_000_000_000
    return allowed


def _groups(stage: Stage, part: Part) -> Ints | None:
    """Return what entries stay within: their session, where it has more than one bar."""
    return None if stage.timeframe is Timeframe.DAY else part.bars.day


def _moved(part: Part, entered: _Entered, at: Ints, stage: Stage, rng: Generator) -> Part:
    """Return a part that enters where it was drawn, each entry with those of one that it had."""
    signals, n = part.signals, len(part.bars)
    of = entered.rows
    if stage.timeframe is Timeframe.DAY:
        of = rng.permutation(of)  # within a session they stay in order, which says as little
    entry = np.zeros(n, np.int8)
    entry[at] = signals.entry[of]
    level = {
        name: _carried(getattr(signals, name), signals.mark, of, at) for name in ("stop", "target")
    }
    far = np.zeros(n, np.int64)
    scaled = np.rint(signals.trail[of] * (signals.mark[at] / signals.mark[of])).astype(np.int64)
    far[at] = np.where(signals.trail[of] > 0, np.maximum(_on_tick(scaled, signals.mark[at]), 1), 0)
    moved = replace(signals, entry=entry, stop=level["stop"], target=level["target"], trail=far)
    return replace(part, signals=moved)


def _carried(levels: Ints, mark: Ints, of: Ints, at: Ints) -> Ints:
    """Return levels at `at` as far from the close, in proportion, as those at `of` are."""
    found = np.zeros(len(levels), np.int64)
    apart = levels[of] - mark[of]
    scaled = np.rint(mark[at] + apart * (mark[at] / mark[of])).astype(np.int64)
    tick = _tick(mark[at])
    placed = _on_tick(scaled, mark[at])
    too_near = (placed - mark[at]) * np.sign(apart) <= 0
    beside = _on_tick(mark[at], mark[at]) + np.sign(apart) * tick
    placed = np.where(too_near, beside, placed)
    found[at] = np.where(levels[of] > 0, np.maximum(placed, 1), 0)
    return found


def _tick(mark: Ints) -> Ints:
    ticks: Ints = np.where(mark >= UNITS_PER_USD, _CENT, 1).astype(np.int64)
    return ticks


def _on_tick(units: Ints, mark: Ints) -> Ints:
    tick = _tick(mark)
    rounded: Ints = np.rint(units / tick).astype(np.int64) * tick
    return rounded


def _stretches(
    stage: Stage, part: Part, held: Flags, rng: Generator, *, within: bool
) -> Iterator[tuple[Ints, Ints]]:
    """Yield first and last rows of the stretches at random places behind the warm-up.

    They stay `within` sessions where every position did; a position over night is never cut into
    pieces, each of which would pay costs that the run did not pay.
    """
    first = max(part.first_row, stage.plan.warm_up)
    groups = _groups(stage, part) if within else None
    stretches = Stretches(held[first:], None if groups is None else groups[first:])
    for starts, lengths in stretches.dealt(rng):
        yield starts + first, starts + first + lengths - 1


def _crosses_days(part: Part, trip: RoundTrip) -> bool:
    last = min(trip.exit_row, len(part.bars) - 1)
    return bool(part.bars.day[trip.entry_row] != part.bars.day[last])


def _held(part: Part, symbol: str, trips: Sequence[RoundTrip]) -> Flags:
    """Return the closes from each entry's signal to the bar before its exit, at least two."""
    held = np.zeros(len(part.bars), np.bool_)
    for trip in trips:
        if trip.symbol == symbol:
            held[trip.signal_row : max(trip.exit_row, trip.signal_row + 2)] = True
    return held


def _stretched(part: Part, side: int, drawn: tuple[Ints, Ints]) -> Part:
    """Return a part that enters at each stretch's first close and leaves at its last."""
    firsts, lasts = drawn
    n = len(part.bars)
    none, entry, leave = np.zeros(n, np.int64), np.zeros(n, np.int8), np.zeros(n, np.bool_)
    entry[firsts] = side
    leave[lasts] = True
    entry[lasts] = 0  # cut down to one close by a session's end: nobody could have held that
    signals = replace(part.signals, entry=entry, leave=leave, stop=none, target=none, trail=none)
    return replace(part, signals=signals)


def _side(symbol: str, trips: Sequence[RoundTrip]) -> int:
    """Return the side on which a symbol was held more often."""
    longs = sum(1 if trip.qty > 0 else -1 for trip in trips if trip.symbol == symbol)
    return 1 if longs >= 0 else -1


def _bare(plan: Plan, terms: Terms, trips: Sequence[RoundTrip]) -> Plan:
    """Return the plan without levels; a size by them, or by limits, becomes the mean there was."""
    how = plan.execution
    size = how.size
    if isinstance(size, RiskShare) or terms.limits is not None:
        spent = [float(abs(trip.qty) * trip.entry_price / terms.cash) for trip in trips]
        size = EquityShare(sum(spent) / len(spent))
    bare = replace(how, size=size, stop=None, target=None, trail=None, max_bars=None, exit=None)
    return replace(plan, execution=bare)
