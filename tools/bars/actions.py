"""Reads the factor files that say when a company split its shares or paid a dividend."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.market.actions import FactorRow, actions_from_factors
from roboinvest.core.market.values import CorporateAction
from roboinvest.runtime.folder import replace_file
from tools.calendar import ExchangeCalendar

KEPT_ACTIONS: Final = "actions.csv"  # in the folder of a store
_COLUMNS: Final = (
    "symbol", "last_date_inclusive", "price_factor", "split_factor", "reference_price",
)  # fmt: skip


def read_actions(
    path: Path, calendar: ExchangeCalendar, symbols: Sequence[str] | None = None
) -> list[CorporateAction]:
    """Return the splits and dividends of `symbols` (all by default), by ex-date then symbol.

    Raises:
        BadInput: there is no such file, or a line of it is no factor row.
    """
    rows = read_factors(path)
    if symbols is not None:
        rows = [row for row in rows if row.symbol in symbols]
    return actions_from_factors(rows, calendar.next_session)


def read_factors(path: Path) -> list[FactorRow]:
    """Return the rows of a factor file.

    Raises:
        BadInput: there is no such file, or a line of it is no factor row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist; give a CSV of adjustment factors.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as a CSV in UTF-8 ({error}).") from error
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise BadInput(f"{path} has no column {', '.join(missing)}; it needs {_COLUMNS}.")
    return list(_rows(path, reader))


def keep_actions(folder: Path, path: Path) -> int:
    """Keep the rows of a factor file beside a store's bars and return how many there are then.

    Symbols in `path` take the place of what was kept of them before.

    Raises:
        BadInput: `path` is no factor file.
    """
    fresh = read_factors(path)
    kept_at = folder / KEPT_ACTIONS
    symbols = {row.symbol for row in fresh}
    before = read_factors(kept_at) if kept_at.exists() else []
    rows = [row for row in before if row.symbol not in symbols] + fresh
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([getattr(row, name) for name in _COLUMNS])
    replace_file(kept_at, text.getvalue().encode())
    return len(rows)


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[FactorRow]:
    for cells in reader:
        try:
            yield _row(cells)
        except (ValueError, TypeError, InvalidOperation, AttributeError) as error:
            raise BadInput(
                f"{path}, line {reader.line_num}: not a factor row ({dict(cells)}); "
                "mend the line or take it out."
            ) from error


def _row(cells: Mapping[str, str]) -> FactorRow:
    symbol, day, price, split, reference = (cells[name].strip() for name in _COLUMNS)
    row = FactorRow(
        symbol=symbol,
        last_date_inclusive=date.fromisoformat(day),
        price_factor=Decimal(price),
        split_factor=Decimal(split),
        reference_price=Decimal(reference),
    )
    factors = (row.price_factor, row.split_factor, row.reference_price)
    if not symbol or not all(each.is_finite() for each in factors):
        raise ValueError(symbol)
    if min(row.price_factor, row.split_factor) <= 0 or row.reference_price < 0:
        raise ValueError(symbol)
    return row
