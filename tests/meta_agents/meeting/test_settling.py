"""Decisions are scored by what was measured, and undone for whoever asks, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.decisions import Act, DecisionState
from roboinvest.core.oversight.scoring import FEWEST_SCORED, Verdict
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.meetings import (
    Council,
    ToldModel,
    all_hands,
    council,
    values_of,
)
from tests.fakes.virtual_time import run_virtual
from tests.fakes.wishes import (
    a_wish,
    lower_limit,
    quarantine,
    raise_cap,
    request,
    told,
)

Play = Callable[[Council], Awaitable[None]]
UNTOUCHED: Final = values_of(all_hands())


def play(folder: Path, model: Callable[[], Any], work: Play, **more: Any) -> None:
    """Play a council in virtual time."""
    in_flight = InFlight()

    async def run() -> None:
        with council(folder, in_flight, model(), **more) as held:
            await work(held)

    run_virtual(run, in_flight)


def saying(*wishes: Any) -> Callable[[], ToldModel]:
    return lambda: ToldModel(told(*wishes))


def test_a_decision_is_scored_at_its_deadline_by_what_was_measured(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        at = held.clock.now()
        held.measures.steps("drawdown_frac", 0.5, 0.2, at)
        held.measures.steps("error_share", 0.5, 0.9, at)
        await held.hold()
        await held.later(hours=24 * 6)
        assert [each.verdict for each in held.decisions()] == [None, None]
        await held.later(hours=25)
        good, bad = held.decisions()
        assert (good.verdict, bad.verdict) == (Verdict.RIGHT, Verdict.WRONG)
        assert good.effect is not None
        assert good.effect.low < good.effect.mean < good.effect.high < 0
        kept = [(each["outcome"], each["told_by"], each["kind"]) for each in held.outcomes()]
        assert kept == [("better", "house", "set_limit"), ("worse", "house", "quarantine_agent")]
        await held.later(hours=24)
        assert len(held.outcomes()) == 2

    play(tmp_path, saying(lower_limit(expected=-0.3), quarantine()), work)


def test_what_was_never_made_and_what_nobody_measured_is_unknown(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        held.measures.steps("error_share", 0.9, 0.1, held.clock.now())
        await held.hold()
        await held.later(hours=24 * 8)
        asked, done = held.decisions()
        assert asked.verdict is Verdict.UNKNOWN
        assert "never made" in asked.score_reason
        assert done.verdict is None  # observations may still come
        await held.later(hours=24 * 7)
        assert held.decisions()[1].verdict is Verdict.UNKNOWN
        assert held.outcomes() == []

    play(tmp_path, saying(request("request_code", "code_optimization"), lower_limit()), work)


def test_the_brier_score_is_shown_once_twenty_are_scored(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        shown = []
        for number in range(26):
            at = held.clock.now()
            held.measures.steps("error_share", 0.5, 0.1 if number % 4 else 0.9, at)
            held.hands[Act.QUARANTINE].values["gamma"] = False
            held.model.replies.append(told(quarantine(deadline_days=1, confidence=0.75)))
            await held.hold()
            shown.append((held.rows.calibration().scored, held.model.saw[-1]["calibration"]))
            await held.later(hours=24.5)
        assert all("needed" in str(text) for count, text in shown if count < FEWEST_SCORED)
        assert any("Brier score" in str(text) for count, text in shown if count >= FEWEST_SCORED)
        brier = held.rows.calibration().brier
        assert brier is not None
        assert 0.1 < brier < 0.3

    play(tmp_path, ToldModel, work)


@pytest.mark.parametrize("wish", [lower_limit(), quarantine(), raise_cap(), a_wish()])
def test_what_was_done_is_undone_for_a_person(tmp_path: Path, wish: dict[str, Any]) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        await held.later(hours=1.5)
        row = held.only()
        assert row.state is DecisionState.DONE
        assert values_of(held.hands) != UNTOUCHED
        for name in ("governance", "Overseer", "policy", " "):
            with pytest.raises((Refused, BadInput)):
                await held.meeting.undo(row.decision.decision_id, by=name)
        await held.meeting.undo(row.decision.decision_id, by="ann")
        assert held.only().state is DecisionState.UNDONE
        assert values_of(held.hands) == UNTOUCHED
        assert held.audit()[-2].entry.kind == "governance.undone"
        assert held.audit()[-2].entry.who == "ann"
        assert [each["outcome"] for each in held.outcomes()] == ["reversed"]

    play(tmp_path, saying(wish), work)


def test_a_request_is_undone_by_withdrawing_it(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        for row in held.decisions():
            held.rows.ask_undo(row.decision.decision_id, "ann")
        await held.later(hours=0.1)
        assert {each.state for each in held.decisions()} == {DecisionState.UNDONE}
        assert held.inbox.listed() == ()

    play(tmp_path, saying(request("request_code", "code_optimization"), a_wish()), work)


def test_what_somebody_has_set_since_is_not_undone(tmp_path: Path) -> None:
    async def work(held: Council) -> None:
        await held.hold()
        held.hands[Act.SET_LIMIT].values["max_trades_per_day"] = 3
        text = await held.meeting.undo(held.only().decision.decision_id, by="ann")
        assert "neither" in text
        assert held.only().state is DecisionState.DONE
        assert held.only().undo_by is None
        assert held.hands[Act.SET_LIMIT].values["max_trades_per_day"] == 3

    play(tmp_path, saying(lower_limit()), work)
