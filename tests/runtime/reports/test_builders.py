"""Report builders: the figures a person sees, against figures worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from roboinvest.core.orders import Leg, OrderState, OrderType, Side
from roboinvest.runtime.reports.builders import (
    MIN_SESSIONS,
    performance_report,
    positions_report,
    trades_report,
)
from roboinvest.runtime.storage.stored import SessionEquity
from tests.fakes.records import lot, order, tick_at, trade

NOW = tick_at(100)


def curve(*closes: str) -> tuple[SessionEquity, ...]:
    return tuple(
        SessionEquity(
            session_day=(tick_at(0) + timedelta(days=day)).date(),
            open_equity=Decimal(close),
            close_equity=Decimal(close),
        )
        for day, close in enumerate(closes)
    )


def test_performance_counts_from_the_start_capital() -> None:
    won = trade("a", pnl=Decimal("12.00"), r_multiple=1.2)
    lost = trade("b", pnl=Decimal("-4.00"), r_multiple=-0.4)
    report = performance_report(
        now=NOW,
        start_equity=Decimal(1000),
        equity=Decimal("1089.004"),
        cash=Decimal("500"),
        realised_pnl=Decimal("8"),
        open_pnl=Decimal("81.004"),
        curve=curve("1100", "990", "1089"),
        trades=(won, lost),
        benchmark=("buy and hold", Decimal(1010)),
    )
    assert report.equity == 1089.0
    assert report.total_return == pytest.approx(0.089)
    assert report.max_drawdown == pytest.approx(0.1)
    assert (report.trades, report.wins, report.losses) == (2, 1, 1)
    assert report.win_rate is not None
    assert report.win_rate.low < report.win_rate.value == 0.5 < report.win_rate.high
    assert (report.expectancy_usd, report.expectancy_r) == (4.0, 0.4)
    assert report.profit_factor == 3.0
    assert "risk-free 0" in report.sharpe.convention
    assert report.benchmark is not None
    assert report.benchmark.excess_return == pytest.approx(0.079)
    assert [point.close_equity for point in report.equity_curve] == [1100, 990, 1089]


@pytest.mark.parametrize(
    ("sessions", "is_judged"), [(MIN_SESSIONS - 1, False), (MIN_SESSIONS, True)]
)
def test_ratios_wait_until_there_are_sessions_enough(sessions: int, is_judged: bool) -> None:
    # Returns of +10 % and -10 % in turn: for ten of them mean 0, sample deviation sqrt(0.1 / 9).
    closes = [Decimal(1000)]
    for number in range(sessions):
        closes.append(closes[-1] * (Decimal("1.1") if number % 2 == 0 else Decimal("0.9")))
    report = performance_report(
        now=NOW,
        start_equity=closes[0],
        equity=closes[-1],
        cash=closes[-1],
        realised_pnl=Decimal(0),
        open_pnl=Decimal(0),
        curve=curve(*(str(close) for close in closes[1:])),
        trades=(),
    )
    assert (report.sharpe.value is not None) is is_judged
    assert (report.sortino.value is not None) is is_judged
    if is_judged:
        assert report.sharpe.value == pytest.approx(0.0, abs=1e-4)


def test_an_account_that_has_done_nothing_has_no_ratios() -> None:
    report = performance_report(
        now=NOW,
        start_equity=Decimal(1000),
        equity=Decimal(1000),
        cash=Decimal(1000),
        realised_pnl=Decimal(0),
        open_pnl=Decimal(0),
        curve=(),
        trades=(),
    )
    unknown = (report.total_return, report.max_drawdown, report.win_rate, report.expectancy_usd)
    assert unknown == (None, None, None, None)
    assert (report.sharpe.value, report.sortino.value) == (None, None)
    assert (report.trades, report.wins, report.losses) == (0, 0, 0)


def test_a_position_is_the_sum_of_every_agents_lots() -> None:
    first = lot("a", 0, qty=Decimal(10), price=Decimal(100))
    second = lot("b", 5, qty=Decimal(30), price=Decimal(104), agent_id="twin")
    flat = (lot("c", symbol="QQQ"), lot("d", symbol="QQQ", qty=Decimal(-10)))
    stop = order("s", leg=Leg.STOP, side=Side.SELL, order_type=OrderType.STOP)
    report = positions_report(
        now=NOW,
        lots=(second, first, *flat),
        marks={"SPY": Decimal("105.5")},
        open_orders=(
            order("other", symbol="IWM", leg=Leg.STOP, stop_price=Decimal(1)),
            order("s", leg=Leg.STOP, side=stop.side, stop_price=Decimal(98)),
            order("t", leg=Leg.TARGET, state=OrderState.HELD, limit_price=Decimal(110)),
        ),
    )
    (line,) = report.positions.values()
    assert (line.symbol, line.side, line.quantity) == ("SPY", "long", 40)
    assert line.entry_price == 103
    assert line.entry_time == tick_at(0)
    assert (line.value, line.open_pnl) == (4220, 100)
    assert (line.stop, line.target) == (98, 110)
    assert line.agents == ("house", "twin")


def test_a_short_position_without_a_mark_is_shown_at_its_cost() -> None:
    held = lot("a", qty=Decimal(-10), price=Decimal(100))
    report = positions_report(now=NOW, lots=(held,), marks={}, open_orders=())
    line = report.positions["SPY"]
    assert (line.side, line.mark, line.value, line.open_pnl) == ("short", 100, -1000, 0)
    assert (line.stop, line.target) == (None, None)


def test_trades_keep_their_order_and_count_those_not_listed() -> None:
    short = trade("b", qty=Decimal(-10), r_multiple=None)
    report = trades_report(now=NOW, newest_first=(short, trade("a")), total=7)
    assert report.total == 7
    assert [line.trade_id for line in report.trades] == ["b", "a"]
    assert [line.side for line in report.trades] == ["short", "long"]
    assert report.trades[0].r_multiple is None
    # 12 USD on 10 shares at 125.50
    assert report.trades[1].pnl_pct == pytest.approx(0.9562)
    assert report.trades[1].exit_reason == "target"
