"""A strategy trades in the box as out of it, fill by fill and bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from roboinvest.core.signals import signals_of
from roboinvest.core.strategy import Strategy
from tests.fakes.boxed_files import ARITHMETIC, FILES, PAIR, boxes_of, twins
from tests.fakes.strategy_files import PULLBACK
from tests.fakes.tapes import minute_tape, weekdays
from tools.backtester.contract import BacktestResult, Request, Terms
from tools.backtester.engine import play_request, run_backtest
from tools.backtester.leaks.check import Beside, leak_check
from tools.backtester.leaks.effort import QUICK
from tools.boxed_strategies.boxes import Boxes
from tools.sandbox.tier import Tier

DAYS = 4
LITTLE = replace(QUICK, whole=2, stretches=4, played=1, walked=2, stretches_called=2)


@pytest.fixture(scope="module", params=[Tier.B, Tier.A])
def boxes(request: pytest.FixtureRequest) -> Iterator[Boxes]:
    with boxes_of(request.param) as made:
        yield made


def market(seed: int, *, missing: float = 0.0) -> Mapping[str, SessionBars]:
    return {
        symbol: minute_tape(
            seed + at, days=DAYS, symbol=symbol, minutes=180, deviation=0.001, missing=missing
        )
        for at, symbol in enumerate(("AAA", "BBB"))
    }


def ran(strategy: Strategy, bars: Mapping[str, SessionBars], **more: Any) -> BacktestResult:
    request = Request(
        strategy=strategy,
        values=strategy.values({}),
        bars=bars,
        timeframe=Timeframe.MINUTE,
        terms=Terms(allow_short=True),
        **more,
    )
    return run_backtest(request, executor="simulator")


def assert_alike(boxed: BacktestResult, plain: BacktestResult) -> None:
    assert boxed.played.fills == plain.played.fills
    assert boxed.round_trips == plain.round_trips
    assert np.array_equal(boxed.daily_equity, plain.daily_equity)
    assert boxed.digest == plain.digest
    for symbol, part in boxed.stage.parts.items():
        theirs = plain.stage.parts[symbol].signals
        for name in ("entry", "leave", "late", "stop", "target", "trail", "mark"):
            assert np.array_equal(getattr(part.signals, name), getattr(theirs, name)), name


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("missing", [0.0, 0.15], ids=["whole", "with gaps"])
def test_a_file_trades_alike_in_and_out_of_the_box(
    boxes: Boxes, what: str, missing: float, tmp_path: Path
) -> None:
    boxed, plain = twins(tmp_path, FILES[what], boxes)
    assert replace(plain, build=boxed.build) == boxed
    assert boxed.fingerprint == plain.fingerprint
    bars = market(7, missing=missing)
    ours, theirs = ran(boxed, bars), ran(plain, bars)
    assert len(theirs.played.fills) >= 8
    assert_alike(ours, theirs)


@pytest.mark.parametrize("source", [PULLBACK, ARITHMETIC, PAIR], ids=["levels", "own", "pair"])
def test_splits_put_the_past_on_the_scale_of_the_day_in_the_box_too(
    boxes: Boxes, source: str, tmp_path: Path
) -> None:
    actions = [
        split("AAA", weekdays(DAYS)[1], "2"),
        split("BBB", weekdays(DAYS)[2], "0.5"),
    ]
    bars = market(19, missing=0.05)
    boxed, plain = twins(tmp_path, source, boxes)
    ours, theirs = (ran(each, bars, actions=actions) for each in (boxed, plain))
    assert len(theirs.played.fills) >= 8
    assert_alike(ours, theirs)
    without = ran(plain, bars)
    assert without.played.fills != theirs.played.fills


def test_the_newest_row_alone_says_what_a_whole_run_says(boxes: Boxes, tmp_path: Path) -> None:
    boxed, _ = twins(tmp_path, PAIR, boxes)
    bars = among(market(3, missing=0.1))["AAA"]
    plan = boxed.plan(boxed.values({}))
    whole = signals_of(plan, bars, Timeframe.MINUTE)
    rows = [*np.flatnonzero(whole.entry)[:5], 40, 41, len(bars) - 1]
    for row in rows:
        newest = signals_of(plan, bars.until(int(row)), Timeframe.MINUTE, from_row=int(row))
        for name in ("entry", "stop", "target"):
            assert getattr(newest, name)[-1] == getattr(whole, name)[row], (name, row)


def test_other_values_make_another_plan_alike_in_both(boxes: Boxes, tmp_path: Path) -> None:
    boxed, plain = twins(tmp_path, PULLBACK, boxes)
    given = {"trend": 20, "falls": 2, "stop_atr": np.float64(1.25)}
    ours, theirs = (each.plan(each.values(given)) for each in (boxed, plain))
    assert ours.columns.keys() == theirs.columns.keys()
    assert ours.warm_up == theirs.warm_up
    bars = market(5)["AAA"]
    for name in ("entry", "stop", "target"):
        found = [getattr(signals_of(each, bars, Timeframe.MINUTE), name) for each in (ours, theirs)]
        assert np.array_equal(*found)
        assert found[0].any()


def test_leak_detectors_judge_a_boxed_strategy_as_its_twin(boxes: Boxes, tmp_path: Path) -> None:
    boxed, plain = twins(tmp_path, PULLBACK, boxes)
    bars = {"AAA": market(5)["AAA"]}
    reports = [
        leak_check(
            Request(
                strategy=strategy,
                values=strategy.values({}),
                bars=bars,
                timeframe=Timeframe.MINUTE,
            ),
            play=play_request,
            rng=np.random.default_rng(4),
            effort=LITTLE,
            beside=Beside(source=PULLBACK),
        )
        for strategy in (boxed, plain)
    ]
    ours, theirs = ({each.detector: each for each in report.findings} for report in reports)
    assert theirs
    assert {name: each.verdict for name, each in ours.items()} == {
        name: each.verdict for name, each in theirs.items()
    }, ours


def split(symbol: str, day: date, ratio: str) -> CorporateAction:
    return CorporateAction(symbol=symbol, ex_date=day, kind=ActionKind.SPLIT, ratio=Decimal(ratio))
