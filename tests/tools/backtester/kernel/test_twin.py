"""The kernel and the simulator play the same run to the same unit (T2).

A case is made of one seed, which a failure names. `make test` plays 2,000, `make soak` 20,000.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from roboinvest.core.market.grid import to_units
from tests.tools.backtester.kernel.cases import Case, Kind, case
from tools.backtester.contract import Played
from tools.backtester.kernel import kernel
from tools.backtester.simulator import simulator
from tools.backtester.trades import round_trips

pytestmark = pytest.mark.timeout(300)  # the first to play compiles the kernel

LONE = Kind("one symbol")
LIMITED = Kind("one symbol with limits", limited=True)
CROWD = Kind("symbols that share cash", symbols=4)
LIMITED_CROWD = Kind("symbols that share cash with limits", symbols=4, limited=True)
DAILY = Kind("day bars", symbols=4, daily=True)
LIMITED_DAILY = Kind("day bars with limits", symbols=4, daily=True, limited=True)
KINDS = (LONE, LIMITED, CROWD, LIMITED_CROWD, DAILY, LIMITED_DAILY)
SHARES = {LONE: 500, LIMITED: 400, CROWD: 400, LIMITED_CROWD: 300, DAILY: 200, LIMITED_DAILY: 200}
COUNTS = ("signals", "ambiguous", "resolved", "unaffordable", "expired", "refused", "clamped")
SEED = 20261121
SEEDS = st.integers(0, 2**32 - 1)


def test_the_quick_cases_are_two_thousand() -> None:
    assert sum(SHARES.values()) == 2_000


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_both_executors_come_to_the_same_unit(kind: Kind) -> None:
    played, differences = _each(kind, SHARES[kind], SEED)
    assert differences == []
    assert played >= SHARES[kind]


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_both_executors_come_to_the_same_unit_in_many_more_cases(kind: Kind) -> None:
    played, differences = _each(kind, 10 * SHARES[kind], SEED + 1)
    assert differences == []
    assert played >= 10 * SHARES[kind]


def test_cases_hold_what_they_are_made_for() -> None:
    """A comparison of runs in which nothing happens would prove nothing."""
    seen = dict.fromkeys(
        ("fills", "ambiguous", "unaffordable", "expired", "refused", "clamped", "at_end"), 0
    )
    causes, legs = set[str](), set[str]()
    for number in range(300):
        one = case(KINDS[number % len(KINDS)], number)
        played = simulator.play(one.stage, one.terms)
        for name in seen:
            value = getattr(played, name)
            seen[name] += value if isinstance(value, int) else len(value)
        causes |= {fill.cause.value for fill in played.fills}
        legs |= {fill.leg.value for fill in played.fills}
    print(seen)
    assert min(seen.values()) >= 20
    assert causes == {"scan", "stop", "target", "trail", "signal", "time", "close"}
    assert legs == {"entry", "exit", "stop", "target"}


def _each(kind: Kind, count: int, chance: int) -> tuple[int, list[str]]:
    """Return how many cases were played, and what differed in which."""
    played, differences = 0, list[str]()

    @seed(chance)
    @settings(deadline=None, max_examples=count, database=None)
    @given(SEEDS)
    def each(number: int) -> None:
        nonlocal played
        played += 1
        found = _differences(case(kind, number))
        differences.extend(f"case {number} of {kind.name}: {what}" for what in found)

    each()
    print(f"seed {chance}: {played} cases of {kind.name}, {len(differences)} differences")
    return played, differences


def _differences(one: Case) -> list[str]:
    """Return what the two executors come to differently."""
    refused = kernel.refusal(one.stage, one.terms)
    if refused is not None:
        return [f"refused: {refused}"]
    ours, theirs = kernel.play(one.stage, one.terms), simulator.play(one.stage, one.terms)
    pairs = zip(ours.fills, theirs.fills, strict=False)
    found = [f"{mine} is not {other}" for mine, other in pairs if mine != other][:1]
    found += [
        f"{name}: {getattr(ours, name)} is not {getattr(theirs, name)}"
        for name in ("fills", "at_end", *COUNTS)
        if getattr(ours, name) != getattr(theirs, name)
    ]
    found += [
        name
        for name in ("instants", "equity", "gross")
        if not np.array_equal(getattr(ours, name), getattr(theirs, name))
    ]
    return found + _other_numbers(one, theirs)


def _other_numbers(one: Case, played: Played) -> list[str]:
    """Return in which numbers a sweep differs from the run."""
    fast = kernel.equity_only(one.stage, one.terms)
    closed = [trip for trip in round_trips(played, one.stage) if not trip.is_open]
    cash = to_units(one.terms.cash)
    equity = np.append(cash, played.equity)
    depth = np.max(1 - equity / np.maximum.accumulate(equity))
    exposure = np.sum(played.gross > 0) / max(len(played.gross), 1)
    numbers = {
        "final_equity": played.equity[-1] if len(played.equity) else cash,
        "fills": len(played.fills),
        "fees": sum(to_units(fill.fee) for fill in played.fills),
        "signals": played.signals,
        "trades": len(closed),
        "wins": sum(trip.pnl > 0 for trip in closed),
        "max_drawdown": pytest.approx(depth, abs=1e-12),
        "exposure": pytest.approx(exposure),
    }
    return [
        f"{name} of a sweep: {getattr(fast, name)} is not {number}"
        for name, number in numbers.items()
        if getattr(fast, name) != number
    ]
