"""Bad data and a thrown kill switch: nothing new is risked, and time goes on.

A minute without a bar is still a tick. Data that is too old refuses entries and lets exits pass. A
symbol may appear late. A halt stops what its level says, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from roboinvest.core.events import TradingState
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Action, Leg, Side
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.halt import HaltLevel
from roboinvest.trading.state import TickState
from tests.fakes.models import ScriptedModel, view
from tests.fakes.town import Town
from tests.fakes.worlds import FIRST, ShortDays, market_of, rows_of, without
from tools.feeds.file_source import MemorySource
from tools.markets import Market
from tools.simulation.market import SimulatedMarket, SimulatedMarketSettings

CALENDAR = ShortDays(60)
(DAY,) = CALENDAR.sessions(FIRST, FIRST)
SETTINGS = load_settings(None, {}, {"risk.no_entry_last_min": 2, "risk.cooldown_bars": 0})
Script = Callable[[StrategyInputs, SymbolBrief], View]


def minute(number: int) -> datetime:
    return DAY.opens_at + timedelta(minutes=number)


def market(**spoil: Callable[[RawRows], RawRows]) -> Market:
    """Return an hour of two symbols, with the rows of some of them spoilt."""
    names = ("ALFA", "BRVO")
    world = SimulatedMarket(SimulatedMarketSettings(seed=4, symbols=names, first=FIRST), CALENDAR)
    rows = rows_of(world, [DAY])
    for symbol, spoiling in spoil.items():
        rows[symbol] = spoiling(rows[symbol])
    return market_of(MemorySource(rows, Timeframe.MINUTE), CALENDAR, (DAY, DAY))


def always(action: Action) -> Script:
    def script(_inputs: StrategyInputs, brief: SymbolBrief) -> View:
        close = brief.observation.close
        if action is Action.BUY and not brief.position_qty and close:
            return view(brief.observation.symbol, action, stop=close * 0.95, target=close * 1.05)
        wanted = Action.HOLD if action is Action.BUY else action
        return view(brief.observation.symbol, wanted)

    return script


def buys_then_sells(at: datetime, until: datetime) -> Script:
    """Return a script that wants to be in from one instant on and out from another on."""

    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        action = Action.BUY if at <= inputs.at < until else Action.SELL
        return always(action)(inputs, brief)

    return script


async def lived(folder: Path, of: Market, script: Script) -> list[TickState]:
    town = Town(market=of, folder=folder, model=ScriptedModel(script), settings=SETTINGS)
    await town.live()
    assert [state["tick"].at for state in town.states] == [minute(n) for n in range(1, 61)]
    return town.states


def sent(states: list[TickState], symbol: str, leg: Leg) -> list[datetime]:
    return [
        state["tick"].at
        for state in states
        for intent in state["execution"].intents
        if (intent.symbol, intent.leg) == (symbol, leg)
    ]


async def test_stale_data_refuses_entries_and_the_tick_goes_on(tmp_path: Path) -> None:
    hole = (minute(10), minute(40))
    of = market(ALFA=lambda rows: without(rows, *hole))
    wants = buys_then_sells(minute(12), minute(60))
    states = await lived(tmp_path, of, wants)
    first = sent(states, "ALFA", Leg.ENTRY)[0]
    assert first == minute(12), "two minutes old is young enough"
    stale = [s for s in states if minute(14) <= s["tick"].at <= minute(40)]
    ages = [s["world"].bar_age["ALFA"] for s in stale]
    assert ages == [timedelta(minutes=n) for n in range(4, 31)]
    assert {s["world"].marks["ALFA"] for s in stale} == {stale[0]["world"].marks["ALFA"]}
    assert not any(f.symbol == "ALFA" for s in stale for f in s["tick"].settlement.fills), (
        "no bar, no fill"
    )


async def test_an_entry_wanted_on_stale_data_is_refused_with_the_reason(tmp_path: Path) -> None:
    of = market(ALFA=lambda rows: without(rows, minute(10), minute(40)))
    states = await lived(tmp_path, of, buys_then_sells(minute(20), minute(60)))
    refused = [s for s in states if any("old" in text for text in s["execution"].rejected)]
    assert [s["tick"].at for s in refused] == [minute(n) for n in range(20, 41)]
    assert all(c.rule == "stale_data" for s in refused for c in s["execution"].clamps)
    assert sent(states, "ALFA", Leg.ENTRY) == [minute(41)]
    assert sent(states, "BRVO", Leg.ENTRY) == [minute(20)], "the other symbol is not concerned"


async def test_an_exit_passes_on_stale_data(tmp_path: Path) -> None:
    of = market(ALFA=lambda rows: without(rows, minute(10), minute(40)))
    states = await lived(tmp_path, of, buys_then_sells(minute(3), minute(20)))
    assert sent(states, "ALFA", Leg.EXIT) == [minute(20)]
    fills = [
        (state["tick"].at, fill.side if hasattr(fill, "side") else fill.qty < 0)
        for state in states
        for fill in state["tick"].settlement.fills
        if fill.symbol == "ALFA" and fill.leg is Leg.EXIT
    ]
    assert [at for at, _ in fills] == [minute(41)], "it fills when the symbol trades again"


async def test_a_symbol_that_appears_late_is_traded_from_then_on(tmp_path: Path) -> None:
    of = market(BRVO=lambda rows: without(rows, minute(0), minute(25)))
    states = await lived(tmp_path, of, always(Action.BUY))
    before = [s for s in states if s["tick"].at <= minute(25)]
    assert all("BRVO" not in s["world"].marks for s in before)
    assert all(s["world"].bar_age["BRVO"] is None for s in before)
    assert all(set(s["world"].observations) == {"ALFA", "BRVO"} for s in states)
    assert sent(states, "BRVO", Leg.ENTRY) == [minute(26)]
    assert sent(states, "ALFA", Leg.ENTRY) == [minute(1)]


@pytest.mark.parametrize("level", list(HaltLevel))
async def test_a_halt_does_what_its_level_says_and_no_more(
    tmp_path: Path, level: HaltLevel
) -> None:
    of = market()
    town = Town(
        market=of, folder=tmp_path, model=ScriptedModel(always(Action.BUY)), settings=SETTINGS
    )

    class Person:
        def saw(self, state: TickState, _commit: object) -> None:
            if state["tick"].at == minute(20):
                town.halt_file.set(level, reason="enough", by="anna", at=minute(20))
            if state["tick"].at == minute(40):
                town.halt_file.clear()

    town.watcher = Person()
    await town.live()
    halted = [s for s in town.states if s["tick"].trading_state is TradingState.HALTED]
    assert [s["tick"].at for s in halted] == [minute(n) for n in range(21, 41)]
    flattened = sent(halted, "ALFA", Leg.FLATTEN) + sent(halted, "BRVO", Leg.FLATTEN)
    assert flattened == ([minute(21)] * 2 if level is HaltLevel.FLATTEN else [])
    sides = [i.side for s in halted for i in s["execution"].intents]
    assert sides == [Side.SELL] * len(flattened), "a halt never buys"
    held = town.states[39]["execution"].account
    assert (held.cash == held.equity) == (level is HaltLevel.FLATTEN)
    entered = sent(town.states[40:], "ALFA", Leg.ENTRY)
    assert entered == ([minute(41)] if level is HaltLevel.FLATTEN else [])


async def test_an_entry_that_works_when_the_halt_comes_is_cancelled_by_its_level(
    tmp_path: Path,
) -> None:
    states: dict[HaltLevel, list[str]] = {}
    for level in (HaltLevel.NEW, HaltLevel.CANCEL):
        of = market(ALFA=lambda rows: without(rows, minute(5), minute(8)))
        script = buys_then_sells(minute(5), minute(6))
        town = Town(
            market=of,
            folder=tmp_path / level,
            model=ScriptedModel(script),
            settings=SETTINGS,
        )
        town.watcher = Halting(town, minute(6), level)
        await town.live()
        states[level] = [
            order.state.value
            for commit in town.commits
            for order in commit.orders
            if order.symbol == "ALFA" and order.leg is Leg.ENTRY
        ]
    assert states[HaltLevel.NEW] == ["accepted", "filled"]
    assert states[HaltLevel.CANCEL] == ["accepted", "cancelled"]


class Halting:
    """A person who halts after a tick."""

    def __init__(self, town: Town, at: datetime, level: HaltLevel) -> None:
        self._town = town
        self._at = at
        self._level = level

    def saw(self, state: TickState, _commit: object) -> None:
        if state["tick"].at == self._at:
            self._town.halt_file.set(self._level, reason="enough", by="anna", at=self._at)


async def test_garbage_rows_are_set_aside_and_change_nothing_around_them(tmp_path: Path) -> None:
    clean = await lived(tmp_path / "clean", market(), always(Action.BUY))

    def spoil(rows: RawRows) -> RawRows:
        values = rows.values.copy()
        values[:, 50] = float("nan")
        values[0:4, 52] *= 10.0
        return replace(rows, values=values)

    states = await lived(tmp_path / "spoilt", market(ALFA=spoil), always(Action.BUY))
    assert [s["strategy"].decisions for s in states[:50]] == [
        s["strategy"].decisions for s in clean[:50]
    ]
    shown = [bar.ts for s in states for bar in s["tick"].update.bars if bar.symbol == "ALFA"]
    assert minute(50) not in shown
    assert minute(52) not in shown
    assert states[52]["world"].marks["ALFA"] == clean[51]["world"].marks["ALFA"]
