"""The tear sheet: one HTML file without scripts and without any address of the outside.

It is read on a phone, on a desk and on paper. It must not be possible to tell it something with a
strategy's name: every text goes through the template's escaping, and the page forbids scripts to
itself besides. Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from markupsafe import Markup

from roboinvest.core.text.counting import counted
from tools.backtester.contract import BacktestResult, RoundTrip
from tools.backtester.report.charts.bars import balance, histogram
from tools.backtester.report.charts.candles import levels_out_of_sight, trade_chart
from tools.backtester.report.charts.lines import (
    equity_chart,
    exposure_chart,
    sharpe_chart,
    under_water_chart,
)
from tools.backtester.report.charts.picture import Chart
from tools.backtester.report.definitions import RULES
from tools.backtester.report.evidence import Evidence, FoldRow
from tools.backtester.report.measures.attribution import CAUSES, Attribution, Group, attributions
from tools.backtester.report.measures.chosen import ChosenTrade, chosen_trades
from tools.backtester.report.measures.curves import (
    LEAST_WINDOWS,
    WINDOWS,
    daily_returns,
    worst_falls,
    years,
)
from tools.backtester.report.notices import notices_of
from tools.backtester.report.tables import (
    FigureRow,
    bar_exposure_rows,
    chance_facts,
    cost_facts,
    figure_rows,
    headline,
    reckoning_facts,
    run_facts,
    signal_facts,
    terms_facts,
)
from tools.backtester.report.templating import rendered
from tools.backtester.report.words import (
    MONTHS,
    UNKNOWN,
    day_text,
    exchange_time,
    iso_utc,
    listed,
    shares,
    usd,
)

MOST_TRIPS: Final = 30  # in the page; the CSV has them all
FEW: Final = 30  # trades of a group below which it proves nothing
SECTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("result", "Result"),
    ("trades", "Trades"),
    ("where", "Where it came from"),
    ("money", "Money and costs"),
    ("chance", "Skill or chance"),
    ("figures", "All figures"),
    ("rules", "How it was played"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One of the figures that a reader looks at first."""

    name: str
    text: str
    value: float | None
    note: str  # what it must be read beside


@dataclass(frozen=True, slots=True, kw_only=True)
class TripRow:
    """A round trip as the table shows it."""

    number: int
    symbol: str
    side: str
    shares: str
    entry: str  # on the exchange's clock
    entry_iso: str
    entry_price: str
    exit: str
    exit_iso: str
    exit_price: str
    cause: str
    pnl: Decimal
    r: str
    fees: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionTable:
    """A table of attribution with a bar for each group."""

    name: str
    title: str
    rows: tuple[tuple[Group, Markup], ...]
    total: Group


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldText:
    """A fold of a walk-forward with its spans in words."""

    row: FoldRow
    train: str
    test: str
    chosen: str


def html_report(result: BacktestResult, evidence: Evidence) -> str:
    """Return the page of one run."""
    strategy = result.request.strategy
    rows = figure_rows(result, evidence)
    by = attributions(result, evidence)
    return rendered(
        "page.html",
        stamp=strategy.stamp,
        idea=strategy.idea,
        headline=headline(result),
        facts=run_facts(result),
        sections=[part for part in SECTIONS if part[0] != "where" or by],
        notices=notices_of(result, evidence),
        tiles=_tiles(result, {row.definition.name: row for row in rows}),
        attributions=[_with_bars(table) for table in by],
        few=FEW,
        exposure=exposure_chart(result),
        reckoning=reckoning_facts(result),
        costs=cost_facts(result),
        evidence=evidence,
        chance=chance_facts(evidence),
        folds=[_fold(fold) for fold in evidence.folds],
        figures=rows,
        bar_exposure=bar_exposure_rows(result),
        terms=terms_facts(result),
        rules=RULES,
        digest=result.digest,
        **_curves(result),
        **_trades(result),
    )


def _curves(result: BacktestResult) -> dict[str, object]:
    """Return what the section of the result shows."""
    return {
        "equity": equity_chart(result),
        "water": under_water_chart(result),
        "falls": worst_falls(result),
        "years": years(result),
        "month_names": MONTHS,
        "moving": sharpe_chart(result),
        "least_days": LEAST_WINDOWS * min(WINDOWS),
        "daily": _daily_histogram(result),
    }


def _trades(result: BacktestResult) -> dict[str, object]:
    """Return what the section of the trades shows."""
    trips = result.round_trips
    return {
        "outcomes": _outcome_histogram(trips),
        "chosen": [
            _chosen(number, one, result) for number, one in enumerate(chosen_trades(result))
        ],
        "trips": _trips(trips),
        "trips_title": _trips_title(len(trips)),
        "signals": signal_facts(result),
    }


def _tiles(result: BacktestResult, rows: dict[str, FigureRow]) -> list[Tile]:
    """Return the eight figures of the top, each with its base or interval."""
    days = counted(len(result.days), "trading day")

    def beside(name: str) -> str:
        row = rows[name]
        return f"buy and hold {row.benchmark_text}"

    def interval(name: str) -> str:
        row = rows[name]
        return beside(name) if row.interval == UNKNOWN else row.interval

    factor = rows["expectancy_r"]
    return [
        _tile(rows["total_return"], beside("total_return")),
        _tile(rows["annual_return"], f"from {days}"),
        _tile(rows["sharpe"], interval("sharpe")),
        _tile(rows["max_drawdown"], beside("max_drawdown")),
        _tile(rows["trades"], f"in {days}"),
        _tile(rows["win_rate"], _unless_unknown(rows["win_rate"].interval, "no finished trade")),
        _tile(rows["profit_factor"], "won over lost"),
        _tile(
            rows["expectancy_usd"],
            "a trade" if factor.value is None else f"a trade, {factor.text}",
        ),
    ]


def _tile(row: FigureRow, note: str) -> Tile:
    return Tile(name=row.definition.label, text=row.text, value=row.value, note=note)


def _unless_unknown(text: str, other: str) -> str:
    return other if text == UNKNOWN else text


def _daily_histogram(result: BacktestResult) -> Chart | None:
    return histogram(
        "daily",
        "Daily returns",
        daily_returns(result.daily_equity),
        noun="day",
        suffix=" %",
        factor=100,
    )


def _outcome_histogram(trips: Sequence[RoundTrip]) -> Chart | None:
    """Return what trades came to: in R where all of them had a stop, else in USD."""
    multiples = [trip.r_multiple for trip in trips if trip.r_multiple is not None]
    if trips and len(multiples) == len(trips):
        return histogram(
            "outcomes", "Outcomes of trades", np.array(multiples), noun="trade", suffix=" R"
        )
    profits = np.array([float(trip.pnl) for trip in trips])
    return histogram("outcomes", "Outcomes of trades, USD", profits, noun="trade")


def _chosen(number: int, chosen: ChosenTrade, result: BacktestResult) -> Chart:
    """Return the picture of a chosen trade, with everything it must be read with."""
    trip = chosen.trip
    bars = result.stage.parts[trip.symbol].bars
    chart = trade_chart(number, chosen, bars, result.request.timeframe)
    words = [chart.text]
    words.append(
        "Open at the end, marked at the last close."
        if trip.is_open
        else f"Left by: {CAUSES[trip.cause].lower()}."
    )
    if trip.r_multiple is not None:
        words.append(f"{trip.r_multiple:+.2f} R.")
    if trip.ambiguous:
        words.append(f"Ambiguous; the kindest would be {usd(trip.kindest_pnl, signed=True)}.")
    if chosen.candles.bundle > 1:
        words.append(f"Each candle holds {chosen.candles.bundle} bars.")
    if hidden := levels_out_of_sight(chosen):
        words.append(f"Beyond the picture: {listed(hidden)}.")
    if chosen.split is not None:
        words.append(f"Prices before {day_text(chosen.split)} are on the scale after its split.")
    return Chart(title=chart.title, text=" ".join(words), svg=chart.svg)


def _trips(trips: Sequence[RoundTrip]) -> list[TripRow]:
    """Return the last round trips as the table shows them."""
    first = max(0, len(trips) - MOST_TRIPS)
    return [
        TripRow(
            number=number,
            symbol=trip.symbol,
            side="Long" if trip.qty > 0 else "Short",
            shares=shares(trip.qty),
            entry=f"{exchange_time(trip.entry_at):%Y-%m-%d %H:%M}",
            entry_iso=iso_utc(trip.entry_at),
            entry_price=f"{trip.entry_price:,.4f}",
            exit=f"{exchange_time(trip.exit_at):%Y-%m-%d %H:%M}",
            exit_iso=iso_utc(trip.exit_at),
            exit_price=f"{trip.exit_price:,.4f}",
            cause=CAUSES[trip.cause] + (", ambiguous" if trip.ambiguous else ""),
            pnl=trip.pnl,
            r=UNKNOWN if trip.r_multiple is None else f"{trip.r_multiple:+.2f}",
            fees=f"{trip.fees:,.2f}",
        )
        for number, trip in enumerate(trips[first:], first + 1)
    ]


def _trips_title(n: int) -> str:
    if n <= MOST_TRIPS:
        return "Round trips"
    return f"The last {MOST_TRIPS} of {n:,} round trips; {n - MOST_TRIPS:,} more are in the CSV"


def _with_bars(table: Attribution) -> AttributionTable:
    largest = max(abs(group.pnl) for group in table.groups)
    rows = tuple((group, balance(group.pnl, largest)) for group in table.groups)
    return AttributionTable(name=table.name, title=table.title, rows=rows, total=table.total)


def _fold(fold: FoldRow) -> FoldText:
    return FoldText(
        row=fold,
        train=f"{day_text(fold.train_first)} to {day_text(fold.train_last)}",
        test=f"{day_text(fold.test_first)} to {day_text(fold.test_last)}",
        chosen=listed([f"{name} {value:g}" for name, value in fold.values.items()]) or UNKNOWN,
    )
