"""What the daemon is doing, or was doing when it stopped: for somebody who was woken up.

It reads the report files, whether a daemon runs or not, and imports nothing heavy. Where they are
old or cannot be read, alerts come from the store, so that what is wrong is told all the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from roboinvest.cli.look import performance_facts
from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_facts, print_json
from roboinvest.cli.settings import settings_of
from roboinvest.cli.status_words import (
    answer_facts,
    governance_facts,
    minute,
    overseer_facts,
    rules_facts,
)

if TYPE_CHECKING:
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.reports.fields import Report
    from roboinvest.runtime.reports.models import AlertLine, SystemStatus

LIVE: Final = "live"  # the mode in which orders move real money
SHOWN_ALERTS: Final = 10
FRESH_S: Final = 30.0  # a status file older than this is not the voice of a living daemon
WRITES: Final = 11  # at least, where it is written seldom; a meeting may make that ten times rarer
ReportT = TypeVar("ReportT", bound="Report")


def status(
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 unless a daemon lives and trading is possible.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the daemon is doing, or was doing when it stopped, and what is wrong."""
    from roboinvest.core.errors import BadInput, TryLater
    from roboinvest.runtime.configuration.policies import clock_of
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.reports.files import read_report
    from roboinvest.runtime.reports.models import SystemStatus

    settings = settings_of(config, data_dir)
    folder = DataFolder(settings.data_dir)
    running = folder.holder() is not None
    try:
        found = read_report(folder.reports / "system_status.json", SystemStatus)
    except TryLater:
        _nothing_yet(folder, running=running, as_json=as_json, check=check)
        return
    except BadInput as error:
        _unreadable(folder, str(error), running=running, as_json=as_json)
        raise typer.Exit(ExitCode.AWAY) from None
    age_s = (clock_of(settings).now() - found.status_updated).total_seconds()
    live = running and age_s < max(FRESH_S, WRITES * settings.reports.interval_s)
    alerts, trouble = _open_alerts(folder, from_file=live or (not running and _is_latest(folder)))
    if as_json:
        body = {"running": running, "live": live, "status_age_s": round(age_s, 1)}
        lines = None if trouble else [line.model_dump(mode="json") for line in alerts]
        print_json(body | found.model_dump(mode="json") | {"alerts": lines})
    else:
        silent = running and not live
        _show(folder, found, alerts, trouble, running=running, silent=silent, age_s=age_s)
    if check and not live:
        raise typer.Exit(ExitCode.FOUND)


def _nothing_yet(folder: DataFolder, *, running: bool, as_json: bool, check: bool) -> None:
    if as_json:
        print_json({"running": running, "live": False, "data_dir": str(folder.root)})
    elif running:
        console().print(f"a daemon is starting on {folder.root}; ask again soon", markup=False)
    else:
        text = f"no daemon has run on {folder.root}; start one with: roboinvest run"
        console().print(text, markup=False)
    if check:
        raise typer.Exit(ExitCode.FOUND)


def _unreadable(folder: DataFolder, why: str, *, running: bool, as_json: bool) -> None:
    """Say what is known where the status file is not to be read."""
    alerts, trouble = _open_alerts(folder, from_file=False)
    if as_json:
        body = {"running": running, "live": False, "data_dir": str(folder.root), "problem": why}
        lines = None if trouble else [line.model_dump(mode="json") for line in alerts]
        print_json(body | {"alerts": lines})
        return
    daemon = f"running, pid {folder.holder()}" if running else "not running"
    print_facts({"daemon": daemon, "status": f"not known: {why}", "wrong": _wrong(alerts, trouble)})
    _show_alerts(alerts)


def _is_latest(folder: DataFolder) -> bool:
    """Return whether the report files were written as late as the store."""
    store = (folder.database, folder.database.with_name(f"{folder.database.name}-wal"))
    try:
        changed = max(path.stat().st_mtime for path in store if path.exists())
        return changed - (folder.reports / "system_status.json").stat().st_mtime < FRESH_S
    except (OSError, ValueError):
        return False


def _open_alerts(folder: DataFolder, *, from_file: bool) -> tuple[list[AlertLine], str]:
    """Return the open alerts, and why they are not known; the store has the last word."""
    from roboinvest.cli.alert_words import board_left, lines_of, tried_left
    from roboinvest.core.errors import BadInput, RoboInvestError, TryLater
    from roboinvest.runtime.reports.files import read_report
    from roboinvest.runtime.reports.models import Alerts

    if from_file:
        try:
            found = read_report(folder.reports / "alerts.json", Alerts).alerts
            return [line for line in found if line.resolved_at is None], ""
        except (BadInput, TryLater):
            pass  # the store knows
    try:
        lines = lines_of(asyncio.run(board_left(folder)), tried_left(folder))
    except RoboInvestError as error:
        return [], str(error)
    return [line for line in lines if line.resolved_at is None], ""


def _show(
    folder: DataFolder,
    found: SystemStatus,
    alerts: list[AlertLine],
    trouble: str,
    *,
    running: bool,
    silent: bool,
    age_s: float,
) -> None:
    daemon = f"running, pid {found.process.pid}" if running else "not running"
    if silent:
        daemon = f"running, pid {folder.holder()}, but it is silent"
    age = f"{age_s:.0f} s old" if age_s < 600 else f"{age_s / 60:.0f} min old"
    facts: dict[str, Any] = {
        "daemon": daemon,
        "status": age if running and not silent else f"{age}: what follows is of then",
        "wrong": _wrong(alerts, trouble),
        "mode": f"{found.mode} ({_label(found)})",
        "trading": f"{found.trading_state.value}: {found.trading_state_reason}",
        "market time": f"{minute(found.market_time)} UTC" if found.market_time else None,
        "last tick": _last_tick(found),
        **_figures(folder),
        "recall": found.recall.state + (f" ({found.recall.reason})" if found.recall.reason else ""),
        "data": f"{found.data.used} bars used, {found.data.quarantined} quarantined",
        **rules_facts(found),
        **governance_facts(found),
        **overseer_facts(found.overseer, live=running and not silent),
        "services": _services(found),
    }
    print_facts(facts)
    _show_alerts(alerts)


def _wrong(alerts: list[AlertLine], trouble: str) -> str:
    """Return how much is wrong; what it is stands below."""
    if trouble:
        return f"not known: {trouble}"
    counts: dict[str, int] = {}
    for line in alerts:
        if line.folded_under is None:
            counts[line.severity.value] = counts.get(line.severity.value, 0) + 1
    if not counts:
        return "nothing: no alert is open"
    return ", ".join(f"{count} {word}" for word, count in counts.items()) + "; see below"


def _label(found: SystemStatus) -> str:
    label = "REAL MONEY" if found.mode == LIVE else "no real money"
    return f"SIMULATED market, {label}" if found.simulated else label


def _last_tick(found: SystemStatus) -> str | None:
    tick = found.last_tick
    if tick is None:
        return None
    return f"{minute(tick.at)}: {tick.buys} BUY, {tick.sells} SELL, {tick.holds} HOLD"


def _services(found: SystemStatus) -> str:
    troubled = [each for each in found.services if each.state not in ("running", "finished")]
    return ", ".join(f"{each.name} {each.state}" for each in troubled) or "all up"


def _figures(folder: DataFolder) -> dict[str, Any]:
    """Return what it came to; a report that cannot be read costs its own lines."""
    from roboinvest.core.errors import BadInput, TryLater
    from roboinvest.runtime.reports.files import read_report
    from roboinvest.runtime.reports.models import Budget, Performance

    facts: dict[str, Any] = {}
    try:
        performance = read_report(folder.reports / "performance.json", Performance)
        facts |= performance_facts(performance)
    except (BadInput, TryLater) as error:
        facts["equity"] = f"not known: {error}"
    try:
        facts |= answer_facts(read_report(folder.reports / "budget.json", Budget))
    except (BadInput, TryLater) as error:
        facts["answers"] = f"not known: {error}"
    return facts


def _show_alerts(alerts: list[AlertLine]) -> None:
    """Print what is wrong, the worst first; what follows from it is left to `alerts ls`."""
    from roboinvest.cli.alert_words import print_alert

    roots = [line for line in alerts if line.folded_under is None]
    if roots:
        console().print("")
    for line in roots[:SHOWN_ALERTS]:
        print_alert(line)
    hidden = len(roots) - SHOWN_ALERTS
    folded = len(alerts) - len(roots)
    rest = [f"{hidden} more"] if hidden > 0 else []
    rest += [f"{folded} that follow from others"] if folded else []
    if rest:
        text = f"not shown: {' and '.join(rest)}; see: roboinvest alerts ls"
        console().print(text, markup=False)
