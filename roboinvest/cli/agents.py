"""Agents: see their revisions and what became of them, put one in force, go back, put one away.

It works beside a daemon and without one. Whoever types is a person: an activation by hand needs no
further approval, and only here can the governor be overridden. The gates cannot.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboinvest.cli import agent_gates
from roboinvest.cli.agents_books import actor, found_in, known, needed, opened
from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_facts, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from roboinvest.core.revisions.lifecycle import Actor, AliasMove, Revision, State
    from roboinvest.runtime.revisions.book import RevisionBook
    from roboinvest.runtime.revisions.judging import Judgement
    from roboinvest.runtime.revisions.opening import Revisions

app = typer.Typer(
    help="Generated agents: list, activate, roll back, quarantine.", no_args_is_help=True
)
AgentArgument = Annotated[str, typer.Argument(help="As `agents ls` has it.")]
RevisionArgument = Annotated[
    str | None, typer.Argument(help="First digits of its id. Default: the active one.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="For the record.")]
app.command()(agent_gates.draft)
app.command()(agent_gates.gate)
app.command()(agent_gates.install)


@app.command()
def ls(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List the agents, and which revision of each is active."""
    with opened(config, data_dir) as house:
        agents = [] if house is None else house.store.read_book(_rows)
    if as_json:
        print_json({"agents": agents})
        return
    columns = ("agent", "active", "since", "by", "revisions", "quarantined")
    keys = ("agent_id", "active", "since", "by", "revisions", "quarantined")
    rows = [[_short(row[key]) if key == "active" else row[key] for key in keys] for row in agents]
    print_table("Agents", columns, rows, empty="No agent has a revision yet.")


@app.command()
def show(
    agent: AgentArgument,
    revision: RevisionArgument = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a revision: its files, verified; what it may do; which evidence it has and lacks.

    Ends with 1 when a file of it is not what was stored.
    """
    with needed(config, data_dir) as house:
        found = house.store.read_book(lambda book: found_in(book, agent, revision, shown=True))
        facts = _facts(house, found)
    if as_json:
        print_json(facts)
    else:
        plain = {key: value for key, value in facts.items() if not isinstance(value, list)}
        for key in ("capabilities", "calls", "gates"):
            plain[key] = ", ".join(facts[key]) or "none"
        print_facts(plain)
        for name in ("files", "lacks"):
            console().print(f"\n{name}:", *(facts[name] or ["none"]), sep="\n  ", markup=False)
    if facts["damage"] is not None:
        raise typer.Exit(ExitCode.FOUND)


@app.command()
def history(
    agent: AgentArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every revision of an agent, and every move of its alias."""
    from roboinvest.core.records import to_plain

    with needed(config, data_dir) as house:
        revisions, moves = house.store.read_book(lambda book: _past(book, agent))
    if as_json:
        plain = [_plain(each) for each in revisions]
        print_json({"agent_id": agent, "revisions": plain, "moves": to_plain(moves)})
        return
    print_table(
        f"Revisions of {agent}",
        ("revision", "parent", "state", "made", "by"),
        [(each.short, _short(each.parent), each.state, f"{each.made_at:%Y-%m-%d %H:%M}",
          each.made_by) for each in revisions],
        empty="None.",
    )  # fmt: skip
    for move in moves:
        console().print(_in_words(move), markup=False)


@app.command()
def activate(
    agent: AgentArgument,
    revision: Annotated[str, typer.Argument(help="First digits of its id.")],
    reason: ReasonOption,
    force: Annotated[
        bool, typer.Option("--force", help="Override the governor; never the gates.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an installed revision the active one; its suite is run once more before that."""
    from roboinvest.runtime.revisions.aliases import Activation

    def move(house: Revisions, who: Actor) -> AliasMove:
        found, sequence = house.store.read_book(
            lambda book: (found_in(book, agent, revision), book.alias(agent).sequence)
        )
        agent_gates.run_again(house, found, who, config, data_dir)
        request = Activation(
            agent_id=agent, revision_id=found.revision_id, expected=sequence, force=force
        )
        return house.desk.activate(request, who)

    _moved(move, reason, config, data_dir, as_json=as_json)


@app.command()
def rollback(
    agent: AgentArgument,
    reason: ReasonOption,
    revision: Annotated[
        str | None, typer.Argument(help="First digits of where the step should lead to.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to the revision that was active before."""

    def move(house: Revisions, who: Actor) -> AliasMove:
        def look(book: RevisionBook) -> tuple[str | None, int]:
            alias = book.alias(known(book, agent))
            wanted = None if revision is None else found_in(book, agent, revision).revision_id
            return wanted, alias.sequence

        wanted, sequence = house.store.read_book(look)
        return house.desk.rollback(agent, sequence, who, wanted=wanted)

    _moved(move, reason, config, data_dir, as_json=as_json)


@app.command()
def quarantine(
    agent: AgentArgument,
    reason: ReasonOption,
    revision: RevisionArgument = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a revision out of use until a person releases it."""
    _put(
        lambda house, found, who: house.desk.quarantine(agent, found.revision_id, who),
        (agent, revision, reason), config, data_dir, as_json=as_json,
    )  # fmt: skip


@app.command()
def release(
    agent: AgentArgument,
    reason: ReasonOption,
    revision: Annotated[
        str | None, typer.Argument(help="First digits of its id. Default: the one in quarantine.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a quarantine; the revision is installed again, and not active."""
    from roboinvest.core.revisions.lifecycle import State

    _put(
        lambda house, found, who: house.desk.release(agent, found.revision_id, who),
        (agent, revision, reason), config, data_dir, as_json=as_json, default=State.QUARANTINED,
    )  # fmt: skip


@app.command()
def retire(
    agent: AgentArgument,
    reason: ReasonOption,
    revision: RevisionArgument = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a revision away for good; its files and its history stay."""
    _put(
        lambda house, found, who: house.desk.retire(agent, found.revision_id, who),
        (agent, revision, reason), config, data_dir, as_json=as_json,
    )  # fmt: skip


def _moved(
    change: Callable[[Revisions, Actor], AliasMove],
    reason: str,
    config: Path | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    from roboinvest.core.records import to_plain

    with needed(config, data_dir) as house:
        move = change(house, actor(reason))
    if as_json:
        print_json(to_plain(move))
    else:
        console().print(_in_words(move), markup=False)


def _put(
    change: Callable[[Revisions, Revision, Actor], Revision],
    what: tuple[str, str | None, str],
    config: Path | None,
    data_dir: Path | None,
    *,
    as_json: bool,
    default: State | None = None,
) -> None:
    agent, wanted, reason = what
    with needed(config, data_dir) as house:
        found = house.store.read_book(lambda book: found_in(book, agent, wanted, default=default))
        after = change(house, found, actor(reason))
    if as_json:
        print_json({"agent_id": agent, "revision_id": after.revision_id, "before": found.state,
                    "state": after.state})  # fmt: skip
    else:
        console().print(f"{agent} {after.short}: {found.state} -> {after.state}", markup=False)


def _past(book: RevisionBook, agent: str) -> tuple[tuple[Revision, ...], tuple[AliasMove, ...]]:
    return book.revisions(known(book, agent)), book.moves(agent)


def _rows(book: RevisionBook) -> list[dict[str, Any]]:
    from roboinvest.core.revisions.lifecycle import State

    rows = []
    for agent in sorted({revision.agent_id for revision in book.revisions()}):
        own, moves = book.revisions(agent), book.moves(agent)
        rows.append(
            {
                "agent_id": agent,
                "active": book.alias(agent).revision_id,
                "sequence": book.alias(agent).sequence,
                "since": f"{moves[-1].at:%Y-%m-%d %H:%M}" if moves else None,
                "by": moves[-1].by if moves else None,
                "revisions": len(own),
                "quarantined": sum(each.state is State.QUARANTINED for each in own),
            }
        )
    return rows


def _facts(house: Revisions, found: Revision) -> dict[str, Any]:
    """Return what there is to say of a revision, damage included."""
    from roboinvest.core.errors import Refused
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.revisions.judging import Judging

    damage, files, gates, lacks = None, [], [], []
    try:
        stored = house.folders.read(found)
        files = [f"{file.path} ({file.size} bytes)" for file in stored.manifest.files]
    except Refused as error:
        damage = str(error)

    def look(book: RevisionBook) -> tuple[Judgement, int]:
        judging = Judging(book, house.folders, SystemClock().now())
        return judging.of(found), book.rejects(found.agent_id, found.fingerprint)

    rejects: int | None = None
    try:
        judged, rejects = house.store.read_book(look)
        gates, lacks = sorted(judged.gates), list(judged.faults)
    except Refused as error:  # of what it would reach, or of a record
        lacks = [str(error)]
    evidence = {"gates": gates, "lacks": lacks, "rejects": rejects}
    return {**_plain(found), "damage": damage, "files": files, **evidence}


def _plain(revision: Revision) -> dict[str, Any]:
    from roboinvest.core.records import to_plain

    names = [field.name for field in dataclasses.fields(revision) if field.name != "capabilities"]
    facts = {name: to_plain(getattr(revision, name)) for name in names}
    return {**facts, "capabilities": sorted(revision.capabilities)}


def _short(revision_id: str | None) -> str | None:
    return None if revision_id is None else revision_id[:12]


def _in_words(move: AliasMove) -> str:
    forced = ", the governor was overridden" if move.forced else ""
    return (
        f"{move.at:%Y-%m-%d %H:%M} move {move.sequence}: {move.by} {move.kind} {move.alias} "
        f"{_short(move.before) or '-'} -> {_short(move.after) or '-'}{forced}: {move.reason}"
    )
