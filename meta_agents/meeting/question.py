"""The question that a meeting asks: figures in, wishes out.

A wish is taken from a model as it stands, and is looked at one by one afterwards: a form that
refused them all for one would let a single bad line silence a meeting, and would lose the record
of what was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from meta_agents.meeting.facts import MeetingFacts
from meta_agents.meeting.rules import wished
from roboinvest.core.oversight.decisions import Act, DecisionForm, Knob, is_never, terms_of
from roboinvest.core.records import to_plain
from roboinvest.core.tasks import Task, TaskLimits

MAX_WISHES: Final = 1_000  # of one answer
_MAX_WISH: Final = 20_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What an answer asks for, each as a JSON text, in its order."""

    texts: tuple[str, ...]


class MeetingForm(BaseModel):
    """A list of wishes; what is in them is looked at later."""

    model_config = ConfigDict(extra="forbid", strict=True)

    decisions: Annotated[list[SkipValidation[DecisionForm]], Field(max_length=MAX_WISHES)]


def by_rules(facts: MeetingFacts) -> Wishes:
    """Return what the rules wish."""
    return Wishes(texts=wished(facts))


def nothing(facts: MeetingFacts) -> Wishes:  # noqa: ARG001 the task's signature
    """Return no wish: who cannot be understood changes nothing."""
    return Wishes(texts=())


def read_form(facts: MeetingFacts, form: MeetingForm) -> Wishes:  # noqa: ARG001 the task's signature
    """Return the wishes of a form."""
    found: list[Any] = list(form.decisions)
    return Wishes(texts=tuple(json.dumps(each, sort_keys=True)[:_MAX_WISH] for each in found))


def show_facts(facts: MeetingFacts) -> Mapping[str, object]:
    """Return the prompt's placeholders: all are figures and names of ours, but the quotes."""
    report = facts.report
    told: dict[str, Any] = {} if report is None else to_plain(report)
    said = told.pop("recommendations", [])
    log = to_plain(facts.log)
    quotes = [*log.pop("quotes"), *said]
    return {
        "day": facts.day,
        "room": facts.room,
        "report": told,
        "log": log,
        "knobs": [_shown(each) for each in facts.knobs],
        "actions": {act.value: sorted(terms_of(act).kinds) for act in Act if not is_never(act)},
        "agents": list(facts.agents),
        "metrics": [to_plain(each) for each in facts.metrics],
        "proposals": [to_plain(each) for each in facts.proposals],
        "past": [to_plain(each) for each in facts.past],
        "calibration": facts.calibration.text,
        "quotes": quotes or ["none"],
    }


MEETING: Final = Task(
    name="governance_meeting",
    input_type=MeetingFacts,
    output_type=Wishes,
    prompt="governance/decide",
    rule=by_rules,
    safe=nothing,
    form=MeetingForm,
    show=show_facts,
    read=read_form,
    untrusted=frozenset({"quotes"}),
    limits=TaskLimits(prompt_bytes=128 * 1024, reply_tokens=4_000, deadline_s=60.0, tool_rounds=0),
)


def _shown(knob: Knob) -> dict[str, Any]:
    shown = {"action": knob.act.value, "subject": knob.subject, "value": to_plain(knob.value)}
    if isinstance(knob.value, bool):
        return shown
    bounds = {"least": to_plain(knob.least), "most": to_plain(knob.most)}
    return {**shown, **bounds, "is_by_hand": knob.is_by_hand}
