"""Costs and chance: what is left when trading costs more, and what random entries come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.market.values import Timeframe
from tests.fakes.tapes import daily_tape, minute_tape
from tools.backtester import engine
from tools.backtester.contract import BacktestResult, Request, Stage, Terms
from tools.backtester.kernel import kernel
from tools.backtester.run_book.values import RunFigures
from tools.backtester.search.cost_sensitivity import cost_sensitivity
from tools.backtester.search.engine_play import play_many
from tools.backtester.search.null_tests import entries_against_chance, exposure_against_chance
from tools.backtester.trades import round_trips
from tools.strategies.shelf import find

FREE = Terms(rules=FRICTIONLESS)


def ran(name: str, *, days: int = 8, seed: int = 2, **values: float) -> BacktestResult:
    strategy = find(name)
    is_daily = name == "sma_crossover"
    bars = daily_tape(seed, days=days) if is_daily else minute_tape(seed, days=days)
    return engine.run_backtest(
        Request(
            strategy=strategy,
            values=strategy.values(values),
            bars={"SPY": bars},
            timeframe=Timeframe.DAY if is_daily else Timeframe.MINUTE,
        )
    )


def knowing(stage: Stage, every: int = 40) -> Stage:
    """The stage with entries before the best stretches of each session: a planted edge."""
    part = stage.parts["SPY"]
    close, n = part.bars.close, len(part.bars)
    ahead = np.full(n, -np.inf)
    ahead[:-every] = close[every:] / close[:-every]
    entry = np.zeros(n, np.int8)
    for day in np.unique(part.bars.day):
        rows = np.flatnonzero(part.bars.day == day)[1 : -2 * every]
        entry[rows[np.argsort(ahead[rows])[-2:]]] = 1
    return replace(stage, parts={"SPY": replace(part, signals=replace(part.signals, entry=entry))})


def chance(stage: Stage, terms: Terms, seed: int, draws: int = 99):  # type: ignore[no-untyped-def]
    trips = round_trips(kernel.play(stage, terms), stage)
    return tuple(
        test(stage, terms, trips, play=play_many, rng=np.random.default_rng(seed), draws=draws)
        for test in (entries_against_chance, exposure_against_chance)
    )


def test_a_planted_edge_is_better_than_every_random_entry() -> None:
    stage = knowing(ran("random_entry").stage)
    for found in chance(stage, FREE, 1):
        assert found.p_value == pytest.approx(0.01)
        assert found.observed > found.high > found.mean > found.low


def test_random_entries_are_as_good_as_random_entries() -> None:
    values = [
        each.p_value
        for seed in range(12)
        for each in chance(ran("random_entry", days=4, seed=seed).stage, FREE, seed, draws=19)
    ]
    assert 0.25 < np.mean(values) < 0.75
    assert sum(value <= 0.05 for value in values) <= 4


def test_the_same_seed_deals_the_same() -> None:
    result = ran("vwap_bounce")
    assert chance(result.stage, FREE, 5, 9) == chance(result.stage, FREE, 5, 9)
    assert chance(result.stage, FREE, 5, 9) != chance(result.stage, FREE, 6, 9)


def kept(
    stage: Stage, terms: Terms, seed: int = 3, draws: int = 5
) -> tuple[list[Stage], list[Stage]]:
    """The worlds that the two tests deal."""
    worlds: tuple[list[Stage], list[Stage]] = ([], [])
    trips = round_trips(kernel.play(stage, terms), stage)
    for seen, test in zip(worlds, (entries_against_chance, exposure_against_chance), strict=True):

        def watched(
            stages: Iterable[Stage], on: Terms, seen: list[Stage] = seen
        ) -> Iterator[RunFigures]:
            for each in stages:
                seen.append(each)
                yield from play_many([each], on)

        rng = np.random.default_rng(seed)
        test(stage, terms, trips, play=watched, rng=rng, draws=draws)
        seen.pop(0)  # the observed one
    return worlds


@pytest.mark.parametrize("name", ["vwap_bounce", "opening_range_breakout", "random_entry"])
def test_a_random_entry_has_the_side_and_the_distances_of_a_real_one_of_its_session(
    name: str,
) -> None:
    stage = ran(name).stage
    part = stage.parts["SPY"]
    trips = round_trips(kernel.play(stage, FREE), stage)
    rows = np.array(sorted(trip.signal_row for trip in trips))
    entered, _ = kept(stage, FREE)
    assert len(entered) == 5
    for world in entered:
        signals = world.parts["SPY"].signals
        at = np.flatnonzero(signals.entry)
        assert part.bars.day[at].tolist() == part.bars.day[rows].tolist()
        assert signals.entry[at].tolist() == part.signals.entry[rows].tolist()
        for name_ in ("stop", "target"):
            mine, theirs = getattr(signals, name_), getattr(part.signals, name_)
            assert (np.flatnonzero(mine)).tolist() == at[theirs[rows] > 0].tolist()
            has = theirs[rows] > 0
            near = mine[at] / part.signals.mark[at] - theirs[rows] / part.signals.mark[rows]
            assert np.all(np.abs(near[has]) < 2e-4)  # to the tick
            assert np.all(mine[at] % 100 == 0)
        assert part.bars.ts[at].tolist() != part.bars.ts[rows].tolist()


def test_random_stretches_keep_the_time_in_the_market() -> None:
    stage = ran("vwap_bounce", days=20).stage
    part = stage.parts["SPY"]
    trips = round_trips(kernel.play(stage, FREE), stage)
    held = sum(max(trip.exit_row - trip.signal_row, 2) - 1 for trip in trips)
    _, dealt = kept(stage, FREE)
    for world in dealt:
        assert world.plan.execution.stop is None
        played = kernel.play(world, FREE)
        others = round_trips(played, world)
        assert len(others) == len(trips)
        bars = sum(trip.exit_row - trip.entry_row for trip in others)
        assert bars == pytest.approx(held, rel=0.1)
        assert {part.bars.day[trip.signal_row] for trip in others} == {
            part.bars.day[trip.signal_row] for trip in trips
        }


def dealt_like(stage: Stage, signal_row: int, exit_row: int) -> list[Stage]:
    """The draws that stand beside one position between these rows."""
    (trip, *_) = round_trips(kernel.play(stage, FREE), stage)
    held = replace(trip, signal_row=signal_row, entry_row=signal_row + 1, exit_row=exit_row)
    seen = list[Stage]()

    def watched(stages: Iterable[Stage], on: Terms) -> Iterator[RunFigures]:
        for each in stages:
            seen.append(each)
            yield from play_many([each], on)

    rng = np.random.default_rng(1)
    exposure_against_chance(stage, FREE, [held], play=watched, rng=rng, draws=5)
    return seen[1:]


def test_a_stretch_that_its_session_cuts_to_one_close_is_not_entered() -> None:
    for world in dealt_like(ran("vwap_bounce", days=3).stage, signal_row=389, exit_row=396):
        (entered,) = np.flatnonzero(world.parts["SPY"].signals.entry)
        assert 390 <= entered < 780  # the second session's part, of six closes


def test_a_position_over_night_is_dealt_whole() -> None:
    for world in dealt_like(ran("vwap_bounce", days=3).stage, signal_row=380, exit_row=396):
        signals = world.parts["SPY"].signals
        (entered,), (left,) = np.flatnonzero(signals.entry), np.flatnonzero(signals.leave)
        assert left - entered == 15  # for as long as it was held, wherever midnight lies


def test_entries_on_day_bars_are_dealt_over_all_days() -> None:
    stage = ran("sma_crossover", days=300, fast=3, slow=12).stage
    entered, dealt = kept(stage, FREE)
    first = stage.plan.warm_up
    for world in (*entered, *dealt):
        rows = np.flatnonzero(world.parts["SPY"].signals.entry)
        assert len(rows) > 3
        assert rows[0] >= first
    assert len({tuple(np.flatnonzero(w.parts["SPY"].signals.entry)) for w in entered}) == 5


def test_a_run_without_an_entry_is_held_against_nothing() -> None:
    result = ran("random_entry")
    for test in (entries_against_chance, exposure_against_chance):
        with pytest.raises(BadInput, match="there was no entry"):
            test(result.stage, FREE, (), play=play_many, rng=np.random.default_rng(1))


def test_costs_take_from_the_same_wishes() -> None:
    stage = knowing(ran("random_entry").stage)
    found = cost_sensitivity(stage, Terms(), play=play_many)
    assert [row.times for row in found.rows] == [0, 1, 2, 3]
    assert [row.slippage_bps for row in found.rows] == [0, 5, 10, 15]
    returns = [row.figures.total_return for row in found.rows]
    assert returns == sorted(returns, reverse=True)
    assert len(set(returns)) == 4
    assert found.break_even_bps is not None
    assert found.break_even_bps > 0
    below, beyond = (
        next(
            play_many(
                [stage],
                Terms(rules=replace(Terms().rules, slippage_bps=found.break_even_bps + step)),
            )
        ).total_return
        for step in (Decimal(0), Decimal("0.02"))
    )
    assert below > 0 >= beyond
    assert found.words == f"it earns nothing from {found.break_even_bps} bps of slippage a side on"


def test_what_loses_without_costs_has_no_break_even() -> None:
    stage = knowing(ran("random_entry").stage)
    part = stage.parts["SPY"]
    flipped = replace(
        part.signals, entry=-part.signals.entry, stop=np.zeros_like(part.signals.stop)
    )
    flipped = replace(flipped, target=np.zeros_like(flipped.target))
    losing = replace(stage, parts={"SPY": replace(part, signals=flipped)})
    found = cost_sensitivity(losing, Terms(allow_short=True), play=play_many)
    assert (found.break_even_bps, found.words) == (None, "it earns nothing even without slippage")


@pytest.mark.parametrize("times", [-1, 2000])
def test_costs_that_make_no_sense_are_refused(times: int) -> None:
    with pytest.raises(BadInput, match="below 10000 bps"):
        cost_sensitivity(ran("random_entry").stage, Terms(), play=play_many, times=(times,))
