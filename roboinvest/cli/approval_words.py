"""How a proposal looks on a terminal: whole, and with nothing in it that a terminal obeys.

Prose was cleaned when it was filed. A diff is code, in which every character counts: whatever is
not plain ASCII is spelled out, so that a letter that looks like another, or turns the direction of
a line, is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from roboinvest.cli.output import console

if TYPE_CHECKING:
    from roboinvest.core.approvals import Filed


def spelled_out(text: str) -> str:
    """Return a line of code in printable ASCII; every other character as its escape."""
    return "".join(
        each if " " <= each <= "~" else "    " if each == "\t" else ascii(each)[1:-1]
        for each in text
    )


def print_lines(lines: Iterator[str] | list[str], *, stderr: bool = False) -> None:
    """Write lines as they are: no markup, no pictures for words between colons."""
    out = console(stderr=stderr)
    for line in lines:
        out.print(line, markup=False, emoji=False)


def lines_of(filed: Filed, now: datetime) -> Iterator[str]:
    """Yield all that a decision needs."""
    proposal = filed.proposal
    yield f"{proposal.proposal_id}: {proposal.kind} of {proposal.subject} ({filed.level.name})"
    yield f"  state      {_state(filed, now)}"
    yield f"  who        {proposal.who}"
    yield f"  why        {proposal.why}"
    if proposal.cause:
        yield f"  cause      {proposal.cause}"
    for line in proposal.evidence:
        yield f"  evidence   {line}"
    yield f"  cost       {proposal.cost_usd} USD"
    yield f"  risk       {proposal.risk} (adds risk: {_direction(filed)})"
    yield f"  undo       {proposal.undo or 'it cannot be undone'}"
    if proposal.capabilities:
        yield f"  may        {', '.join(sorted(proposal.capabilities))}"
    for path in proposal.paths:
        yield f"  writes     {path}"
    for name in ("before", "after"):
        value = getattr(proposal, name)
        if value is not None:
            yield f"  {name:<9}  {spelled_out(value)}"
    yield f"  expires    {proposal.expires_at:%Y-%m-%d %H:%M} UTC"
    yield f"  digest     {proposal.digest}"
    yield from _diff(proposal.diff)


def facts_of(filed: Filed) -> dict[str, Any]:
    """Return a proposal as JSON types."""
    from roboinvest.core.proposals import content_of
    from roboinvest.core.records import to_plain

    proposal = filed.proposal
    standing = ("state", "version", "needed", "approvals", "filed_at", "veto_until")
    names = (*standing, "snoozed_until", "reason")
    return {
        **json.loads(content_of(proposal)),
        "digest": proposal.digest,
        "level": filed.level.name,
        "direction": proposal.direction.value,
        "reversible": proposal.is_reversible,
        **{name: to_plain(getattr(filed, name)) for name in names},
    }


def row_of(filed: Filed, now: datetime) -> tuple[str, ...]:
    """Return a proposal as cells of a table."""
    from rich.markup import escape

    proposal = filed.proposal
    cells = (proposal.proposal_id, proposal.kind, proposal.subject, filed.level.name)
    why = proposal.why if len(proposal.why) <= 60 else f"{proposal.why[:57]}..."
    rest = (_state(filed, now), proposal.who, f"{proposal.expires_at:%Y-%m-%d %H:%M}", why)
    return tuple(escape(cell) for cell in (*cells, *rest))


def _state(filed: Filed, now: datetime) -> str:
    words = [filed.state.value]
    if filed.approvals:
        names = ", ".join(
            f"{each.by} until {each.expires_at:%m-%d %H:%M}" for each in filed.approvals
        )
        words.append(f"by {names}")
    if len(filed.approvals) < filed.needed and filed.needed > 1:
        words.append(f"({len(filed.approvals)} of {filed.needed} words)")
    if filed.veto_until is not None and now < filed.veto_until:
        words.append(f"(goes ahead at {filed.veto_until:%H:%M} unless somebody says no)")
    if filed.snoozed_until is not None and filed.is_snoozed(now):
        words.append(f"(put off until {filed.snoozed_until:%Y-%m-%d %H:%M})")
    if filed.reason:
        words.append(f": {filed.reason}")
    return " ".join(words)


def _direction(filed: Filed) -> str:
    return {"less": "no, less", "same": "no", "more": "yes"}[filed.proposal.direction.value]


def _diff(diff: str) -> Iterator[str]:
    if not diff:
        return
    hidden = sum(not (" " <= each <= "~" or each in "\t\n") for each in diff)
    yield ""
    if hidden:
        yield f"  {hidden} characters of this diff are not plain ASCII; they are spelled out"
    for line in diff.split("\n"):  # and not at other ends of line, which are shown
        yield f"  | {spelled_out(line)}"
