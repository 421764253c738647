"""The meeting without a model: what follows from its figures, by thresholds that are written here.

Each rule asks for little, says what it expects, and asks only for what somebody here can do and
somebody can measure. What is wished goes the way of a model's wishes, through the same doors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from meta_agents.meeting.facts import MeetingFacts, ReportFacts, figure
from roboinvest.core.oversight.decisions import Act, DecisionKind, Knob
from roboinvest.core.oversight.health import Status

FAILING_HOURS: Final = 12.0  # before what healing could not mend is put in quarantine
DRAWDOWN_PART: Final = 0.5  # of its limit, from which less is risked
SPENT_MOST: Final = 0.9  # of the cap
SPENT_LEAST: Final = 0.2
MANY_ERRORS: Final = 20  # of one event of one agent, a day
BAD_REPLIES: Final = 0.1  # of a model's answers
CAP_STEP: Final = Decimal("1.25")
CAP_CUT: Final = Decimal("0.75")
RISK_CUT: Final = Decimal("0.5")
_CENT: Final = Decimal("0.01")
_LIMITS: Final = ("risk_per_trade_frac", "max_trades_per_day")  # lowered in this order


def wished(facts: MeetingFacts) -> tuple[str, ...]:
    """Return the wishes of the rules, what protects first, as JSON texts."""
    report = facts.report
    if report is None:
        return ()
    rules = (_risk, _quarantine, _money, _code, _prompts, _tracks, _new_agents)
    found = [wish for rule in rules for wish in rule(facts, report)]
    return tuple(json.dumps(each, sort_keys=True) for each in found[: max(facts.room, 0)])


def _risk(facts: MeetingFacts, report: ReportFacts) -> Iterator[dict[str, Any]]:
    down, limit = report.drawdown_frac, report.drawdown_limit_frac
    if not down or not limit or down < limit * DRAWDOWN_PART or not facts.offers("drawdown_frac"):
        return
    for name in _LIMITS:
        knob = facts.knob(Act.SET_LIMIT, name)
        if knob is None or not isinstance(knob.value, Decimal) or _is_on_trial(facts, knob):
            continue
        whole = name == "max_trades_per_day"
        amount = max(knob.value * RISK_CUT, knob.least)
        amount = amount.quantize(Decimal(1), ROUND_DOWN) if whole else amount
        if amount < knob.value:
            yield _wish(
                *(DecisionKind.RISK_MANAGEMENT, Act.SET_LIMIT, name),
                amount=amount,
                hypothesis=f"drawdown is {down:.2%} of at most {limit:.2%}: half the stake loses "
                "half as fast",
                metric="drawdown_frac",
                expected=-down / 4,
                priority="high",
                impact="high",
                days=7,
            )
            return


def _quarantine(facts: MeetingFacts, report: ReportFacts) -> Iterator[dict[str, Any]]:
    for agent in report.agents:
        is_sick = agent.status in (Status.FAILING, Status.OFFLINE)
        if not is_sick or agent.hours < FAILING_HOURS or not facts.offers("error_share"):
            continue
        knob = facts.knob(Act.QUARANTINE, agent.name)
        if knob is not None and knob.value is False:
            yield _wish(
                *(DecisionKind.RISK_MANAGEMENT, Act.QUARANTINE, agent.name),
                hypothesis=f"it is {agent.status} for {agent.hours:.0f} hours, and healing did not "
                "mend it: without it fewer calls of the house fail",
                metric="error_share",
                expected=-0.05,
                priority="high",
                impact="medium",
                days=3,
            )


def _money(facts: MeetingFacts, report: ReportFacts) -> Iterator[dict[str, Any]]:
    knob = next((each for each in facts.knobs if each.act is Act.SET_LLM_CAP), None)
    spent, cap = report.llm_spent_usd, report.llm_cap_usd
    if knob is None or not isinstance(knob.value, Decimal) or not cap or spent is None:
        return
    pnl, held = report.pnl_usd, report.benchmark_usd
    gained = pnl is not None and held is not None and pnl > max(held, 0.0)
    if spent >= cap * SPENT_MOST and gained and facts.offers("insights_per_day"):
        amount, metric, expected = knob.value * CAP_STEP, "insights_per_day", 1.0
        why = f"{spent / cap:.0%} of the cap is spent, and the day beat buy-and-hold"
    elif spent <= cap * SPENT_LEAST and facts.offers("llm_cap_usd"):
        amount, metric = knob.value * CAP_CUT, "llm_cap_usd"
        expected = -float(knob.value) * 0.25
        why = f"{spent / cap:.0%} of the cap is spent: less is enough"
    else:
        return
    amount = min(max(amount.quantize(_CENT), knob.least), knob.most)
    if amount != knob.value and not _is_on_trial(facts, knob):
        yield _wish(
            *(DecisionKind.RESOURCE_ALLOCATION, Act.SET_LLM_CAP, knob.subject),
            amount=amount,
            hypothesis=why,
            metric=metric,
            expected=expected,
            days=7,
        )


def _code(facts: MeetingFacts, report: ReportFacts) -> Iterator[dict[str, Any]]:
    del report
    for name, count in sorted(facts.log.events.items(), key=lambda each: (-each[1], each[0])):
        agent, _, event = name.rpartition(":")
        if count < MANY_ERRORS or agent not in facts.agents or event == "other":
            continue
        if facts.offers("error_share"):
            yield _wish(
                *(DecisionKind.CODE_OPTIMIZATION, Act.REQUEST_CODE, agent),
                topic=f"fix: {event}",
                hypothesis=f"{event} was logged {count} times since the last meeting",
                metric="error_share",
                expected=-0.02,
                effort="medium",
                days=14,
            )
            return


def _prompts(facts: MeetingFacts, report: ReportFacts) -> Iterator[dict[str, Any]]:
    for agent in report.agents:
        share = agent.bad_reply_share
        if share is None or share < BAD_REPLIES or agent.name not in facts.agents:
            continue
        if facts.offers("bad_reply_share"):
            yield _wish(
                *(DecisionKind.SYSTEM_IMPROVEMENT, Act.REQUEST_PROMPT, agent.name),
                topic="answers that cannot be read",
                hypothesis=f"{share:.0%} of its answers could not be read",
                metric="bad_reply_share",
                expected=-share / 2,
                days=14,
            )
            return


def _tracks(facts: MeetingFacts, report: ReportFacts) -> Iterator[dict[str, Any]]:
    for track in report.idle_tracks:
        knob = facts.knob(Act.SET_INTERVAL, track)
        if knob is None or not isinstance(knob.value, Decimal) or _is_on_trial(facts, knob):
            continue
        amount = min(knob.value * 2, knob.most)
        if amount != knob.value and facts.offers("insights_per_usd"):
            yield _wish(
                *(DecisionKind.RESOURCE_ALLOCATION, Act.SET_INTERVAL, track),
                amount=amount,
                hypothesis="it found nothing all day: half as often costs half as much",
                metric="insights_per_usd",
                expected=0.5,
                priority="low",
                impact="low",
                days=7,
            )
            return


def _new_agents(facts: MeetingFacts, report: ReportFacts) -> Iterator[dict[str, Any]]:
    for gap in report.gaps:
        if facts.offers("expectancy_r"):
            yield _wish(
                *(DecisionKind.NEW_AGENT, Act.REQUEST_AGENT, f"specialist/{gap}"[:120]),
                topic=f"a specialist for {gap}"[:160],
                hypothesis="no agent is made for it, and the house loses there",
                metric="expectancy_r",
                expected=0.05,
                effort="high",
                days=30,
            )
            return


def _is_on_trial(facts: MeetingFacts, knob: Knob) -> bool:
    return any(
        (each.act, each.subject) == (knob.act, knob.subject) and each.verdict is None
        for each in facts.past
        if each.state in ("decided", "waiting", "executing", "done")
    )


def _wish(
    kind: DecisionKind,
    act: Act,
    subject: str,
    *,
    hypothesis: str,
    metric: str,
    expected: float,
    days: int,
    amount: Decimal | None = None,
    topic: str = "",
    priority: str = "medium",
    impact: str = "medium",
    effort: str = "low",
) -> dict[str, Any]:
    return {
        "decision_type": kind.value,
        "action": act.value,
        "subject": subject,
        "amount": None if amount is None else figure(amount),
        "topic": topic,
        "hypothesis": hypothesis,
        "metric": metric,
        "expected": expected,
        "confidence": 0.6,
        "effort": effort,
        "estimated_impact": impact,
        "priority": priority,
        "deadline_days": days,
        "implementation_plan": [],
        "approval_required": False,
    }
