"""A strategy is played in the box on the house's bars, and its figures are computed outside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from meta_agents.evolution.market_gates import BacktestGate, GateData, WalkForwardGate, grid_around
from meta_agents.evolution.review import Judged, StrategyBox
from meta_agents.evolution.standards import Standards
from meta_agents.evolution.suites.forms import Given
from meta_agents.evolution.suites.scenes import bars_of
from roboinvest.core.errors import TryLater
from roboinvest.core.market.values import Timeframe
from roboinvest.core.revisions.gates import Gate, Verdict
from roboinvest.core.strategy import Strategy, Values
from tests.fakes.clocks import ManualClock
from tests.fakes.evolution import CROSSING, a_strategy, a_transform, review_of
from tools.backtester.contract import Terms
from tools.backtester.run_book.book import RunBook
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.strategy import boxed_strategy

SEED: Final = 11
DAYS: Final = 600
# After two falls in a row the market made here rises, as often as not by more than costs.
REBOUND: Final = '''"""Buys after two closes that fell, and sells after some bars."""

from roboinvest.core.strategy import Execution, Percent

NAME = "rebound"
VERSION = "1"
IDEA = "What fell twice rises once."
SOURCE = "an example"
TIMEFRAME = "any"
PARAMS = {"bars": (2, 1, 8)}


def scan(now, p):
    return now("close") < now("close", 1) < now("close", 2)


def execution(p):
    return Execution(stop=Percent(0.1), max_bars=p["bars"])
'''
COIN: Final = REBOUND.replace(
    'return now("close") < now("close", 1) < now("close", 2)',
    'return int(now("close") * 100) % 3 == 0',
)
RARE: Final = REBOUND.replace("return now(", "return now('session') % 97 == 0 and now(")
BUSY: Final = f"{REBOUND}\nMETRICS = {{'pnl': 1e9, 'trades': 400, 'p': 0.0}}\n"


def market() -> GateData:
    """Return day bars in which two falls are followed by rises; the seed is printed."""
    print(f"market with seed {SEED}")
    rng, close, steps = np.random.default_rng(SEED), [100.0], [0.0, 0.0]
    for _ in range(DAYS - 1):
        pull = 0.012 if steps[-1] < 0 and steps[-2] < 0 else -0.0015
        steps.append(float(rng.normal(pull, 0.01)))
        close.append(round(close[-1] * float(np.exp(steps[-1])), 2))
    rows = []
    for before, now in zip([100.0, *close[:-1]], close, strict=True):
        rows.append((before, max(before, now) + 0.05, min(before, now) - 0.05, now, 1e7))
    bars = bars_of(Given(rows=tuple(rows)), "AAA")
    return GateData(bars={"AAA": bars}, timeframe=Timeframe.DAY, terms=Terms(), source="made")


@pytest.fixture(scope="module")
def data() -> GateData:
    return market()


Open = Callable[[], AbstractContextManager[RunBook]]


@pytest.fixture
def book(tmp_path: Path) -> Open:
    return lambda: RunBook.open(tmp_path, ManualClock())


def in_boxes(boxes: Boxes) -> StrategyBox:
    return lambda source, name: boxed_strategy(source, name, boxes)


def backtest(data: GateData, book: Open, box: StrategyBox, code: str) -> Judged:
    return BacktestGate(Standards(), box, data, book).judge(review_of(a_strategy(code)))


def walk(data: GateData, book: Open, box: StrategyBox, code: str) -> Judged:
    gate = WalkForwardGate(Standards(), box, data, book, ManualClock())
    return gate.judge(review_of(a_strategy(code)))


def words(judged: Judged) -> str:
    return " | ".join(finding.text for finding in judged.findings)


@pytest.mark.parametrize("judge", [backtest, walk])
def test_a_strategy_with_an_edge_passes_and_comes_to_the_same_again(
    data: GateData, book: Open, boxes: Boxes, judge: Callable[..., Judged]
) -> None:
    judged = judge(data, book, in_boxes(boxes), REBOUND)
    assert judged.verdict is Verdict.PASSED, words(judged)
    assert judged.trace is not None
    assert judged.trace.exit_code == 0
    assert judge(data, book, in_boxes(boxes), REBOUND).trace == judged.trace


def test_entries_that_are_no_better_than_chance_fail(
    data: GateData, book: Open, boxes: Boxes
) -> None:
    judged = backtest(data, book, in_boxes(boxes), COIN)
    assert judged.verdict is Verdict.FAILED
    assert "random ones" in words(judged)
    assert judged.trace is not None
    assert judged.trace.exit_code == 1


def test_a_loss_out_of_sample_fails(data: GateData, book: Open, boxes: Boxes) -> None:
    against = REBOUND.replace(
        'now("close") < now("close", 1) <', 'now("close") > now("close", 1) >'
    )
    judged = walk(data, book, in_boxes(boxes), against)
    assert judged.verdict is Verdict.FAILED
    assert "expectancy out of sample" in words(judged)


def test_too_few_trades_fail(data: GateData, book: Open, boxes: Boxes) -> None:
    judged = backtest(data, book, in_boxes(boxes), RARE)
    assert judged.verdict is Verdict.FAILED
    assert "30 are needed" in words(judged)


def test_a_null_strategy_fails_both(data: GateData, book: Open, boxes: Boxes) -> None:
    null = REBOUND.replace("return now(", "return False and now(")
    assert "cannot be told from" in words(backtest(data, book, in_boxes(boxes), null))
    judged = walk(data, book, in_boxes(boxes), null)
    assert "nothing was traded out of sample" in words(judged)
    assert judged.verdict is Verdict.FAILED


def test_hard_case_10_a_call_that_looks_for_later_bars_finds_none(
    data: GateData, book: Open, boxes: Boxes
) -> None:
    ahead = REBOUND.replace(
        'return now("close") < now("close", 1) < now("close", 2)',
        'return now.bars.close[-1] > now("close")',
    )
    judged = backtest(data, book, in_boxes(boxes), ahead)
    assert judged.verdict is Verdict.FAILED
    assert "has no attribute 'bars'" in words(judged)
    shifted = REBOUND.replace('now("close") < now("close", 1)', 'now("close", -1) > now("close")')
    judged = backtest(data, book, in_boxes(boxes), shifted)
    assert judged.verdict is Verdict.FAILED
    assert "asks for a bar that has not closed" in words(judged)


def test_hard_case_11_every_run_is_a_trial_whatever_the_family_is_called(
    data: GateData, book: Open, boxes: Boxes
) -> None:
    renamed = REBOUND.replace('NAME = "rebound"', 'NAME = "brand_new"')
    backtest(data, book, in_boxes(boxes), REBOUND)
    walk(data, book, in_boxes(boxes), REBOUND)
    judged = backtest(data, book, in_boxes(boxes), renamed)
    with book() as opened:
        run = opened.runs(limit=1)[0]
        assert run.note.strategy == "brand_new"
        trials = opened.trials(run.lineage)
    assert trials > 12  # the walk-forward's as well
    assert f"trial {trials} of its lineage" in words(judged)


def test_hard_case_53_what_a_strategy_claims_to_have_earned_changes_nothing(
    data: GateData, book: Open, boxes: Boxes
) -> None:
    plain = backtest(data, book, in_boxes(boxes), REBOUND)
    busy = backtest(data, book, in_boxes(boxes), BUSY)
    assert words(busy).partition("trial")[0] == words(plain).partition("trial")[0]


@pytest.mark.parametrize(("judge", "good"), [(backtest, 1), (walk, 1), (walk, 5), (walk, 14)])
def test_hard_case_37_a_box_that_ends_on_the_way_judges_nobody(
    data: GateData, book: Open, boxes: Boxes, judge: Callable[..., Judged], good: int
) -> None:
    def failing(source: str, name: str) -> Strategy:
        whole, asked = boxed_strategy(source, name, boxes), 0

        def build(values: Values) -> object:
            nonlocal asked
            asked += 1
            if asked > good:
                raise TryLater("the box did not get through its plan")
            return whole.build(values)

        from dataclasses import replace

        return replace(whole, build=build)  # type: ignore[arg-type]

    judged = judge(data, book, failing, REBOUND)
    assert judged.verdict is Verdict.UNABLE
    assert "did not get through" in words(judged)


def test_a_transform_cannot_be_played(data: GateData, book: Open, boxes: Boxes) -> None:
    gate = BacktestGate(Standards(), in_boxes(boxes), data, book)
    assert gate.judge(review_of(a_transform())).verdict is Verdict.UNABLE


def test_other_bars_or_other_costs_are_another_standard(
    data: GateData, book: Open, boxes: Boxes
) -> None:
    from dataclasses import replace

    from roboinvest.core.fills import FRICTIONLESS

    free = replace(data, terms=Terms(rules=FRICTIONLESS))
    digests = {
        BacktestGate(Standards(), in_boxes(boxes), each, book).standard().data_digest
        for each in (data, free)
    }
    assert len(digests) == 2
    assert BacktestGate(Standards(), in_boxes(boxes), data, book).standard().gate is Gate.BACKTEST


def test_a_grid_goes_round_the_defaults_and_is_one_point_without_parameters(boxes: Boxes) -> None:
    strategy = boxed_strategy(CROSSING, "code/strategy.py", boxes)
    assert grid_around(strategy).axes == {"period": (10, 20, 40)}
    without = boxed_strategy(
        CROSSING.replace('PARAMS = {"period": (20, 2, 200)}', "PARAMS = {}").replace(
            'p["period"]', "20"
        ),
        "code/strategy.py",
        boxes,
    )
    assert grid_around(without).size == 1
