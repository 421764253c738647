"""Why an agent is not well: named by rules, from evidence, with the sentence why.

The rules are a table, asked in order; the first that has a sentence names the cause. What cannot be
mended here comes before what can: an outage, a gap in the data or a full disk makes good code
raise, so code is blamed only when those are not there. An exception that missing input can explain
(a KeyError, say) is told apart from one that it cannot (a NameError).
Deliberately absent: models, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from roboinvest.core.oversight.evidence import (
    SILENCE,
    DependencySeen,
    Evidence,
    HttpSeen,
    Nature,
    counts,
    nature_of,
)
from roboinvest.core.oversight.health import Status, duration, figure

FEWEST_REPLIES: Final = 3  # that could not be read, before a prompt is to blame
UNREADABLE_FRAC: Final = 0.2
_NO_MONEY_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_ORDER_CODES: Final = frozenset({"40310000"})  # a 403 that declines one order, and no key
_AWAY: Final = frozenset({Status.FAILING, Status.OFFLINE})
_OWN: Final = (Nature.OWN, Nature.HUNGRY)
_OUTSIDE: Final = (Nature.TIMEOUT, Nature.AWAY, Nature.VENDOR)


class Cause(StrEnum):
    """What is at the bottom of it."""

    OWN_CODE = "own_code"
    BAD_OUTPUT = "bad_output"  # a model's replies cannot be read
    DEPENDENCY = "dependency"  # something of the house that it needs
    DATA_GAP = "data_gap"
    RESOURCE = "resource"  # memory, disk, files, processor
    CONFIGURATION = "configuration"  # settings, keys, permissions
    BUDGET = "budget"
    PROVIDER = "provider"  # somebody outside
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """Return what people call it."""
        return _WORDS[self]


_WORDS: Final = {
    Cause.OWN_CODE: "its own code",
    Cause.BAD_OUTPUT: "replies of a model that cannot be read",
    Cause.DEPENDENCY: "something that it needs",
    Cause.DATA_GAP: "missing data",
    Cause.RESOURCE: "the machine",
    Cause.CONFIGURATION: "settings or keys",
    Cause.BUDGET: "the budget",
    Cause.PROVIDER: "somebody outside",
    Cause.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The cause, and why it is thought to be."""

    cause: Cause
    reason: str  # one sentence with the figures
    rule: str  # of `RULES`


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table."""

    name: str
    cause: Cause
    why: Callable[[Evidence], str | None]  # None: the rule does not apply


def classify(evidence: Evidence) -> Diagnosis:
    """Return the cause that the first rule names which applies."""
    for rule in RULES:
        reason = rule.why(evidence)
        if reason is not None:
            return Diagnosis(cause=rule.cause, reason=reason, rule=rule.name)
    reason = "no rule fits what was seen: " + (_errors_in_words(evidence) or "nothing")
    return Diagnosis(cause=Cause.UNKNOWN, reason=reason, rule="no rule")


def _exhausted(evidence: Evidence) -> str | None:
    return _errors_of(evidence, Nature.RESOURCE, "the machine has no more of something")


def _misconfigured(evidence: Evidence) -> str | None:
    if evidence.configuration:
        return f"the configuration is wrong: {evidence.configuration[0]}"
    return _errors_of(evidence, Nature.SETTINGS, "settings or permissions are wrong")


def _key_refused(evidence: Evidence) -> str | None:
    refused = _http(evidence, lambda seen: seen.status in {401, 403} and not _is_about_orders(seen))
    return f"{_http_in_words(refused)}: the key is refused" if _is_main(evidence, refused) else None


def _out_of_budget(evidence: Evidence) -> str | None:
    if evidence.budget_refusals and evidence.budget_refusals >= _most_else(evidence, Nature.BUDGET):
        return f"{evidence.budget_refusals} calls were refused because the budget is spent"
    return _errors_of(evidence, Nature.BUDGET, "the budget is spent", main_only=True)


def _out_of_quota(evidence: Evidence) -> str | None:
    unpaid = _http(evidence, lambda seen: seen.status == 402 or seen.code in _NO_MONEY_CODES)
    return f"{_http_in_words(unpaid)}: the quota is spent" if unpaid else None


def _provider_answers_badly(evidence: Evidence) -> str | None:
    bad = _http(evidence, lambda seen: seen.status in {408, 425, 429} or seen.status >= 500)
    if _is_main(evidence, bad):
        return f"{_http_in_words(bad)}: the provider is in trouble"
    return None


def _provider_away(evidence: Evidence) -> str | None:
    away = [seen for seen in evidence.dependencies if seen.is_outside and seen.status in _AWAY]
    return _dependency_in_words(away) if away and not _blames_own_code(evidence) else None


def _dependency_away(evidence: Evidence) -> str | None:
    away = [seen for seen in evidence.dependencies if seen.status in _AWAY]
    return _dependency_in_words(away) if away and not _blames_own_code(evidence) else None


def _data_is_old(evidence: Evidence) -> str | None:
    old = [seen for seen in evidence.data if seen.is_expected and seen.age_s > seen.limit_s]
    if _blames_own_code(evidence):
        return None
    if not old:
        return _errors_of(evidence, Nature.GAP, "data is missing", main_only=True)
    worst = max(old, key=lambda seen: seen.age_s / seen.limit_s)
    return f"{worst.name} is {duration(worst.age_s)} old, limit {duration(worst.limit_s)}"


def _replies_are_unreadable(evidence: Evidence) -> str | None:
    replies = evidence.replies
    if replies is not None and replies.unreadable >= FEWEST_REPLIES:
        share = replies.unreadable / max(replies.asked, replies.unreadable)
        is_less = replies.unreadable < _most_else(evidence, Nature.REPLY)
        if share >= UNREADABLE_FRAC and not is_less:
            return (
                f"{replies.unreadable} of {replies.asked} replies to {replies.prompt or 'a prompt'}"
                " could not be read"
            )
    return _errors_of(evidence, Nature.REPLY, "replies could not be read", main_only=True)


def _machine_is_full(evidence: Evidence) -> str | None:
    over = [seen for seen in evidence.resources if seen.value > seen.limit]
    if not over or _main(evidence) in _OWN:
        return None
    worst = max(over, key=lambda seen: seen.value / seen.limit)
    return f"{worst.name} stands at {figure(worst.value)}, limit {figure(worst.limit)}"


def _own_code_raises(evidence: Evidence) -> str | None:
    if _main(evidence) not in _OWN:
        return None
    own = [seen for seen in evidence.errors if nature_of(seen) in _OWN]
    worst = max(own, key=lambda seen: seen.count)
    return f"its own code raised {worst.kind} {worst.count} times at {worst.where or 'one place'}"


def _provider_is_slow(evidence: Evidence) -> str | None:
    return _slow_in_words([seen for seen in evidence.dependencies if seen.is_outside], evidence)


def _dependency_is_slow(evidence: Evidence) -> str | None:
    return _slow_in_words(evidence.dependencies, evidence)


def _something_is_away(evidence: Evidence) -> str | None:
    return _errors_of(evidence, Nature.AWAY, "something that it needs is away", main_only=True)


def _provider_is_silent(evidence: Evidence) -> str | None:
    vendors = [
        seen
        for seen in evidence.errors
        if nature_of(seen) in _OUTSIDE
        and seen.is_of_vendor
        and nature_of(seen) is not Nature.VENDOR
    ]
    if not vendors or _main(evidence) not in _OUTSIDE:
        return None
    worst = max(vendors, key=lambda seen: seen.count)
    if worst.kind == SILENCE:
        return "a vendor does not answer, or answers late, and no error is on record"
    return f"calls to a vendor ended in {worst.kind} {worst.count} times"


def _ended(evidence: Evidence) -> str | None:
    return "it returned, and should have gone on" if evidence.has_returned else None


def _hangs(evidence: Evidence) -> str | None:
    if evidence.silent_s <= 0 or evidence.errors or evidence.http:
        return None
    return (
        f"no progress for {duration(evidence.silent_s)}, without an error, and nothing that it "
        "needs is away"
    )


def _slow_by_itself(evidence: Evidence) -> str | None:
    if not evidence.is_slow or evidence.errors or evidence.http:
        return None
    return "it is slow, and neither the machine nor anything that it needs is"


RULES: Final[tuple[Rule, ...]] = (
    Rule(name="exhausted", cause=Cause.RESOURCE, why=_exhausted),
    Rule(name="misconfigured", cause=Cause.CONFIGURATION, why=_misconfigured),
    Rule(name="out of quota", cause=Cause.BUDGET, why=_out_of_quota),
    Rule(name="key refused", cause=Cause.CONFIGURATION, why=_key_refused),
    Rule(name="out of budget", cause=Cause.BUDGET, why=_out_of_budget),
    Rule(name="provider answers badly", cause=Cause.PROVIDER, why=_provider_answers_badly),
    Rule(name="provider away", cause=Cause.PROVIDER, why=_provider_away),
    Rule(name="dependency away", cause=Cause.DEPENDENCY, why=_dependency_away),
    Rule(name="data is old", cause=Cause.DATA_GAP, why=_data_is_old),
    Rule(name="replies are unreadable", cause=Cause.BAD_OUTPUT, why=_replies_are_unreadable),
    Rule(name="machine is full", cause=Cause.RESOURCE, why=_machine_is_full),
    Rule(name="own code raises", cause=Cause.OWN_CODE, why=_own_code_raises),
    Rule(name="provider is slow", cause=Cause.PROVIDER, why=_provider_is_slow),
    Rule(name="dependency is slow", cause=Cause.DEPENDENCY, why=_dependency_is_slow),
    Rule(name="provider is silent", cause=Cause.PROVIDER, why=_provider_is_silent),
    Rule(name="something is away", cause=Cause.DEPENDENCY, why=_something_is_away),
    Rule(name="ended", cause=Cause.OWN_CODE, why=_ended),
    Rule(name="hangs", cause=Cause.OWN_CODE, why=_hangs),
    Rule(name="slow by itself", cause=Cause.OWN_CODE, why=_slow_by_itself),
)


def _main(evidence: Evidence) -> Nature | None:
    """Return what most of the errors are; code that may only want for input gives way in a tie."""
    tally = counts(evidence.errors)
    return max(tally, key=lambda nature: tally[nature]) if tally else None


def _most_else(evidence: Evidence, nature: Nature) -> int:
    """Return how often the most frequent other sort of error was seen."""
    tally = counts(evidence.errors)
    return max((count for other, count in tally.items() if other is not nature), default=0)


def _blames_own_code(evidence: Evidence) -> bool:
    return _main(evidence) is Nature.OWN


def _errors_of(
    evidence: Evidence, nature: Nature, what: str, *, main_only: bool = False
) -> str | None:
    found = [seen for seen in evidence.errors if nature_of(seen) is nature]
    if not found or (main_only and _main(evidence) is not nature):
        return None
    worst = max(found, key=lambda seen: seen.count)
    return f"{what}: {worst.kind} {worst.count} times" + (f", {worst.text}" if worst.text else "")


def _errors_in_words(evidence: Evidence) -> str:
    return ", ".join(f"{seen.kind} {seen.count} times" for seen in evidence.errors[:3])


def _http(evidence: Evidence, wanted: Callable[[HttpSeen], bool]) -> list[HttpSeen]:
    return [seen for seen in evidence.http if seen.count > 0 and wanted(seen)]


def _is_about_orders(seen: HttpSeen) -> bool:
    return seen.code in _ORDER_CODES


def _is_main(evidence: Evidence, found: list[HttpSeen]) -> bool:
    """Return whether answers of a provider outweigh what own code raised on its own account."""
    own = counts(evidence.errors).get(Nature.OWN, 0)
    return sum(seen.count for seen in found) > own


def _http_in_words(found: list[HttpSeen]) -> str:
    worst = max(found, key=lambda seen: seen.count)
    return f"{worst.provider} answered {worst.status} {worst.count} times"


def _dependency_in_words(away: list[DependencySeen]) -> str:
    return f"{away[0].name}, which it needs, is {away[0].status}"


def _slow_in_words(
    seen: tuple[DependencySeen, ...] | list[DependencySeen], evidence: Evidence
) -> str | None:
    slow = [each for each in seen if each.is_slow]
    if not slow or (evidence.errors and _main(evidence) not in _OUTSIDE):
        return None
    what = "its calls run out of time" if evidence.errors else "it waits"
    return f"{slow[0].name}, which it needs, is slow, and {what}"
