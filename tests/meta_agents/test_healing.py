from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.errors import NeedsApproval, Refused, TryLater
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import ActionEnd, Rung, Verdict
from roboinvest.core.oversight.ladder import Trait
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.file import FILE_NAME
from tests.fakes.healing import EVERYTHING, FakePort, Infirmary, Patient, hangs, infirmary, raises
from tests.fakes.virtual_time import run_virtual

HEALED, NOT = Verdict.HEALED, Verdict.NOT_HEALED
Scene = Callable[[Infirmary], Awaitable[None]]


def play(folder: Path, patients: dict[str, Patient], scene: Scene, **more: Any) -> None:
    """Play a scene under virtual time, on a file in a folder."""
    in_flight = InFlight()

    async def main() -> None:
        with infirmary(folder, in_flight, patients, **more) as place:
            await scene(place)

    run_virtual(main, in_flight)


def test_an_attempt_is_written_before_it_acts_and_healed_only_when_measured_again(
    tmp_path: Path,
) -> None:
    async def scene(place: Infirmary) -> None:
        seen_in_file: list[object] = []
        rival = sqlite3.connect(tmp_path / FILE_NAME)

        async def look(order: Any) -> None:
            row = rival.execute("SELECT attempt_id, action_end, verdict FROM heal_attempts")
            seen_in_file.append(row.fetchone())

        place.ports[Rung.RESTART]._each = look
        found = await place.healer.heal_once()
        rival.close()
        assert seen_in_file == [("heal-0", "under_way", None)]
        assert place.rows() == [(Rung.RESTART, None)]  # it returned, which heals nothing
        assert found.settled == ()
        await place.later(9)
        assert place.rows() == [(Rung.RESTART, None)]
        found = await place.later(1)
        assert place.rows() == [(Rung.RESTART, HEALED)]
        (attempt,) = found.settled
        assert (attempt.metric_before, attempt.metric_after) == (0.9, 0.0)
        assert attempt.expected.text.startswith("errors of a goes from 0.9 to 0.2 or less by")
        assert place.rows() == [(Rung.RESTART, HEALED)]

    play(tmp_path, {"a": Patient(cured_by=frozenset({Rung.RESTART}))}, scene)


def test_a_recovery_that_does_not_recover_leads_to_the_next_rung(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        for _ in range(3):
            await place.later(31)
        assert place.rows()[:2] == [(Rung.RESTART, NOT), (Rung.REVISION_ROLLBACK, NOT)]
        assert place.resolved() == []
        (first,) = place.attempts.newest(10)[-1:]
        assert first.reason == "errors of a is 0.9, above 0.2"

    play(tmp_path, {"a": Patient()}, scene)


def test_a_port_that_reports_what_did_not_happen_is_told_as_that(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        place.ports[Rung.RESTART].seen = False
        await place.healer.heal_once()
        await place.later(11)
        attempt = place.attempts.get("heal-0")
        assert attempt.verdict is NOT
        assert "reported success, and what it reported did not happen" in attempt.reason

    play(tmp_path, {"a": Patient()}, scene)


@pytest.mark.parametrize(
    ("each", "end", "word"),
    [
        (raises, ActionEnd.FAILED, "RuntimeError: the port fell over"),
        (hangs, ActionEnd.HUNG, "did not return within 30 s"),
    ],
)
def test_a_port_that_raises_or_hangs_is_told_and_does_not_stop_the_others(
    tmp_path: Path, each: Any, end: ActionEnd, word: str
) -> None:
    async def scene(place: Infirmary) -> None:
        place.ports[Rung.RESTART]._each = each
        await place.healer.heal_once()
        first, second = place.attempts.get("heal-0"), place.attempts.get("heal-1")
        assert {first.agent, second.agent} == {"a", "b"}
        assert first.action_end is second.action_end is end
        assert word in first.action
        await place.later(11)
        assert place.attempts.get("heal-0").verdict is NOT

    play(tmp_path, {"a": Patient(), "b": Patient()}, scene)


def test_who_gets_well_although_the_action_failed_is_not_counted_as_healed(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        place.ports[Rung.RESTART]._each = raises
        await place.healer.heal_once()
        place.ward.patients["a"].value = 0.0
        await place.later(11)
        attempt = place.attempts.get("heal-0")
        assert attempt.verdict is Verdict.UNKNOWN
        assert "nothing of ours did that" in attempt.reason

    play(tmp_path, {"a": Patient()}, scene)


@pytest.mark.parametrize("blind", ["is_known", "observations"])
def test_what_cannot_be_measured_is_unknown_and_ends_with_a_person(
    tmp_path: Path, blind: str
) -> None:
    async def scene(place: Infirmary) -> None:
        setattr(place.ward.patients["a"], blind, 0)
        for _ in range(5):
            await place.later(11)
        assert place.rows() == [(Rung.RESTART, Verdict.UNKNOWN)] * 2
        assert place.raised() == ["heal.a"]
        assert place.resolved() == []

    play(tmp_path, {"a": Patient(traits=EVERYTHING - {Trait.TOUCHES_MONEY})}, scene)


def test_time_alone_heals_and_resolves_nothing(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        place.ward.patients["a"].is_known = False
        await place.healer.heal_once()
        await place.later(60 * 24 * 9)
        assert place.rows()[0] == (Rung.RESTART, Verdict.UNKNOWN)
        assert HEALED not in [verdict for _, verdict in place.rows()]

    play(tmp_path, {"a": Patient()}, scene)


@pytest.mark.parametrize("error", [Refused("not now"), NeedsApproval("a person first")])
def test_a_refusal_is_recorded_and_passed_over_in_the_same_pass(
    tmp_path: Path, error: Exception
) -> None:
    async def scene(place: Infirmary) -> None:
        async def refuse(order: Any) -> None:
            raise error

        place.ports[Rung.RESTART]._each = refuse
        await place.healer.heal_once()
        assert place.rows() == [(Rung.RESTART, Verdict.REFUSED), (Rung.REVISION_ROLLBACK, None)]
        assert place.attempts.get("heal-0").reason == str(error)

    play(tmp_path, {"a": Patient()}, scene)


def test_a_rung_with_nobody_behind_it_refuses_with_a_sentence(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        del place.healer._ports[Rung.RESTART]  # type: ignore[attr-defined]
        place.ports[Rung.REVISION_ROLLBACK].refuses = "there is nothing to go back to"
        await place.healer.heal_once()
        reasons = [each.reason for each in reversed(place.attempts.newest())]
        assert reasons[:2] == [
            "nobody stands behind restart in this house",
            "there is nothing to go back to",
        ]
        assert place.ports[Rung.REVISION_ROLLBACK].orders == []

    play(tmp_path, {"a": Patient()}, scene)


def test_what_changes_the_house_is_told_in_the_audit_before_and_after(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        for _ in range(3):
            await place.later(31)
        assert place.journal.told == [
            *(("begun", Rung.REVISION_ROLLBACK), ("ended", Rung.REVISION_ROLLBACK)),
            *(("begun", Rung.QUARANTINE), ("ended", Rung.QUARANTINE)),
        ]

    play(tmp_path, {"a": Patient()}, scene)


def test_without_an_audit_log_nothing_goes_back_but_harm_is_stopped_all_the_same(
    tmp_path: Path,
) -> None:
    async def scene(place: Infirmary) -> None:
        place.journal.broken = TryLater("the disk is full")
        for _ in range(2):
            await place.later(31)
        assert place.rows()[1] == (Rung.REVISION_ROLLBACK, Verdict.REFUSED)
        assert place.ports[Rung.REVISION_ROLLBACK].orders == []
        assert len(place.ports[Rung.QUARANTINE].orders) == 1
        assert "the audit log was not told" in place.attempts.newest(1)[0].action

    play(tmp_path, {"a": Patient()}, scene)


def test_an_agent_that_is_well_by_now_is_left_alone(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        patient = place.ward.patients["a"]
        stale = place.ward.sick()
        place.ward.sick = lambda: stale  # type: ignore[method-assign]
        patient.value = 0.1
        found = await place.healer.heal_once()
        assert place.rows() == []
        assert "is well by now" in found.waiting["a"]

    play(tmp_path, {"a": Patient()}, scene)


def test_before_a_health_pass_was_held_nothing_is_pulled_measured_or_resolved(
    tmp_path: Path,
) -> None:
    async def scene(place: Infirmary) -> None:
        await place.healer.heal_once()
        place.ward.is_looking = False
        await place.later(30)
        assert place.rows() == [(Rung.RESTART, None)]
        place.ward.is_looking = True
        await place.later(1)
        assert place.rows()[0] == (Rung.RESTART, NOT)
        assert place.resolved() == []

    play(tmp_path, {"a": Patient()}, scene, left_open=("a",))


def test_a_restart_of_the_process_goes_on_with_what_is_in_the_file_and_acts_only_once(
    tmp_path: Path,
) -> None:
    patients = {"a": Patient(cured_by=frozenset({Rung.RESTART}))}

    async def cut_off(place: Infirmary) -> None:
        place.ports[Rung.RESTART]._each = hangs
        task = asyncio.ensure_future(place.healer.heal_once())
        await asyncio.sleep(5)
        task.cancel()  # the process ends while the port is at work
        with pytest.raises(asyncio.CancelledError):
            await task
        assert place.attempts.get("heal-0").action_end is ActionEnd.UNDER_WAY

    play(tmp_path, patients, cut_off)

    async def next_life(place: Infirmary) -> None:
        await place.later(5)
        assert place.ports[Rung.RESTART].orders == []
        patients["a"].value = 0.0
        await place.later(6)
        assert place.attempts.get("heal-0").verdict is Verdict.UNKNOWN
        assert "the process ended before" in place.attempts.get("heal-0").reason
        assert place.ports[Rung.RESTART].orders == []

    play(tmp_path, patients, next_life, first_id=50)


def test_in_a_replay_it_only_says_what_it_would_have_done(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        found = await place.healer.heal_once()
        await place.later(60)
        assert found.waiting == {"a": "a replay is only watched; restart would follow"}
        assert place.rows() == []
        assert [port.orders for port in place.ports.values()] == [[]] * len(Rung)
        assert place.journal.told == []

    play(tmp_path, {"a": Patient()}, scene, observes_only=True)


def test_of_several_with_one_root_the_root_alone_is_healed_and_no_code_is_touched(
    tmp_path: Path,
) -> None:
    patients = {name: Patient(root="db") for name in ("b", "c", "d")}
    patients["db"] = Patient(cause=Cause.UNKNOWN)

    async def scene(place: Infirmary) -> None:
        for _ in range(8):
            await place.later(31)
        assert {each.agent for each in place.attempts.newest(100)} == {"db"}
        edits = {Rung.PROMPT_ROLLBACK, Rung.REVISION_ROLLBACK, Rung.CODE_PROPOSAL}
        assert not edits & {rung for rung, _ in place.rows()}

    play(tmp_path, patients, scene)


def test_an_outage_of_a_provider_pulls_nothing_but_reconnect_and_degrade(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        for _ in range(20):
            await place.later(31)
        assert {rung for rung, _ in place.rows()} == {Rung.RECONNECT, Rung.DEGRADE}
        assert place.raised() == [f"heal.agent-{n}" for n in range(3)]

    patients = {f"agent-{n}": Patient(cause=Cause.PROVIDER) for n in range(3)}
    play(tmp_path, patients, scene)


def test_a_third_quarantine_within_an_hour_is_the_last_one(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        for _ in range(4):
            await place.later(11)
        assert len(place.ports[Rung.QUARANTINE].orders) == 3

    traits = frozenset({Trait.SUPERVISED})
    patients = {f"agent-{n}": Patient(Cause.CONFIGURATION, traits=traits) for n in range(6)}
    play(tmp_path, patients, scene)


def test_an_ended_ladder_is_told_once_and_over_only_when_the_agent_is_well(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        for _ in range(60):  # more than a day: the ladder begins anew meanwhile
            await place.later(31)
        assert place.raised() == ["heal.a"]
        assert place.resolved() == []
        place.ward.patients["a"].value = 0.0
        await place.later(1)
        assert place.resolved() == ["heal.a"]

    play(tmp_path, {"a": Patient(Cause.BUDGET)}, scene)


def test_an_alert_that_an_earlier_process_left_open_is_over_when_the_agent_is_well(
    tmp_path: Path,
) -> None:
    async def scene(place: Infirmary) -> None:
        await place.healer.heal_once()
        assert (place.raised(), place.resolved()) == ([], [])  # it is sick, and was told
        place.ward.patients["a"].value = 0.0
        await place.later(1)
        assert (place.raised(), place.resolved()) == ([], ["heal.a"])

    play(tmp_path, {"a": Patient()}, scene, left_open=("a",))


def test_a_file_that_is_locked_makes_healing_rest_and_go_on_when_it_is_free(
    tmp_path: Path,
) -> None:
    async def scene(place: Infirmary) -> None:
        rival = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        rival.execute("BEGIN IMMEDIATE")
        found = await place.healer.heal_once()
        assert "healing rests, and nothing is pulled" in found.waiting[FILE_NAME]
        assert place.ports[Rung.RESTART].orders == []
        assert place.raised() == [f"heal.{FILE_NAME}"]
        rival.execute("ROLLBACK")
        rival.close()
        await place.later(1)
        assert len(place.ports[Rung.RESTART].orders) == 1
        assert place.resolved() == [f"heal.{FILE_NAME}"]

    play(tmp_path, {"a": Patient()}, scene)


DAYS = 86_400.0


@pytest.mark.parametrize("by_s", [-30 * DAYS, -7_200.0, 900.0, 7_200.0, 30 * DAYS])
def test_a_clock_that_is_set_while_an_attempt_is_open_measures_it_neither_late_nor_early(
    tmp_path: Path, by_s: float
) -> None:
    async def scene(place: Infirmary) -> None:
        await place.healer.heal_once()
        place.clock.set_forward(by_s)
        await place.later(1)
        assert place.attempts.get("heal-0").verdict is None
        await place.later(8)
        assert place.attempts.get("heal-0").verdict is None
        await place.later(1.1)
        assert place.attempts.get("heal-0").verdict is HEALED
        elapsed = [place.clock.now() - since for _, since in place.ward.measured]
        assert any(timedelta(minutes=10) < each < timedelta(minutes=11) for each in elapsed)

    play(tmp_path, {"a": Patient(cured_by=frozenset({Rung.RESTART}))}, scene)


@pytest.mark.parametrize("by_s", [-7_200.0, 7_200.0])
def test_a_clock_that_is_set_frees_no_action_and_forbids_none_for_longer_than_an_hour(
    tmp_path: Path, by_s: float
) -> None:
    async def scene(place: Infirmary) -> None:
        for _ in range(3):
            await place.later(10.1)
        assert len(place.rows()) == 3
        place.clock.set_forward(by_s)
        await place.later(10.1)
        assert len(place.rows()) == 3  # three within an hour, whatever the clock says
        await place.later(40)
        assert len(place.rows()) == 4

    traits = frozenset({Trait.SUPERVISED, Trait.HOOKED, Trait.ASKS_MODELS})
    play(tmp_path, {"a": Patient(cause=Cause.UNKNOWN, traits=traits)}, scene)


def test_a_clock_that_was_set_back_between_two_lives_leaves_no_attempt_waiting_for_ever(
    tmp_path: Path,
) -> None:
    async def begun(place: Infirmary) -> None:
        await place.healer.heal_once()

    async def next_life(place: Infirmary) -> None:
        place.clock.set_forward(-86_400.0 * 30)
        await place.healer.heal_once()
        assert place.attempts.get("heal-0").verdict is Verdict.UNKNOWN
        assert "the clock was set back" in place.attempts.get("heal-0").reason
        again = place.attempts.get("heal-50")  # it has no effect that anybody measured
        assert (again.rung, again.verdict) == (Rung.RESTART, None)

    play(tmp_path, {"a": Patient()}, begun)
    play(tmp_path, {"a": Patient()}, next_life, first_id=50)


def test_actions_of_a_life_that_lies_in_the_future_count_for_an_hour_and_not_for_a_month(
    tmp_path: Path,
) -> None:
    traits = frozenset({Trait.SUPERVISED, Trait.HOOKED, Trait.ASKS_MODELS})
    patients = {"a": Patient(cause=Cause.UNKNOWN, traits=traits)}

    async def three(place: Infirmary) -> None:
        for _ in range(4):
            await place.later(10.1)

    async def next_life(place: Infirmary) -> None:
        place.clock.set_forward(-86_400.0 * 30)
        await place.later(30)
        assert len(place.rows()) == 3
        await place.later(29)
        assert len(place.rows()) == 3
        await place.later(32)
        assert len(place.rows()) == 4

    play(tmp_path, patients, three)
    play(tmp_path, patients, next_life, first_id=50)


def test_an_attempt_of_an_earlier_life_waits_for_no_more_than_all_of_its_time(
    tmp_path: Path,
) -> None:
    async def begun(place: Infirmary) -> None:
        await place.healer.heal_once()

    async def next_life(place: Infirmary) -> None:
        place.clock.set_forward(-240.0)  # which nobody can tell from a stamp that is a bit off
        await place.healer.heal_once()
        await place.later(9)
        place.clock.set_forward(-3_600.0)
        assert place.attempts.get("heal-0").verdict is None
        await place.later(1.1)
        assert place.attempts.get("heal-0").verdict is not None

    play(tmp_path, {"a": Patient()}, begun)
    play(tmp_path, {"a": Patient()}, next_life, first_id=50)


def test_the_ladder_of_what_is_essential_ends_with_a_halt_and_a_clean_process(
    tmp_path: Path,
) -> None:
    async def scene(place: Infirmary) -> None:
        for _ in range(12):
            await place.later(31)
        pulled = [rung for rung, _ in place.rows()]
        assert pulled[-2:] == [Rung.HALT_TRADING, Rung.ESCALATE]
        assert Rung.QUARANTINE not in pulled
        assert HEALED not in [verdict for _, verdict in place.rows()]

    traits = EVERYTHING | {Trait.ESSENTIAL}
    play(tmp_path, {"a": Patient(traits=traits)}, scene)


def test_what_others_healed_meanwhile_is_measured_at_the_deadline_as_what_it_is(
    tmp_path: Path,
) -> None:
    async def scene(place: Infirmary) -> None:
        assert isinstance(place.ports[Rung.RESTART], FakePort)
        await place.healer.heal_once()
        del place.ward.patients["a"]  # it is gone: nobody can say
        await place.later(11)
        assert place.rows() == [(Rung.RESTART, Verdict.UNKNOWN)]

    play(tmp_path, {"a": Patient()}, scene)
