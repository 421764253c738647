"""From wishes to decisions: what is let through, and the reason why the rest is not.

Pure, so that the same wishes before the same facts give the same decisions, whenever they are
looked at. A knob that two wishes turn two ways is turned by neither. What takes risk away comes
first when there are too many; a setting that is still on trial is not turned again, unless that
takes risk away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.decisions import (
    Act,
    Decision,
    DecisionForm,
    DecisionKind,
    Knob,
    Priority,
    ValueForm,
    Weight,
    is_never,
    json_value,
    level_for,
    terms_of,
    wanted_digest,
)
from roboinvest.core.oversight.scoring import Metric
from roboinvest.core.proposals import Direction, Level
from roboinvest.core.records import canonical_json
from roboinvest.core.text.cleaning import clean

MOST: Final = 5  # decisions of a meeting day
LOOKED_AT: Final = 100  # wishes; what comes after them is counted
SHOWN: Final = 400  # characters of a wish that was refused


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedWish:
    """A wish that did not become a decision."""

    number: int  # of the wish, from 1
    wish: str  # cleaned, and cut
    reason: str
    nobody: bool  # whether it was refused because nobody can do this here
    level: Level | None  # None: it was not understood so far


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What wishes are held against."""

    meeting_id: str
    now: datetime  # UTC
    knobs: tuple[Knob, ...]
    agents: frozenset[str]  # of which something may be requested
    metrics: tuple[Metric, ...]
    wanted: frozenset[str]  # fingerprints that wait, are under way or on trial
    on_trial: frozenset[tuple[Act, str]]  # what was set and is not scored yet
    failed: frozenset[str]  # fingerprints that were found wrong, or undone, lately
    room: int = MOST  # decisions that this day still has


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of wishes."""

    decisions: tuple[Decision, ...]
    refused: tuple[RefusedWish, ...]


class _NobodyHere(Refused):
    """It may be done, and nobody can do it here."""


def judged(wishes: Sequence[str], house: House) -> Judged:
    """Return the decisions among wishes (JSON texts), and why the rest is none."""
    decisions: dict[int, Decision] = {}
    refused: dict[int, RefusedWish] = {}
    for number, wish in enumerate(wishes[:LOOKED_AT], 1):
        try:
            decisions[number] = _decision(wish, number, house)
        except _Never as error:
            refused[number] = _refusal(number, wish, str(error), level=Level.L4)
        except (BadInput, Refused) as error:
            nobody = isinstance(error, _NobodyHere)
            refused[number] = _refusal(number, wish, str(error), nobody=nobody)
    for number, reason in _contradictions(decisions):
        if number in decisions:
            refused[number] = _refusal(number, wishes[number - 1], reason)
    left = {number: each for number, each in decisions.items() if number not in refused}
    ranked = sorted(left, key=lambda number: (left[number].direction is not Direction.LESS, number))
    for number in ranked[max(house.room, 0) :]:
        reason = f"{MOST} decisions a day are the most, and this one came after them"
        refused[number] = _refusal(number, wishes[number - 1], reason)
    if len(wishes) > LOOKED_AT:
        number = LOOKED_AT + 1
        reason = f"{len(wishes)} wishes are too many; {LOOKED_AT} were looked at"
        refused[number] = _refusal(number, "", reason)
    return Judged(
        tuple(left[number] for number in sorted(left) if number not in refused),
        tuple(refused[number] for number in sorted(refused)),
    )


class _Never(Refused):
    """Nobody can agree to it."""


def _decision(wish: str, number: int, house: House) -> Decision:
    """Return a wish as a decision.

    Raises:
        BadInput: it is not understood, or out of bounds.
        Refused: it is understood, and a rule says no.
    """
    form = _form(wish)
    act = _act(form.action)
    if is_never(act):
        raise _Never(f"{act} is done by people, by hand, and never by a meeting")
    kind = DecisionKind(form.decision_type)
    terms = terms_of(act)
    if kind not in terms.kinds:
        raise BadInput(f"{act} is no decision of the kind {kind}")
    metric = _metric(form, house)
    knob, after = _wanted(act, form, house)
    before = None if knob is None else knob.text
    level = level_for(act, form.subject, before, after, asks_person=form.approval_required)
    if level is Level.L4:
        raise _Never(f"{act} of {form.subject} to {after} adds risk, which no meeting can do")
    _require_new(act, form.subject, after, before, house)
    made = house.now
    return Decision(
        decision_id=f"{house.meeting_id}.{number}",
        kind=kind,
        act=act,
        subject=form.subject,
        before=before,
        after=after,
        topic=clean(form.topic, 160) if terms.form is ValueForm.WORDS else "",
        description=_described(act, form.subject, before, after),
        hypothesis=clean(form.hypothesis, 400) or "none that can be seen",
        metric=metric.name,
        expected=form.expected,
        confidence=form.confidence,
        effort=Weight(form.effort),
        impact=Weight(form.estimated_impact),
        priority=Priority(form.priority),
        plan=tuple(clean(line, 160) for line in form.implementation_plan),
        approval_required=form.approval_required,
        level=level,
        is_by_hand=knob is not None and knob.is_by_hand,
        undo=_undo(act, form.subject, before),
        made_at=made,
        deadline=made + timedelta(days=form.deadline_days),
    )


def _form(wish: str) -> DecisionForm:
    try:
        return DecisionForm.model_validate_json(wish)
    except (ValidationError, ValueError, RecursionError) as error:
        raise BadInput(f"it is no decision: {_mistakes(error)}") from error


def _mistakes(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "it holds a value that has no meaning"
    found: list[Any] = error.errors(include_url=False, include_input=False, include_context=False)
    told = []
    for each in found[:4]:
        place = ".".join(str(part) for part in each["loc"])[:60] or "it"
        told.append(f"{clean(place, 60)}: {str(each['msg'])[:120].lower()}")
    return "; ".join(told) + (f"; and {len(found) - 4} more" if len(found) > 4 else "")


def _act(name: str) -> Act:
    try:
        return Act(name)
    except ValueError:
        raise BadInput(f"{clean(name, 40)!a} is no action that a meeting knows") from None


def _metric(form: DecisionForm, house: House) -> Metric:
    found = next((each for each in house.metrics if each.name == form.metric), None)
    if found is None:
        raise BadInput(f"{clean(form.metric, 80)!a} is not measured here")
    if not form.expected or abs(form.expected) > found.most_change:
        raise BadInput(
            f"a change of {found.name} by {form.expected:g} {found.unit} is nothing, or more than "
            f"{found.most_change:g}"
        )
    if found.more_is_better is not None and (form.expected > 0) is not found.more_is_better:
        raise BadInput(f"a change of {found.name} by {form.expected:g} {found.unit} is for worse")
    return found


def _wanted(act: Act, form: DecisionForm, house: House) -> tuple[Knob | None, str]:
    """Return what is to be set, and the JSON text of what to."""
    terms = terms_of(act)
    if terms.form is ValueForm.WORDS:
        topic = clean(form.topic, 160)
        if not topic or form.amount is not None:
            raise BadInput(f"{act} needs a topic, and no amount")
        if act is not Act.REQUEST_AGENT and form.subject not in house.agents:
            raise _NobodyHere(f"nobody can do this here: there is no agent {form.subject}")
        return None, canonical_json(topic)
    if form.topic.strip():
        raise BadInput(f"{act} sets something, and has no topic")
    amount = None if form.amount is None else Decimal(form.amount)
    if (amount is None) is (terms.form is ValueForm.NUMBER):
        raise BadInput(f"{act} needs {'no' if amount is not None else 'an'} amount")
    if amount is not None and not terms.least <= amount <= terms.most:
        raise BadInput(f"{act} takes {terms.least:f} to {terms.most:f}, and {amount:f} is not that")
    knob = _knob(house.knobs, act, form.subject)
    if amount is None:
        return knob, json_value(act is Act.QUARANTINE)
    if act is not Act.SET_LIMIT and not knob.least <= amount <= knob.most:
        raise Refused(
            f"{act} of {form.subject} lies between {knob.least:f} and {knob.most:f} here, and "
            f"{amount:f} does not"
        )
    if act is Act.SET_LIMIT and amount < knob.least:
        raise Refused(f"{form.subject} is at least {knob.least:f}, and {amount:f} is less")
    return knob, json_value(amount)


def _knob(knobs: Iterable[Knob], act: Act, subject: str) -> Knob:
    found = next((each for each in knobs if (each.act, each.subject) == (act, subject)), None)
    if found is None:
        raise _NobodyHere(f"nobody can do this here: there is no {act} of {subject}")
    return found


def _require_new(act: Act, subject: str, after: str, before: str | None, house: House) -> None:
    if before == after:
        raise Refused(f"{act} of {subject} to {after} changes nothing")
    digest = wanted_digest(act, subject, after)
    if digest in house.wanted:
        raise Refused(f"{act} of {subject} was decided before, and is not settled yet")
    terms = terms_of(act)
    if terms.form is not ValueForm.WORDS:
        level = level_for(act, subject, before, after, asks_person=False)
        if level is Level.L0:  # it takes risk away, or gives money back
            return
    if digest in house.failed:
        raise Refused(f"{act} of {subject} to {after} was tried lately, and found wrong")
    if (act, subject) in house.on_trial:
        raise Refused(f"{act} of {subject} is on trial; it is set again once that is scored")


def _contradictions(decisions: Mapping[int, Decision]) -> Iterable[tuple[int, str]]:
    """Yield the numbers of decisions that do not go together, each with the reason."""
    seen: dict[tuple[Act, str], list[int]] = {}
    for number, each in decisions.items():
        seen.setdefault((each.act, each.subject), []).append(number)
    for (act, subject), numbers in seen.items():
        if terms_of(act).form is ValueForm.WORDS:
            yield from _repeats(numbers, decisions)
            continue
        if len({decisions[number].after for number in numbers}) > 1:
            listed = ", ".join(map(str, numbers))
            for number in numbers:
                yield number, f"wishes {listed} set {act} of {subject} to different values"
        else:
            yield from _repeats(numbers, decisions)
    stopped = {each.subject for each in decisions.values() if each.act is Act.QUARANTINE}
    for number, each in decisions.items():
        if each.subject in stopped and each.direction is not Direction.LESS:
            yield number, f"{each.subject} is to be put in quarantine, and this asks for more of it"


def _repeats(
    numbers: Sequence[int], decisions: Mapping[int, Decision]
) -> Iterable[tuple[int, str]]:
    first: dict[str, int] = {}
    for number in numbers:
        digest = decisions[number].fingerprint
        if digest in first:
            yield number, f"it is the same as wish {first[digest]}"
        first.setdefault(digest, number)


def _described(act: Act, subject: str, before: str | None, after: str) -> str:
    told = json.loads(after)
    if before is None:
        return f"{act} of {subject}: {told}"
    return f"{act} of {subject}: from {json.loads(before)} to {told}"


def _undo(act: Act, subject: str, before: str | None) -> str:
    if before is None:
        return f"withdraw the request about {subject}"
    return f"{act} of {subject}: back to {json.loads(before)}"


def _refusal(
    number: int, wish: str, reason: str, *, nobody: bool = False, level: Level | None = None
) -> RefusedWish:
    return RefusedWish(
        number=number, wish=clean(wish, SHOWN), reason=reason, nobody=nobody, level=level
    )
