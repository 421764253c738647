"""Everybody is told the same about a cause, and never to wait for what has given up."""

from __future__ import annotations

import pytest

from roboinvest.runtime.alerting.next_steps import agent_in, for_agent, next_step, next_steps


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("halt", "roboinvest resume"),
        ("notify.channel.phone", "roboinvest notify test phone"),
        ("governance.question.p-7", "roboinvest approvals show p-7"),
        ("llm.budget.day", "raise the cap"),
        ("llm.model.gpt", "roboinvest llm test"),
        ("overseer.file", "move overseer.db"),
        ("risk.lowered_limits", "in the settings"),
        ("stream", "ALPACA_API_KEY"),
        ("strategy.dip", "roboinvest agents"),
        ("something.new", "logs/roboinvest.jsonl"),
    ],
)
def test_a_cause_has_a_step_by_the_longest_beginning_of_its_key(key: str, words: str) -> None:
    assert words in next_step(key)


def test_where_healing_gave_up_the_alert_of_the_agent_says_so() -> None:
    steps = next_steps({"agent.scout": None, "heal.scout": "agent.scout", "agent.other": None})
    assert steps["agent.scout"] == steps["heal.scout"]
    assert "can do no more" in steps["agent.scout"]
    assert steps["agent.other"] != steps["agent.scout"]


def test_an_alert_names_its_agent() -> None:
    assert agent_in("service.trading") == "trading"
    assert agent_in("agent.strategy probe@1") == "strategy probe@1"
    assert agent_in("halt") is None
    assert "doctor" in for_agent("data folder", "dependency")
    assert "log of x" in for_agent("x", "service")
