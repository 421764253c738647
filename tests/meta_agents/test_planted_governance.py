"""Faults of an earlier meeting, planted one by one: each is caught by what is held to here."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from meta_agents.governance_meeting import Meeting
from meta_agents.meeting.execution import Executor
from meta_agents.meeting.facts import MeetingFacts
from meta_agents.meeting.judging import Judged
from meta_agents.meeting.settling import Settling
from roboinvest.core.approvals import Filed
from roboinvest.core.oversight.decisions import Act, Decision, DecisionKind, DecisionState
from roboinvest.core.oversight.scoring import Score, Verdict
from roboinvest.core.proposals import Level
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.meetings import DecisionRow
from tests.fakes.meetings import Council, ToldModel, all_hands, council, values_of
from tests.fakes.virtual_time import run_virtual
from tests.fakes.wishes import FIVE, a_wish, lower_limit, quarantine, told

Broken = list[str]
UNTOUCHED = values_of(all_hands())


class NeverReadsApproval(Meeting):
    """Does not look whether a person was asked for."""

    async def _judged(self, texts: tuple[str, ...], facts: MeetingFacts, name: str) -> Judged:
        plain = tuple(each.replace('"approval_required": true', '"approval_required": false')
                      for each in texts)  # fmt: skip
        return await super()._judged(plain, facts, name)


class DropsTwoKinds(Meeting):
    """Takes allocation and risk for talk."""

    async def _judged(self, texts: tuple[str, ...], facts: MeetingFacts, name: str) -> Judged:
        found = await super()._judged(texts, facts, name)
        dropped = (DecisionKind.RESOURCE_ALLOCATION, DecisionKind.RISK_MANAGEMENT)
        kept = tuple(each for each in found.decisions if each.kind not in dropped)
        return Judged(kept, found.refused)


class BelievesTheLevel(Meeting):
    """Lets a wish say who has to agree to it."""

    async def _judged(self, texts: tuple[str, ...], facts: MeetingFacts, name: str) -> Judged:
        told_levels, plain = [], []
        for text in texts:
            wish = json.loads(text)
            told_levels.append(wish.pop("level", None))
            plain.append(json.dumps(wish))
        found = await super()._judged(tuple(plain), facts, name)
        return Judged(
            tuple(
                each if level is None else replace(each, level=Level(level))
                for each, level in zip(found.decisions, told_levels, strict=False)
            ),
            found.refused,
        )


class AsksNobody(Executor):
    """Does what it was told needs nobody, without the inbox."""

    async def _file(self, row: DecisionRow) -> None:
        hand = self._hands[row.decision.act]
        if row.decision.level is Level.L0:
            await hand.put(self._order(row, row.after, "governance"))
        await super()._file(row)

    async def _objection(self, decision: Decision, filed: Filed, value: str) -> str | None:
        return None


class BelievesTheScore(Settling):
    """Takes the confidence of whoever decided for the verdict."""

    async def _scored(self, row: DecisionRow, now: Any) -> Score:
        right = row.decision.confidence >= 0.5
        verdict = Verdict.RIGHT if right else Verdict.WRONG
        return Score(verdict=verdict, effect=None, reason=row.decision.hypothesis)


class SaysDone(Executor):
    """Writes that it was done, and does nothing."""

    async def _put(self, row: DecisionRow, hand: Any) -> None:
        await self._move(row, DecisionState.DONE, "implemented")


def with_parts(base: type[Meeting] = Meeting, **parts: type[Any]) -> type[Meeting]:
    """Return a meeting with other parts inside."""

    class Mixed(base):  # type: ignore[misc, valid-type]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            rows, agreements = given[0], given[1]
            more = {"clock": named["clock"], "threads": named["threads"]}
            if "settling" in parts:
                self._settling = parts["settling"](
                    *(rows, agreements, self._hands, named["measures"]), **more
                )
            if "executor" in parts:
                self._executor = parts["executor"](
                    *(rows, agreements, self._hands, named["delegates"]), **more
                )

    return Mixed


def scene(
    folder: Path, meeting: type[Meeting], wishes: Any, work: Callable[[Council], Awaitable[Broken]]
) -> Broken:
    in_flight = InFlight()

    async def run() -> Broken:
        with council(folder, in_flight, ToldModel(told(*wishes)), meeting=meeting) as held:
            return await work(held)

    return run_virtual(run, in_flight)


def a_person_is_asked_where_one_was_asked_for(folder: Path, meeting: type[Meeting]) -> Broken:
    async def work(held: Council) -> Broken:
        await held.hold()
        await held.later(hours=2)
        return [] if values_of(held.hands) == UNTOUCHED else ["approval_required was not read"]

    return scene(folder, meeting, [lower_limit(approval_required=True)], work)


def every_kind_is_done(folder: Path, meeting: type[Meeting]) -> Broken:
    async def work(held: Council) -> Broken:
        await held.hold()
        found = {each.decision.kind for each in held.decisions()}
        return [f"{kind} was dropped" for kind in DecisionKind if kind not in found]

    return scene(folder, meeting, FIVE, work)


def nobody_names_a_level(folder: Path, meeting: type[Meeting]) -> Broken:
    async def work(held: Council) -> Broken:
        await held.hold()
        done = values_of(held.hands) != UNTOUCHED
        return ["a wish named its own level"] if done or held.decisions() else []

    return scene(folder, meeting, [a_wish(level=0)], work)


def a_score_is_measured(folder: Path, meeting: type[Meeting]) -> Broken:
    async def work(held: Council) -> Broken:
        at = held.clock.now()
        held.measures.steps("error_share", 0.1, 0.9, at)
        await held.hold()
        await held.later(hours=24 * 8)
        row = held.only()
        right = row.verdict is Verdict.WRONG and row.effect is not None
        return [] if right else [f"the score came from nowhere: {row.verdict}"]

    return scene(folder, meeting, [quarantine(confidence=0.99)], work)


def done_means_done(folder: Path, meeting: type[Meeting]) -> Broken:
    async def work(held: Council) -> Broken:
        await held.hold()
        said = held.only().state is DecisionState.DONE
        did = held.hands[Act.SET_LIMIT].values["max_trades_per_day"] == 10
        return [] if said == did else ["it was called done, and nothing was"]

    return scene(folder, meeting, [lower_limit()], work)


PROMISES = (
    a_person_is_asked_where_one_was_asked_for,
    every_kind_is_done,
    nobody_names_a_level,
    a_score_is_measured,
    done_means_done,
)


@pytest.mark.parametrize("promise", PROMISES)
def test_ours_keeps_every_promise(tmp_path: Path, promise: Any) -> None:
    assert promise(tmp_path, Meeting) == []


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        (NeverReadsApproval, a_person_is_asked_where_one_was_asked_for),
        (DropsTwoKinds, every_kind_is_done),
        (BelievesTheLevel, nobody_names_a_level),
        (partial(with_parts, BelievesTheLevel, executor=AsksNobody), nobody_names_a_level),
        (partial(with_parts, settling=BelievesTheScore), a_score_is_measured),
        (partial(with_parts, executor=SaysDone), done_means_done),
    ],
)
def test_each_planted_fault_is_caught(tmp_path: Path, mutant: Any, promise: Any) -> None:
    meeting = mutant if isinstance(mutant, type) else mutant()
    broken = promise(tmp_path, meeting)
    assert broken
    print(broken)
