"""The JSON files that look back, as models, and the schemas of all files in the reports folder.

A frontend is written against the schemas; a test holds every file that a house leaves against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal

from pydantic import AwareDatetime

from meta_agents.daily_report.document import DailyReport
from roboinvest.core.oversight.advice import Advice
from roboinvest.core.oversight.analysis import Analysis
from roboinvest.runtime.reports.fields import Count, Figure, Fraction, Record, Report
from roboinvest.runtime.reports.health import Health
from roboinvest.runtime.reports.models import REPORTS


class PerformanceAnalysis(Report):
    """performance_analysis.json: what the hours say, and what is advised."""

    analysis: Analysis
    advice: tuple[Advice, ...]  # open or taken, and not measured yet


class MeasuredEffect(Record):
    """What a decision did to its metric, with a 95 % interval."""

    mean: float
    low: float
    high: float
    n: Count


class DecisionMade(Record):
    """A decision of a meeting and what became of it; the first six are what frontends know."""

    decision_type: Literal[
        "system_improvement",
        "new_agent",
        "code_optimization",
        "resource_allocation",
        "risk_management",
    ]
    description: str
    priority: str
    estimated_impact: str
    implementation_plan: tuple[str, ...]
    approval_required: bool
    decision_id: str
    action: str
    subject: str
    before: str | None  # JSON text of what stood there; null: a request
    after: str  # JSON text
    level: str  # L0 nobody has to agree, L1 unless a person objects, L2 gates, L3 a person
    state: str
    reason: str  # of the last move
    reference: str  # of a proposal or a job
    hypothesis: str
    metric: str
    expected: float
    confidence: Fraction
    effort: str
    deadline: AwareDatetime  # when it is scored
    undo: str
    executed_at: AwareDatetime | None
    verdict: str | None  # right, wrong, unknown; null: not scored yet
    effect: MeasuredEffect | None
    score_reason: str


class WishRefused(Record):
    """What was wished for at a meeting, and refused."""

    number: Count
    wish: str
    reason: str
    nobody: bool  # nobody could allow it
    level: int | None


class CalibrationLine(Record):
    """How good the confidence of past decisions was."""

    scored: Count
    right: Count
    brier: Figure | None  # 0 is perfect, 0.25 is a coin; null: too few to judge
    text: str


class MeetingHeld(Record):
    """governance/meeting_<date>.json: a meeting, whole."""

    schema_version: Literal[1] = 1
    date: date
    meeting_id: str
    source: str  # who answered
    reason: str  # why it was not the model's own answer
    held_at: AwareDatetime | None  # null: nothing was decided yet
    done_at: AwareDatetime | None
    read: Mapping[str, Any]  # what was read, in figures
    decisions: tuple[DecisionMade, ...]
    refused: tuple[WishRefused, ...]
    calibration: CalibrationLine


ALL: Final[Mapping[str, type[Report | Record]]] = {
    **REPORTS,
    "health": Health,
    "performance_analysis": PerformanceAnalysis,
    "daily_report": DailyReport,
    "governance_meeting": MeetingHeld,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every report, by its name."""
    return {name: model.model_json_schema(mode="serialization") for name, model in ALL.items()}


def schema_name(path: str) -> str:
    """Return the name of the schema that a file has to satisfy, by its path below the reports.

    A dated file has the name of its kind: governance_reports/daily_report_2026-01-05.json is a
    daily_report.
    """
    folder, _, name = path.rpartition("/")
    stem = name.removesuffix(".json").partition("_20")[0]
    return f"{folder}_{stem}" if folder == "governance" else stem
