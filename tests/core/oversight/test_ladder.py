from __future__ import annotations

import random
from datetime import timedelta

import pytest

from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import (
    ActionEnd,
    HealAttempt,
    Reading,
    Rung,
    Verdict,
    verdict_of,
)
from roboinvest.core.oversight.ladder import (
    LADDERS,
    MOST_ACTIONS,
    TERMS,
    Sick,
    Trait,
    climb,
    deadline_of,
    episode_of,
    is_storm,
    next_rung,
    order_of,
    precondition,
    triage,
)
from roboinvest.core.oversight.learned import Learned, learn
from tests.fakes.clocks import START
from tests.fakes.heal_attempts import a_case, an_attempt
from tests.fakes.healing import EVERYTHING

NOTHING = Learned()
NOT = Verdict.NOT_HEALED


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def sick(agent: str, root: str = "", cause: Cause = Cause.OWN_CODE) -> Sick:
    return Sick(
        agent=agent,
        cause=cause,
        reason=f"{agent} fails",
        metric="errors",
        value=0.9,
        limit=0.2,
        root=root or agent,
    )


def test_every_cause_has_a_ladder_and_every_rung_its_terms() -> None:
    assert set(LADDERS) == set(Cause)
    assert set(TERMS) == set(Rung)
    order = list(Rung)
    for cause, rungs in LADDERS.items():
        harmless = [rung for rung in rungs if TERMS[rung].heals]
        drastic = [rung for rung in rungs if not TERMS[rung].heals]
        assert list(rungs) == harmless + drastic, cause  # what only stops harm comes last
        assert drastic == sorted(drastic, key=order.index), cause


def test_no_rung_leads_to_more_risk() -> None:
    words = {rung.value for rung in Rung}
    assert not {word for word in words if "release" in word or "resume" in word or "lift" in word}


def test_the_first_rung_of_each_cause_is_the_mildest_that_fits() -> None:
    first = {cause: next_rung(a_case(cause), (), NOTHING, START, EVERYTHING) for cause in Cause}
    assert first == {
        Cause.OWN_CODE: Rung.RESTART,
        Cause.BAD_OUTPUT: Rung.DEGRADE,
        Cause.DEPENDENCY: Rung.RECONNECT,
        Cause.DATA_GAP: Rung.RECONNECT,
        Cause.RESOURCE: Rung.RECONNECT,
        Cause.CONFIGURATION: Rung.QUARANTINE,
        Cause.BUDGET: Rung.DEGRADE,
        Cause.PROVIDER: Rung.RECONNECT,
        Cause.UNKNOWN: Rung.RESTART,
    }


def test_it_climbs_only_after_the_rung_before_was_measured_as_not_healed() -> None:
    waiting = an_attempt(0)
    found = climb(a_case(), [waiting], NOTHING, START + minutes(3), EVERYTHING)
    assert found.rung is None
    assert "measured again at 2026-01-05 14:35:00 UTC" in found.why
    # however late it is: time measures nothing
    assert next_rung(a_case(), [waiting], NOTHING, START + minutes(900), EVERYTHING) is None
    measured = an_attempt(0, verdict=NOT)
    later = START + minutes(6)
    assert next_rung(a_case(), [measured], NOTHING, later, EVERYTHING) is Rung.REVISION_ROLLBACK


def test_a_whole_ladder_is_climbed_in_order_and_then_a_person_has_to_look() -> None:
    tried: list[HealAttempt] = []
    pulled = []
    now = START
    for number in range(20):
        found = climb(a_case(), tried, NOTHING, now, EVERYTHING | {Trait.ESSENTIAL})
        if found.rung is not None:
            pulled.append(found.rung)
            tried.append(an_attempt(number, found.rung, NOT, at=now))
        now += minutes(31)
        if found.ends:
            break
    assert pulled == [
        *(Rung.RESTART, Rung.REVISION_ROLLBACK, Rung.CODE_PROPOSAL),
        *(Rung.HALT_TRADING, Rung.ESCALATE),
    ]
    assert "a person has to look" in found.why
    assert any("quarantine" in line and "essential" in line for line in found.passed)


def test_what_could_not_be_measured_is_pulled_once_more_and_never_climbed_over() -> None:
    once = [an_attempt(0, verdict=Verdict.UNKNOWN)]
    assert next_rung(a_case(), once, NOTHING, START + minutes(6), EVERYTHING) is Rung.RESTART
    twice = [*once, an_attempt(6, verdict=Verdict.UNKNOWN)]
    calm = EVERYTHING - {Trait.TOUCHES_MONEY}
    found = climb(a_case(), twice, NOTHING, START + minutes(12), calm)
    assert found.rung is None
    assert found.ends
    assert "could not be measured" in found.why
    # where money depends on it there is one way left, and it leads downwards
    assert next_rung(a_case(), twice, NOTHING, START + minutes(12), EVERYTHING) is Rung.HALT_TRADING
    halted = [*twice, an_attempt(12, Rung.HALT_TRADING, Verdict.UNKNOWN)]
    assert climb(a_case(), halted, NOTHING, START + minutes(70), EVERYTHING).ends


def test_what_leaves_something_behind_is_not_pulled_again_after_an_unknown_end() -> None:
    tried = [an_attempt(0, verdict=NOT), an_attempt(6, Rung.REVISION_ROLLBACK, Verdict.UNKNOWN)]
    calm = EVERYTHING - {Trait.TOUCHES_MONEY}
    assert climb(a_case(), tried, NOTHING, START + minutes(40), calm).ends


def test_a_rung_that_only_stops_harm_is_followed_by_the_next_whatever_it_came_to() -> None:
    tried = [
        an_attempt(0, verdict=NOT),
        an_attempt(6, Rung.REVISION_ROLLBACK, NOT),
        an_attempt(37, Rung.QUARANTINE, Verdict.UNKNOWN),
    ]
    found = next_rung(a_case(), tried, NOTHING, START + minutes(70), EVERYTHING)
    assert found is Rung.CODE_PROPOSAL


def test_a_refused_rung_is_passed_over_and_may_be_asked_again_after_an_hour() -> None:
    tried = [an_attempt(0, verdict=Verdict.REFUSED)]
    now = START + minutes(1)
    assert next_rung(a_case(), tried, NOTHING, now, EVERYTHING) is Rung.REVISION_ROLLBACK
    assert next_rung(a_case(), tried, NOTHING, START + minutes(61), EVERYTHING) is Rung.RESTART


def test_a_heal_that_did_not_last_an_hour_was_none() -> None:
    healed = [an_attempt(0, verdict=Verdict.HEALED)]
    soon, late = START + minutes(50), START + minutes(67)
    assert next_rung(a_case(), healed, NOTHING, soon, EVERYTHING) is Rung.REVISION_ROLLBACK
    assert next_rung(a_case(), healed, NOTHING, late, EVERYTHING) is Rung.RESTART
    assert learn([*healed, an_attempt(50, verdict=NOT)], late).tally(
        Cause.OWN_CODE, Rung.RESTART
    ).healed == pytest.approx(0.0)


def test_after_a_day_without_an_attempt_the_ladder_begins_anew() -> None:
    tried = [an_attempt(0, verdict=NOT)]
    day = START + timedelta(hours=24, minutes=6)
    assert next_rung(a_case(), tried, NOTHING, day, EVERYTHING) is Rung.RESTART
    assert episode_of(tried, day) == ()


def test_three_actions_an_hour_are_the_most_in_a_sliding_window_and_a_halt_is_always_allowed() -> (
    None
):
    tried = [an_attempt(n * 15, Rung.RESTART, NOT, agent="a") for n in range(3)]
    busy = START + minutes(59)
    found = climb(a_case(), tried, NOTHING, busy, EVERYTHING)
    assert found.rung is None
    assert "3 actions within an hour" in found.why
    assert not found.ends
    later = START + minutes(61)
    assert next_rung(a_case(), tried, NOTHING, later, EVERYTHING) is Rung.REVISION_ROLLBACK
    done = [
        an_attempt(n, rung, NOT)
        for n, rung in enumerate((Rung.RECONNECT, Rung.RESTART, Rung.DEGRADE))
    ]
    now = START + minutes(9)
    dependency = a_case(Cause.DEPENDENCY)
    assert next_rung(dependency, done, NOTHING, now, EVERYTHING) is Rung.HALT_TRADING


def test_other_agents_and_refusals_take_no_turn_and_the_future_frees_none() -> None:
    others = [an_attempt(n, agent="b", verdict=NOT) for n in range(9)]
    refused = [an_attempt(n, Rung.DEGRADE, Verdict.REFUSED) for n in range(9)]
    assert next_rung(a_case(), [*others, *refused], NOTHING, START + minutes(9), EVERYTHING)
    ahead = [an_attempt(n * 6, Rung.RESTART, NOT) for n in range(20, 23)]  # the clock went back
    assert next_rung(a_case(), ahead, NOTHING, START, EVERYTHING) is None


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_no_agent_is_given_more_than_three_actions_in_any_hour(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    tried: list[HealAttempt] = []
    now = START
    for number in range(600):
        now += minutes(chance.choice((1, 2, 5, 5, 20) if number % 25 else (1600,)))
        case = a_case(chance.choice(list(Cause)), systemic=chance.random() < 0.3)
        found = climb(case, tried, learn(tried, now), now, EVERYTHING)
        if found.rung is not None:
            verdict = chance.choice(list(Verdict))
            tried.append(an_attempt(number, found.rung, verdict, at=now, cause=case.cause))
    taken = [
        each.at
        for each in tried
        if each.verdict is not Verdict.REFUSED and each.rung is not Rung.HALT_TRADING
    ]
    assert len(taken) > 20  # else nothing was tried
    assert max(sum(at <= other < at + minutes(60) for other in taken) for at in taken) <= (
        MOST_ACTIONS
    )


def test_an_outage_of_a_provider_is_systemic_and_changes_neither_words_nor_code() -> None:
    cases = triage([sick("a", cause=Cause.PROVIDER)])
    assert [case.systemic for case in cases] == [True]
    for cause in Cause:
        order = order_of(a_case(cause, systemic=True), NOTHING)
        assert not [rung for rung in order if TERMS[rung].edits], cause
    assert order_of(a_case(Cause.PROVIDER, systemic=True), NOTHING) == (
        Rung.RECONNECT,
        Rung.DEGRADE,
    )


def test_of_several_agents_with_one_root_the_root_alone_is_healed() -> None:
    found = triage(
        [sick("b", root="db"), sick("c", root="db"), sick("db"), sick("z")],
    )
    assert [(case.agent, case.systemic, case.folded) for case in found] == [
        ("db", True, ("b", "c")),
        ("z", False, ()),
    ]
    assert found[0].cause is Cause.OWN_CODE
    assert Rung.REVISION_ROLLBACK not in order_of(found[0], NOTHING)


def test_a_root_that_is_not_watched_is_healed_as_a_dependency_and_measured_at_who_suffers() -> None:
    (case,) = triage([sick("b", root="vendor")])
    assert (case.agent, case.measured, case.cause) == ("vendor", "b", Cause.DEPENDENCY)


def test_an_agent_that_works_seldom_is_given_two_turns_to_show_an_effect() -> None:
    assert deadline_of(Rung.RESTART, a_case(), START) == START + minutes(10)
    assert deadline_of(Rung.RESTART, a_case(every_s=3_600.0), START) == START + minutes(120)


def test_a_storm_of_quarantines_freezes_further_ones() -> None:
    away = [
        an_attempt(n, Rung.QUARANTINE, NOT, agent=name) for n, name in enumerate(("x", "y", "z"))
    ]
    assert not is_storm(away[:2], START + minutes(5))
    assert is_storm(away, START + minutes(5))
    assert is_storm(away, START + timedelta(hours=23))
    assert not is_storm(away, START + timedelta(hours=25))
    same = [an_attempt(n, Rung.QUARANTINE, NOT, agent="x") for n in range(3)]
    assert not is_storm(same, START + minutes(5))
    refused = precondition(Rung.QUARANTINE, EVERYTHING | {Trait.STORM})
    assert refused is not None
    assert "storm" in refused


def history(
    rung: Rung, healed: int, failed: int, cause: Cause = Cause.UNKNOWN
) -> list[HealAttempt]:
    ends = [Verdict.HEALED] * healed + [NOT] * failed
    return [
        an_attempt(0, rung, end, at=START - timedelta(hours=3 * n + 3), agent="other", cause=cause)
        for n, end in enumerate(ends)
    ]


def test_what_works_better_comes_first_among_rungs_that_leave_nothing_behind() -> None:
    known = learn(history(Rung.DEGRADE, 9, 1) + history(Rung.RESTART, 1, 9), START)
    assert order_of(a_case(Cause.UNKNOWN), known)[:3] == (
        Rung.DEGRADE,
        Rung.RECONNECT,
        Rung.RESTART,
    )
    few = learn(history(Rung.DEGRADE, 4, 0), START)
    assert order_of(a_case(Cause.UNKNOWN), few) == LADDERS[Cause.UNKNOWN]


def test_what_leaves_something_behind_is_never_put_before_another() -> None:
    cause = Cause.BAD_OUTPUT
    known = learn(
        history(Rung.REVISION_ROLLBACK, 30, 0, cause) + history(Rung.DEGRADE, 3, 9, cause), START
    )
    assert order_of(a_case(cause), known) == LADDERS[cause]


def test_a_rung_that_heals_less_than_one_time_in_ten_is_switched_off_after_twenty_tries() -> None:
    nineteen = learn(history(Rung.RESTART, 0, 19), START)
    twenty = learn(history(Rung.RESTART, 0, 20), START)
    three_of_20 = learn(history(Rung.RESTART, 3, 17), START)
    case = a_case(Cause.UNKNOWN)
    assert Rung.RESTART in order_of(case, nineteen)
    assert Rung.RESTART not in order_of(case, twenty)
    assert Rung.RESTART in order_of(case, three_of_20)
    assert Rung.RESTART in order_of(a_case(Cause.OWN_CODE), twenty)  # of another cause


def test_what_stops_harm_is_never_switched_off() -> None:
    rows = [row for rung in Rung for row in history(rung, 0, 40)]
    left = order_of(a_case(Cause.UNKNOWN), learn(rows, START))
    assert left == (Rung.QUARANTINE, Rung.HALT_TRADING, Rung.ESCALATE)


def test_what_was_learned_fades_so_that_a_rung_is_tried_again_some_day() -> None:
    rows = history(Rung.RESTART, 0, 20)
    case = a_case(Cause.UNKNOWN)
    later = START + timedelta(days=60)
    assert Rung.RESTART in order_of(case, learn(rows, later))


def test_refusals_and_unknown_ends_teach_nothing() -> None:
    rows = [an_attempt(n, verdict=Verdict.UNKNOWN) for n in range(30)]
    rows += [an_attempt(n, verdict=Verdict.REFUSED) for n in range(30)]
    assert learn(rows, START).tallies == {}


def reading(value: float, after_min: float = 5, observations: int = 1) -> Reading:
    return Reading(value=value, at=START + minutes(after_min), observations=observations)


@pytest.mark.parametrize(
    ("end", "found", "happened", "verdict"),
    [
        (ActionEnd.RETURNED, reading(0.1), True, Verdict.HEALED),
        (ActionEnd.RETURNED, reading(0.2), None, Verdict.HEALED),
        (ActionEnd.RETURNED, reading(0.21), True, Verdict.NOT_HEALED),
        (ActionEnd.RETURNED, reading(0.9), False, Verdict.NOT_HEALED),
        (ActionEnd.RETURNED, reading(0.1), False, Verdict.UNKNOWN),  # others healed it
        (ActionEnd.HUNG, reading(0.1), None, Verdict.UNKNOWN),
        (ActionEnd.FAILED, reading(0.9), None, Verdict.NOT_HEALED),
        (ActionEnd.UNDER_WAY, reading(0.1), None, Verdict.UNKNOWN),
        (ActionEnd.RETURNED, None, True, Verdict.UNKNOWN),
        (ActionEnd.RETURNED, reading(0.1, after_min=0), True, Verdict.UNKNOWN),  # of before
        (ActionEnd.RETURNED, reading(0.0, observations=0), True, Verdict.UNKNOWN),
        (ActionEnd.RETURNED, reading(float("nan")), True, Verdict.UNKNOWN),
        (ActionEnd.RETURNED, reading(float("inf")), True, Verdict.UNKNOWN),
    ],
)
def test_only_a_figure_measured_after_an_action_that_returned_is_a_heal(
    end: ActionEnd, found: Reading | None, happened: bool | None, verdict: Verdict
) -> None:
    said, why = verdict_of(an_attempt(0, action_end=end), found, happened)
    assert said is verdict
    assert "errors of a" in why


def test_words_that_came_lately_are_undone_before_rules_hide_what_they_did() -> None:
    bad = a_case(Cause.BAD_OUTPUT)
    fresh = EVERYTHING | {Trait.NEW_WORDS}
    assert next_rung(bad, (), NOTHING, START, EVERYTHING) is Rung.DEGRADE
    assert next_rung(bad, (), NOTHING, START, fresh) is Rung.PROMPT_ROLLBACK
    tried = [an_attempt(0, Rung.PROMPT_ROLLBACK, NOT, cause=Cause.BAD_OUTPUT)]
    assert next_rung(bad, tried, NOTHING, START + minutes(30), fresh) is Rung.DEGRADE
    assert order_of(a_case(Cause.PROVIDER), NOTHING, fresh) == order_of(
        a_case(Cause.PROVIDER), NOTHING
    )
