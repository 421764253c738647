"""What was seen is remembered; what came of it is measured, traded or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from roboinvest.core.ledger import Trade
from roboinvest.core.orders import Action, Leg
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.core.quant.memories import Memory, OutcomeKind
from roboinvest.trading.playbook import Playbook, shadow_exit
from tests.fakes.house import FRICTIONLESS, InMemoryHouse, flat_bars, house
from tests.fakes.markets import bar, minute
from tests.fakes.models import ScriptedModel, hold, view

MEMORY = Memory(
    memory_id="t/house/SPY",
    agent_id="house",
    revision_id="built-in",
    symbol="SPY",
    seen_at=minute(2),
    action=Action.BUY,
    vector=(0.0,) * 16,
    conviction=0.4,
    entry=Decimal(100),
    stop=Decimal(98),
    target=Decimal(104),
    expires_at=minute(62),
    text="SPY at 100.",
)


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([100.0, 101.0, 99.0, 100.0], None),
        ([100.0, 104.1, 99.0, 103.0], (Decimal("104.0"), "target")),
        ([100.0, 104.0, 99.0, 103.0], None),  # a limit must be traded through
        ([100.0, 101.0, 98.0, 99.0], (Decimal("98.0"), "stop")),
        ([100.0, 105.0, 97.0, 100.0], (Decimal("98.0"), "stop")),  # both touched: the worse one
        ([97.0, 97.5, 96.0, 97.0], (Decimal("97.0"), "stop")),  # gap below
        ([105.0, 106.0, 104.5, 105.0], (Decimal("105.0"), "target")),  # gap above
    ],
)
def test_an_untraded_setup_ends_where_its_bracket_would_have(
    prices: list[float], expected: tuple[Decimal, str] | None
) -> None:
    assert shadow_exit(MEMORY, bar(minute(3), prices), FRICTIONLESS) == expected


def test_an_untraded_setup_is_closed_at_its_horizon() -> None:
    last = bar(minute(61), [100.0, 101.5, 99.0, 101.0])
    assert shadow_exit(MEMORY, last, FRICTIONLESS) == (Decimal("101.0"), "horizon")


def test_bars_before_a_setup_was_seen_do_not_judge_it() -> None:
    playbook = Playbook((), (MEMORY,), (), rules=FRICTIONLESS)
    early = bar(minute(1), [100.0, 100.0, 90.0, 100.0])
    assert playbook.learn(trades=(), orders=(), bars=(early,)) == ()
    (done,) = playbook.learn(trades=(), orders=(), bars=(replace(early, ts=minute(2)),))
    assert done.outcome is not None
    assert (done.outcome.r_multiple, done.outcome.kind) == (-1.0, OutcomeKind.SHADOW)


def test_a_resolved_setup_is_found_again_and_moves_the_calibration() -> None:
    playbook = Playbook((), (MEMORY,), (), rules=FRICTIONLESS)
    assert playbook.similar("house", MEMORY.vector) == ()
    won = bar(minute(5), [100.0, 104.5, 100.0, 104.0])
    playbook.learn(trades=(), orders=(), bars=(won,))
    (near,) = playbook.similar("house", MEMORY.vector)
    assert (near.memory_id, near.distance, near.r_multiple) == (MEMORY.memory_id, 0.0, 2.0)
    (cell,) = playbook.cells("house")
    assert (cell.wins, cell.losses) == (1, 0)
    assert playbook.similar("guest", MEMORY.vector) == ()
    memories, cells = playbook.take_changes()
    assert [m.outcome is not None for m in memories] == [True]
    assert cells == (cell,)
    assert playbook.take_changes() == ((), ())


def closing(execution: str, pnl: str) -> Trade:
    return Trade(
        trade_id=f"{execution}:{execution}",
        agent_id="house",
        revision_id="built-in",
        symbol="SPY",
        qty=Decimal(10),
        entry_price=Decimal(100),
        exit_price=Decimal(100),
        commission=Decimal(0),
        pnl=Decimal(pnl),
        r_multiple=None,
        opened_at=minute(3),
        closed_at=minute(4),
        exit_leg=Leg.STOP,
        entry_order_id="one",
        exit_order_id="one-s",
        closes_entry=True,
    )


def test_an_entry_that_filled_in_parts_and_was_closed_in_parts_is_one_lesson() -> None:
    playbook = Playbook((), (replace(MEMORY, order_id="one"),), (), rules=FRICTIONLESS)
    trades = (closing("x1", "-20"), closing("x2", "-40"))  # each part was gone before the next came
    (done,) = playbook.learn(trades=trades, orders=(), bars=())
    assert done.outcome is not None
    assert done.outcome.r_multiple == -1.5
    assert playbook.learn(trades=(closing("x3", "7"),), orders=(), bars=()) == ()


def buys_once(number: int) -> ScriptedModel:
    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        if inputs.at == minute(number):
            return view(brief.observation.symbol, Action.BUY, stop=98.0, target=104.0)
        return hold(brief.observation.symbol)

    return ScriptedModel(script)


def resolved(one: InMemoryHouse) -> list[Memory]:
    return [memory for state in one.states for memory in state["lessons"].resolved]


async def test_a_traded_setup_is_judged_by_its_trade(tmp_path: Path) -> None:
    bars = [*flat_bars(66), bar(minute(66), [100.0, 104.5, 100.0, 103.0]), *flat_bars(70)[67:]]
    one = house(tmp_path, bars, buys_once(62))
    await one.ticks(1, 69)
    (memory,) = resolved(one)
    assert memory.outcome is not None
    assert memory.outcome.kind is OutcomeKind.TRADE
    assert (memory.outcome.how, memory.outcome.r_multiple) == ("target", 2.0)
    (trade,) = [trade for commit in one.commits for trade in commit.trades]
    assert trade.exit_leg is Leg.TARGET


async def test_a_setup_that_risk_refused_still_gets_an_outcome(tmp_path: Path) -> None:
    (tmp_path / "HALT").touch()
    bars = [*flat_bars(66), bar(minute(66), [100.0, 100.0, 97.0, 97.5]), *flat_bars(70)[67:]]
    one = house(tmp_path, bars, buys_once(62))
    await one.ticks(1, 69)
    (memory,) = resolved(one)
    assert memory.outcome is not None
    assert (memory.outcome.kind, memory.outcome.r_multiple) == (OutcomeKind.SHADOW, -1.0)


async def test_a_setup_whose_entry_never_filled_is_judged_by_the_bars(tmp_path: Path) -> None:
    # No bar comes before the close, so the day order dies; the horizon ends with the session.
    one = house(tmp_path, flat_bars(300), buys_once(300))
    await one.ticks(1, 390)
    (memory,) = one.commits[-1].memories or one.playbook.take_changes()[0]
    assert memory.order_id is None


async def test_a_second_setup_in_one_symbol_waits_for_the_first(tmp_path: Path) -> None:
    def always(_: StrategyInputs, brief: SymbolBrief) -> View:
        return view(brief.observation.symbol, Action.BUY, stop=98.0, target=104.0)

    (tmp_path / "HALT").touch()
    one = house(tmp_path, flat_bars(130), ScriptedModel(always))
    await one.ticks(1, 129)
    seen = [m.seen_at for state in one.states for m in state["lessons"].remembered]
    assert seen[0] == minute(1)
    assert seen[1] - seen[0] == timedelta(minutes=60)


async def test_a_trade_is_remembered_even_where_an_untraded_setup_stands(tmp_path: Path) -> None:
    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        wanted = view(brief.observation.symbol, Action.BUY, stop=98.0, target=104.0)
        if inputs.at == minute(62):
            return replace(wanted, action=Action.HOLD)  # a candidate that is not bought
        return wanted if inputs.at == minute(64) else hold(brief.observation.symbol)

    one = house(tmp_path, flat_bars(80), ScriptedModel(script))
    await one.ticks(1, 70)
    seen = [m for state in one.states for m in state["lessons"].remembered]
    assert [(m.seen_at, m.order_id is not None) for m in seen] == [
        (minute(62), False),
        (minute(64), True),
    ]
