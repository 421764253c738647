"""The engine under a search: the figures of a single run, quickly or in full, here or there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.values import Timeframe
from roboinvest.core.statistics.folds import walk_forward as folds_of
from roboinvest.core.strategy import Plan, Strategy, Values
from roboinvest.runtime.clock import SystemClock
from tests.fakes.clocks import ManualClock
from tests.fakes.tapes import daily_tape, minute_tape
from tools.backtester import engine
from tools.backtester.contract import Request
from tools.backtester.kernel import kernel
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.notes import note_of
from tools.backtester.search.engine_play import EnginePlay, EngineRecipe, play_many
from tools.backtester.search.grid import grid_of
from tools.backtester.search.jobs import Job
from tools.backtester.search.pool import InProcess, LocalProcesses
from tools.backtester.search.sweep import run_sweep
from tools.backtester.search.walk_forward import walk_forward
from tools.strategies.shelf import find


@pytest.fixture
def book(tmp_path: Path) -> Iterator[RunBook]:
    with RunBook.open(tmp_path, ManualClock()) as opened:
        yield opened


def daily(name: str = "sma_crossover", days: int = 400, **values: float) -> Request:
    strategy = find(name)
    return Request(
        strategy=strategy,
        values=strategy.values(values),
        bars={"SPY": daily_tape(1, days=days)},
        timeframe=Timeframe.DAY,
    )


def minutes(name: str, days: int = 6) -> Request:
    strategy = find(name)
    return Request(
        strategy=strategy,
        values=strategy.values({}),
        bars={"SPY": minute_tape(2, days=days)},
        timeframe=Timeframe.MINUTE,
    )


def with_a_call_for_an_exit(request: Request) -> Request:
    """The same request, with an exit that the kernel cannot ask for."""
    inner = request.strategy

    def build(values: Values) -> Plan:
        plan = inner.build(values)
        return replace(plan, execution=replace(plan.execution, exit=lambda _, held: held.bars >= 5))

    strategy: Strategy = replace(inner, build=build)
    return replace(request, strategy=strategy)


REQUESTS = [
    daily(fast=5, slow=20),
    minutes("vwap_bounce"),
    minutes("random_entry"),
    with_a_call_for_an_exit(daily(fast=5, slow=20)),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=["daily", "bracket", "random", "call"])
def test_quick_and_whole_are_the_run_itself(request_: Request) -> None:
    quick, whole = EnginePlay(is_quick=True)(request_), EnginePlay(is_quick=False)(request_)
    run = engine.run_backtest(request_)
    expected = "simulator" if kernel.refusal(run.stage, request_.terms) else "kernel"
    assert quick.executor == whole.executor == expected
    for outcome in (quick, whole):
        assert np.array_equal(outcome.days, run.days)
        assert np.array_equal(outcome.daily_equity, run.daily_equity)
        assert outcome.figures.trades == run.figures.trades > 0
    assert quick.figures == whole.figures == note_of(run).figures
    assert quick.digest == whole.digest
    assert whole.liquidated == run.liquidated
    (figures,) = play_many([run.stage], request_.terms)
    assert figures == quick.figures


def test_a_run_and_the_same_combination_of_a_sweep_are_one_trial(book: RunBook) -> None:
    request = daily(fast=5, slow=20)
    run_id = book.note(note_of(engine.run_backtest(request)))
    space = grid_of(request.strategy, {"fast": "5,10"}, {"slow": 20})
    pool = InProcess(request, EnginePlay())
    table = run_sweep(request, space, pool=pool, book=book, clock=ManualClock())
    assert table.trials == 2
    assert {row.run_id for row in table.rows if row.is_known} == {run_id}
    known = book.run(run_id).note
    anew = run_sweep(request, space, pool=pool, book=book, clock=ManualClock(), resume=False)
    same = next(row for row in anew.rows if row.values["fast"] == 5)
    assert same.figures == known.figures
    noted = book.run(same.run_id).note
    assert noted.entries.hashes.tolist() == known.entries.hashes.tolist()


def test_a_strategy_that_was_renamed_and_edited_is_known_by_its_entries(book: RunBook) -> None:
    request = daily(days=600, fast=5, slow=20)
    first = book.run(book.note(note_of(engine.run_backtest(request))))
    edited = replace(request.strategy, name="brand_new", fingerprint="another")
    tighter = replace(request, strategy=edited, values={**request.values, "stop_frac": 0.03})
    again = book.run(book.note(note_of(engine.run_backtest(tighter))))
    assert again.lineage == first.lineage
    assert book.trials(first.lineage) == 2


def test_workers_find_the_strategy_and_come_to_the_same(book: RunBook, tmp_path: Path) -> None:
    request = daily(fast=5, slow=20)
    space = grid_of(request.strategy, {"fast": "3:9:3", "slow": "20,30"})
    here = run_sweep(
        request, space, pool=InProcess(request, EnginePlay()), book=book, clock=ManualClock()
    )
    recipe = EngineRecipe.of(request, "sma_crossover")
    clock = SystemClock()
    with LocalProcesses(
        request, recipe, scratch=tmp_path / "scratch", clock=clock, workers=2
    ) as pool:
        there = run_sweep(request, space, pool=pool, book=book, clock=clock, resume=False)
    assert [(row.values, row.figures) for row in there.rows] == [
        (row.values, row.figures) for row in here.rows
    ]


def test_workers_that_cannot_find_the_strategy_say_so(tmp_path: Path) -> None:
    request = daily()
    recipe = EngineRecipe.of(request, "no_such_strategy")
    pool = LocalProcesses(request, recipe, scratch=tmp_path, clock=SystemClock(), workers=1)
    with pool, pytest.raises(BadInput, match="no_such_strategy"):
        list(pool.answers([Job(number=0, values={})]))


def test_a_walk_forward_of_the_engine_trades_on_test_days_alone(book: RunBook) -> None:
    request = daily(days=400)
    space = grid_of(request.strategy, {"fast": "3,5", "slow": "10,20"})
    folds = folds_of(400, folds=3, train=250, anchored=True, purge=2)
    result = walk_forward(
        request,
        space,
        folds,
        play=EnginePlay(is_quick=False),
        pool=InProcess(request, EnginePlay()),
        book=book,
        clock=ManualClock(),
    )
    assert len(result.days) == 148
    assert result.trials == 3 * 5
    for row in result.rows:
        single = engine.run_backtest(
            replace(
                request,
                values=row.values or {},
                first=row.test[0],
                bars={"SPY": _until(request, row.test[1].toordinal())},
            )
        )
        own = single.daily_equity.copy()
        own[-1] = single.liquidated
        assert row.out_of_sample.total_return == pytest.approx(own[-1] / own[0] - 1)
    assert result.figures.final_equity > Decimal(0)


def _until(request: Request, last: int):  # type: ignore[no-untyped-def]
    bars = request.bars["SPY"]
    return bars.rows(slice(0, int(np.searchsorted(bars.day, last, side="right"))))
