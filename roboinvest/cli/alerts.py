"""Alerts: see them, say that you look after one, have one be silent.

It works beside a daemon and without one. Nothing here closes an alert; only recovery does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import clock_in, folder_of, person

if TYPE_CHECKING:
    from roboinvest.runtime.alerting.desk import AlertDesk
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.control.port import Request
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.reports.models import AlertLine

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
    from roboinvest.cli.alert_words import board_left, lines_of, print_alert, tried_left

    folder = folder_of(config, data_dir)
    running = folder.holder() is not None
    lines = lines_of(asyncio.run(board_left(folder)), tried_left(folder))
    shown = [line for line in lines if everything or line.resolved_at is None]
    still_open = sum(line.resolved_at is None for line in shown)
    if as_json:
        rows = [_plain(line) for line in shown]
        print_json({"running": running, "open": still_open, "alerts": rows})
        return
    for line in shown:
        print_alert(line)
    out = console()
    if not shown:
        out.print("No alert is open." if running else "No alert is open, and no daemon runs.")
    elif not running:
        out.print("No daemon runs: this is what the last run left.", markup=False)


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

    clock, request = clock_in(config, data_dir), AckAlert(name=_named(name), by=person())
    _ask(folder_of(config, data_dir), clock, request, act, as_json)


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
    _ask(folder_of(config, data_dir), clock_in(config, data_dir), request, act, as_json)


def _ask(
    folder: DataFolder,
    clock: SystemClock,
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
        running, text = False, asyncio.run(_act(folder, clock, act))
    if as_json:
        print_json({"running": running, "text": text})
    else:
        console().print(text if running else f"{text}; no daemon runs", markup=False)


async def _act(
    folder: DataFolder, clock: SystemClock, act: Callable[[AlertDesk], Awaitable[str]]
) -> str:
    """Act on the board of a folder that no daemon holds."""
    from roboinvest.core.errors import TryLater
    from roboinvest.runtime.alerting.board import DOCUMENT, AlertBoard
    from roboinvest.runtime.alerting.desk import AlertDesk
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.store import Store

    if not folder.database.exists():
        raise TryLater(f"{folder.database} does not exist yet; start with `roboinvest run`")
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


def _named(name: str) -> str:
    from roboinvest.core.errors import BadInput

    if not 1 <= len(name) <= 200:
        raise BadInput("the name of an alert has 1 to 200 characters; `alerts ls` lists them")
    return name


def _plain(line: AlertLine) -> dict[str, Any]:
    return {"id": line.fingerprint, **line.model_dump(mode="json")}
