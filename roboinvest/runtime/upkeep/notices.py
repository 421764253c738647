"""What people are told of proposals: what happens by itself and when, and what waits for them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from roboinvest.core.approvals import Filed
from roboinvest.core.proposals import Level

MOST_TOLD: Final = 20  # one by one; the rest by their number
_LONGEST: Final = 160  # characters of a reason: it is somebody's prose
_REST: Final = "the_rest"
_OF_AGENTS: Final = ("agent.", "service.", "heal.")  # begin the keys of alerts on agents
_NO_SUBJECT: Final = re.compile(r"[^A-Za-z0-9_.:/@+-]")  # which a name may have, and a subject not


def vetoes(found: Iterable[Filed]) -> Mapping[str, str]:
    """Return by name what comes into force by itself, and how to say no."""
    told = {_name(each): _veto(each) for each in found if each.level is Level.L1}
    return _shortened(told, "come into force by themselves")


def questions(found: Iterable[Filed]) -> Mapping[str, str]:
    """Return by name what waits for a person."""
    told = {_name(each): _question(each) for each in found if each.level is Level.L3}
    return _shortened(told, "wait for a person")


def behind(found: Iterable[Filed], open_keys: Collection[str]) -> Mapping[str, str]:
    """Return by name the key of the open alert that a question follows from, where there is one.

    A request about an agent that is not well follows from the alert on that agent: "agent.NAME",
    or the one that its own keeper raised.
    """
    by_subject = {
        _NO_SUBJECT.sub("-", key.removeprefix(start)): key
        for start in reversed(_OF_AGENTS)  # the first one counts
        for key in open_keys
        if key.startswith(start)
    }
    keys = {_name(each): by_subject.get(_about(each)) for each in found}
    return {name: key for name, key in keys.items() if key is not None}


def _about(filed: Filed) -> str:
    """Return whom a proposal is about: "NAME", of "NAME/fix"."""
    return filed.proposal.subject.partition("/")[0]


def _name(filed: Filed) -> str:
    """Return a name of this version: another one is told anew."""
    name = filed.proposal.proposal_id
    return name if filed.version == 1 else f"{name}@{filed.version}"


def _veto(filed: Filed) -> str:
    due = filed.veto_until or filed.proposal.expires_at
    name = filed.proposal.proposal_id
    return (
        f"{_wish(filed)}; it comes into force at {due:%Y-%m-%d %H:%M} UTC unless somebody says no: "
        f"roboinvest approvals reject {name} --reason WHY"
    )


def _question(filed: Filed) -> str:
    due, name = filed.proposal.expires_at, filed.proposal.proposal_id
    return (
        f"{_wish(filed)}; it waits for a person until {due:%Y-%m-%d %H:%M} UTC: "
        f"roboinvest approvals show {name}"
    )


def _wish(filed: Filed) -> str:
    proposal = filed.proposal
    why = proposal.why if len(proposal.why) <= _LONGEST else f"{proposal.why[:_LONGEST]}..."
    what = proposal.kind.value.replace("_", " ")
    return f"{proposal.proposal_id}: {proposal.who} asks for {what} of {proposal.subject} ({why})"


def _shortened(told: Mapping[str, str], what: str) -> Mapping[str, str]:
    if len(told) <= MOST_TOLD:
        return told
    kept = dict(list(told.items())[:MOST_TOLD])
    more = len(told) - MOST_TOLD
    return {**kept, _REST: f"{more} proposals more {what}; see roboinvest approvals ls"}
