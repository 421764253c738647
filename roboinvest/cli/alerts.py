"""Alerts: see them, say that you look after one, have one be silent.

It works beside a daemon and without one. Nothing here closes an alert; only recovery does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import folder_of, person

if TYPE_CHECKING:
    from datetime import datetime

    from roboinvest.runtime.alerting.board import AlertBoard
    from roboinvest.runtime.alerting.desk import AlertDesk
    from roboinvest.runtime.alerting.values import Alert
    from roboinvest.runtime.control.port import Request
    from roboinvest.runtime.folder import DataFolder

app = typer.Typer(help="Alerts: list, acknowledge and snooze them.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="As `alerts ls` has it, or its key.")]


@app.command()
def ls(
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that have recovered.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List open alerts, the worst first; what follows from one stands below it."""
    folder = folder_of(config, data_dir)
    running = folder.holder() is not None
    board = asyncio.run(_read(folder))
    alerts = [alert for alert in _in_order(board) if everything or alert.is_open]
    if as_json:
        rows = [_plain(board, alert) for alert in alerts]
        still_open = sum(1 for alert in alerts if alert.is_open)
        print_json({"running": running, "open": still_open, "alerts": rows})
        return
    columns = ("id", "severity", "kind", "what", "Count", "first seen", "last seen", "state")
    empty = "No alert is open." if running else "No alert is open, and no daemon runs."
    print_table("Alerts (UTC)", columns, [_row(board, alert) for alert in alerts], empty=empty)
    if alerts and not running:
        console().print("No daemon runs: this is what the last run left.", markup=False)


@app.command()
def ack(
    name: NameArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that you look after an alert; it stays open until it recovers."""
    from roboinvest.runtime.alerting.desk import acknowledged_text
    from roboinvest.runtime.control.port import AckAlert

    async def act(desk: AlertDesk) -> str:
        return acknowledged_text(await desk.acknowledge(name, by=person()))

    _ask(folder_of(config, data_dir), AckAlert(name=_named(name), by=person()), act, as_json)


@app.command()
def snooze(
    name: NameArgument,
    span: Annotated[str, typer.Option("--for", help="How long: 30m, 4h, 2d.")] = "4h",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have nobody told of an alert for a while, unless it gets worse."""
    from roboinvest.runtime.alerting.desk import snoozed_text, span_of
    from roboinvest.runtime.control.port import SnoozeAlert

    length = span_of(span)

    async def act(desk: AlertDesk) -> str:
        return snoozed_text(await desk.snooze(name, by=person(), span=length))

    request = SnoozeAlert(name=_named(name), span_s=length.total_seconds(), by=person())
    _ask(folder_of(config, data_dir), request, act, as_json)


def _ask(
    folder: DataFolder,
    request: Request,
    act: Callable[[AlertDesk], Awaitable[str]],
    as_json: bool,
) -> None:
    """Have the daemon do it, or do it where no daemon runs; say what was done."""
    from roboinvest.runtime.control.port import ControlClient, Done, NoDaemon

    running = True
    try:
        reply = ControlClient(folder.control_socket).ask(request)
        text = reply.text if isinstance(reply, Done) else "done"
    except NoDaemon:
        running, text = False, asyncio.run(_act(folder, act))
    if as_json:
        print_json({"running": running, "text": text})
    else:
        console().print(text if running else f"{text}; no daemon runs", markup=False)


async def _read(folder: DataFolder) -> AlertBoard:
    """Return the board as it was kept last; an empty one where nothing ever was."""
    from roboinvest.runtime.alerting.board import DOCUMENT, AlertBoard
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.storage.reads import StoreReader

    board = AlertBoard(_nowhere)
    if not folder.database.exists():
        return board
    reader = await StoreReader.open_read_only(folder.database, in_flight=InFlight())
    try:
        board.restore(await reader.document(DOCUMENT))
        return board
    finally:
        await reader.close()


async def _act(folder: DataFolder, act: Callable[[AlertDesk], Awaitable[str]]) -> str:
    """Act on the board of a folder that no daemon holds."""
    from roboinvest.core.errors import TryLater
    from roboinvest.runtime.alerting.board import DOCUMENT, AlertBoard
    from roboinvest.runtime.alerting.desk import AlertDesk
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.store import Store

    if not folder.database.exists():
        raise TryLater(f"{folder.database} does not exist yet; start with `roboinvest run`")
    clock = SystemClock()
    folder.hold()
    try:
        store = await Store.open(folder.database, in_flight=InFlight(), clock=clock)
        try:
            board = AlertBoard(store.put_document)
            board.restore(await store.document(DOCUMENT))
            return await act(AlertDesk(board, clock))
        finally:
            await store.close()
    finally:
        folder.release()


async def _nowhere(name: str, text: str) -> None:
    """Keep nothing: who lists changes nothing."""


def _named(name: str) -> str:
    from roboinvest.core.errors import BadInput

    if not 1 <= len(name) <= 200:
        raise BadInput("the name of an alert has 1 to 200 characters; `alerts ls` lists them")
    return name


def _in_order(board: AlertBoard) -> list[Alert]:
    """Return the alerts, each that is folded below the one it is folded under."""
    alerts = board.alerts()
    below: dict[str | None, list[Alert]] = {}
    for alert in alerts:
        below.setdefault(board.root_of(alert.key), []).append(alert)
    return [one for root in below.get(None, []) for one in (root, *below.get(root.key, []))]


def _row(board: AlertBoard, alert: Alert) -> tuple[Any, ...]:
    from rich.markup import escape

    folded = "  " if board.root_of(alert.key) else ""
    return (
        folded + alert.fingerprint,
        alert.severity.value,
        escape(alert.kind),
        escape(alert.message),
        alert.count,
        _minute(alert.raised_at),
        _minute(alert.last_seen_at),
        escape(_state(board, alert)),
    )


def _state(board: AlertBoard, alert: Alert) -> str:
    """Return what became of an alert, in words."""
    if not alert.is_open:
        return f"over {_minute(alert.resolved_at)}: {alert.resolution}"
    if alert.snoozed_until is not None:
        return f"silent until {_minute(alert.snoozed_until)}"
    if alert.acknowledged_by is not None:
        return f"{alert.acknowledged_by} looks after it"
    if board.root_of(alert.key) is not None:
        return "follows from the one above"
    return "open"


def _minute(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%d %H:%M}" if at else None


def _plain(board: AlertBoard, alert: Alert) -> dict[str, Any]:
    from roboinvest.core.records import to_plain

    plain = to_plain(alert)
    plain.pop("told", None)
    return {"id": alert.fingerprint, **plain, "folded_under": board.root_of(alert.key)}
