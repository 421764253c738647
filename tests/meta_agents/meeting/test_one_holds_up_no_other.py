"""What cannot be read or done of one decision holds up no meeting and no other decision."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.errors import BadSettings
from roboinvest.core.oversight.decisions import Act, DecisionState, Knob
from roboinvest.core.oversight.scoring import Sample, Verdict
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.meetings import Council, ToldModel, council
from tests.fakes.virtual_time import run_virtual
from tests.fakes.wishes import a_wish, lower_limit, quarantine, raise_cap, told

DAMAGED = "llm.db is damaged"


def play(folder: Path, work: Callable[[Council], Awaitable[None]], *wishes: Any) -> None:
    """Play a council in virtual time."""
    in_flight = InFlight()

    async def run() -> None:
        with council(folder, in_flight, ToldModel(told(*wishes))) as held:
            await work(held)

    run_virtual(run, in_flight)


def test_a_meeting_is_held_without_a_hand_whose_books_are_damaged(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        async def damaged() -> tuple[Knob, ...]:
            raise BadSettings(DAMAGED)

        held.hands[Act.SET_LLM_CAP].knobs = damaged  # type: ignore[method-assign]
        await held.hold()
        assert [each.decision.act for each in held.decisions()] == [Act.SET_LIMIT]

    play(tmp_path, work, lower_limit(), raise_cap())


def test_an_undo_does_not_wait_for_another_decision_that_cannot_be_looked_at(
    tmp_path: Path,
) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        await held.later(hours=1.2)
        first, second = held.decisions()
        for each in (first, second):
            held.rows.ask_undo(each.decision.decision_id, "ann")

        async def damaged(subject: str) -> str | None:
            raise BadSettings(f"{DAMAGED}: {subject}")

        held.hands[first.decision.act].standing = damaged  # type: ignore[method-assign]
        with pytest.raises(BadSettings, match=DAMAGED):  # people hear of it
            await held.later(hours=0.1)
        first, second = held.decisions()
        assert (first.state, first.undo_by) == (DecisionState.DONE, "ann")
        assert second.state is DecisionState.UNDONE
        assert held.hands[Act.SET_LIMIT].values["max_trades_per_day"] == 20

    play(tmp_path, work, raise_cap(), lower_limit())


def test_a_decision_whose_books_are_damaged_holds_up_no_score_and_no_meeting(
    tmp_path: Path,
) -> None:
    async def work(held: Council) -> None:
        def damaged(_since: datetime, _until: datetime) -> Sample | None:
            raise BadSettings(DAMAGED)

        held.measures.steps("drawdown_frac", 0.5, 0.2, held.clock.now())
        await held.hold()
        await held.later(hours=1.2)
        held.measures.samples["insights_per_day"] = damaged
        await held.later(hours=24 * 8)
        await held.hold()
        cap, limit = held.decisions()
        assert (cap.verdict, limit.verdict) == (None, Verdict.RIGHT)

    play(tmp_path, work, raise_cap(), lower_limit())


def test_an_undo_that_is_asked_for_while_something_is_being_done_is_done_after_it(
    tmp_path: Path,
) -> None:
    async def work(held: Council) -> None:
        hand = held.hands[Act.QUARANTINE]
        hand.lies = True  # as a supervisor, which is asked, and gets round to it a moment later
        await held.hold()
        assert held.only().state is DecisionState.EXECUTING
        hand.values["gamma"], hand.lies = True, False
        held.rows.ask_undo(held.only().decision.decision_id, "ann")
        await held.later(hours=0.1)
        assert held.only().state is DecisionState.UNDONE
        assert hand.values["gamma"] is False

    play(tmp_path, work, quarantine())


def test_a_person_who_undoes_what_is_still_being_done_is_told_that_the_wish_stays(
    tmp_path: Path,
) -> None:
    async def work(held: Council) -> None:
        hand = held.hands[Act.SET_INTERVAL]
        hand.lies = True
        await held.hold()
        await held.later(hours=1.2)
        name = held.only().decision.decision_id
        assert held.only().state is DecisionState.EXECUTING
        said = await held.meeting.undo(name, by="ann")
        assert said == f"{name} is being done; it is undone once that is over"
        assert held.only().undo_by == "ann"
        for _ in range(3):
            await held.later(hours=0.1)
        assert held.only().state is DecisionState.FAILED
        assert held.only().undo_by is None

    play(tmp_path, work, a_wish())
