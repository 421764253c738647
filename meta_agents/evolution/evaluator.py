"""The evaluator gate: an artifact's own suite, run in the box and judged outside of it.

First the suite is tried: agents that know nothing must fail it, or it proves nothing. Then each of
its cases, and some of the house's own, whose seeds are taken from the artifact's digest, so that
nobody can write code that knows them. What is recorded is a digest of what went in and of what came
out for each case; the same artifact gives the same record, word for word, and can be asked again.

A fault of the box judges nobody: the gate is unable then. What the candidate does to its own
process, to frames or to libraries there changes nothing: no expectation is in that process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from meta_agents.evolution.review import (
    GateJudge,
    JobBox,
    Judged,
    Review,
    StrategyBox,
    TraceText,
    error,
    judged,
    refused,
    text_at,
    unable,
)
from meta_agents.evolution.standards import Standards
from meta_agents.evolution.subjects import (
    StrategySubject,
    Subject,
    TransformSubject,
    Tried,
    category_of,
    trades_of,
)
from meta_agents.evolution.suites.expectations import stop_fault
from meta_agents.evolution.suites.floors import floors_of
from meta_agents.evolution.suites.forms import (
    CODE_OF,
    Case,
    Kind,
    Made,
    StrategyCase,
    TradesExpected,
    cases_of,
    suite_digest,
)
from meta_agents.evolution.suites.scenes import bars_of
from roboinvest.core.errors import BadInput, Refused, TryLater
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.records import canonical_json
from roboinvest.core.revisions.gates import Gate, GateFinding, Standard
from roboinvest.core.strategy import Strategy, Timeframes
from tools.sandbox.job import Fault

HOUSE_GROUP: Final = "house"  # of the cases that no author sees
_SCENES: Final = ("trend", "range", "gap", "crash", "flat", "walk")
_HOUSE_ROWS: Final = 400
_TICKERS: Final = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Floor:
    """An agent that has to fail, and where it did."""

    name: str
    failed: str | None  # the first case that it fails; None: it passes the suite


class Evaluator(GateJudge):
    """Judges suites; see the head of this module."""

    gate = Gate.EVALUATOR

    def __init__(self, standards: Standards, jobs: JobBox, strategies: StrategyBox) -> None:
        self._standards = standards
        self._jobs = jobs
        self._strategies = strategies

    def standard(self) -> Standard:
        """Return what this gate is today."""
        return self._standards.standard(Gate.EVALUATOR)

    def judge(self, review: Review) -> Judged:
        """Return what an artifact's suite comes to; see `GateJudge`."""
        kind = review.kind
        if kind is None:
            return unable(
                "nothing in code/ can be tried here: give either code/strategy.py or "
                "code/transform.py; what cannot be tried does not pass"
            )
        try:
            cases = cases_of(review.own.files, kind)
            code = text_at(review, CODE_OF[kind])
        except (BadInput, Refused) as wrong:
            return refused(str(wrong))
        try:
            return self._judged(review, kind, cases, code)
        except TryLater as away:
            return unable(str(away))

    def _judged(self, review: Review, kind: Kind, cases: Sequence[Case], code: str) -> Judged:
        floors = [
            _Floor(name=name, failed=_first_failure(self._subject(kind, text, takes), cases))
            for name, text, takes in self._floors(review, kind, cases)
        ]
        passing = [floor.name for floor in floors if floor.failed is None]
        if passing:
            findings = [error(f"the suite proves nothing: {name} passes it") for name in passing]
            return judged(findings, _trace(review, floors, [], findings))
        subject = self._subject(kind, code, takes_params=True)
        tried = _all_tried(subject, cases)
        if kind is Kind.STRATEGY and all(each.category is None for each in tried):
            tried += self._house_cases(review, code)
        findings = [
            error(f"case {each.case}: {each.category}: {each.text}")
            for each in tried
            if each.category is not None
        ]
        groups = {each.group: True for each in tried}
        groups |= {each.group: False for each in tried if each.category is not None}
        return judged(findings, _trace(review, floors, tried, findings), groups)

    def _floors(
        self, review: Review, kind: Kind, cases: Sequence[Case]
    ) -> list[tuple[str, str, bool]]:
        """Return name, code, and whether it knows parameters, of all that has to fail."""
        floors = [(name, text, False) for name, text in floors_of(kind, cases)]
        parent = review.parent
        # Where the suite is its parent's, the parent passed it: that is how it got there. A change
        # that adds nothing to be tried (a refactoring, a fix of layout) is measured by the suite
        # that there was; one that comes with another suite has to show with it what is new.
        if parent is None or CODE_OF[kind] not in parent.files:
            return floors
        if suite_digest(parent.files) == suite_digest(review.own.files):
            return floors
        before = parent.files[CODE_OF[kind]].decode(errors="replace")
        return [*floors, (f"the version before ({parent.revision.short})", before, True)]

    def _subject(self, kind: Kind, code: str, takes_params: bool) -> Subject:
        if kind is Kind.STRATEGY:
            return StrategySubject(code, self._strategies, takes_params)
        return TransformSubject(code, self._jobs, takes_params)

    def _house_cases(self, review: Review, code: str) -> list[Tried]:
        """Return what a strategy does on bars that its author never saw: no fault, sane stops."""
        strategy = self._strategies(code, CODE_OF[Kind.STRATEGY])
        return [
            _house_case(strategy, number, scene, review.seed)
            for number, scene in enumerate(_SCENES)
        ]


def _house_case(strategy: Strategy, number: int, scene: str, seed: int) -> Tried:
    daily = strategy.timeframe is not Timeframes.INTRADAY
    timeframe = Timeframe.DAY if daily else Timeframe.MINUTES_5
    names = _TICKERS[: max(strategy.symbols, 1)]
    made = {
        name: Made.model_validate(
            {
                "kind": scene,
                "seed": (seed + 97 * number + place) % (1 << 32),
                "rows": _HOUSE_ROWS,
                "timeframe": timeframe,
            }
        )
        for place, name in enumerate(names)
    }
    case = StrategyCase(
        name=f"{HOUSE_GROUP}_{scene}",
        group=HOUSE_GROUP,
        symbol=names[0],
        bars=made[names[0]],
        expect=TradesExpected(),
    )
    bars: dict[str, SessionBars] = {name: bars_of(each, name) for name, each in made.items()}
    digest, category, text = "", None, ""
    try:
        taken = trades_of(strategy, case, bars, {})
        digest = canonical_json(taken)
        wrong = stop_fault(taken, needed=False)
        category, text = (None, "") if wrong is None else ("stop", wrong)
    except BadInput as fault:
        if "warms up on" not in str(fault):  # too few bars of ours are no fault of its own
            category, text = category_of(str(fault)), str(fault)
    told = canonical_json({"scene": scene, "output": digest})
    return Tried(
        case=case.name,
        group=HOUSE_GROUP,
        input=review_digest(f"{scene}|{seed}"),
        output=review_digest(told),
        category=category,
        text=text,
    )


def review_digest(text: str) -> str:
    """Return the hex SHA-256 of a text."""
    return TraceText(text=text, exit_code=0).digest


def _all_tried(subject: Subject, cases: Sequence[Case]) -> list[Tried]:
    """Return what cases come to; the first that uses its time up is the last: all would."""
    found = list[Tried]()
    for case in cases:
        found.append(subject.tried(case))
        if found[-1].category == Fault.CPU:
            break
    return found


def _first_failure(subject: Subject, cases: Sequence[Case]) -> str | None:
    """Return the first case that an agent fails; None: it passes them all."""
    for case in cases:
        if subject.tried(case).category is not None:
            return case.name
    return None


def _trace(
    review: Review,
    floors: Sequence[_Floor],
    tried: Sequence[Tried],
    findings: Sequence[GateFinding],
) -> TraceText:
    text = canonical_json(
        {
            "gate": Gate.EVALUATOR,
            "artifact": review.own.revision.artifact_digest,
            "suite": suite_digest(review.own.files),
            "floors": [{"name": floor.name, "failed": floor.failed} for floor in floors],
            "cases": [each.line for each in tried],
        }
    )
    return TraceText(text=text, exit_code=1 if findings else 0)
