"""How the agents are: status, why, since when, and what was tried.

It reads health.json, which the Overseer left at its last look, whether a daemon runs or not, and
imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import settings_of

if TYPE_CHECKING:
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.reports.health import AgentLine, Health

STALE_S: Final = 180.0  # an older look says how it was, and not how it is
LOOKS: Final = 3  # at least, where the settings have it look seldom


def health(
    everything: Annotated[
        bool, typer.Option("--all", help="Also the agents that are healthy.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the agents that are not healthy, the worst first, with the reason and since when."""
    from roboinvest.core.errors import BadInput, TryLater
    from roboinvest.runtime.configuration.policies import clock_of
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.reports.health import read_health

    settings = settings_of(config, data_dir)
    folder = DataFolder(settings.data_dir)
    running = folder.holder() is not None
    try:
        found = read_health(folder.reports)
    except TryLater:
        if as_json:
            print_json({"running": running, "live": False, "data_dir": str(folder.root)})
        else:
            word = (
                "no look yet" if running else "no daemon runs, and none left a look at its agents"
            )
            console().print(f"{word} in {folder.root}", markup=False)
        return
    except BadInput as error:
        _unreadable(folder, str(error), running=running, as_json=as_json)
        raise typer.Exit(ExitCode.AWAY) from None
    age_s = (clock_of(settings).now() - found.checked_at).total_seconds()
    is_old = age_s >= max(STALE_S, LOOKS * settings.overseer.health_interval_s)
    if as_json:
        body = {"running": running, "live": running and not is_old}
        print_json(body | {"age_s": round(age_s, 1)} | found.model_dump(mode="json"))
        return
    silent_s = age_s if running and is_old else None
    _show(found, running=running, silent_s=silent_s, everything=everything)


def _unreadable(folder: DataFolder, why: str, *, running: bool, as_json: bool) -> None:
    if as_json:
        body = {"running": running, "live": False, "data_dir": str(folder.root), "problem": why}
        print_json(body)
        return
    console().print(f"How the agents are is not known: {why}", markup=False)
    console().print("What is wrong all the same: roboinvest alerts ls", markup=False)


def _show(found: Health, *, running: bool, silent_s: float | None, everything: bool) -> None:
    from roboinvest.runtime.reports.health import counts_of

    out = console()
    counts = ", ".join(f"{count} {word}" for word, count in counts_of(found).items() if count)
    out.print(
        f"{found.total_agents} agents: {counts or 'none is registered'} "
        f"({found.checked_at:%Y-%m-%d %H:%M:%S} UTC)",
        markup=False,
    )
    if not running:
        out.print("No daemon runs: this is what the last run left.", markup=False)
    elif silent_s is not None:
        out.print(
            f"The last look is {silent_s / 60:.0f} min old: the Overseer is silent.", markup=False
        )
    shown = [line for line in found.agents if everything or line.status != "healthy"]
    if everything:
        columns = ("agent", "status", "since", "calls", "well")
        print_table("", columns, [_row(line) for line in shown], empty="No agent is registered.")
    for line in shown:
        if line.status != "healthy":
            _print_agent(line)
    if not shown:
        out.print("All agents are healthy.", markup=False)
    hidden = found.total_agents - len(found.agents)
    if hidden > 0:
        out.print(f"{hidden} more are not listed; the worst are.", markup=False)


def _row(line: AgentLine) -> tuple[Any, ...]:
    from rich.markup import escape

    from roboinvest.core.text.cleaning import clean

    well = "-" if line.success_rate is None else f"{line.success_rate:.0%}"
    texts = (line.name, line.status, f"{line.since:%Y-%m-%d %H:%M}", str(line.calls), well)
    return tuple(escape(clean(text, 400)) for text in texts)


def _print_agent(line: AgentLine) -> None:
    """Write of an agent what is wrong, since when, what was tried, and what to do."""
    from roboinvest.cli.alert_words import print_block
    from roboinvest.core.text.cleaning import clean
    from roboinvest.runtime.alerting.next_steps import for_agent

    why = clean("; ".join(line.reasons), 600) or "no reason is on record"
    rest = []
    if line.because_of is not None:
        rest.append(f"because of {clean(line.because_of, 100)}")
    if line.success_rate is not None:
        rest.append(f"{line.success_rate:.0%} of {line.calls} calls went well")
    texts = [
        f"{clean(line.name, 100)}: {why}",
        "; ".join((f"since {line.since:%Y-%m-%d %H:%M} UTC", *rest)),
        f"tried: {clean(line.tried, 400) if line.tried else 'nothing'}",
    ]
    if line.because_of is None:
        texts.append(f"do: {for_agent(line.name, line.kind)}")
    print_block(line.status, texts)
