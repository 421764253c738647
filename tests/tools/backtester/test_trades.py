"""Round trips from executions: what was made, what was risked, and how far it went."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.orders import Leg
from roboinvest.core.strategy import Execution, Shares
from tests.fakes.tapes import minute_tape, tape, weekdays
from tests.tools.backtester.simulator.stages import FREE, plain, signals, stage
from tools.backtester.contract import Cause, Played, RoundTrip, Stage, Terms
from tools.backtester.simulator.simulator import play
from tools.backtester.trades import ledger_trades, round_trips

Row = tuple[float, float, float, float] | tuple[float, float, float, float, float]
FLAT = (100.0, 100.0, 100.0, 100.0)
COSTLY = Terms(allow_short=True)


def _run(
    rows: Sequence[Row], terms: Terms = FREE, *, minutes: int = 390, **wants: object
) -> tuple[Played, Stage]:
    bars = tape(rows, minutes=minutes)
    actions = wants.pop("actions", ())
    entries = wants.pop("entries", {0: 1})
    one = stage({"SPY": (bars, signals(bars, entries, **wants))}, actions=actions)  # type: ignore[arg-type]
    return play(one, terms), one


def _only_trip(played: Played, one: Stage) -> RoundTrip:
    (trip,) = round_trips(played, one)
    return trip


def test_a_round_trip_says_when_at_what_price_and_why() -> None:
    rows = [FLAT, (100.0, 101.0, 99.5, 100.5), (100.5, 102.5, 100.0, 101.0)]
    trip = _only_trip(*_run(rows, stop={0: 99.0}, target={0: 102.0}))
    assert (trip.signal_row, trip.entry_row, trip.exit_row) == (0, 1, 2)
    assert plain(trip.entry_price, trip.exit_price, trip.qty) == (100, 102, 100)
    assert (plain(trip.stop, trip.target), trip.cause) == ((99, 102), Cause.TARGET)
    assert (plain(trip.pnl, trip.r_multiple), trip.is_open) == ((200, 2.0), False)


def test_how_far_it_went_counts_the_bars_held_and_the_exits_price() -> None:
    rows = [FLAT, (100.0, 101.5, 99.25, 100.5), (100.5, 109.0, 98.0, 101.0)]
    trip = _only_trip(*_run(rows, stop={0: 99.0}))
    assert (trip.mae, trip.mfe) == (-1.0, 1.5)  # the exit's bar went to 109, nobody knows when
    short = _only_trip(*_run(rows, entries={0: -1}, stop={0: 102.0}))
    assert (short.mae, short.mfe) == (-2.0, 0.75)


def test_prices_are_means_over_partial_fills() -> None:
    terms = Terms()
    rows: list[Row] = [FLAT, (*FLAT, 400.0), (102.0, 102.0, 102.0, 102.0), FLAT, FLAT]
    bars = tape(rows)
    one = stage({"SPY": (bars, signals(bars, {0: 1}, leave=[2]))})
    played = play(one, terms)
    trip = _only_trip(played, one)
    bought = [fill for fill in played.fills if fill.leg is Leg.ENTRY]
    assert [fill.qty for fill in bought] == [40, 60]
    assert trip.entry_price == (40 * bought[0].price + 60 * bought[1].price) / 100
    assert trip.pnl == -sum(f.qty * f.price + f.fee for f in played.fills)
    assert trip.fees == sum(f.fee for f in played.fills)


def test_several_exits_of_one_entry_are_one_round_trip_and_two_of_the_ledger() -> None:
    rows: list[Row] = [FLAT, FLAT, (*FLAT, 300.0), FLAT, FLAT]
    played, one = _run(rows, COSTLY, leave=[1])
    trip = _only_trip(played, one)
    trades = ledger_trades(played, one)
    assert [trade.qty for trade in trades] == [30, 70]
    assert sum(trade.pnl for trade in trades) == trip.pnl
    assert [trade.closes_entry for trade in trades] == [False, True]


def test_an_ambiguous_exit_says_what_the_kindest_would_have_made() -> None:
    rows = [FLAT, FLAT, (100.0, 102.5, 98.5, 101.0)]
    trip = _only_trip(*_run(rows, stop={0: 99.0}, target={0: 102.0}))
    assert trip.ambiguous
    assert plain(trip.pnl, trip.kindest_pnl) == (-100, 200)


def test_what_is_still_open_is_reckoned_at_the_last_close_and_comes_last() -> None:
    rows = [FLAT, FLAT, FLAT, (100.0, 103.0, 97.0, 102.0), (102.0, 104.0, 102.0, 104.0)]
    played, one = _run(rows, entries={0: 1, 2: 1}, leave=[1])
    closed, opened = round_trips(played, one)
    assert (closed.is_open, opened.is_open) == (False, True)
    assert (opened.cause, opened.exit_row) == (Cause.END, 4)
    assert plain(opened.exit_price, opened.pnl, opened.mae, opened.mfe) == (104, 400, -3, 4)
    assert len(ledger_trades(played, one)) == 1


def test_a_split_on_the_way_puts_the_round_trip_on_the_scale_of_its_exit() -> None:
    split = CorporateAction(
        symbol="SPY", kind=ActionKind.SPLIT, ex_date=weekdays(2)[1], ratio=Decimal(7)
    )
    rows = [(700.0,) * 4, (700.0, 707.0, 693.7, 700.0), (100.0, 103.0, 99.5, 102.0), (102.0,) * 4]
    played, one = _run(
        rows, minutes=2, actions=[split], stop={0: 693.0}, target={0: 770.0}, leave=[2]
    )
    trip = _only_trip(played, one)
    assert plain(trip.qty, trip.entry_price, trip.exit_price) == (700, 100, 102)
    assert plain(trip.stop, trip.target, trip.pnl) == (99, 110, 1_400)
    assert [trip.mae, trip.mfe] == pytest.approx([-0.9, 3.0])
    assert trip.r_multiple == 2.0
    (trade,) = ledger_trades(played, one)
    assert plain(trade.qty, trade.entry_price, trade.pnl, trade.r_multiple) == (700, 100, 1_400, 2)


def test_a_split_is_applied_once_to_what_leaves_in_parts() -> None:
    split = CorporateAction(
        symbol="SPY", kind=ActionKind.SPLIT, ex_date=weekdays(2)[1], ratio=Decimal(2)
    )
    old, new = (200.0, 200.0, 200.0, 200.0), (101.0, 101.0, 101.0, 101.0)
    rows: list[Row] = [old, old, old, new, (*new, 500.0), new, new, new]
    played, one = _run(rows, Terms(), minutes=3, actions=[split], entries={0: 1, 6: 1}, leave=[3])
    trips, trades = round_trips(played, one), ledger_trades(played, one)
    assert [int(trade.qty) for trade in trades] == [50, 150]
    assert sum(trade.pnl for trade in trades) == trips[0].pnl
    assert [int(trip.qty) for trip in trips] == [200, 100]


def test_a_stop_that_the_entry_price_equals_has_no_r() -> None:
    trip = _only_trip(*_run([FLAT, (99.0, 99.0, 99.0, 99.0), FLAT], stop={0: 99.0}))
    assert plain(trip.entry_price, trip.r_multiple, trip.pnl) == (99, None, 0)
    assert _only_trip(*_run([FLAT, FLAT, FLAT], leave=[1])).r_multiple is None


def test_round_trips_and_ledger_come_to_the_same_money_on_a_busy_run() -> None:
    parts = {}
    for seed, symbol in enumerate(("AAA", "BBB")):
        bars = minute_tape(seed, days=2, symbol=symbol)
        entries = {row: 1 if row % 2 else -1 for row in range(0, len(bars) - 20, 7)}
        stop = {
            row: round(bars.close[row] * (1 - side * 0.001), 2) for row, side in entries.items()
        }
        wants = signals(bars, entries, leave=list(range(5, len(bars), 11)), stop=stop)
        parts[symbol] = (bars, wants)
    one = stage(parts, Execution(size=Shares(400)))
    played = play(one, Terms(allow_short=True, cash=Decimal(300_000)))
    trips, trades = round_trips(played, one), ledger_trades(played, one)
    assert len(trips) > 50
    closed = [trip for trip in trips if not trip.is_open]
    earned = sum(float(trade.pnl) for trade in trades)
    assert sum(float(trip.pnl) for trip in closed) == pytest.approx(earned)
    assert [trip.exit_at for trip in closed] == sorted(trip.exit_at for trip in closed)
    assert all(trip.mae <= 0 <= trip.mfe for trip in trips)
    assert {trip.symbol for trip in trips} == {"AAA", "BBB"}
