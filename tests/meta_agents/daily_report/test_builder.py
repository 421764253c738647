"""The report says what is on record, gives a reason for every null, and shows texts harmless."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from numpy.random import default_rng

from meta_agents.daily_report.builder import build
from meta_agents.daily_report.days import Span
from meta_agents.daily_report.document import DailyReport
from meta_agents.daily_report.events_part import MOST, silent_stretches
from meta_agents.daily_report.facts import DayFacts
from roboinvest.core.change_outcomes import ChangeOutcome, Effect, Outcome, Teller
from roboinvest.core.events import Severity
from roboinvest.core.oversight.healing_record import Rung, Verdict
from roboinvest.core.oversight.trends import difference
from roboinvest.runtime.redaction import Redactor
from tests.fakes.advice import advice
from tests.fakes.day_facts import DAY, SPAN, alert, at, audit_row, bare, full, ticks
from tests.fakes.heal_attempts import an_attempt

SECRET = "correct-horse-battery"  # noqa: S105 of nobody
FIGURES = ("system_health", "performance_metrics", "recent_activities", "trading_result")


def built(facts: DayFacts, *secrets: str) -> DailyReport:
    return build(facts, redactor=Redactor(secrets), rng=default_rng(1))


def nulls(tree: Any, path: str = "") -> Iterator[str]:
    if tree is None:
        yield path
    elif isinstance(tree, dict):
        for name, each in tree.items():
            yield from nulls(each, f"{path}.{name}" if path else name)


def test_the_names_that_frontends_know_are_there() -> None:
    found = built(full()).model_dump(mode="json")
    assert found["date"] == "2026-01-05"
    assert list(found["system_health"]) == [
        *("total_agents", "healthy_agents", "health_percentage", "critical_alerts"),
        *("unresolved_alerts", "degraded_agents", "failing_agents", "offline_agents"),
    ]
    assert list(found["performance_metrics"]) == [
        *("avg_success_rate", "total_insights_generated", "total_trades_executed"),
        *("system_uptime", "avg_response_time"),
    ]
    assert list(found["recent_activities"]) == [
        *("code_changes_applied", "optimizations_applied", "agents_restarted", "new_alerts"),
    ]
    assert all(isinstance(each, str) for each in found["recommendations"])


def test_the_figures_are_those_on_record() -> None:
    found = built(full())
    health, metrics, done = (
        found.system_health,
        found.performance_metrics,
        found.recent_activities,
    )
    assert (health.total_agents, health.healthy_agents, health.failing_agents) == (4, 3, 1)
    assert health.health_percentage == 75.0
    assert (health.unresolved_alerts, health.critical_alerts) == (2, 0)
    assert metrics.avg_success_rate == 0.6  # weighted by calls
    assert (metrics.total_insights_generated, metrics.total_trades_executed) == (4, 6)
    assert (metrics.system_uptime, metrics.avg_response_time) == (1.5, 0.25)
    assert (done.code_changes_applied, done.optimizations_applied) == (1, 1)
    assert (done.agents_restarted, done.new_alerts) == (1, 3)


def test_trading_stands_beside_the_same_money_left_alone() -> None:
    found = built(full()).trading_result
    assert (found.start_equity, found.end_equity, found.result_usd) == (100_000, 100_590, 590)
    assert found.total_return == pytest.approx(0.0059)
    # AAA won 2 %; BBB was split in two and is worth the same.
    assert found.day.total_return == pytest.approx(0.01)
    assert found.day.excess_return == pytest.approx(0.0059 - 0.01)
    assert found.since_start_return == pytest.approx(0.1)
    assert found.since_start.total_return == pytest.approx(0.05)
    assert (found.round_trips, found.fills, found.decisions) == (12, 6, 120)
    assert found.win_rate is not None
    assert found.win_rate.value == pytest.approx(7 / 12, abs=1e-6)
    assert found.expectancy_usd is not None
    assert found.expectancy_usd.value == 1.5
    assert found.expectancy_usd.low < 1.5 < found.expectancy_usd.high
    assert len(found.equity_curve) == 60


def test_a_trade_of_the_day_before_counts_for_the_day_before() -> None:
    facts = full()
    assert facts.trades is not None
    early = [replace(each, closed_at=SPAN.start - timedelta(1)) for each in facts.trades[:5]]
    found = built(replace(facts, trades=(*early, *facts.trades[5:])))
    assert found.trading_result.round_trips == 7


def test_a_dividend_belongs_to_the_money_left_alone() -> None:
    facts = full()
    assert facts.marks is not None
    marks = replace(facts.marks, dividends={"AAA": 1.0})
    assert built(replace(facts, marks=marks)).trading_result.day.total_return == pytest.approx(
        0.015
    )


@pytest.mark.parametrize("facts", [bare(), bare(ticks=(), trades=(), alerts=()), full()])
def test_every_figure_that_is_null_has_its_reason(facts: DayFacts) -> None:
    missing = dict.fromkeys(
        (
            *("ticks", "trades", "marks", "alerts", "attempts", "advice", "figures", "audit"),
            *("spend", "health", "status", "start_equity", "since_start"),
        ),
        "the disk is away",
    )
    found = built(replace(facts, missing={} if facts.ticks else missing)).model_dump(mode="json")
    for part in FIGURES:
        for path in nulls(found[part], part):
            assert found["unknown"].get(path), path
    for part in ("alerts", "healing", "changes", "llm_spend", "advice"):
        assert found[part] is not None or found["unknown"][part]
    if not facts.ticks:
        assert "no trading result" in found["headline"]


def test_a_look_at_health_of_another_day_is_not_this_days() -> None:
    facts = full()
    assert facts.health is not None
    late = facts.health.model_copy(update={"checked_at": SPAN.end + timedelta(hours=3)})
    found = built(replace(facts, health=late))
    assert found.system_health.total_agents is None
    assert "2026-01-06 08:00" in found.unknown["system_health.total_agents"]


def test_an_incident_says_since_when_and_what_was_tried_and_children_are_folded() -> None:
    found = built(full())
    assert [each.what for each in found.incidents] == ["service.feed is away", "disk is away"]
    feed, disk = found.incidents
    assert (feed.until, feed.tried[0]) == (None, "15:02 restart of feed: not healed, away")
    assert "not measured yet" in feed.tried[1]
    assert (disk.until, disk.ended_by) == (at(50), "room again")
    assert found.alerts is not None
    assert {each.key: each.follows_from for each in found.alerts} == {
        "service.feed": None,
        "fills": "service.feed",
        "disk": None,
    }


def test_healing_is_counted_by_what_was_measured() -> None:
    healing = built(full()).healing
    assert healing is not None
    assert (healing.attempts, healing.healed, healing.not_healed) == (2, 0, 1)
    assert healing.not_measured_yet == 1
    assert healing.entries[0].verdict == "not measured yet"


def test_ticks_that_are_missing_within_a_session_are_an_incident() -> None:
    kept = [each for each in ticks(120) if not 30 < (each.at - at(0)).total_seconds() / 60 < 75]
    found = built(bare(ticks=tuple(kept)))
    assert found.incidents[0].what == "no tick for 45 min while the exchange was open"
    assert silent_stretches(ticks(120)) == []
    night = [replace(each, at=each.at + timedelta(1), session_day=DAY) for each in ticks(2)]
    other = [replace(each, session_day=DAY + timedelta(1)) for each in night]
    assert silent_stretches([*ticks(60), *other]) == []


def test_what_a_person_must_do_is_first_what_cannot_wait() -> None:
    found = built(full())
    texts = [(each.urgency, each.text.split(":")[0], each.command) for each in found.needs_person]
    assert texts[0][0] == "now"
    assert "halted" in texts[0][1]
    assert texts[0][2] == "roboinvest resume"
    assert texts[1][1:] == ("See why, and what was tried (high", "roboinvest health")
    assert texts[2][2] == "roboinvest approvals show p-7"
    seen = alert(acknowledged_at=at(31), acknowledged_by="ann")
    assert built(bare(alerts=(seen,))).needs_person == ()
    given_up = an_attempt(3, Rung.ESCALATE, Verdict.UNKNOWN, at=at(3), reason="nothing helped")
    assert "gave a up" in built(bare(attempts=(given_up,))).needs_person[0].text


def test_where_healing_gave_up_a_person_is_not_told_that_it_goes_on() -> None:
    given_up = alert("heal.feed", caused_by="service.feed", message="no rung is left")
    (to_do,) = built(bare(alerts=(alert(), given_up))).needs_person
    assert to_do.text.startswith("Healing can do no more")
    assert to_do.command == "roboinvest health"


def test_what_was_tried_before_the_day_is_told_of_what_still_lasts() -> None:
    lasting = alert(raised_at=at(-2 * 24 * 60))
    earlier = an_attempt(1, Rung.RESTART, Verdict.NOT_HEALED, at=at(-24 * 60), agent="feed")
    found = built(bare(alerts=(lasting,), attempts=(earlier,)))
    (incident,) = found.incidents
    assert incident.tried[0].startswith("2026-01-04 14:30 restart of feed: not healed")
    assert found.healing is not None
    assert found.healing.attempts == 0, "of the day itself"


def test_changes_are_shown_with_what_was_measured_of_them() -> None:
    outcome = ChangeOutcome(
        fingerprint="f",
        kind="prompt",
        target="strategy prompt",
        cause="",
        hypothesis="shorter is better",
        evidence_before="",
        effect=Effect(mean=0.2, low=0.1, high=0.3, n=40),
        outcome=Outcome.BETTER,
        lesson="it was",
        told_by=Teller.HOUSE,
        source="test",
        at=at(20),
    )
    changes = built(full(outcomes=(outcome,))).changes
    assert changes is not None
    assert [each.what for each in changes] == ["revision.activated", "measured: better"]
    assert changes[1].effect == "+0.2 (95 % interval +0.1 to +0.3, n 40)"


def test_advice_that_was_taken_says_what_it_did() -> None:
    change = difference([2.0, 2.1] * 6, [1.0, 1.1] * 6)
    done = advice().taken(by="ann", at=at(0)).measured(change, at=at(60))
    entries = built(bare(advice=(done,), open_advice=())).advice
    assert entries is not None
    assert entries[0].verdict == "helped"
    assert entries[0].effect is not None
    assert "2.05 became 1.05, -1 (95 % interval" in entries[0].effect


def test_long_lists_are_cut_and_counted() -> None:
    many = tuple(alert(f"a{number}") for number in range(MOST + 7))
    rows = tuple(audit_row(number) for number in range(1, MOST + 4))
    found = built(bare(alerts=many, audit=rows))
    assert found.alerts is not None
    assert len(found.alerts) == MOST
    assert found.left_out["alerts"] == found.left_out["incidents"] == 7
    assert found.left_out["changes"] == 3


def test_a_day_that_lasts_says_so() -> None:
    found = built(full(run_now=at(90)))
    assert not found.complete
    assert found.as_of == at(90)
    assert any("not over" in note for note in found.notes)


def test_no_secret_and_no_hostile_text_gets_in() -> None:
    hostile = (
        f"<script>alert(1)</script><b>key</b> {SECRET} sk-aaaaaaaaaaaaaaaaaaaaaaaa \x1b[2J "
        f"\u202egnp.exe {SECRET[:8]}\u200b{SECRET[8:]} password=hunter22 " + "x" * 9000
    )
    facts = full(
        alerts=(alert(message=hostile, resolution=hostile, acknowledged_by=hostile),),
        attempts=(an_attempt(1, action=hostile, reason=hostile, agent="a", at=at(40)),),
        audit=(audit_row(1, why=hostile, subject=hostile, who=hostile, undo=hostile),),
        advice=(advice(text=hostile, evidence=hostile),),
        missing={"health": hostile},
        health=None,
    )
    text = built(facts, SECRET).model_dump_json()
    for forbidden in (SECRET, "sk-aaaa", "hunter22", "<script", "<b>", "\\u001b", "\\u202e"):
        assert forbidden not in text
    assert "\u202e" not in text
    assert "[redacted]" in text
    assert len(text) < 60_000


def test_in_a_replay_the_house_is_looked_at_in_its_own_time() -> None:
    played = Span(start=SPAN.start + timedelta(days=4000), end=SPAN.start + timedelta(days=4001))
    late = alert(raised_at=played.start + timedelta(hours=1))
    found = built(bare(apart=True, mode="replay", house=played, alerts=(late, alert("early"))))
    assert found.recent_activities.new_alerts == 1
    assert found.alerts is not None
    assert {each.key for each in found.alerts} == {"service.feed", "early"}  # still open
    assert any("machine's time" in note for note in found.notes)


def test_the_same_facts_make_the_same_report() -> None:
    assert built(full()) == built(full())


def test_a_headline_names_the_worst_first() -> None:
    assert built(full()).headline.startswith(
        "1 thing must be done by a person now, 1 incident not over"
    )
    quiet = built(bare(alerts=(), attempts=(), ticks=ticks(2)))
    assert quiet.headline == "No incident on record, +10.00 USD (+0.01%)."
    resolved = alert(severity=Severity.CRITICAL, resolved_at=at(50), resolution="back")
    assert built(bare(alerts=(resolved,))).headline.startswith("1 incident, all over")


def test_spend_is_split_by_task_the_dearest_first() -> None:
    found = built(full()).llm_spend
    assert found is not None
    assert (found.cost_usd, found.calls) == (0.24, 20)
    assert found.cost_per_decision_usd == 0.002
    assert found.cost_per_insight_usd == 0.06
    assert found.by_task[0].cost_usd == float(Decimal("0.24"))
    nothing = built(bare(spend=()))
    assert nothing.llm_spend is not None
    assert nothing.llm_spend.cost_usd == 0
    assert nothing.unknown["llm_spend.cost_per_decision_usd"] == "nothing was decided on this day"
