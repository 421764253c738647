"""One run: what is refused before it, its days, its benchmark, its digest, its last sale."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.market.grid import price_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.conditions import above
from roboinvest.core.risk import RiskLimits
from roboinvest.core.strategy import EquityShare, Execution, Plan, Scan, Timeframes
from tests.tools.backtester.asked import (
    ALWAYS,
    DAYS,
    QUARTERS,
    SPLIT,
    bankrupt,
    holding,
    pair,
    request,
)
from tests.tools.backtester.report.builders import AT_ONCE, HALF, run, sessions, strategy, walked
from tests.tools.backtester.report.cases import CASES, HOLD, both_sides, split_within, two_months
from tests.tools.backtester.simulator.stages import money, only
from tools.backtester.contract import BacktestResult, Cause, Stage, Terms
from tools.backtester.engine import (
    Executor,
    by_day,
    play,
    play_request,
    prepare,
    run_backtest,
)
from tools.backtester.kernel import kernel
from tools.backtester.simulator import simulator


def warmed(bars: int) -> Plan:
    return Plan(columns={"mean": sma(bars)}, scan=Scan(long=above("close", "mean")), execution=HALF)


@pytest.mark.parametrize(
    ("wants", "length", "said"),
    [
        (Timeframes.INTRADAY, Timeframe.DAY, "morning_rise.* and these are of 1d; give others"),
        (Timeframes.DAILY, QUARTERS, "morning_rise.* bars, and these are of 15m; give others"),
    ],
)
def test_bars_of_another_length_are_refused(
    wants: Timeframes, length: Timeframe, said: str
) -> None:
    picky = replace(strategy(), timeframe=wants)
    with pytest.raises(BadInput, match=said) as caught:
        prepare(request(walked(DAYS, length), strategy=picky, timeframe=length))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_symbols_are_refused(count: int) -> None:
    pairing = replace(strategy(), symbols=2)
    bars = dict(list(pair(AAA=walked(DAYS), BBB=walked(DAYS)).items())[:count])
    with pytest.raises(BadInput, match=f"needs 2 symbols and the run has {count}"):
        prepare(request(strategy=pairing, bars=bars))
    both = pair(BBB=walked(DAYS), AAA=walked(DAYS))
    assert list(prepare(request(strategy=pairing, bars=both)).parts) == ["AAA", "BBB"]


def test_too_few_bars_for_the_warm_up_are_refused() -> None:
    bars = walked(DAYS[:1])
    slow = replace(strategy(), build=lambda _: warmed(len(bars)))
    needed = warmed(len(bars)).warm_up
    with pytest.raises(BadInput, match=f"SPY has {needed} bars.* warms up on {needed}; give more"):
        prepare(request(bars.rows(slice(0, needed)), strategy=slow))
    longer = walked(DAYS[:2]).rows(slice(0, needed + 1))
    assert len(prepare(request(longer, strategy=slow)).parts["SPY"].signals) == needed + 1


def test_bars_that_all_come_before_the_first_day_are_refused() -> None:
    bars = walked(DAYS)
    with pytest.raises(BadInput, match=f"has {len(bars)} bars, of which {len(bars)} come before"):
        prepare(request(bars, first=DAYS[-1].day + timedelta(days=1)))
    with pytest.raises(BadInput, match="SPY has 0 bars"):
        prepare(request(bars.rows(slice(0, 0))))


def test_one_symbol_with_too_few_bars_is_named() -> None:
    short = walked(DAYS).rows(slice(0, 3))
    slow = replace(strategy(), build=lambda _: warmed(20))
    with pytest.raises(BadInput, match="BBB has 3 bars"):
        prepare(request(strategy=slow, bars=pair(AAA=walked(DAYS), BBB=short)))


def test_nothing_is_wanted_before_the_first_day() -> None:
    stage = prepare(request(strategy=strategy(ALWAYS, HALF), first=DAYS[3].day))
    part = stage.parts["SPY"]
    assert part.bars.day[part.first_row] == DAYS[3].day.toordinal()
    assert part.bars.day[part.first_row - 1] == DAYS[2].day.toordinal()
    assert not part.signals.entry[: part.first_row].any()
    assert part.signals.entry[part.first_row :].any()


def test_a_day_ends_with_the_last_bar_of_any_symbol() -> None:
    """AAA has no afternoons, BBB no first day and no last; the days are those of both."""
    whole = walked(DAYS)
    opens = np.unique(whole.day, return_index=True)[1].tolist()
    mornings = [row for row in range(len(whole)) if row - max(o for o in opens if o <= row) < 8]
    inner = [row for row in range(len(whole)) if DAYS[0].day.toordinal() < whole.day[row]]
    inner = [row for row in inner if whole.day[row] < DAYS[-1].day.toordinal()]
    bars = pair(AAA=only(whole, mornings), BBB=only(walked(DAYS, seed=9), inner))
    stage = prepare(request(strategy=strategy(ALWAYS, holding(0.4)), bars=bars))
    cash = Decimal(100_000)
    played = simulator.play(stage, Terms(cash=cash))
    days, equity, gross = by_day(stage, played, cash)
    assert days.tolist() == [session.day.toordinal() for session in DAYS]
    assert len(equity) == len(gross) == 11
    assert (equity[0], gross[0]) == (1_000_000_000, 0)
    for number, day in enumerate(days.tolist(), start=1):
        closes = [part.bars.closes_at[part.bars.day == day] for part in stage.parts.values()]
        last = np.concatenate(closes).max()
        (at,) = np.flatnonzero(played.instants == last)
        assert (equity[number], gross[number]) == (played.equity[at], played.gross[at])
    assert equity[-1] == played.equity[-1]


def test_days_of_the_warm_up_are_no_days_of_the_run() -> None:
    result = run_backtest(request(first=DAYS[4].day))
    assert result.days.tolist() == [session.day.toordinal() for session in DAYS[4:]]
    assert len(result.daily_equity) == len(result.benchmark) == 7
    assert result.daily_equity[0] == result.benchmark[0] == 1_000_000_000


def test_a_curve_of_other_instants_is_refused() -> None:
    stage = prepare(request())
    played = simulator.play(stage, Terms())
    with pytest.raises(ValueError, match="instants are not those of the bars"):
        by_day(stage, replace(played, instants=played.instants + 1), Decimal(100_000))


def kept_by_hand(bars: SessionBars, terms: Terms, first_row: int = 0, cash: float = 1.0) -> Decimal:
    """Return what all the cash becomes, bought at the open after the first close, and not sold."""
    opened = Decimal(str(bars.open[first_row + 1]))
    paid = opened * (1 + terms.rules.slippage_bps / 10_000)
    paid = paid.quantize(Decimal("0.0001"), ROUND_CEILING)
    money_in = terms.cash * Decimal(str(cash))
    mark = Decimal(str(bars.close[first_row]))
    wanted = (money_in / mark).to_integral_value(ROUND_FLOOR)
    each = paid + terms.rules.commission_per_share_usd
    shares = min(wanted, (terms.cash / each).to_integral_value(ROUND_FLOOR))
    return shares * (Decimal(str(bars.close[-1])) - each)


@pytest.mark.parametrize(
    "rules",
    [FRICTIONLESS, FillRules(), FillRules(commission_per_share_usd=Decimal("0.05"))],
    ids=["free", "usual", "commission"],
)
@pytest.mark.parametrize("first", [None, DAYS[3].day])
def test_buy_and_hold_earns_the_price_ratio_after_costs(
    rules: FillRules, first: date | None
) -> None:
    bars, terms = walked(DAYS, drift=1e-4), Terms(rules=rules)
    result = run_backtest(request(bars, terms=terms, first=first))
    row = result.stage.parts["SPY"].first_row
    earned = kept_by_hand(bars, terms, row)
    assert money(result.benchmark[-1]) - terms.cash == earned
    ratio = result.benchmark[-1] / result.benchmark[0]
    assert ratio == pytest.approx(bars.close[-1] / bars.open[row + 1], abs=2e-3)
    assert result.benchmark_figures.total_return == pytest.approx(ratio - 1.0)
    if rules is not FRICTIONLESS:
        free = run_backtest(request(bars, terms=Terms(rules=FRICTIONLESS), first=first))
        assert result.benchmark[-1] < free.benchmark[-1]


def test_the_benchmark_holds_equal_parts_of_every_symbol() -> None:
    bars = pair(AAA=walked(DAYS, drift=2e-4), BBB=walked(DAYS, seed=3, drift=-1e-4))
    terms = Terms(rules=FRICTIONLESS)
    result = run_backtest(request(bars=bars, terms=terms))
    earned = sum(kept_by_hand(each, terms, cash=0.5) for each in bars.values())
    near = pytest.approx(earned, abs=Decimal(5))  # BBB is sized after AAA has moved
    assert money(result.benchmark[-1]) - terms.cash == near


@pytest.mark.parametrize(
    "terms",
    [
        Terms(limits=RiskLimits(max_order_usd=Decimal(500), max_trades_per_day=1)),
        Terms(limits=RiskLimits(), protections=ProtectionRules(stop_guard_stops=1)),
        Terms(rules=FillRules(volume_share=Decimal("0.0001"))),
        Terms(allow_short=True),
    ],
    ids=["limits", "protections", "volume", "shorts"],
)
def test_the_benchmark_is_free_of_limits_and_of_the_strategy(terms: Terms) -> None:
    plain = run_backtest(request())
    bound = run_backtest(request(terms=terms, strategy=strategy(ALWAYS, HOLD, name="other")))
    assert bound.benchmark.tolist() == plain.benchmark.tolist()
    assert bound.daily_equity.tolist() != plain.daily_equity.tolist()


def test_the_benchmark_keeps_what_a_split_makes_of_it() -> None:
    result = split_within()
    bars = result.stage.parts["SPY"].bars
    ratio = 2 * bars.close[-1] / bars.open[1]
    assert result.benchmark[-1] / result.benchmark[0] == pytest.approx(ratio, abs=3e-3)


def refused() -> list[tuple[Stage, Terms]]:
    """Return stages that the kernel cannot play, each for another reason."""
    finer = {"SPY": walked(DAYS, Timeframe.MINUTE)}
    called = replace(HALF, exit=lambda moment, held: held.bars > 2)
    return [
        (prepare(request(actions=(SPLIT,))), Terms()),
        (prepare(request(finer=finer)), Terms()),
        (prepare(request(strategy=strategy(execution=called))), Terms()),
        (prepare(request()), Terms(cash=Decimal("100.00001"))),
        (prepare(request()), Terms(limits=RiskLimits(), protections=ProtectionRules())),
    ]


@pytest.mark.timeout(300)  # the first to play compiles the kernel
@pytest.mark.parametrize("number", range(5))
def test_a_refused_kernel_is_never_taken_unless_it_is_asked_for(number: int) -> None:
    stage, terms = refused()[number]
    why_not = kernel.refusal(stage, terms)
    assert why_not is not None
    played, by = play(stage, terms, "auto")
    assert by == "simulator"
    assert played.fills == simulator.play(stage, terms).fills
    with pytest.raises(BadInput) as caught:
        play(stage, terms, "kernel")
    assert str(caught.value) == f"the kernel cannot play this: {why_not}; use the simulator"


@pytest.mark.timeout(300)  # the first to play compiles the kernel
def test_whoever_plays_the_result_is_the_same() -> None:
    executors: tuple[Executor, ...] = ("auto", "simulator", "kernel")
    results = [run_backtest(request(), executor=each) for each in executors]
    assert [each.executor for each in results[1:]] == ["simulator", "kernel"]
    assert len(results[0].played.fills) > 10
    for each in results[1:]:
        assert each.played.fills == results[0].played.fills
        assert each.daily_equity.tolist() == results[0].daily_equity.tolist()
        assert (each.digest, each.liquidated) == (results[0].digest, results[0].liquidated)
        assert (each.figures, each.trades) == (results[0].figures, results[0].trades)


def test_a_request_alone_comes_to_what_its_run_comes_to() -> None:
    assert play_request(request()).fills == run_backtest(request()).played.fills


def sold_by_hand(result: BacktestResult) -> Decimal:
    """Return the cash after selling all that is held at the last close, costs included."""
    rules, cash = result.request.terms.rules, result.request.terms.cash
    held = dict.fromkeys(result.stage.parts, Decimal(0))
    for fill in result.played.fills:
        held[fill.symbol] += fill.qty
        cash -= fill.qty * fill.price + fill.fee
    for symbol, qty in held.items():
        close = money(price_units(result.stage.parts[symbol].bars.close)[-1])
        for fill in result.played.at_end:
            if fill.symbol == symbol:
                slip = abs(fill.price - close) / close * 10_000
                assert (fill.price - close) * qty <= 0  # against us
                assert slip <= rules.slippage_bps + Decimal(2)  # and a tick
                assert fill.qty * qty < 0
                cash -= fill.qty * fill.price + fill.fee
                held[symbol] += fill.qty
    assert set(held.values()) == {Decimal(0)}
    return cash


@pytest.mark.parametrize("side", [1, -1])
def test_what_is_held_at_the_end_is_worth_what_it_sells_for(side: int) -> None:
    bars = pair(AAA=walked(DAYS), BBB=walked(DAYS, seed=2).rows(slice(0, 200)))
    never = above("close", 1e9)
    played = strategy(
        ALWAYS if side > 0 else never,
        holding(0.4),
        short=ALWAYS if side < 0 else None,
    )
    result = run(bars, played, terms=Terms(allow_short=True))
    assert {fill.symbol for fill in result.played.at_end} == {"AAA", "BBB"}
    assert money(result.liquidated) == sold_by_hand(result)
    assert result.liquidated < result.daily_equity[-1]  # costs


@pytest.mark.parametrize("name", ["two_months", "no_trades", "one_trade"])
def test_who_holds_nothing_at_the_end_has_nothing_to_sell(name: str) -> None:
    result = CASES[name]()
    assert result.played.at_end == ()
    assert result.liquidated == result.daily_equity[-1]


def test_both_sides_come_to_the_cash_of_their_fills() -> None:
    for result in (both_sides(), two_months()):
        assert money(result.liquidated) == sold_by_hand(result)


def test_an_account_that_loses_more_than_it_has_is_told_and_not_refused() -> None:
    """Short before a rise to eight times the price."""
    result = bankrupt()
    assert result.daily_equity.min() < 0
    figures = result.figures
    lost = result.daily_equity[-1] / result.daily_equity[0] - 1.0
    assert figures.total_return == pytest.approx(lost)
    assert lost < -1.0
    assert figures.max_drawdown is not None
    assert figures.max_drawdown > 1.0
    assert (figures.sharpe, figures.sortino, figures.annual_return) == (None, None, None)
    assert figures.periods == len(result.days)


@pytest.mark.parametrize("executor", ["simulator", "kernel"])
def test_nobody_who_leaves_before_the_close_holds_long_bars_over_night(executor: Executor) -> None:
    bars = walked(sessions())
    how = Execution(size=EquityShare(0.5), flat_before_close_min=1.0)
    result = run_backtest(run(bars, strategy(AT_ONCE, how)).request, executor=executor)
    assert len(result.round_trips) > 20
    days = [(int(bars.day[t.entry_row]), int(bars.day[t.exit_row])) for t in result.round_trips]
    assert [pair for pair in days if pair[0] != pair[1]] == []
    assert {t.cause for t in result.round_trips} == {Cause.CLOSE}
