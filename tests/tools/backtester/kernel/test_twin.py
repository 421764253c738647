"""The kernel and the simulator play the same run to the same unit (T2).

A case is made of one seed, which a failure names. `make test` plays 2,000, `make soak` 20,000.
"""

from __future__ import annotations

from collections.abc import Callable

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
    played = _each(kind, SHARES[kind], _agree)
    print(f"seed {SEED}: {played} cases of {kind.name}, 0 differences")


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_both_executors_come_to_the_same_unit_in_many_more_cases(kind: Kind) -> None:
    played = _each(kind, 10 * SHARES[kind], _agree, salt=1)
    print(f"seed {SEED + 1}: {played} cases of {kind.name}, 0 differences")


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


def _each(kind: Kind, count: int, check: Callable[[Case], None], *, salt: int = 0) -> int:
    played = 0

    @seed(SEED + salt)
    @settings(deadline=None, max_examples=count, database=None)
    @given(SEEDS)
    def each(number: int) -> None:
        nonlocal played
        played += 1
        check(case(kind, number))

    each()
    return played


def _agree(one: Case) -> None:
    assert kernel.refusal(one.stage, one.terms) is None
    ours, theirs = kernel.play(one.stage, one.terms), simulator.play(one.stage, one.terms)
    for mine, other in zip(ours.fills, theirs.fills, strict=False):
        assert mine == other
    assert ours.fills == theirs.fills
    assert ours.at_end == theirs.at_end
    for name in ("instants", "equity", "gross"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
    for name in (
        "signals",
        "ambiguous",
        "resolved",
        "unaffordable",
        "expired",
        "refused",
        "clamped",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name
    _numbers_agree(one, theirs)


def _numbers_agree(one: Case, played: Played) -> None:
    """The numbers of a sweep are those of the run."""
    fast = kernel.equity_only(one.stage, one.terms)
    closed = [trip for trip in round_trips(played, one.stage) if not trip.is_open]
    cash = to_units(one.terms.cash)
    assert fast.final_equity == (played.equity[-1] if len(played.equity) else cash)
    assert fast.fills == len(played.fills)
    assert fast.fees == sum(to_units(fill.fee) for fill in played.fills)
    assert fast.signals == played.signals
    assert fast.trades == len(closed)
    assert fast.wins == sum(trip.pnl > 0 for trip in closed)
    equity = np.append(cash, played.equity)
    depth = np.max(1 - equity / np.maximum.accumulate(equity))
    assert fast.max_drawdown == pytest.approx(depth, abs=1e-12)
    assert fast.exposure == pytest.approx(np.sum(played.gross > 0) / max(len(played.gross), 1))
