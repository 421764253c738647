"""How people are told: which channels there are, and whether each of them works."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from roboinvest.runtime.notifications.channel import AppriseChannel, Sent

app = typer.Typer(help="Channels to people: list and try them.", no_args_is_help=True)


@app.command()
def ls(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List the channels; of their URLs only the scheme is shown."""
    channels = _channels(config, data_dir)
    if as_json:
        print_json({"channels": [{"name": one.name, "url": one.shown} for one in channels]})
        return
    rows = [(one.name, one.shown) for one in channels]
    print_table("Channels", ("channel", "url"), rows, empty=_NONE)


@app.command("test")
def try_channels(
    channel: Annotated[str | None, typer.Argument(help="One of them; default: each.")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message, and say what became of each; exit 1 if any was in vain."""
    from roboinvest.core.errors import BadInput

    channels = _channels(config, data_dir)
    if channel is not None:
        names = ", ".join(one.name for one in channels) or "there is none"
        channels = tuple(one for one in channels if one.name == channel)
        if not channels:
            raise BadInput(f"no channel is called {channel[:40]!r}; in notify.channels: {names}")
    sent = asyncio.run(_try(channels))
    if as_json:
        from roboinvest.core.records import to_plain

        print_json({"sent": to_plain(sent)})
    else:
        from rich.markup import escape

        rows = [
            (one.channel, "sent" if one.ok else "FAILED", f"{one.took_s:.1f}", escape(one.text))
            for one in sent
        ]
        print_table("Test message", ("channel", "result", "Seconds", "what"), rows, empty=_NONE)
    if not sent:
        console(stderr=True).print("nothing was sent", markup=False)
    if not sent or not all(one.ok for one in sent):
        raise typer.Exit(ExitCode.FOUND)


_NONE = "No channel is configured; name one in notify.channels."


def _channels(config: Path | None, data_dir: Path | None) -> tuple[AppriseChannel, ...]:
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.configuration.secrets import load_secrets
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.notifications.opening import open_channels

    settings = settings_of(config, data_dir)
    secrets = load_secrets(os.environ, settings.notify.variables())
    return open_channels(settings, secrets, in_flight=InFlight(), monotonic=SystemClock().monotonic)


async def _try(channels: Sequence[AppriseChannel]) -> list[Sent]:
    """Send to each at the same time."""
    from roboinvest.core.events import Severity
    from roboinvest.runtime.notifications.notice import Message

    message = Message(
        title="RoboInvest, test",
        body="This is a test message; nothing has happened.",
        severity=Severity.LOW,
    )
    return list(await asyncio.gather(*(one.send(message) for one in channels)))
