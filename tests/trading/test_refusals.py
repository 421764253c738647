"""A refusal is logged once, until it changes, and shown once for each symbol and rule."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from roboinvest.core.protections import EVERYTHING, Lock, LockRule
from roboinvest.core.risk import Clamp, narrowed
from roboinvest.trading.refusals import BY_BROKER, RefusalLog
from roboinvest.trading.risk_lines import (
    SHOWN_REFUSALS,
    RecentRefusals,
    lock_lines,
    mandate_line,
)
from tests.fakes.mandates import mandate
from tests.fakes.markets import DAY, minute
from tests.fakes.risks import LIMITS


def clamp(rule: str, symbol: str = "SPY", *, allowed: int = 0, text: str = "why") -> Clamp:
    return Clamp(
        rule=rule,
        symbol=symbol,
        requested=Decimal(100),
        allowed=Decimal(allowed),
        text=f"{symbol}: {text}",
    )


@pytest.fixture
def log() -> RefusalLog:
    return RefusalLog()


def said(log: RefusalLog, *notes: tuple[str, tuple[Clamp, ...]]) -> list[tuple[str, str, str]]:
    """Return (event, symbol, rule) of each line that notes brought."""
    with capture_logs() as lines:
        for symbol, clamps in notes:
            log.note(symbol, clamps)
    return [(line["event"], line["symbol"], line["rule"]) for line in lines]


def test_a_rule_that_goes_on_refusing_is_logged_once_for_each_symbol(log: RefusalLog) -> None:
    bad = ("SPY", (clamp("session", text="1"),)), ("SPY", (clamp("session", text="2"),))
    other = ("QQQ", (clamp("session", "QQQ"),))
    assert said(log, *bad, other, *bad) == [
        ("intent_refused", "SPY", "session"),
        ("intent_refused", "QQQ", "session"),
    ]


def test_a_rule_that_let_pass_in_between_is_logged_again(log: RefusalLog) -> None:
    bad, good = ("SPY", (clamp("session"),)), ("SPY", ())
    assert len(said(log, bad, good, bad)) == 2


def test_another_rule_is_another_line(log: RefusalLog) -> None:
    both = ("SPY", (clamp("session"), clamp("stale_data")))
    assert said(log, ("SPY", (clamp("session"),)), both) == [
        ("intent_refused", "SPY", "session"),
        ("intent_refused", "SPY", "stale_data"),
    ]


def test_a_new_day_says_it_again(log: RefusalLog) -> None:
    bad = ("SPY", (clamp("session"),))
    log.begin(DAY)
    assert len(said(log, bad)) == 1
    log.begin(DAY)
    assert said(log, bad) == []
    log.begin(date(2024, 3, 6))
    assert len(said(log, bad)) == 1


def test_a_cut_is_told_from_a_refusal(log: RefusalLog) -> None:
    with capture_logs() as lines:
        log.note("SPY", (clamp("position", allowed=40),))
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("intent_cut", "info")
    assert (line["requested"], line["allowed"], line["text"]) == ("100", "40", "SPY: why")


def test_what_the_broker_refuses_is_logged_until_it_takes_an_order(log: RefusalLog) -> None:
    with capture_logs() as lines:
        for _ in range(3):
            log.note("SPY", ())  # risk lets it through each time
            log.note_other(clamp(BY_BROKER))
    assert len(lines) == 1
    log.accepted("SPY")
    with capture_logs() as lines:
        log.note_other(clamp(BY_BROKER))
    assert len(lines) == 1


def test_the_report_shows_the_latest_refusals_first_and_counts_them() -> None:
    recent = RecentRefusals()
    recent.saw([clamp("session", text="early"), clamp("stale_data")], minute(1))
    recent.saw([clamp("session", text="late")], minute(5))
    first, second = recent.lines()
    assert (first.rule, first.text, first.count) == ("session", "SPY: late", 2)
    assert (first.first_at, first.last_at) == (minute(1), minute(5))
    assert (second.rule, second.count) == ("stale_data", 1)


def test_the_report_forgets_the_oldest() -> None:
    recent = RecentRefusals()
    recent.saw([clamp(f"rule {n}") for n in range(SHOWN_REFUSALS + 3)], minute(1))
    assert len(recent.lines()) == SHOWN_REFUSALS
    assert recent.lines()[-1].rule == "rule 3"


def test_locks_and_the_mandate_have_their_lines() -> None:
    lock = Lock(
        scope=EVERYTHING, rule=LockRule.DRAWDOWN, since=minute(1), until=None, text="12 % down"
    )
    (line,) = lock_lines([lock])
    assert (line.name, line.rule, line.until) == ("drawdown:all", "drawdown", None)
    assert mandate_line(None, minute(1)) is None
    absent = mandate_line(LIMITS, minute(1))
    assert absent is not None
    assert (absent.state, absent.entries_allowed, absent.signed_by) == ("absent", True, None)
    good = mandate_line(narrowed(LIMITS, mandate()), minute(1))
    assert good is not None
    assert (good.state, good.signed_by) == ("in force", "ann")
    assert good.consent_hash is not None
