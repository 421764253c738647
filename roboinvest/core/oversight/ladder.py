"""The ladder of healing: for each cause the rungs that may be pulled, in order, and when the next.

One rung at a time, and the next one only after the metric that gave the agent away was measured
again and is still on the wrong side. What could not be measured is not climbed over: a rung that
leaves no trace is pulled once more, and then a person is asked. Rungs that only stop harm (put the
agent away, ask for code, halt, hand over to the service manager) heal nothing by themselves, so
what follows them does not wait for their success.

Pure: no clock, no port. Deliberately absent: a rung that lifts a halt, releases a quarantine or
touches an order, a position or a limit; healing never changes money state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import HealAttempt, Rung, Verdict
from roboinvest.core.oversight.learned import LASTED, Learned

MOST_ACTIONS: Final = 3  # on one agent within `ACTION_WINDOW`
ACTION_WINDOW: Final = timedelta(hours=1)  # sliding
FRESH_AFTER: Final = timedelta(hours=24)  # without an attempt: the ladder begins anew
MOST_UNMEASURED: Final = 2  # times that one rung is pulled without a measurement
STORM_AGENTS: Final = 3  # put away by healing within an hour: something larger is wrong
STORM_FREEZE: Final = timedelta(hours=24)


class Trait(StrEnum):
    """What holds for an agent, as far as a rung depends on it."""

    SUPERVISED = "supervised"  # a service that the supervisor keeps
    ESSENTIAL = "essential"  # the house cannot do without it
    HOOKED = "hooked"  # registered a way to clear its cache or to connect again
    ASKS_MODELS = "asks_models"
    PROMPTED = "prompted"  # a prompt of its own stands in the registry
    NEW_WORDS = "new_words"  # its prompt is younger than a day
    REVISED = "revised"  # runs a revision of generated code
    TOUCHES_MONEY = "touches_money"  # orders depend on what it says
    HALTED = "halted"  # trading is halted already
    STORM = "storm"  # so many agents were put away that no more are


_LACKS: Final = {
    Trait.SUPERVISED: "is no service that could be restarted",
    Trait.ESSENTIAL: "is not essential",
    Trait.HOOKED: "has nothing to reconnect",
    Trait.ASKS_MODELS: "asks no model",
    Trait.PROMPTED: "has no prompt of its own",
    Trait.REVISED: "runs no revision",
    Trait.TOUCHES_MONEY: "decides about no order",
    Trait.HALTED: "needs trading to be halted",
    Trait.STORM: "needs a storm of quarantines",
}
_STANDS: Final = {
    Trait.SUPERVISED: "it is a service",
    Trait.ESSENTIAL: "it is essential",
    Trait.HOOKED: "it can reconnect",
    Trait.ASKS_MODELS: "it asks models",
    Trait.PROMPTED: "it has a prompt",
    Trait.REVISED: "it runs a revision",
    Trait.TOUCHES_MONEY: "orders depend on it",
    Trait.HALTED: "trading is halted already",
    Trait.STORM: "so many agents were put away (a storm) that no more are",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a rung asks for, and what can be hoped of it."""

    needs: frozenset[Trait] = frozenset()
    forbids: frozenset[Trait] = frozenset()
    within: timedelta  # in which its effect shows
    reversible: bool = False  # leaves nothing behind: may be repeated, and put before another
    edits: bool = False  # changes words or code: never for an outage
    changes_state: bool = False  # of the house: it is told in the audit log
    heals: bool = True  # False: it stops harm, and what follows does not wait for its success


TERMS: Final[Mapping[Rung, Terms]] = {
    Rung.RESTART: Terms(
        needs=frozenset({Trait.SUPERVISED}), within=timedelta(minutes=10), reversible=True
    ),
    Rung.RECONNECT: Terms(
        needs=frozenset({Trait.HOOKED}), within=timedelta(minutes=5), reversible=True
    ),
    Rung.DEGRADE: Terms(
        needs=frozenset({Trait.ASKS_MODELS}), within=timedelta(minutes=10), reversible=True
    ),
    Rung.PROMPT_ROLLBACK: Terms(
        needs=frozenset({Trait.PROMPTED}),
        within=timedelta(minutes=30),
        edits=True,
        changes_state=True,
    ),
    Rung.REVISION_ROLLBACK: Terms(
        needs=frozenset({Trait.REVISED}),
        within=timedelta(minutes=30),
        edits=True,
        changes_state=True,
    ),
    Rung.QUARANTINE: Terms(
        forbids=frozenset({Trait.ESSENTIAL, Trait.STORM}),
        within=timedelta(minutes=10),
        changes_state=True,
        heals=False,
    ),
    Rung.CODE_PROPOSAL: Terms(within=timedelta(minutes=5), edits=True, heals=False),
    Rung.HALT_TRADING: Terms(
        needs=frozenset({Trait.TOUCHES_MONEY}),
        forbids=frozenset({Trait.HALTED}),
        within=timedelta(minutes=5),
        changes_state=True,
        heals=False,
    ),
    Rung.ESCALATE: Terms(
        needs=frozenset({Trait.ESSENTIAL}),
        within=timedelta(minutes=10),
        changes_state=True,
        heals=False,
    ),
}
_END: Final = (Rung.QUARANTINE, Rung.CODE_PROPOSAL, Rung.HALT_TRADING, Rung.ESCALATE)
LADDERS: Final[Mapping[Cause, tuple[Rung, ...]]] = {
    Cause.OWN_CODE: (Rung.RESTART, Rung.REVISION_ROLLBACK, *_END),
    Cause.BAD_OUTPUT: (Rung.DEGRADE, Rung.PROMPT_ROLLBACK, Rung.REVISION_ROLLBACK, *_END[:3]),
    Cause.DEPENDENCY: (Rung.RECONNECT, Rung.RESTART, Rung.DEGRADE, Rung.HALT_TRADING),
    Cause.DATA_GAP: (Rung.RECONNECT, Rung.RESTART, Rung.HALT_TRADING),
    Cause.RESOURCE: (
        *(Rung.RECONNECT, Rung.RESTART),
        *(Rung.QUARANTINE, Rung.HALT_TRADING, Rung.ESCALATE),
    ),
    Cause.CONFIGURATION: (Rung.QUARANTINE, Rung.HALT_TRADING),  # the files are people's
    Cause.BUDGET: (Rung.DEGRADE,),  # money is a person's: nothing else mends that it is spent
    Cause.PROVIDER: (Rung.RECONNECT, Rung.DEGRADE),  # a clean process is no cure for an outage
    Cause.UNKNOWN: (
        *(Rung.RESTART, Rung.RECONNECT, Rung.DEGRADE),
        *(Rung.QUARANTINE, Rung.HALT_TRADING, Rung.ESCALATE),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sick:
    """An agent that is not well, as the last health pass found it."""

    agent: str
    cause: Cause
    reason: str  # in words
    metric: str  # what gave it away; more of it is worse
    value: float
    limit: float  # up to which it is well
    root: str  # whose fault it is; its own name where it is its own
    every_s: float = 0.0  # how often it works: nothing can be measured sooner


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is to be healed: one cause, whoever else suffers from it."""

    agent: str  # that rungs are pulled on
    measured: str  # the agent whose metric is looked at
    cause: Cause
    reason: str
    metric: str
    value: float
    limit: float
    systemic: bool  # larger than the agent: no words and no code are changed for it
    folded: tuple[str, ...] = ()  # agents that fail because of it
    every_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """The next rung, or why there is none."""

    rung: Rung | None
    why: str  # one sentence: the pre-condition that is met, or what is waited for
    passed: tuple[str, ...] = ()  # rungs that were passed over, each with its reason
    ends: bool = False  # nothing more can be done by machine: a person has to look


def triage(sick: Sequence[Sick]) -> tuple[Case, ...]:
    """Return what is to be healed: of each root, the root alone; by the name of the agent.

    It is systemic where a provider is away, or where several agents fail because of one.
    """
    groups: dict[str, list[Sick]] = {}
    for each in sick:
        groups.setdefault(each.root, []).append(each)
    return tuple(_case(root, groups[root]) for root in sorted(groups))


def climb(
    case: Case,
    tried: Sequence[HealAttempt],
    learned: Learned,
    now: datetime,
    traits: frozenset[Trait] = frozenset(),
) -> Climb:
    """Return the next rung for a case, or why none is pulled now.

    Args:
        case: what is to be healed.
        tried: attempts on this agent, for whatever cause, oldest first; others are left out.
        learned: what became of attempts so far.
        now: UTC.
        traits: of the agent, and of the house.
    """
    own = [each for each in tried if each.agent == case.agent]
    waiting = [each for each in own if each.verdict is None]
    if waiting:
        last = waiting[-1]
        return Climb(
            rung=None,
            why=f"{last.rung.words} is measured again at {last.deadline:%Y-%m-%d %H:%M:%S} UTC",
        )
    episode = episode_of(own, now)
    done = [each for each in episode if each.verdict is not Verdict.REFUSED]
    order = order_of(case, learned, traits)
    cures = [each for each in done if TERMS[each.rung].heals]
    if cures and cures[-1].verdict is Verdict.UNKNOWN:
        return _after_unknown(done, order, own, now, traits)
    used = {each.rung for each in episode if not _may_be_asked_again(each, now)}
    return _first([rung for rung in order if rung not in used], own, now, traits)


def next_rung(
    case: Case,
    tried: Sequence[HealAttempt],
    learned: Learned,
    now: datetime,
    traits: frozenset[Trait] = frozenset(),
) -> Rung | None:
    """Return the next rung alone; see `climb`."""
    return climb(case, tried, learned, now, traits).rung


def order_of(
    case: Case, learned: Learned, traits: frozenset[Trait] = frozenset()
) -> tuple[Rung, ...]:
    """Return the rungs that a case allows, in order.

    Words that came lately are undone before rules answer in place of the model: nobody would ever
    see again whether they were to blame.

    What was learned switches rungs off that do not work, and sorts neighbours that leave nothing
    behind; rungs that stop harm stay where they are, and are never switched off.
    """
    allowed = [
        rung
        for rung in LADDERS[case.cause]
        if not (case.systemic and TERMS[rung].edits)
        and not (TERMS[rung].heals and learned.is_switched_off(case.cause, rung))
    ]
    ordered: list[Rung] = []
    run: list[Rung] = []
    for rung in (*allowed, None):
        if rung is not None and TERMS[rung].reversible:
            run.append(rung)
            continue
        ordered += sorted(run, key=lambda each: -learned.standing(case.cause, each))
        run = []
        ordered += [] if rung is None else [rung]
    if Trait.NEW_WORDS in traits and Rung.PROMPT_ROLLBACK in ordered:
        ordered.remove(Rung.PROMPT_ROLLBACK)
        ordered.insert(0, Rung.PROMPT_ROLLBACK)
    return tuple(ordered)


def episode_of(own: Sequence[HealAttempt], now: datetime) -> tuple[HealAttempt, ...]:
    """Return the attempts on one agent that belong to its present trouble, oldest first.

    A heal that did not last an hour belongs to it: what fell ill again was not healed. After a day
    without an attempt the ladder begins anew.
    """
    found: list[HealAttempt] = []
    later = now
    for each in sorted(own, key=lambda each: each.at, reverse=True):
        quiet = later - (each.settled_at or each.at)
        if quiet > FRESH_AFTER or (each.verdict is Verdict.HEALED and quiet > LASTED):
            break
        found.append(each)
        later = each.at
    return tuple(reversed(found))


def actions_left(own: Sequence[HealAttempt], now: datetime) -> int:
    """Return how many more actions an agent may be given now; what was refused was none.

    An attempt that is stamped in the future counts: a clock that was set back frees nothing.
    """
    taken = sum(
        each.verdict is not Verdict.REFUSED and each.at > now - ACTION_WINDOW for each in own
    )
    return max(0, MOST_ACTIONS - taken)


def is_storm(attempts: Sequence[HealAttempt], now: datetime) -> bool:
    """Return whether healing put so many agents away within an hour that it stops doing so."""
    taken = [
        each
        for each in attempts
        if each.rung is Rung.QUARANTINE
        and each.verdict is not Verdict.REFUSED
        and each.at > now - STORM_FREEZE
    ]
    return any(
        len({one.agent for one in taken if end.at - ACTION_WINDOW < one.at <= end.at})
        >= STORM_AGENTS
        for end in taken
    )


def precondition(rung: Rung, traits: frozenset[Trait]) -> str | None:
    """Return why a rung cannot be pulled on an agent with these traits; None: it can."""
    terms = TERMS[rung]
    lacking, standing = sorted(terms.needs - traits), sorted(terms.forbids & traits)
    if lacking:
        return f"no {rung.words}: it {', '.join(_LACKS[each] for each in lacking)}"
    if standing:
        return f"no {rung.words}: {', '.join(_STANDS[each] for each in standing)}"
    return None


def deadline_of(rung: Rung, case: Case, now: datetime) -> datetime:
    """Return when the metric is measured again: an agent that works seldom is given two turns."""
    return now + max(TERMS[rung].within, timedelta(seconds=2 * case.every_s))


def _case(root: str, group: Sequence[Sick]) -> Case:
    first = sorted(group, key=lambda each: (each.agent != root, each.agent))[0]
    folded = tuple(sorted(each.agent for each in group if each.agent != root))
    is_own = first.agent == root
    cause = first.cause if is_own or first.cause is Cause.PROVIDER else Cause.DEPENDENCY
    return Case(
        agent=root,
        measured=first.agent,
        cause=cause,
        reason=first.reason,
        metric=first.metric,
        value=first.value,
        limit=first.limit,
        systemic=len(group) > 1 or any(each.cause is Cause.PROVIDER for each in group),
        folded=folded,
        every_s=first.every_s,
    )


def _may_be_asked_again(attempt: HealAttempt, now: datetime) -> bool:
    """Return whether a rung was refused so long ago that what stood against it may be gone."""
    return attempt.verdict is Verdict.REFUSED and now - attempt.at >= ACTION_WINDOW


def _first(
    rungs: Sequence[Rung], own: Sequence[HealAttempt], now: datetime, traits: frozenset[Trait]
) -> Climb:
    """Return the first rung whose pre-condition holds, if the agent may be given an action."""
    passed: list[str] = []
    for rung in rungs:
        missing = precondition(rung, traits)
        if missing is not None:
            passed.append(missing)
            continue
        if rung is not Rung.HALT_TRADING and not actions_left(own, now):
            most = f"{MOST_ACTIONS} actions within an hour are the most"
            why = f"{most}; {rung.words} waits for its turn"
            return Climb(rung=None, why=why, passed=tuple(passed))
        needs = ", ".join(sorted(TERMS[rung].needs)) or "nothing stands against it"
        return Climb(rung=rung, why=needs, passed=tuple(passed))
    why = "no rung is left that may be pulled; a person has to look"
    return Climb(rung=None, why=why, passed=tuple(passed), ends=True)


def _after_unknown(
    done: Sequence[HealAttempt],
    order: Sequence[Rung],
    own: Sequence[HealAttempt],
    now: datetime,
    traits: frozenset[Trait],
) -> Climb:
    """Return what follows a rung whose effect nobody measured: itself once more, or a halt."""
    cures = [each for each in done if TERMS[each.rung].heals]
    last = cures[-1].rung
    times = sum(each.rung is last and each.verdict is Verdict.UNKNOWN for each in cures)
    if TERMS[last].reversible and last in order and times < MOST_UNMEASURED:
        return _first([last], own, now, traits)
    is_halted = any(each.rung is Rung.HALT_TRADING for each in done)
    is_next = Rung.HALT_TRADING in order and not is_halted
    if is_next and precondition(Rung.HALT_TRADING, traits) is None:
        return _first([Rung.HALT_TRADING], own, now, traits)
    why = f"what {last} did could not be measured, so nothing is built on it; a person has to look"
    return Climb(rung=None, why=why, ends=True)
