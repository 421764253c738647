"""From what is on record of a day to its report: a pure function, and the one door for texts.

Every text of the finished report goes through `harmless`: configured secrets and whatever looks
like one are cut out, and so are markup, control characters and what changes the direction of
reading. No part builder has to think of it, and none can forget it.
"""

from __future__ import annotations

from typing import Any, Final

from numpy.random import Generator

from meta_agents.daily_report.days import ZONE_NAME
from meta_agents.daily_report.document import (
    DailyReport,
    Healing,
    Incident,
    ToDo,
    TradingResult,
    Unknowns,
)
from meta_agents.daily_report.events_part import (
    advice_part,
    alerts_part,
    changes_part,
    healing_part,
    incidents_part,
    needs_person,
)
from meta_agents.daily_report.facts import DayFacts
from meta_agents.daily_report.house_part import (
    activities_part,
    health_part,
    metrics_part,
    spend_part,
)
from meta_agents.daily_report.trading_part import trading_part
from meta_agents.harmless import harmless_tree
from roboinvest.core.oversight.advice import AdviceState
from roboinvest.runtime.redaction import Redactor

MOST_RECOMMENDED: Final = 20
MOST_TO_DO: Final = 50
_OPEN: Final = (AdviceState.OPEN,)
_NOTES: Final = (
    f"Days are those of the exchange ({ZONE_NAME}), midnight to midnight, by the run's own clock; "
    "times are UTC.",
    "Trades executed are executions at the broker; round trips are counted when nothing of the "
    "entry is left open.",
    "Buy and hold of the day puts equal money into every symbol that has a price on both ends of "
    "it, without costs.",
    "What a person must do is as of when this was made, whatever the day.",
)
_APART: Final = (
    "The market has a time of its own in this run: what the house did (alerts, healing, changes, "
    "models) is of the machine's time in which the day was played."
)
_UPTIME: Final = "Uptime is of the last run of the daemon only, so it is a lower bound."


def build(facts: DayFacts, *, redactor: Redactor, rng: Generator) -> DailyReport:
    """Return the report of a day; chance serves intervals and nothing else."""
    unknown, left_out = Unknowns(), dict[str, int]()
    trading = trading_part(facts, unknown, rng)
    incidents = incidents_part(facts, left_out)
    to_do = needs_person(facts)
    if len(to_do) > MOST_TO_DO:
        left_out["needs_person"] = len(to_do) - MOST_TO_DO
    healing = healing_part(facts, unknown, left_out)
    parts: dict[str, Any] = {
        "system_health": health_part(facts, unknown),
        "performance_metrics": metrics_part(facts, unknown),
        "recent_activities": activities_part(facts, unknown),
        "recommendations": _recommendations(facts),
        "alerts": alerts_part(facts, unknown, left_out),
        "changes": changes_part(facts, unknown, left_out),
        "llm_spend": spend_part(facts, unknown, left_out),
        "advice": advice_part(facts, unknown, left_out),
    }
    report = DailyReport(
        generated_at=facts.made_at,
        date=facts.day,
        zone=ZONE_NAME,
        starts_at=facts.span.start,
        ends_at=facts.span.end,
        complete=facts.is_complete,
        as_of=min(facts.run_now, facts.span.end),
        mode=facts.mode,
        running=facts.running,
        headline=_headline(trading, incidents, to_do, healing),
        needs_person=to_do[:MOST_TO_DO],
        incidents=incidents,
        trading_result=trading,
        healing=healing,
        left_out=left_out,
        notes=_notes(facts),
        unknown=unknown.reasons,
        **parts,
    )
    return harmless(report, redactor)


def harmless(report: DailyReport, redactor: Redactor) -> DailyReport:
    """Return the same report with every text made safe to show."""

    return DailyReport.model_validate(harmless_tree(report.model_dump(), redactor))


def _recommendations(facts: DayFacts) -> list[str]:
    """Return what the PerformanceAnalystAgent advises and nobody did yet."""
    found = [each for each in facts.open_advice or () if each.state in _OPEN]
    return [f"{each.text} ({each.expected_text})" for each in found[:MOST_RECOMMENDED]]


def _notes(facts: DayFacts) -> tuple[str, ...]:
    notes = list(_NOTES)
    if facts.apart:
        notes.append(_APART)
    if not (facts.figures or {}).get("house.up_s") and facts.status is not None:
        notes.append(_UPTIME)
    if not facts.is_complete:
        notes.append(f"The day is not over: this is as of {facts.run_now:%Y-%m-%d %H:%M} UTC.")
    return tuple(notes)


def _headline(
    trading: TradingResult,
    incidents: tuple[Incident, ...],
    to_do: tuple[ToDo, ...],
    healing: Healing | None,
) -> str:
    """Return the day in one sentence: what is wrong first, then the money."""
    lasting = sum(each.until is None for each in incidents)
    words = []
    urgent = sum(each.urgency == "now" for each in to_do)
    if urgent:
        words.append(f"{urgent} thing{'s' * (urgent > 1)} must be done by a person now")
    if lasting:
        words.append(f"{lasting} incident{'s' * (lasting > 1)} not over")
    elif incidents:
        words.append(f"{len(incidents)} incident{'s' * (len(incidents) > 1)}, all over")
    else:
        words.append("no incident on record")
    if healing is not None and healing.attempts:
        words.append(f"healing healed {healing.healed} of {healing.attempts}")
    if trading.result_usd is None or trading.total_return is None:
        words.append("no trading result")
    else:
        words.append(f"{trading.result_usd:+,.2f} USD ({trading.total_return:+.2%})")
        kept = trading.day.total_return
        if kept is not None:
            words.append(f"buy and hold {kept:+.2%}")
    text = ", ".join(words)
    return f"{text[0].upper()}{text[1:]}."
