"""Where a tape is cut, and which fills no market gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from roboinvest.core.orders import Leg
from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.conditions import crosses_above
from roboinvest.core.signals import Signals, signals_of
from roboinvest.core.strategy import Scan
from tests.leak_corpus.kit import A_DAY, Case, on, play, strategy, walk
from tools.backtester.contract import SimFill
from tools.backtester.leaks.detectors.cuts import (
    Stretch,
    stretches,
    whole_cuts,
)
from tools.backtester.leaks.detectors.cuts import (
    walk as rows_in_turn,
)
from tools.backtester.leaks.detectors.fills import fills_in_bars
from tools.backtester.leaks.findings import Finding, Verdict

SEED = 13


def case() -> Case:
    made = strategy("cross", {"slow": sma(20)}, Scan(long=crosses_above("close", "slow")))
    return on(walk(), made)


def signals() -> Signals:
    request = case().request
    return signals_of(request.strategy.plan({}), request.bars["AAA"], request.timeframe)


def pieces(wanted: int = 12, cuts: int = 3, first: int = 0) -> list[Stretch]:
    bars, chance = case().request.bars["AAA"], np.random.default_rng(SEED)
    return list(stretches(bars, signals(), first, 19, wanted, cuts, chance))


def test_pieces_are_cut_at_entries_and_elsewhere() -> None:
    entries = set(np.flatnonzero(signals().entry).tolist())
    cuts = [row for piece in pieces() for row in piece.cuts]
    busy = [piece for piece in pieces() if entries & set(range(piece.asked, piece.asked + A_DAY))]
    assert all(entries & set(piece.cuts) for piece in busy)
    assert set(cuts) - entries


def test_pieces_visit_every_session_where_there_are_few() -> None:
    bars = case().request.bars["AAA"]
    visited = {int(bars.day[piece.cuts[0]]) for piece in pieces()}
    assert visited == set(bars.day.tolist())


def test_pieces_hold_warm_up_before_and_bars_behind_their_cuts() -> None:
    for piece in pieces():
        assert piece.first == 0 or piece.first <= piece.asked - 2 * 19
        assert all(piece.first < row < piece.last - 1 for row in piece.cuts)


def test_nothing_is_cut_before_the_first_row_with_decisions() -> None:
    assert min(row for piece in pieces(first=500) for row in piece.cuts) >= 500
    bars = case().request.bars["AAA"]
    rows = whole_cuts(bars, signals(), 500, 6, np.random.default_rng(SEED))
    assert min(rows) >= 500
    assert max(rows) == len(bars) - 2


def test_rows_in_turn_follow_each_other_around_a_cut() -> None:
    piece = pieces()[3]
    rows = rows_in_turn(piece, 6)
    assert len(rows) == 6
    assert piece.cuts[0] in rows


def judged(change: Mapping[str, Any], which: Leg = Leg.ENTRY) -> Finding:
    request, played = case().request, play(case().request)
    at = next(at for at, fill in enumerate(played.fills) if fill.leg is which)
    fill: SimFill = replace(played.fills[at], **change)
    fills = (*played.fills[:at], fill, *played.fills[at + 1 :])
    return fills_in_bars(request, replace(played, fills=fills))


def first(which: Leg = Leg.ENTRY) -> SimFill:
    return next(fill for fill in play(case().request).fills if fill.leg is which)


def test_the_simulators_fills_are_clean() -> None:
    assert judged({}).verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: {"price": Decimal(1)}, "outside the bar"),
        (lambda _: {"price": Decimal(1000)}, "outside the bar"),
        (lambda fill: {"signal_row": fill.row}, "it was decided at row"),
        (lambda fill: {"at": fill.at - 1}, "outside its bar"),
        (lambda _: {"row": 10**6}, "is not among"),
        (lambda _: {"entry": 10**6, "leg": Leg.EXIT}, "before it was entered"),
    ],
)
def test_a_fill_that_no_market_gives_is_told(
    change: Callable[[SimFill], Mapping[str, Any]], said: str
) -> None:
    found = judged(change(first()))
    assert found.verdict is Verdict.SUSPECTED
    assert said in found.text


def test_an_entry_inside_its_bar_but_not_at_the_open_is_told() -> None:
    bars, fill = case().request.bars["AAA"], first()
    far = max(("low", "high"), key=lambda n: abs(getattr(bars, n)[fill.row] - bars.open[fill.row]))
    found = judged({"price": Decimal(str(getattr(bars, far)[fill.row]))})
    assert "a market order filled at" in found.text
