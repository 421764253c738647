"""Commands that look: status, report, positions, orders, trades.

`status` reads the report files, whether a daemon runs or not, and imports nothing heavy. The
others read the files too where the files have it; `orders` reads the store.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_facts, print_json, print_table, usd
from roboinvest.cli.settings import folder_of

if TYPE_CHECKING:
    from roboinvest.core.orders import Order
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.reports.models import Alerts, Budget, Performance, SystemStatus

LIVE: Final = "live"  # the mode in which orders move real money
SHOWN_ALERTS: Final = 10
FRESH_S: Final = 30.0  # a status file older than this is not the voice of a living daemon
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]


def status(
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 unless a daemon lives and trading is possible.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the daemon is doing, or was doing when it stopped."""
    from roboinvest.core.errors import TryLater
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.reports.files import read_report
    from roboinvest.runtime.reports.models import Alerts, Budget, Performance, SystemStatus

    folder = folder_of(config, data_dir)
    running = folder.holder() is not None
    try:
        found = read_report(folder.reports / "system_status.json", SystemStatus)
    except TryLater:
        _nothing_yet(folder, running=running, as_json=as_json, check=check)
        return
    age_s = (SystemClock().now() - found.status_updated).total_seconds()
    live = running and age_s < FRESH_S
    if as_json:
        body = {"running": running, "live": live, "status_age_s": round(age_s, 1)}
        print_json(body | found.model_dump(mode="json"))
    else:
        performance = read_report(folder.reports / "performance.json", Performance)
        alerts = read_report(folder.reports / "alerts.json", Alerts)
        budget = read_report(folder.reports / "budget.json", Budget)
        _show_status(found, performance, budget, running=running, age_s=age_s)
        _show_alerts(alerts)
    if check and not live:
        raise typer.Exit(ExitCode.FOUND)


def _show_alerts(alerts: Alerts) -> None:
    """Print what is wrong, the worst first; what follows from it is left to `alerts ls`."""
    found = [one for one in alerts.alerts if one.resolved_at is None and one.folded_under is None]
    for alert in found[:SHOWN_ALERTS]:
        since = f"since {_minute(alert.raised_at)} UTC, x{alert.count}"
        seen = f", {alert.acknowledged_by} looks after it" if alert.acknowledged_by else ""
        line = f"{alert.severity.value}: {alert.message} ({since}{seen})"
        console().print(line, markup=False)
    if alerts.open > len(found[:SHOWN_ALERTS]):
        more = alerts.open - len(found[:SHOWN_ALERTS])
        console().print(f"{more} more alerts are open; see: roboinvest alerts ls", markup=False)


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
    print_facts(_performance_facts(found))


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


def _nothing_yet(folder: DataFolder, *, running: bool, as_json: bool, check: bool) -> None:
    if as_json:
        print_json({"running": running, "live": False, "data_dir": str(folder.root)})
    else:
        word = "a daemon is starting" if running else "no daemon has run"
        console().print(f"{word} on {folder.root}; start one with: roboinvest run", markup=False)
    if check:
        raise typer.Exit(ExitCode.FOUND)


def _show_status(
    found: SystemStatus, performance: Performance, budget: Budget, *, running: bool, age_s: float
) -> None:
    label = "REAL MONEY" if found.mode == LIVE else "no real money"
    if found.simulated:
        label = f"SIMULATED market, {label}"
    tick = found.last_tick
    last = (
        f"{_minute(tick.at)}: {tick.buys} BUY, {tick.sells} SELL, {tick.holds} HOLD"
        if tick
        else None
    )
    troubled = [s for s in found.services if s.state not in ("running", "finished")]
    facts: dict[str, Any] = {
        "daemon": f"running, pid {found.process.pid}" if running else "not running",
        "status": f"{age_s:.0f} s old",
        "mode": f"{found.mode} ({label})",
        "trading": f"{found.trading_state.value}: {found.trading_state_reason}",
        "market time": f"{_minute(found.market_time)} UTC" if found.market_time else None,
        "last tick": last,
        **_performance_facts(performance),
        "recall": found.recall.state + (f" ({found.recall.reason})" if found.recall.reason else ""),
        "data": f"{found.data.used} bars used, {found.data.quarantined} quarantined",
        **_rules_facts(found),
        **_answer_facts(budget),
        **_governance_facts(found),
        "services": ", ".join(f"{s.name} {s.state}" for s in troubled) or "all up",
    }
    print_facts(facts)


def _rules_facts(found: SystemStatus) -> dict[str, Any]:
    """Return what stops entries: the mandate, the locks, what was refused last."""
    facts: dict[str, Any] = {}
    if found.mandate is not None and found.mandate.state != "absent":
        facts["mandate"] = f"{found.mandate.state}: {found.mandate.reason}"
    if found.locks:
        facts["locks"] = "; ".join(f"{lock.name}, {lock.text}" for lock in found.locks)
    if found.refusals:
        last = found.refusals[0]
        facts["refused"] = f"{last.text} ({last.rule}, {_minute(last.last_at)}, x{last.count})"
    return facts


def _governance_facts(found: SystemStatus) -> dict[str, Any]:
    """Return what waits for a person, and whether what agents do is held and written down."""
    line = found.governance
    if line is None:
        return {}
    facts: dict[str, Any] = {}
    if line.state == "degraded":
        facts["governance"] = f"degraded: {line.reason}"
    if line.proposals_waiting:
        waiting = ", ".join(f"{n} of {level}" for level, n in line.proposals_waiting.items())
        facts["proposals"] = f"{waiting} waiting: roboinvest approvals"
    if line.quarantined:
        facts["quarantined"] = ", ".join(line.quarantined)
    if line.promotions_frozen:
        facts["promotions"] = line.promotions_frozen
    if line.audit_whole is None:
        facts["audit"] = "not verified yet"
    else:
        broken = "whole" if line.audit_whole else f"BROKEN: {line.audit_fault}"
        facts["audit"] = f"{line.audit_rows} rows, {broken}"
    if line.sandbox is None:
        facts["code agents"] = "off until the sandbox was tried"
    else:
        word = "may run" if line.sandbox.code_agents else "off"
        facts["code agents"] = f"{word}, sandbox tier {line.sandbox.tier}: {line.sandbox.reason}"
    return facts


def _answer_facts(budget: Budget) -> dict[str, Any]:
    """Return who answered, where it was not the rules alone, and what that cost."""
    if not set(budget.by_source) - {"rules"}:
        return {}
    shares = ", ".join(f"{source} {n}" for source, n in sorted(budget.by_source.items()))
    cost = f"{budget.cost_today:.4f} of {budget.day_cap_usd:.2f} USD today"
    return {"answers": f"{shares}; {cost}"}


def _performance_facts(found: Performance) -> dict[str, Any]:
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
