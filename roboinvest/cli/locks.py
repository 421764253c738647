"""Times without entries: see them, and end them. It works beside a daemon and without one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import folder_of, person

if TYPE_CHECKING:
    from roboinvest.core.protections import Lock
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.trading.locks.book import Clearing

app = typer.Typer(help="Times without entries: list and clear them.", no_args_is_help=True)


@app.command()
def ls(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List the locks in force, and who cleared which."""
    found, cleared = asyncio.run(_read(folder_of(config, data_dir)))
    if as_json:
        from roboinvest.core.records import to_plain

        locks = [{"name": lock.name, **to_plain(lock)} for lock in found]
        print_json({"locks": locks, "cleared": to_plain(cleared)})
        return
    rows = [
        (
            lock.name,
            f"{lock.since:%Y-%m-%d %H:%M}",
            f"{lock.until:%Y-%m-%d %H:%M}" if lock.until else "a person clears it",
            lock.text,
        )
        for lock in found
    ]
    print_table("Locks", ("name", "since", "until", "why"), rows, empty="No lock is in force.")
    for one in cleared[-5:]:
        console().print(f"{one.at:%Y-%m-%d %H:%M}: {one.by} cleared {one.name}", markup=False)


@app.command()
def clear(
    name: Annotated[str | None, typer.Argument(help="As `locks ls` has it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Each that may be cleared.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a lock before its time; who did it is recorded."""
    from roboinvest.core.errors import BadInput
    from roboinvest.runtime.control.port import ClearLocks, ControlClient, Done, NoDaemon

    if (name is None) is not everything:
        raise BadInput("name one lock, or give --all; `roboinvest locks ls` lists them")
    folder = folder_of(config, data_dir)
    try:
        reply = ControlClient(folder.control_socket).ask(ClearLocks(name=name, by=person()))
        text = reply.text if isinstance(reply, Done) else "cleared"
    except NoDaemon:
        text = f"{asyncio.run(_clear(folder, name))}; no daemon runs"
    if as_json:
        print_json({"text": text})
    else:
        console().print(text, markup=False)


async def _read(folder: DataFolder) -> tuple[tuple[Lock, ...], tuple[Clearing, ...]]:
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.storage.reads import StoreReader
    from roboinvest.trading.locks.book import CLEARINGS, clearings_in
    from roboinvest.trading.locks.desk import committed_locks

    reader = await StoreReader.open_read_only(folder.database, in_flight=InFlight())
    try:
        last = next(iter(await reader.recent_ticks(1)), None)
        found = await committed_locks(reader, last.at if last else None)
        return found, clearings_in(await reader.document(CLEARINGS))
    finally:
        await reader.close()


async def _clear(folder: DataFolder, name: str | None) -> str:
    """Clear in the store of a folder that no daemon holds."""
    from roboinvest.core.errors import TryLater
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.store import Store
    from roboinvest.trading.locks.desk import LockDesk, cleared_text

    if not folder.database.exists():
        raise TryLater(f"{folder.database} does not exist yet; start with `roboinvest run`")
    clock = SystemClock()
    folder.hold()
    try:
        store = await Store.open(folder.database, in_flight=InFlight(), clock=clock)
        try:
            last = next(iter(await store.recent_ticks(1)), None)
            desk = LockDesk(store, clock, lambda: None)
            at = last.at if last else None
            return cleared_text(await desk.clear(name, by=person(), at=at))
        finally:
            await store.close()
    finally:
        folder.release()
