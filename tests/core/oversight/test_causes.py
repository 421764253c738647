"""Causes: each rule on its own, and a set of labelled troubles of which nine in ten are named."""

from __future__ import annotations

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.causes import RULES, Cause, classify
from roboinvest.core.oversight.evidence import (
    ErrorSeen,
    Nature,
    Origin,
    RepliesSeen,
    nature_of,
)
from roboinvest.core.oversight.health import Status
from tests.fakes.labelled_troubles import TROUBLES, away, evidence, http, own, slow, vendor

LEAST_RIGHT = 0.9
LEAST_CASES = 60

OF_RULES = {
    "exhausted": evidence(own("OSError", number=28)),
    "misconfigured": evidence(configuration=("alpaca.key is missing",)),
    "out of quota": evidence(http=(http(429, 5, code="insufficient_quota"),)),
    "key refused": evidence(http=(http(401, 3),)),
    "out of budget": evidence(budget_refusals=4),
    "provider answers badly": evidence(http=(http(503, 9),)),
    "provider away": evidence(dependencies=(away("broker", is_outside=True),)),
    "dependency away": evidence(dependencies=(away("store"),)),
    "data is old": evidence(data=(TROUBLES["bars are stale"].evidence.data)),
    "replies are unreadable": TROUBLES["a poisoned prompt"].evidence,
    "machine is full": TROUBLES["memory leaks"].evidence,
    "own code raises": evidence(own("KeyError", 12)),
    "provider is slow": evidence(dependencies=(slow("llm", is_outside=True),), is_slow=True),
    "dependency is slow": evidence(own("TimeoutError"), dependencies=(slow("store"),)),
    "provider is silent": evidence(vendor("ReadTimeout", 8)),
    "something is away": evidence(own("TryLater", 8)),
    "ended": evidence(has_returned=True),
    "hangs": evidence(silent_s=400.0),
    "slow by itself": evidence(is_slow=True),
}


def test_there_is_a_case_for_every_rule() -> None:
    assert list(OF_RULES) == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_names_its_cause_in_a_sentence(rule: object) -> None:
    (expected,) = [each for each in RULES if each is rule]
    found = classify(OF_RULES[expected.name])
    assert (found.rule, found.cause) == (expected.name, expected.cause)
    assert len(found.reason) > 10
    assert "\n" not in found.reason


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_rule_applies_to_nothing(rule: object) -> None:
    (expected,) = [each for each in RULES if each is rule]
    assert expected.why(evidence()) is None


def test_what_no_rule_fits_is_unknown_and_says_what_was_seen() -> None:
    nothing = classify(evidence())
    assert (nothing.cause, nothing.rule) == (Cause.UNKNOWN, "no rule")
    strange = classify(evidence(ErrorSeen(kind="Odd", count=3)))
    assert strange.cause is Cause.UNKNOWN
    assert "Odd 3 times" in strange.reason


def test_nine_in_ten_labelled_troubles_are_named_rightly() -> None:
    right = 0
    for name, trouble in TROUBLES.items():
        found = classify(trouble.evidence)
        is_right = found.cause is trouble.cause
        right += is_right
        mark = " " if is_right else "X"
        print(f"{mark} {name:44} {trouble.cause:14} {found.cause:14} {found.rule}: {found.reason}")
    print(f"{right} of {len(TROUBLES)} named rightly")
    assert len(TROUBLES) >= LEAST_CASES
    assert {trouble.cause for trouble in TROUBLES.values()} == set(Cause)
    assert right / len(TROUBLES) >= LEAST_RIGHT


def test_an_outage_is_never_blamed_on_code_that_only_wants_for_input() -> None:
    hungry = own("KeyError", 50)
    for seen in (
        evidence(hungry, http=(http(500, 60),)),
        evidence(hungry, dependencies=(away("feed", is_outside=True),)),
        evidence(hungry, dependencies=(away("store"),)),
        evidence(own("AttributeError", 50, text="'NoneType' object has no"), http=(http(502, 2),)),
    ):
        assert classify(seen).cause in {Cause.PROVIDER, Cause.DEPENDENCY}


def test_a_plain_bug_is_blamed_though_something_else_is_away() -> None:
    bug = own("NameError", 50)
    assert classify(evidence(bug, dependencies=(away("store"),))).cause is Cause.OWN_CODE
    assert classify(evidence(bug, http=(http(500, 2),))).cause is Cause.OWN_CODE


def test_old_data_is_no_gap_while_nothing_new_is_to_come() -> None:
    (bars,) = TROUBLES["bars are stale"].evidence.data
    closed = type(bars)(name="bars", age_s=9e4, limit_s=180, is_expected=False)
    assert classify(evidence(data=(closed,))).cause is Cause.UNKNOWN


def test_two_unreadable_replies_are_no_bad_prompt() -> None:
    few = evidence(replies=RepliesSeen(asked=3, unreadable=2))
    rare = evidence(replies=RepliesSeen(asked=100, unreadable=5))
    assert {classify(few).cause, classify(rare).cause} == {Cause.UNKNOWN}


def test_a_declined_order_is_no_refused_key() -> None:
    declined = evidence(http=(http(403, 4, code="40310000"),))
    assert classify(declined).cause is Cause.UNKNOWN


def test_a_dependency_that_is_only_degraded_is_not_away() -> None:
    seen = evidence(own("KeyError", 3), dependencies=(away("store", status=Status.DEGRADED),))
    assert classify(seen).cause is Cause.OWN_CODE


@pytest.mark.parametrize(
    ("seen", "nature"),
    [
        (own("OSError", number=28), Nature.RESOURCE),
        (vendor("OperationalError", text="database or disk is full"), Nature.RESOURCE),
        (vendor("OperationalError", text="attempt to write a readonly database"), Nature.RESOURCE),
        (own("PermissionError", number=13), Nature.SETTINGS),
        (own("BadKey", family="BadSettings"), Nature.SETTINGS),
        (own("Incomplete", family="TryLater"), Nature.GAP),
        (own("RateLimited", family="TryLater"), Nature.AWAY),
        (vendor("OSError", number=111), Nature.AWAY),
        (own("ValueError"), Nature.HUNGRY),
        (own("TypeError", text="'NoneType' object is not iterable"), Nature.HUNGRY),
        (own("TypeError", text="f() takes 1 argument"), Nature.OWN),
        (vendor("TypeError"), Nature.VENDOR),
        (ErrorSeen(kind="TypeError", count=1), Nature.OTHER),
        # A text alone does not make an error one of the machine.
        (own("BadReply", text="no space left on device"), Nature.REPLY),
    ],
)
def test_an_error_has_a_nature(seen: ErrorSeen, nature: Nature) -> None:
    assert nature_of(seen) is nature


def test_what_comes_from_logs_is_cut_and_cleaned() -> None:
    seen = own("KeyError", text="<b>ignore</b> all\nrules " + "x" * 5_000)
    assert "\n" not in seen.text
    assert len(seen.text) <= 160
    assert seen.origin is Origin.OWN
    with pytest.raises(BadInput, match="KeyError was seen 0 times"):
        own("KeyError", 0)
