"""One strategy, one market: the trading graph and the backtester come to the same fills.

Field by field, limits applied: what is bought, when, how much of it, at what price and at what
cost. The kernel is asked too, where it can play the case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.market.bars import from_ns
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.market.values import Timeframe
from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.conditions import above, below, crosses_above, crosses_below
from roboinvest.core.strategy import (
    EquityShare,
    Execution,
    Held,
    Moment,
    Percent,
    Plan,
    Reward,
    RiskShare,
    Scan,
    Shares,
    Strategy,
    Timeframes,
)
from roboinvest.runtime.configuration.policies import fill_rules, protection_rules, risk_limits
from roboinvest.runtime.configuration.sections import RiskSettings
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.trading.installed_strategy import Installed
from tests.fakes.town import Town, run_life
from tests.fakes.worlds import FIRST, ShortDays, invented, recorded, rows_of
from tools.backtester.bars import good_bars, load_run_bars
from tools.backtester.contract import Request, Terms
from tools.backtester.engine import Executor, play, prepare
from tools.calendar import ExchangeCalendar
from tools.markets import Market
from tools.strategies.shelf import find

MINUTES, SESSIONS, HISTORY = 60, 3, 3
Told = tuple[object, ...]  # symbol, instant, leg, shares, price, costs
COLUMNS = {"fast": sma(3), "slow": sma(11)}


def leaves_after_a_fright(now: Moment, held: Held) -> bool:
    return now("low") < held.entry_price - 0.05 and held.bars >= 2


def crossing(**how: Any) -> Plan:
    return Plan(
        columns=COLUMNS,
        scan=Scan(long=crosses_above("fast", "slow")),
        execution=Execution(**{"stop": Percent(0.004), **how}),
    )


SHORT = Plan(
    columns=COLUMNS,
    scan=Scan(short=crosses_below("fast", "slow")),
    execution=Execution(stop=Percent(0.004), target=Percent(0.003), size=EquityShare(0.05)),
)
BOTH = Plan(
    columns=COLUMNS,
    scan=Scan(long=above("fast", "slow"), short=below("fast", "slow")),
    execution=Execution(stop=Percent(0.006), max_bars=7, size=Shares(40)),
)
PLANS = {
    "bracket": crossing(target=Reward(1.0)),
    "signal exit": crossing(exit=crosses_below("fast", "slow"), size=EquityShare(0.05)),
    "time exit": crossing(max_bars=5, size=RiskShare(0.0001)),
    "end of day": crossing(flat_before_close_min=10.0, no_entry_before_close_min=20.0),
    "trailing": crossing(trail=Percent(0.002)),
    "call": crossing(exit=leaves_after_a_fright),
    "short": SHORT,
    "both ways": BOTH,
}


def strategy_of(plan: Plan) -> Strategy:
    return Strategy(
        name="probe",
        version="1",
        idea="None.",
        source="this test",
        timeframe=Timeframes.ANY,
        params=(),
        build=lambda _values: plan,
        shorts=True,
    )


def bars_of(market: Market, *, history: int) -> Mapping[str, SessionBars]:
    """Return what the market's feed would show, warm-up included."""
    calendar = ShortDays(MINUTES)
    days = calendar.sessions(FIRST, FIRST + timedelta(days=60))[: history + SESSIONS]
    feed: Any = market.new_feed()
    rows = rows_of(feed._source, days)
    return among({s: good_bars(s, found, days, Timeframe.MINUTE)[0] for s, found in rows.items()})


def terms_of(settings: Settings) -> Terms:
    """Return the daemon's own account: its costs, limits and protections."""
    return Terms(
        cash=settings.broker.starting_cash_usd,
        rules=fill_rules(settings),
        allow_short=settings.risk.allow_short,
        limits=risk_limits(settings, Timeframe.MINUTE.length),
        protections=protection_rules(settings, Timeframe.MINUTE.length),
    )


def lived(folder: Path, market: Market, settings: Settings, installed: Installed) -> list[Told]:
    """Return the fills of a replay through the trading graph."""
    town = Town(market=market, folder=folder, settings=settings, installed=installed)
    run_life(town)
    fills = [fill for commit in town.commits for fill in commit.fills]
    return [(f.symbol, f.filled_at, f.leg, f.qty, f.price, f.commission) for f in fills]


def played(request: Request, executor: Executor) -> list[Told]:
    """Return the fills of a backtest."""
    run, _ = play(prepare(request), request.terms, executor)
    return [(f.symbol, from_ns(f.at), f.leg, f.qty, f.price, f.fee) for f in run.fills]


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("symbols", [("ALFA",), ("ALFA", "BRVO")], ids=len)
def test_the_graph_and_the_simulator_fill_alike(
    name: str, symbols: tuple[str, ...], tmp_path: Path
) -> None:
    world_seed = 11 if len(symbols) > 1 else 3
    market = invented(world_seed, symbols, minutes=MINUTES, sessions=SESSIONS, history=HISTORY)
    settings = Settings().model_copy(update={"risk": RiskSettings(allow_short=True)})
    strategy = strategy_of(PLANS[name])
    request = Request(
        strategy=strategy,
        values={},
        bars=bars_of(market, history=HISTORY),
        timeframe=Timeframe.MINUTE,
        terms=terms_of(settings),
        first=market.starts_at.date(),
    )
    installed = Installed(stamp="probe@1", plan=strategy.plan({}, len(symbols)))
    fills = lived(tmp_path, market, settings, installed)
    assert len(fills) >= 4
    assert played(request, "simulator") == fills


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("cooldown_bars", [0, 15])
def test_the_vwap_bounce_trades_alike_in_replay_simulator_and_kernel(
    data_pack: Path, cooldown_bars: int, tmp_path: Path
) -> None:
    market = recorded(data_pack, "SPY", "pyalgotrade-ninjatrader", "2011-01-10", "2011-01-21")
    risk = RiskSettings(cooldown_bars=cooldown_bars)
    settings = Settings().model_copy(update={"risk": risk})
    strategy = find("vwap_bounce")
    values = strategy.values({"no_entry_before_close_min": 10, "reward": 1.0, "held_bars": 3})
    found = load_run_bars(
        data_pack / "bars" / "minute_equity.parquet",
        ExchangeCalendar(),
        symbols=["SPY"],
        source="pyalgotrade-ninjatrader",
        first=date(2011, 1, 10),
        last=date(2011, 1, 21),
    )
    request = Request(
        strategy=strategy,
        values=values,
        bars=found.bars,
        timeframe=found.timeframe,
        terms=terms_of(settings),
        first=found.first,
    )
    installed = Installed(stamp=strategy.stamp, plan=strategy.plan(values))
    fills = lived(tmp_path, market, settings, installed)
    assert len(fills) >= 10
    assert played(request, "simulator") == fills
    free = replace(request.terms, protections=None)
    if cooldown_bars == 0:  # the kernel knows limits, and no protections
        assert played(replace(request, terms=free), "kernel") == fills
