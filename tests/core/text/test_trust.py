"""What is made of several values is worth the least trusted of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from roboinvest.core.text.trust import Taint, Trust, joined

NOON = datetime(2024, 3, 5, 17, 0, tzinfo=UTC)


def test_joins_take_the_lowest_trust_and_the_latest_time() -> None:
    house = Taint(source="house", trust=Trust.HOUSE, at=NOON)
    vendor = Taint(source="bars", trust=Trust.VENDOR, at=NOON + timedelta(minutes=1))
    stranger = Taint(source="ledger", trust=Trust.STRANGER, at=NOON - timedelta(hours=1))
    assert joined([house, vendor]).trust is Trust.VENDOR
    both = joined([vendor, stranger, house])
    assert both == Taint(
        source="bars+house+ledger", trust=Trust.STRANGER, at=NOON + timedelta(minutes=1)
    )
    assert joined([both, house]) == both
    with pytest.raises(ValueError, match="join one taint"):
        joined([])
