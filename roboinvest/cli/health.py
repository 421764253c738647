"""How the agents are: status, why, since when, and what was tried.

It reads health.json, which the Overseer left at its last look, whether a daemon runs or not, and
imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import folder_of

if TYPE_CHECKING:
    from roboinvest.runtime.reports.health import AgentLine, Health

STALE_S = 180.0  # three looks; an older one says how it was, and not how it is


def health(
    everything: Annotated[
        bool, typer.Option("--all", help="Also the agents that are healthy.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the agents that are not healthy, the worst first, with the reason and since when."""
    from roboinvest.core.errors import TryLater
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.reports.health import read_health

    folder = folder_of(config, data_dir)
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
    age_s = (SystemClock().now() - found.checked_at).total_seconds()
    if as_json:
        body = {"running": running, "live": running and age_s < STALE_S}
        print_json(body | {"age_s": round(age_s, 1)} | found.model_dump(mode="json"))
        return
    _show(found, running=running, age_s=age_s, everything=everything)


def _show(found: Health, *, running: bool, age_s: float, everything: bool) -> None:
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
    elif age_s >= STALE_S:
        out.print(
            f"The last look is {age_s / 60:.0f} min old: the Overseer is silent.", markup=False
        )
    shown = [line for line in found.agents if everything or line.status != "healthy"]
    columns = ("agent", "status", "since", "why", "calls", "tried")
    print_table("", columns, [_row(line) for line in shown], empty="All agents are healthy.")
    hidden = found.total_agents - len(found.agents)
    if hidden > 0:
        out.print(f"{hidden} more are not listed; the worst are.", markup=False)


def _row(line: AgentLine) -> tuple[Any, ...]:
    from rich.markup import escape

    from roboinvest.core.text.cleaning import clean

    why = "; ".join(line.reasons)
    if line.because_of is not None:
        why = f"because of {line.because_of}; {why}".removesuffix("; ")
    share = "-" if line.success_rate is None else f"{line.success_rate:.0%} of {line.calls}"
    texts = (line.name, line.status, f"{line.since:%Y-%m-%d %H:%M}", why or "-", share)
    return tuple(escape(clean(text, 400)) for text in (*texts, line.tried or "-"))
