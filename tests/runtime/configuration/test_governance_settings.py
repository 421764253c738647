"""The figures of inbox and governor are settings, within bounds, and the governor is on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from roboinvest.core.approvals import InboxRules
from roboinvest.core.errors import BadSettings
from roboinvest.core.proposals import ProposalKind
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.runtime.configuration.policies import governor_limits, inbox_rules
from roboinvest.runtime.configuration.settings import Settings, load_settings


def test_without_a_word_they_are_the_figures_of_the_core_and_the_governor_is_on() -> None:
    assert inbox_rules(Settings()) == InboxRules()
    assert governor_limits(Settings()) == GovernorLimits()
    assert governor_limits(Settings()).is_on


def test_each_figure_reaches_its_rule() -> None:
    settings = load_settings(
        None,
        {
            "ROBOINVEST_GOVERNANCE__TWO_PERSONS": "promotion,provider",
            "ROBOINVEST_GOVERNANCE__VETO_HOURS": "2.5",
            "ROBOINVEST_GOVERNANCE__GOVERNOR": "off",
        },
        {
            "governance.max_open": 1, "governance.max_a_day": 2, "governance.max_open_of_all": 3,
            "governance.approval_hours": 4, "governance.proposal_days": 5,
            "governance.rejected_days": 6, "governance.promotions_a_day": 7,
            "governance.no_return_to": 8, "governance.rising_findings": 9,
            "governance.rejects": 10, "governance.storm_frac": 0.5, "governance.storm_agents": 11,
        },
    )  # fmt: skip
    assert inbox_rules(settings) == InboxRules(
        max_open=1,
        max_a_day=2,
        max_open_of_all=3,
        approval_lasts=timedelta(hours=4),
        veto_time=timedelta(hours=2.5),
        longest_life=timedelta(days=5),
        rejected_rests=timedelta(days=6),
        two_persons=frozenset({ProposalKind.PROMOTION, ProposalKind.PROVIDER}),
    )
    assert governor_limits(settings) == GovernorLimits(
        promotions=7, recent=8, rising=9, rejects=10, storm_frac=0.5, storm_agents=11, is_on=False
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sweep_interval_s", 0.5), ("sweep_interval_s", 3601), ("audit_interval_s", 9),
        ("audit_interval_s", 86_401), ("max_open", 0), ("max_open", 101), ("max_a_day", 0),
        ("max_open_of_all", 501), ("approval_hours", 0), ("approval_hours", 169),
        ("veto_hours", 0.4), ("proposal_days", 91), ("rejected_days", 0),
        ("promotions_a_day", 0), ("no_return_to", 0), ("rising_findings", 1), ("rejects", 0),
        ("storm_frac", 1), ("storm_frac", 0.01), ("storm_agents", 0), ("governor", "perhaps"),
        ("two_persons", ["promotion", "promotion"]), ("two_persons", ["everything"]),
        ("approval_hours", float("nan")), ("veto_hours", float("inf")),
    ],
)  # fmt: skip
def test_a_figure_out_of_bounds_is_refused_by_its_name(key: str, value: object) -> None:
    with pytest.raises(BadSettings, match=f"governance.{key}"):
        load_settings(None, {}, {f"governance.{key}": value})
