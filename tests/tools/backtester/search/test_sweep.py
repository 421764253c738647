"""A sweep: every combination is played once, noted, and held against all that were tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from roboinvest.core.errors import Refused
from roboinvest.core.statistics.sharpe import expected_maximum_sharpe, variance_of_trials
from tests.fakes.clocks import ManualClock
from tests.fakes.run_notes import run_note
from tests.fakes.searches import HillPlay, hill_request, hill_strategy, renamed
from tests.fakes.tapes import daily_tape
from tools.backtester.contract import Request
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.values import Kin
from tools.backtester.search.grid import Grid, grid_of
from tools.backtester.search.heat_map import heat_map_of, heat_map_svg
from tools.backtester.search.jobs import Outcome
from tools.backtester.search.pool import InProcess
from tools.backtester.search.space import Objective, Space
from tools.backtester.search.sweep import SweepTable, run_sweep
from tools.backtester.search.tpe import tpe_of

RANGES = {"fast": "5:20:5", "slow": "10:40:10"}  # 16 combinations, of which 4 make no sense


@pytest.fixture
def book(tmp_path: Path) -> Iterator[RunBook]:
    with RunBook.open(tmp_path, ManualClock()) as opened:
        yield opened


@pytest.fixture
def request_() -> Request:
    return hill_request({"SPY": daily_tape(1, days=300)})


def grid(ranges: dict[str, str] | None = None) -> Grid:
    return grid_of(hill_strategy(), ranges or RANGES)


def swept(
    request: Request, space: Space, book: RunBook, play: HillPlay | None = None, **more: object
) -> SweepTable:
    pool = InProcess(request, play or HillPlay())
    return run_sweep(request, space, pool=pool, book=book, clock=ManualClock(), **more)  # type: ignore[arg-type]


def test_the_table_is_sorted_and_every_combination_is_in_it(
    request_: Request, book: RunBook
) -> None:
    table = swept(request_, grid(), book)
    scores = [row.score for row in table.rows]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert (len(table.rows), len(table.refused), len(table.failed)) == (12, 4, 0)
    assert table.best == dict(table.rows[0].values)
    assert {(row.values["fast"], row.values["slow"]) for row in table.refused} == {
        (10, 10),
        (15, 10),
        (20, 10),
        (20, 20),
    }


def test_a_refused_combination_says_why_and_is_no_trial(request_: Request, book: RunBook) -> None:
    table = swept(request_, grid({"fast": "20", "slow": "10,40"}), book)
    (refused,) = table.refused
    assert refused.values == {"fast": 20, "slow": 10}
    assert refused.why == "fast=20 must be below slow=10"
    assert table.trials == 1


def test_every_combination_counts_as_a_trial(request_: Request, book: RunBook) -> None:
    table = swept(request_, grid(), book)
    assert table.trials == len(table.rows) == len(book.runs(100))
    assert {run.note.sweep for run in book.runs(100)} == {table.sweep}
    wider = swept(request_, grid({"fast": "5:20:5", "slow": "50"}), book)
    assert wider.trials == table.trials + 4


def test_the_best_is_deflated_by_all_trials_of_its_lineage(
    request_: Request, book: RunBook
) -> None:
    for fast in range(30):
        book.note(run_note("hill", values={"fast": fast}, sharpe=0.01 * fast))
    table = swept(request_, grid(), book)
    assert table.deflated is not None
    assert table.deflated.trials == table.trials == 30 + len(table.rows)
    lineage = book.known_lineage(Kin.of(request_.strategy))
    assert lineage is not None
    variance = variance_of_trials(book.trial_sharpes(lineage), 300)
    expected = expected_maximum_sharpe(table.trials, variance)
    assert table.deflated.threshold == pytest.approx(expected)


def test_a_new_name_does_not_make_the_best_better(request_: Request, book: RunBook) -> None:
    first = swept(request_, grid(), book)
    other = replace(request_, strategy=renamed(request_.strategy, "hillock"))
    again = swept(other, grid(), book)
    assert again.trials == first.trials
    assert again.deflated == first.deflated


def test_what_the_book_holds_is_not_played_again(request_: Request, book: RunBook) -> None:
    first = swept(request_, grid(), book)
    play = HillPlay()
    again = swept(request_, grid(), book, play)
    assert play.played == []
    assert [row.figures for row in again.rows] == [row.figures for row in first.rows]
    assert all(row.is_known for row in again.rows)
    assert len(book.runs(100)) == len(first.rows)
    anew = swept(request_, grid(), book, play, resume=False)
    assert len(play.played) == len(first.rows)
    assert anew.trials == first.trials


def test_a_combination_that_raises_is_one_failure(request_: Request, book: RunBook) -> None:
    class Raising(HillPlay):
        def __call__(self, request: Request) -> Outcome:
            if request.values["fast"] == 10:
                raise ZeroDivisionError("float division by zero")
            return super().__call__(request)

    table = swept(request_, grid({"fast": "5,10,15", "slow": "40"}), book, Raising())
    assert len(table.rows) == 2
    assert [each.why for each in table.failed] == [
        "it raised ZeroDivisionError: float division by zero"
    ]
    assert table.trials == 2


def test_what_was_played_is_noted_also_when_the_rest_is_called_off(
    request_: Request, book: RunBook
) -> None:
    class Interrupted(HillPlay):
        def __call__(self, request: Request) -> Outcome:
            if len(self.played) == 3:
                raise KeyboardInterrupt
            return super().__call__(request)

    with pytest.raises(KeyboardInterrupt):
        swept(request_, grid(), book, Interrupted())
    assert len(book.runs(100)) == 3


def test_the_holdout_is_not_searched_over(request_: Request, book: RunBook) -> None:
    lineage = book.lineage_of(Kin.of(request_.strategy))
    book.lock_holdout(lineage, ["SPY"], date(2025, 1, 1))
    play = HillPlay()
    with pytest.raises(Refused, match="may see days up to 2024-12-31"):
        swept(request_, grid(), book, play)
    assert (play.played, book.runs()) == ([], ())


def test_progress_is_told_with_the_time_that_is_left(request_: Request, book: RunBook) -> None:
    clock, told = ManualClock(), list[tuple[int, int, float | None]]()

    class Slow(HillPlay):
        def __call__(self, request: Request) -> Outcome:
            clock.advance(2.0)
            return super().__call__(request)

    run_sweep(
        request_,
        grid({"fast": "5,10", "slow": "10,40"}),
        pool=InProcess(request_, Slow()),
        book=book,
        clock=clock,
        progress=lambda done, total, left: told.append((done, total, left)),
    )
    assert told == [(0, 4, None), (1, 4, None), (2, 4, 4.0), (3, 4, 2.0), (4, 4, 0.0)]


def test_the_sampler_searches_and_a_combination_that_comes_twice_is_one_trial(
    request_: Request, book: RunBook
) -> None:
    space = tpe_of(hill_strategy(), {"fast": "5:15:5", "slow": "30:40:10"}, trials=24, seed=5)
    play = HillPlay()
    table = swept(request_, space, book, play)
    assert len(play.played) == len(table.rows) == table.trials <= 6
    again = swept(request_, space, book, HillPlay())
    assert [row.values for row in again.rows] == [row.values for row in table.rows]


def test_the_objective_decides_the_order(request_: Request, book: RunBook) -> None:
    table = swept(request_, grid(), book, objective=Objective.TOTAL_RETURN)
    returns = [row.figures.total_return for row in table.rows]
    assert returns == sorted(returns, reverse=True)
    table = swept(request_, grid(), book, objective=Objective.RETURN_OVER_DRAWDOWN)
    ratios = [row.figures.total_return / row.figures.max_drawdown for row in table.rows]
    assert [row.score for row in table.rows] == ratios == sorted(ratios, reverse=True)


def test_a_peak_that_stands_alone_is_said(request_: Request, book: RunBook) -> None:
    table = swept(request_, grid(), book)
    assert table.plateau is not None
    best = table.rows[0].values
    neighbours = [
        row.score
        for row in table.rows
        if row.score is not None
        and abs(row.values["fast"] - best["fast"]) / 5 + abs(row.values["slow"] - best["slow"]) / 10
        == 1
    ]
    assert table.plateau.neighbours == len(neighbours)
    assert table.plateau.mean == pytest.approx(sum(neighbours) / len(neighbours))
    assert table.plateau.worst == min(neighbours)

    class Needle(HillPlay):
        def __call__(self, request: Request) -> Outcome:
            found = super().__call__(request)
            high = 0.9 if request.values["fast"] == 10 else 0.1
            return replace(found, figures=replace(found.figures, sharpe=high))

    needle = swept(request_, grid({"fast": "5:15:5", "slow": "40"}), book, Needle(), resume=False)
    assert any("the best stands alone, its 2 neighbours" in word for word in needle.words)


def test_a_search_without_a_figure_says_so(request_: Request, book: RunBook) -> None:
    table = swept(request_, grid({"fast": "20", "slow": "10,20"}), book)
    assert (table.best, table.rows, table.trials) == (None, (), 0)
    assert table.words == (
        "no combination came to a figure; see those that were refused or failed",
    )


def test_a_heat_map_shows_the_mean_over_what_is_not_shown(request_: Request, book: RunBook) -> None:
    table = swept(request_, grid(), book)
    heat = heat_map_of(table.rows, "fast", "slow", "sharpe")
    assert (heat.xs, heat.ys) == ((5, 10, 15, 20), (10, 20, 30, 40))
    by_values = {(row.values["fast"], row.values["slow"]): row.score for row in table.rows}
    for y, row in zip(heat.ys, heat.cells, strict=True):
        for x, cell in zip(heat.xs, row, strict=True):
            assert cell == by_values.get((x, y))
    svg = heat_map_svg(heat)
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert svg.count("<rect") == 16
    assert svg.count("#dddddd") == len(table.refused)
    assert "<script" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
