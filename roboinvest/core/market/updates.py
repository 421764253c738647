"""What a market feed reports at one instant, and what an agent observes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Bar, CorporateAction


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketUpdate:
    """What happened in the market after the previous instant and up to `at`."""

    at: datetime  # UTC
    session: Session
    bars: tuple[Bar, ...]  # good bars closed in (previous, at], by time then symbol
    actions: tuple[CorporateAction, ...] = ()  # those whose ex-date is this session; sent once
    suspended: Mapping[str, str] = field(default_factory=dict)  # symbol -> why not trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCounts:
    """What the quality gate let through so far."""

    rows: int  # rows read for the symbols and range of the run
    used: int  # rows that reached a tick: regular hours, good
    quarantined: int
    by_reason: Mapping[str, int]  # reason -> rows; includes findings that are not quarantined
