"""Round trips as CSV after RFC 4180: one row each, for spreadsheets and for programs.

A spreadsheet takes a text that starts with = + - or @ for a formula, and a symbol may come from
anywhere: such texts get an apostrophe in front. Figures stay figures, their sign included.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from roboinvest.core.orders import to_price
from tools.backtester.contract import BacktestResult, RoundTrip
from tools.backtester.report.measures.attribution import entry_day
from tools.backtester.report.words import iso_utc, plain

COLUMNS: Final = (
    *("number", "symbol", "side", "shares", "entry_at", "entry_price", "exit_at", "exit_price"),
    *("left_by", "stop", "target", "fees_usd", "pnl_usd", "r_multiple", "worst_open_usd_a_share"),
    *("best_open_usd_a_share", "ambiguous", "kindest_pnl_usd", "open_at_end", "entry_day"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_trades(result: BacktestResult) -> str:
    """Return the round trips with a header; times are ISO 8601 in UTC, money is USD."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for number, trip in enumerate(result.round_trips, 1):
        rows.writerow([number, *_row(trip), entry_day(result, trip).isoformat()])
    return text.getvalue()


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(trip: RoundTrip) -> list[object]:
    return [
        harmless(trip.symbol),
        "long" if trip.qty > 0 else "short",
        plain(abs(trip.qty)),
        iso_utc(trip.entry_at),
        plain(trip.entry_price),
        iso_utc(trip.exit_at),
        plain(trip.exit_price),
        trip.cause.value,
        "" if trip.stop is None else plain(trip.stop),
        "" if trip.target is None else plain(trip.target),
        plain(trip.fees),
        plain(trip.pnl),
        "" if trip.r_multiple is None else f"{trip.r_multiple:.6g}",
        plain(to_price(trip.mae)),
        plain(to_price(trip.mfe)),
        "yes" if trip.ambiguous else "no",
        plain(trip.kindest_pnl),
        "yes" if trip.is_open else "no",
    ]
