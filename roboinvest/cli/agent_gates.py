"""Agents: take a folder in as a draft, run its gates, install it. Nothing here makes it active."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from roboinvest.cli.agents_books import actor, found_in, known, needed
from roboinvest.cli.backtest.options import (
    ActionsOption,
    BarsOption,
    FromOption,
    SourceOption,
    SymbolsOption,
    TimeframeOption,
    ToOption,
    asked_of,
)
from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import folder_of, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meta_agents.evolution.gatekeeper import Gatekeeper, GateReport, GateRow
    from meta_agents.evolution.market_gates import GateData
    from roboinvest.app.backtests import Asked, BacktestDesk
    from roboinvest.core.revisions.lifecycle import Actor, Revision
    from roboinvest.runtime.revisions.book import RevisionBook
    from roboinvest.runtime.revisions.opening import Revisions

_WHY: Final = "by hand"
_TOLD: Final = 12  # findings of a gate that a table shows
AgentArgument = Annotated[str, typer.Argument(help="As `agents ls` has it.")]
RevisionArgument = Annotated[
    str | None, typer.Argument(help="First digits of its id. Default: the newest one.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="For the record.")]


def draft(
    folder: Annotated[
        Path, typer.Argument(help="Has spec/agent.json, code/, evals/, dependencies/.")
    ],
    agent: Annotated[str, typer.Option("--agent", help="Whose revision it becomes.")],
    parent: Annotated[
        str | None, typer.Option("--parent", help="First digits of the revision it was made from.")
    ] = None,
    reason: ReasonOption = _WHY,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a folder in as a draft of an agent; its code is read, and not run.

    spec/agent.json says what it asks for: {"capabilities": ["MarketData", "OrderProposal"]}.
    code/ has strategy.py (a strategy's file) or transform.py (defines transform(columns)).
    evals/*.json has at least three cases, which agents that know nothing must fail:
    {"kind": "strategy", "cases": [{"name": "buys_a_rise", "bars": {"kind": "trend", "seed": 3},
    "expect": {"entries_in": [{"first": 60, "last": 200, "side": "long"}], "stops": true}}]}
    """
    from meta_agents.evolution.drafts import artifact_from
    from meta_agents.evolution.opening import code_check
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.revisions.opening import open_revisions

    made = artifact_from(folder, agent, code_check(InFlight()))
    with open_revisions(folder_of(config, data_dir).root, SystemClock()) as house:
        above = None
        if parent is not None:
            above = house.store.read_book(lambda book: found_in(book, agent, parent)).revision_id
        revision = house.store.draft(made, above, actor(reason))
    if as_json:
        print_json(_plain(revision))
        return
    console().print(f"{agent} {revision.short}: {revision.state}", markup=False)
    console().print(f"next: roboinvest agents gate {agent} {revision.short}", markup=False)


def gate(
    agent: AgentArgument,
    revision: RevisionArgument = None,
    bars: BarsOption = None,
    source: SourceOption = None,
    symbols: SymbolsOption = None,
    timeframe: TimeframeOption = None,
    first: FromOption = None,
    last: ToOption = None,
    actions: ActionsOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run also the gates that it has passed.")
    ] = False,
    new_data: Annotated[
        bool, typer.Option("--new-data", help="Judge every agent on these bars from now on.")
    ] = False,
    reason: ReasonOption = _WHY,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the gates of a revision, the code in the box, and say what to do next.

    Ends with 1 when one of them is not passed.
    """
    from roboinvest.app.backtests import BacktestDesk
    from roboinvest.core.revisions.lifecycle import State

    asked = asked_of(
        agent, bars=bars, source=source, symbols=symbols, param=None, first=first, last=last,
        actions=actions, timeframe=timeframe,
    )  # fmt: skip
    with needed(config, data_dir) as house:
        found = house.store.read_book(lambda book: _newest(book, agent, revision))
        desk = BacktestDesk(settings_of(config, data_dir))
        who = actor(reason)
        with _gatekeeper(house, desk, asked if _trades(found) else None) as keeper:
            report = keeper.run_gates(agent, found.revision_id, who, again=again, new_data=new_data)
        after = report.revision
        if report.passed and after.state is State.DRAFT:
            after = house.store.gate(agent, after.revision_id, who)
    next_step = _next_step(report, after)
    if as_json:
        print_json({**_plain(after), **_rows(report), "passed": report.passed, "next": next_step})
    else:
        _print(report, after, next_step)
    if not report.passed:
        raise typer.Exit(ExitCode.FOUND)


def install(
    agent: AgentArgument,
    revision: RevisionArgument = None,
    reason: ReasonOption = _WHY,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Install a revision whose gates are passed; it does nothing before it is activated."""
    with needed(config, data_dir) as house:
        found = house.store.read_book(lambda book: _newest(book, agent, revision))
        after = house.store.install(agent, found.revision_id, actor(reason))
    if as_json:
        print_json(_plain(after))
        return
    console().print(f"{agent} {after.short}: {found.state} -> {after.state}", markup=False)
    console().print(
        f"next: roboinvest agents show {agent} {after.short} says what it still lacks", markup=False
    )


def run_again(
    house: Revisions, found: Revision, who: Actor, config: Path | None, data_dir: Path | None
) -> None:
    """Run the suite again that a record says was passed; what differs is recorded as failed.

    Called before an activation, which the evidence then refuses. Records of another evaluator than
    today's count for nothing, and are not run again.

    Raises:
        Refused: it cannot be run here and now.
    """
    from meta_agents.evolution.evidence import Evidence
    from meta_agents.evolution.standards import Standards
    from roboinvest.app.backtests import BacktestDesk
    from roboinvest.core.revisions.gates import Gate, Verdict
    from roboinvest.runtime.clock import SystemClock

    record = Evidence(house, SystemClock()).newest(found).get(Gate.EVALUATOR)
    todays = Standards().standard(Gate.EVALUATOR)
    if record is None or record.standard != todays or record.verdict is not Verdict.PASSED:
        return
    desk = BacktestDesk(settings_of(config, data_dir))
    with _gatekeeper(house, desk, None) as keeper:
        keeper.recheck(found.agent_id, found.revision_id, who)


@contextlib.contextmanager
def _gatekeeper(house: Revisions, desk: BacktestDesk, asked: Asked | None) -> Iterator[Gatekeeper]:
    from meta_agents.evolution.opening import open_gates
    from roboinvest.runtime.in_flight import InFlight

    bars = None if asked is None else _data(desk, asked)
    data = None if bars is None else (bars, desk.book)
    with open_gates(house, desk.folder, desk.clock, InFlight(), data=data) as keeper:
        yield keeper


def _data(desk: BacktestDesk, asked: Asked) -> GateData | None:
    """Return the bars that were named, or those of the store; None where there are none."""
    from meta_agents.evolution.market_gates import GateData
    from roboinvest.runtime.configuration.policies import fill_rules
    from tools.backtester.contract import Terms
    from tools.bars.store import BarStore

    store = desk.folder / "bars"
    if asked.bars is None and not (store.exists() and BarStore(store).ls()):
        return None
    found, settings = desk.bars(asked), desk.settings
    terms = Terms(
        cash=settings.broker.starting_cash_usd,
        rules=fill_rules(settings),
        allow_short=settings.risk.allow_short,
    )
    return GateData(
        bars=found.bars,
        timeframe=found.timeframe,
        terms=terms,
        actions=found.actions,
        adjusted=found.adjusted,
        source=found.source,
    )


def _trades(revision: Revision) -> bool:
    from roboinvest.core.proposals import Capability

    return bool(revision.capabilities & {Capability.PROPOSE_ORDERS, Capability.LIVE_ORDERS})


def _newest(book: RevisionBook, agent: str, wanted: str | None) -> Revision:
    if wanted is not None:
        return found_in(book, agent, wanted)
    return book.revisions(known(book, agent))[-1]


def _next_step(report: GateReport, after: Revision) -> str:
    from roboinvest.core.revisions.gates import Verdict

    name = f"{after.agent_id} {after.short}"
    verdicts = {row.verdict for row in report.rows}
    if report.passed:
        return f"roboinvest agents install {name}"
    if Verdict.FAILED in verdicts:
        return f"mend it, and draft it anew: roboinvest agents draft DIR --agent {after.agent_id}"
    if Verdict.UNABLE in verdicts:
        return f"nothing was judged; run it again: roboinvest agents gate {name}"
    if any("give bars" in row.note for row in report.rows):
        return f"roboinvest agents gate {name} --bars PATH --symbols SPY"
    return "a gate that it needs has no evaluator in this house; it stays a draft"


def _rows(report: GateReport) -> dict[str, Any]:
    rows = [
        {
            "gate": row.gate,
            "verdict": row.verdict,
            "passed": row.passed,
            "held": row.held,
            "note": row.note,
            "findings": [{"severity": f.severity, "text": f.text} for f in row.findings],
        }
        for row in report.rows
    ]
    return {"gates": rows, "later": list(report.later), "groups": dict(report.groups)}


def _print(report: GateReport, after: Revision, next_step: str) -> None:
    print_table(
        f"Gates of {after.agent_id} {after.short}",
        ("gate", "verdict", "note"),
        [(row.gate, row.verdict, _note(row)) for row in report.rows],
        empty="It needs none.",
    )
    for row in report.rows:
        for finding in row.findings[:_TOLD]:
            console().print(f"{row.gate}: {finding.severity}: {finding.text}", markup=False)
        if len(row.findings) > _TOLD:
            console().print(f"{row.gate}: and {len(row.findings) - _TOLD} more", markup=False)
    if report.later:
        later = ", ".join(report.later)
        console().print(f"before it may be active it needs as well: {later}", markup=False)
    console().print(f"state: {after.state}", markup=False)
    console().print(f"next: {next_step}", markup=False)


def _note(row: GateRow) -> str:
    return row.note or ("passed before, and it still counts" if row.held else "")


def _plain(revision: Revision) -> dict[str, Any]:
    return {
        "agent_id": revision.agent_id,
        "revision_id": revision.revision_id,
        "parent": revision.parent,
        "state": revision.state,
        "capabilities": sorted(revision.capabilities),
    }
