"""Which gates apply follows what an agent can do; a record counts for what it was bound to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.proposals import NEVER_GRANTED, Capability
from roboinvest.core.revisions.gates import (
    MAX_FINDINGS,
    Gate,
    GateFinding,
    GateRecord,
    Judge,
    Severity,
    Standard,
    Subject,
    Trace,
    Verdict,
    capability_digest,
    fault_of,
    findings_of,
    missing_evidence,
    require_grantable,
    required_gates,
)
from roboinvest.core.revisions.reach import Powers, called_by, callers_of, reach_of
from roboinvest.core.revisions.record_text import digest_of, record_of, text_of
from tests.core.revisions.test_lifecycle import REVISION
from tests.fakes.clocks import ManualClock
from tests.fakes.revisions import a_digest, a_record, a_standard

BASE = frozenset({Gate.STATIC, Gate.EVALUATOR})
TRADES = frozenset({Gate.BACKTEST, Gate.WALK_FORWARD, Gate.AUDITOR, Gate.PAPER, Gate.PERSON})
GROWS = frozenset({Gate.AUDITOR, Gate.CANARY, Gate.PERSON})
CLOCK = ManualClock()
SUBJECT = Subject(
    artifact_digest=REVISION.artifact_digest, capability_digest=capability_digest(frozenset())
)
STANDARDS: dict[Gate, Standard] = {
    gate: a_standard(gate) for gate in Gate if gate is not Gate.PERSON
}
SETS = st.frozensets(st.sampled_from(Capability))


@pytest.mark.parametrize(
    ("capabilities", "more"),
    [
        ((), ()),
        ((Capability.MARKET_DATA,), (Gate.SHADOW,)),
        ((Capability.UNTRUSTED_TEXT,), (Gate.INJECTION, Gate.AUDITOR, Gate.SHADOW)),
        ((Capability.SPAWN,), GROWS),
        ((Capability.SCHEDULE,), GROWS),
        ((Capability.MEMORY,), (Gate.AUDITOR, Gate.MEMORY_QUARANTINE)),
        ((Capability.PROPOSE_ORDERS,), TRADES),
        ((Capability.LIVE_ORDERS,), TRADES),
        ((Capability.MARKET_DATA, Capability.PROPOSE_ORDERS), {*TRADES, Gate.SHADOW}),
    ],
)
def test_the_gates_are_those_of_the_table(
    capabilities: tuple[Capability, ...], more: frozenset[Gate]
) -> None:
    assert required_gates(frozenset(capabilities)) == BASE | set(more)


@given(less=SETS, more=SETS)
def test_more_capability_never_needs_fewer_gates(
    less: frozenset[Capability], more: frozenset[Capability]
) -> None:
    assert required_gates(less) <= required_gates(less | more)


@given(now=SETS, before=SETS)
def test_more_than_before_needs_a_person(
    now: frozenset[Capability], before: frozenset[Capability]
) -> None:
    if not now <= before:
        assert Gate.PERSON in required_gates(now, before)


def test_to_spawn_is_agreed_to_once_and_to_trade_each_time() -> None:
    spawns, trades = frozenset({Capability.SPAWN}), frozenset({Capability.PROPOSE_ORDERS})
    assert Gate.PERSON in required_gates(spawns, None)
    assert Gate.PERSON not in required_gates(spawns, spawns)
    assert Gate.PERSON in required_gates(trades, trades)


@pytest.mark.parametrize("capability", sorted(NEVER_GRANTED))
def test_an_agent_without_code_gets_no_network_and_no_secret_either(capability: Capability) -> None:
    with pytest.raises(Refused, match="is never granted"):
        require_grantable("reader", frozenset({capability}))


def test_the_lethal_combination_is_refused_for_one_agent_and_for_two_that_call_each_other() -> None:
    text, trade, read = Capability.UNTRUSTED_TEXT, Capability.PROPOSE_ORDERS, Capability.READ
    with pytest.raises(Refused, match="never held together"):
        require_grantable("one", frozenset({text, trade, read}))
    powers = {
        "reader": Powers(capabilities=frozenset({text, read}), calls=("sorter",)),
        "sorter": Powers(capabilities=frozenset(), calls=("trader",)),
        "trader": Powers(capabilities=frozenset({trade}), calls=("reader",)),
    }
    for name in powers:
        assert reach_of(name, powers) == {text, trade, read}
    with pytest.raises(Refused):
        require_grantable("sorter", reach_of("sorter", powers))


def test_whoever_calls_is_found_through_others_and_round_in_circles() -> None:
    empty: frozenset[Capability] = frozenset()
    powers = {
        "a": Powers(capabilities=empty, calls=("b",)),
        "b": Powers(capabilities=empty, calls=("c", "b")),
        "c": Powers(capabilities=empty, calls=("a", "unknown")),
        "d": Powers(capabilities=empty, calls=()),
    }
    assert called_by("a", powers) == {"a", "b", "c", "unknown"}
    assert callers_of("c", powers) == ("a", "b")
    assert callers_of("d", powers) == ()
    assert reach_of("nobody", powers) == frozenset()


def record(gate: Gate = Gate.EVALUATOR, **changes: Any) -> GateRecord:
    return replace(a_record(REVISION, gate, CLOCK), **changes)


def faults(*records: GateRecord, gates: frozenset[Gate] = frozenset({Gate.EVALUATOR})) -> str:
    return "; ".join(missing_evidence(gates, records, SUBJECT, STANDARDS, CLOCK.now()))


def finding(severity: Severity) -> tuple[GateFinding, ...]:
    return (GateFinding(severity=severity, text="a hole"),)


def standard(**changes: Any) -> Standard:
    return replace(a_standard(Gate.EVALUATOR), **changes)


def test_a_record_of_today_about_these_bytes_is_enough() -> None:
    assert faults(record()) == ""


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"artifact_digest": a_digest("swapped")}, "judged another artifact"),
        ({"capability_digest": a_digest("more")}, "judged other capabilities"),
        ({"standard": standard(evaluator_digest=a_digest("other"))}, "by another evaluator"),
        ({"standard": standard(data_digest=a_digest("other"))}, "on other data"),
        ({"standard": standard(version=2)}, "judged by version 2, not 1"),
        ({"verdict": Verdict.FAILED}, "says failed"),
        ({"verdict": Verdict.UNABLE}, "says unable"),
        ({"trace": None}, "has no trace"),
        ({"trace": Trace(digest=a_digest("t"), exit_code=137)}, "exit code 137"),
        ({"findings": finding(Severity.ERROR)}, "1 findings of severity error"),
        ({"findings": finding(Severity.CRITICAL)}, "1 findings of severity error or critical"),
        ({"expires_at": CLOCK.now() + timedelta(seconds=1)}, ""),
    ],
)
def test_a_record_counts_for_what_it_was_bound_to_and_for_nothing_else(
    changes: dict[str, Any], word: str
) -> None:
    told = faults(record(**changes))
    assert word in told
    assert bool(told) is bool(word)


def test_an_expired_record_and_one_of_the_future_do_not_count() -> None:
    old = CLOCK.now() - timedelta(days=40)
    assert "expired at" in faults(record(at=old, expires_at=CLOCK.now()))
    later = CLOCK.now() + timedelta(seconds=1)
    assert "future" in faults(record(at=later, expires_at=later + timedelta(days=1)))


def test_hard_case_37_no_record_and_no_evaluator_are_no_pass() -> None:
    assert faults() == "evaluator has no record"
    told = missing_evidence({Gate.EVALUATOR}, [record()], SUBJECT, {}, CLOCK.now())
    assert told == ("evaluator has no evaluator in this house",)


def test_the_newest_record_counts_whichever_way_it_went() -> None:
    failed = record(verdict=Verdict.FAILED)
    assert "says failed" in faults(record(), failed)
    assert faults(failed, record()) == ""


def test_hard_case_37_a_model_adds_findings_and_passes_nothing() -> None:
    blind = record(Gate.AUDITOR, judge=Judge.MODEL)
    gates = frozenset({Gate.AUDITOR})
    assert faults(blind, gates=gates) == "auditor has no record"
    assert fault_of(blind) == "was told by a model, which may only add findings"
    seeing = replace(blind, findings=finding(Severity.CRITICAL))
    computed = record(Gate.AUDITOR)
    assert "finding of a model: a hole" in faults(seeing, computed, blind, gates=gates)
    assert faults(blind, computed, gates=gates) == ""


def test_findings_that_only_inform_are_not_counted() -> None:
    records = [
        record(Gate.STATIC, findings=finding(Severity.ERROR)),
        record(Gate.STATIC, findings=finding(Severity.WARNING)),
        record(Gate.EVALUATOR, findings=finding(Severity.INFO)),
        record(Gate.AUDITOR, judge=Judge.MODEL, findings=finding(Severity.CRITICAL)),
    ]
    assert findings_of(records) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"artifact_digest": "A" * 64},
        {"capability_digest": "a" * 63},
        {"standard": replace(a_standard(Gate.STATIC), gate=Gate.PERSON)},
        {"expires_at": CLOCK.now()},
        {"expires_at": CLOCK.now() + timedelta(days=91)},
        {"findings": finding(Severity.INFO) * (MAX_FINDINGS + 1)},
        {"findings": (GateFinding(severity=Severity.INFO, text="x" * 1001),)},
        {"trace": Trace(digest="", exit_code=0)},
    ],
)
def test_a_record_that_says_too_much_or_nothing_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        record(**changes)


def test_a_record_is_read_back_as_it_was_written() -> None:
    one = record(findings=finding(Severity.WARNING))
    assert record_of(text_of(one).encode()) == one
    assert digest_of(one) != digest_of(record())
    assert record_of(text_of(record(Gate.STATIC, trace=None)).encode()).trace is None
    for broken in (b"", b"[]", b"{}", text_of(one).replace("passed", "fine").encode()):
        with pytest.raises(BadInput):
            record_of(broken)
