"""Commands that look: report, positions, orders, trades.

They read the report files, whether a daemon runs or not; `orders` reads the store.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import print_facts, print_json, print_table, usd
from roboinvest.cli.settings import folder_of

if TYPE_CHECKING:
    from roboinvest.core.orders import Order
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.reports.models import Performance

LIVE: Final = "live"  # the mode in which orders move real money
SHOWN_ALERTS: Final = 10
FRESH_S: Final = 30.0  # a status file older than this is not the voice of a living daemon
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]


def report(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Say what trading came to."""
    from roboinvest.runtime.reports.files import read_report
    from roboinvest.runtime.reports.models import Performance

    folder = folder_of(config, data_dir)
    found = read_report(folder.reports / "performance.json", Performance)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_facts(performance_facts(found))


def positions(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List what is held, with its stop and target."""
    from roboinvest.runtime.reports.files import read_report
    from roboinvest.runtime.reports.models import Positions

    folder = folder_of(config, data_dir)
    found = read_report(folder.reports / "positions.json", Positions)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    rows = [
        (
            p.symbol,
            p.side,
            f"{p.quantity:g}",
            p.entry_price,
            p.mark,
            p.stop,
            p.target,
            usd(p.open_pnl),
            _minute(p.entry_time),
        )
        for p in found.positions.values()
    ]
    columns = ("symbol", "side", "Shares", "Entry", "Mark", "Stop", "Target", "Open USD", "since")
    print_table("Positions", columns, rows, empty="Nothing is held.")


def orders(
    open_only: Annotated[bool, typer.Option("--open", help="Only orders that can fill.")] = False,
    limit: LimitOption = 50,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List orders, newest first, with what became of them."""
    folder = folder_of(config, data_dir)
    found = asyncio.run(_read_orders(folder, limit, open_only=open_only))
    if as_json:
        from roboinvest.core.records import to_plain

        print_json({"orders": to_plain(found)})
        return
    rows = [
        (
            _minute(o.created_at),
            o.symbol,
            o.leg,
            o.side,
            f"{o.qty:g}",
            f"{o.filled_qty:g}",
            o.stop_price or o.limit_price or "market",
            o.state,
            o.note,
        )
        for o in found
    ]
    columns = ("sent", "symbol", "leg", "side", "Shares", "Filled", "Price", "state", "note")
    print_table("Orders", columns, rows, empty="No order was sent yet.")


def trades(
    limit: LimitOption = 50,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was closed, newest first; a round trip may close in parts."""
    from roboinvest.runtime.reports.files import read_report
    from roboinvest.runtime.reports.models import Trades

    folder = folder_of(config, data_dir)
    found = read_report(folder.reports / "trades.json", Trades)
    shown = found.trades[:limit]
    if as_json:
        body = found.model_dump(mode="json")
        print_json(body | {"trades": body["trades"][:limit]})
        return
    rows = [
        (
            _minute(t.exit_time),
            t.symbol,
            t.side,
            f"{t.quantity:g}",
            t.entry_price,
            t.exit_price,
            t.exit_reason,
            usd(t.pnl),
            None if t.r_multiple is None else f"{t.r_multiple:+.2f}",
        )
        for t in shown
    ]
    columns = ("closed", "symbol", "side", "Shares", "Entry", "Exit", "by", "USD", "R")
    title = f"Closed, part by part ({found.total})"
    print_table(title, columns, rows, empty="No trade is closed yet.")


async def _read_orders(folder: DataFolder, limit: int, *, open_only: bool) -> tuple[Order, ...]:
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.storage.reads import StoreReader

    reader = await StoreReader.open_read_only(folder.database, in_flight=InFlight())
    try:
        return await reader.orders(limit, open_only=open_only)
    finally:
        await reader.close()


def performance_facts(found: Performance) -> dict[str, Any]:
    result = found.equity - found.start_equity
    share = "" if found.total_return is None else f" ({found.total_return:+.2%})"
    facts: dict[str, Any] = {
        "equity": f"{usd(found.equity)} USD, {result:+,.2f} since the start{share}",
        "profit": f"{found.realised_pnl:+,.2f} realised, {found.open_pnl:+,.2f} open",
    }
    if found.benchmark is not None:
        facts["benchmark"] = f"{usd(found.benchmark.equity)} USD by {found.benchmark.name}"
    if found.win_rate is not None:
        rate = found.win_rate
        interval = f"{rate.low:.0%} to {rate.high:.0%}"
        facts["round trips"] = (
            f"{found.trades}, {rate.value:.0%} won (95 % interval {interval}), "
            f"expectancy {found.expectancy_usd:+,.2f} USD"
        )
    else:
        facts["round trips"] = "none closed yet"
    if found.max_drawdown is not None:
        facts["drawdown"] = f"{found.max_drawdown:.2%} at most, by session closes"
    if found.sharpe.value is not None:
        facts["sharpe"] = f"{found.sharpe.value:+.2f} ({found.sharpe.convention})"
    if found.contamination is not None and found.contamination.marked:
        facts["memory"] = found.contamination.text
    return facts


def _minute(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant:%Y-%m-%d %H:%M}"
