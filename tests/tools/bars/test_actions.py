"""Factor files: what comes out of them, and how a broken line is named."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.values import ActionKind, CorporateAction
from tools.bars.actions import KEPT_ACTIONS, keep_actions, read_actions, read_factors
from tools.calendar import ExchangeCalendar

CALENDAR = ExchangeCalendar()
HEADER = "symbol,last_date_inclusive,price_factor,split_factor,reference_price"


def test_the_splits_of_apple_are_exact(data_pack: Path) -> None:
    actions = read_actions(data_pack / "corporate_actions" / "factors.csv", CALENDAR, ["AAPL"])
    splits = [each for each in actions if each.kind is ActionKind.SPLIT]
    assert [(each.ex_date, each.ratio) for each in splits] == [
        (date(2000, 6, 21), Decimal(2)),
        (date(2005, 2, 28), Decimal(2)),
        (date(2014, 6, 9), Decimal(7)),
        (date(2020, 8, 31), Decimal(4)),
    ]
    may = CorporateAction(
        symbol="AAPL",
        kind=ActionKind.DIVIDEND,
        ex_date=date(2014, 5, 8),
        cash=Decimal("3.2900"),
    )
    assert may in actions


def test_reverse_splits_and_other_symbols_are_read_too(data_pack: Path) -> None:
    actions = read_actions(data_pack / "corporate_actions" / "factors.csv", CALENDAR)
    ratios = {
        (each.symbol, each.ex_date): each.ratio for each in actions if each.kind is ActionKind.SPLIT
    }
    assert ratios["AIG", date(2009, 7, 1)] == Decimal(1) / Decimal(20)
    assert ratios["VXX.1", date(2013, 11, 8)] == Decimal(1) / Decimal(4)
    assert min(ratios.values()) > 0
    assert all(each.cash >= 0 for each in actions)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("AAPL,2014-06-06,0.9,0.25", "line 3"),
        ("AAPL,June,0.9,0.25,90", "line 3"),
        ("AAPL,2014-06-06,0,0.25,90", "line 3"),
        ("AAPL,2014-06-06,0.9,-1,90", "line 3"),
        ("AAPL,2014-06-06,nan,0.25,90", "line 3"),
        ("AAPL,2014-06-06,x,0.25,90", "line 3"),
        (",2014-06-06,0.9,0.25,90", "line 3"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "factors.csv"
    path.write_text(f"{HEADER}\nAAPL,2014-05-07,0.9,0.25,90\n{line}\n")
    with pytest.raises(BadInput, match=said):
        read_factors(path)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    other, junk = tmp_path / "other.csv", tmp_path / "junk.csv"
    other.write_text("symbol,date\nAAPL,2014-06-06\n")
    junk.write_bytes(bytes(range(256)))
    for path, said in (
        (tmp_path / "none.csv", "does not exist"),
        (tmp_path, "cannot be read"),
        (junk, "cannot be read"),
        (other, "no column last_date_inclusive, price_factor"),
    ):
        with pytest.raises(BadInput, match=said):
            read_factors(path)


def test_kept_rows_are_replaced_symbol_by_symbol(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(f"{HEADER}\nAAPL,2014-06-06,0.9,0.25,645.57\nKO,2012-08-10,1,0.5,78\n")
    second.write_text(f"{HEADER}\nAAPL,2014-06-06,0.9,0.0357143,645.57\n")
    folder = tmp_path / "bars"
    folder.mkdir()
    assert keep_actions(folder, first) == 2
    assert keep_actions(folder, second) == 2
    kept = read_factors(folder / KEPT_ACTIONS)
    assert {row.symbol: row.split_factor for row in kept} == {
        "KO": Decimal("0.5"),
        "AAPL": Decimal("0.0357143"),
    }
