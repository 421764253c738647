"""The day's trading beside the same money left alone.

Buy and hold of the day puts equal money into every symbol of the run's universe at the close
before, and looks at the day's last close; splits and dividends of the day are counted in. That of
the whole run is the benchmark that the trading floor follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from numpy.random import Generator

from meta_agents.daily_report.document import (
    BuyAndHold,
    SymbolReturn,
    TradingResult,
    Unknowns,
    UsdInterval,
)
from meta_agents.daily_report.facts import DayFacts, Marks
from roboinvest.core.ledger import Trade
from roboinvest.core.oversight.trade_groups import outcomes_of, summary_of
from roboinvest.core.records import TickRecord
from roboinvest.runtime.reports.models import Interval

MOST_POINTS: Final = 200  # of the curve
_PART: Final = "trading_result"


def trading_part(facts: DayFacts, unknown: Unknowns, rng: Generator) -> TradingResult:
    """Return the part; what is null has its reason in `unknown`."""
    note = unknown.under(_PART)
    ticks, why = facts.ticks or (), _why_no_ticks(facts)
    start, end = _equities(facts)
    total = None if not start or end is None else end / start - 1.0
    for name, value in (("start_equity", start), ("end_equity", end), ("result_usd", end)):
        note.unless(name, value, why)
    note.unless("total_return", total, why)
    symbols = _symbol_returns(facts.marks)
    round_trips, win_rate, expectancy = _trades(facts.trades, note, facts, rng)
    since, since_return = _since_start(facts, note)
    no_ticks = facts.missing.get("ticks")
    for name in ("ticks", "decisions", "buys", "sells", "fills", "rejected"):
        note.unless(name, facts.ticks, no_ticks or "")
    return TradingResult(
        start_equity=start,
        end_equity=end,
        result_usd=None if start is None or end is None else end - start,
        total_return=total,
        day=_kept_today(facts, symbols, total, note),
        since_start=since,
        since_start_return=since_return,
        universe=tuple(symbols),
        ticks=_count(facts, len(ticks)),
        decisions=_count(facts, sum(t.buys + t.sells + t.holds for t in ticks)),
        buys=_count(facts, sum(t.buys for t in ticks)),
        sells=_count(facts, sum(t.sells for t in ticks)),
        fills=_count(facts, sum(t.fills for t in ticks)),
        rejected=_count(facts, sum(t.rejected for t in ticks)),
        round_trips=round_trips,
        win_rate=win_rate,
        expectancy_usd=expectancy,
        equity_curve=_thinned(ticks),
    )


def _why_no_ticks(facts: DayFacts) -> str:
    return facts.missing.get("ticks") or "no tick was committed on this day"


def _count(facts: DayFacts, count: int) -> int | None:
    return None if facts.ticks is None else count


def _equities(facts: DayFacts) -> tuple[float | None, float | None]:
    """Return equity at the begin and at the end of the day."""
    if not facts.ticks:
        return None, None
    if facts.tick_before is not None:
        return float(facts.tick_before.equity), float(facts.ticks[-1].equity)
    start = facts.start_equity
    first = float(facts.ticks[0].equity) if start is None else start
    return first, float(facts.ticks[-1].equity)


def _symbol_returns(marks: Marks | None) -> list[SymbolReturn]:
    if marks is None:
        return []
    found = []
    for symbol in sorted(marks.before.keys() & marks.after.keys()):
        held = marks.splits.get(symbol, 1.0)
        end = held * marks.after[symbol] + marks.dividends.get(symbol, 0.0)
        found.append(SymbolReturn(symbol=symbol, total_return=end / marks.before[symbol] - 1.0))
    return found


def _kept_today(
    facts: DayFacts, symbols: Sequence[SymbolReturn], ours: float | None, note: Unknowns
) -> BuyAndHold:
    kept = None
    if symbols:
        kept = sum(each.total_return for each in symbols) / len(symbols)
    why = facts.missing.get("marks") or "no symbol has a price on both ends of the day"
    note.unless("day.total_return", kept, why)
    excess = None if kept is None or ours is None else ours - kept
    note.unless("day.excess_return", excess, why if kept is None else _why_no_ticks(facts))
    base = facts.marks.base if facts.marks else "the close before"
    left_out = max(len(facts.symbols) - len(symbols), 0)
    if symbols and left_out:
        base = f"{base}, {left_out} of {len(facts.symbols)} symbols without a price left out"
    return BuyAndHold(base=base, total_return=kept, excess_return=excess)


def _since_start(facts: DayFacts, note: Unknowns) -> tuple[BuyAndHold, float | None]:
    start, since = facts.start_equity, facts.since_start
    kept = ours = None
    if since is not None and start:
        waiting = start / len(facts.symbols) if facts.symbols else 0.0
        waiting *= max(len(facts.symbols) - since.symbols, 0)
        kept, ours = (since.kept + waiting) / start - 1.0, since.equity / start - 1.0
    why = facts.missing.get("since_start") or facts.missing.get("start_equity") or _NO_START
    note.unless("since_start.total_return", kept, why)
    note.unless("since_start.excess_return", kept, why)
    note.unless("since_start_return", ours, why)
    excess = None if kept is None or ours is None else ours - kept
    return BuyAndHold(base="the start", total_return=kept, excess_return=excess), ours


_NO_START: Final = "the store is not there yet"


def _trades(
    trades: Sequence[Trade] | None, note: Unknowns, facts: DayFacts, rng: Generator
) -> tuple[int | None, Interval | None, UsdInterval | None]:
    why = facts.missing.get("trades", "")
    note.unless("round_trips", trades, why)
    if trades is None:
        note.unless("win_rate", None, why)
        note.unless("expectancy_usd", None, why)
        return None, None, None
    ended = [each for each in outcomes_of(trades) if each.closed_at in facts.span]
    found = summary_of("the day", ended, rng)
    rate, mean = found.win_rate, found.expectancy
    note.unless("win_rate", rate, "no round trip ended on this day")
    note.unless("expectancy_usd", mean, found.reason)
    return (
        found.trades,
        None if rate is None else Interval(value=rate.value, low=rate.low, high=rate.high),
        None
        if mean is None
        else UsdInterval(value=mean.value, low=mean.low, high=mean.high, n=found.trades),
    )


def _thinned(ticks: Sequence[TickRecord]) -> tuple[tuple[datetime, float], ...]:
    if not ticks:
        return ()
    step = max(1, -(-len(ticks) // (MOST_POINTS - 1)))
    kept = [*ticks[::step]]
    if kept[-1] is not ticks[-1]:
        kept.append(ticks[-1])
    return tuple((each.at, float(each.equity)) for each in kept)
