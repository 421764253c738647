"""What the backtest commands are told, and how it becomes a question to the desk."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roboinvest.core.errors import BadInput

if TYPE_CHECKING:
    from roboinvest.app.backtests import Asked
    from roboinvest.core.market.values import Timeframe

StrategyArgument = Annotated[
    str,
    typer.Argument(
        help="A name of the library (backtest strategies), a Python file, box:FILE or "
        "agent:ID[@REVISION]."
    ),
]
BarsOption = Annotated[
    Path | None,
    typer.Option("--bars", help="A parquet or CSV file of bars, or a store. Default: the store."),
]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="Which source, where a file holds several.")
]
SymbolsOption = Annotated[
    str | None, typer.Option("--symbols", help="Tickers, with commas: SPY,AAPL.")
]
TimeframeOption = Annotated[
    str | None, typer.Option("--timeframe", help="Which bars of a store: 1m, 5m, 15m, 1h or 1d.")
]
ParamOption = Annotated[
    list[str] | None, typer.Option("--param", help="A parameter, as fast=10; may be repeated.")
]
FromOption = Annotated[str | None, typer.Option("--from", help="First exchange day: 2011-01-03.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last exchange day, included.")]
ActionsOption = Annotated[
    Path | None, typer.Option("--actions", help="Splits and dividends (adjustment factors, CSV).")
]
CashOption = Annotated[str | None, typer.Option("--cash", help="USD at the start.")]
CostsOption = Annotated[
    str | None,
    typer.Option("--costs", help="none, or slippage_bps=5,volume_share=0.1,... Default: settings."),
]
LimitsOption = Annotated[
    bool,
    typer.Option("--limits", help="Apply the daemon's limits, mandate and protections."),
]
ShortOption = Annotated[
    bool, typer.Option("--allow-short", help="Let short positions be opened in this run.")
]


def asked_of(
    strategy: str,
    *,
    bars: Path | None,
    source: str | None,
    symbols: str | None,
    param: list[str] | None,
    first: str | None,
    last: str | None,
    actions: Path | None,
    cash: str | None = None,
    costs: str | None = None,
    limits: bool = False,
    short: bool = False,
    timeframe: str | None = None,
) -> Asked:
    """Return what was typed as one question.

    Raises:
        BadInput: a date or an amount is none, or the dates are the wrong way round.
    """
    from roboinvest.app.backtests import Asked

    begins, ends = day_of("--from", first), day_of("--to", last)
    if begins and ends and begins > ends:
        raise BadInput(f"--from {begins} is after --to {ends}; swap them")
    return Asked(
        strategy=strategy,
        bars=bars,
        source=source,
        symbols=_symbols(symbols),
        params=tuple(param or ()),
        first=begins,
        last=ends,
        actions=actions,
        cash=None if cash is None else _amount(cash),
        costs=costs,
        limits=limits,
        short=short,
        timeframe=None if timeframe is None else _timeframe(timeframe),
    )


def day_of(option: str, text: str | None) -> date | None:
    """Return a typed date.

    Raises:
        BadInput: it is none.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{option} {text} is no date; write it as 2011-01-03") from None


def _symbols(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    if not names:
        raise BadInput(f"--symbols {text!r} names none; write them as SPY,AAPL")
    return names


def _timeframe(text: str) -> Timeframe:
    from roboinvest.core.market.values import Timeframe

    try:
        return Timeframe(text)
    except ValueError:
        known = ", ".join(Timeframe)
        raise BadInput(f"--timeframe {text} is none we run on; give one of {known}") from None


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not (amount.is_finite() and amount > 0):
        raise BadInput(f"--cash {text} is no amount; give USD above 0")
    return amount
