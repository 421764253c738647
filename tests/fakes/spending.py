"""Calls to be paid, and an audit of a spend ledger's file that trusts none of its sums."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from roboinvest.runtime.llm.provider import Usage
from roboinvest.runtime.llm.spend.caps import SpendCaps
from roboinvest.runtime.llm.spend.money import usd_of
from roboinvest.runtime.llm.spend.prices import ModelPrice
from roboinvest.runtime.llm.spend.values import AskFacts, CallFacts, Spent

NOON: Final = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)  # in New York, a Wednesday
DOLLAR: Final = SpendCaps(day_usd=Decimal("1.00"))
PRICE: Final = ModelPrice(
    input_usd=Decimal("0.15"), cached_input_usd=Decimal("0.075"), output_usd=Decimal("0.60")
)
_SCOPES: Final = """
    SELECT 'iteration', '', CASE about WHEN '' THEN ask_id ELSE about END FROM calls WHERE id = ?1
    UNION ALL SELECT 'agent', day, agent FROM calls WHERE id = ?1
    UNION ALL SELECT 'day', day, '' FROM calls WHERE id = ?1
    UNION ALL SELECT 'month', substr(day, 1, 7), '' FROM calls WHERE id = ?1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What an audit found."""

    spent: Decimal  # USD
    reserved: Decimal
    states: dict[str, int]  # calls
    charged: dict[str, Decimal]  # USD by call


def a_call(number: int = 0, reserved: str = "0.10", **fields: Any) -> CallFacts:
    """Return the call c<number> of the ask a<number>, by the strategist, about nothing."""
    values: dict[str, Any] = {
        "call_id": f"c{number}",
        "ask_id": f"a{number}",
        "at": NOON,
        "agent": "strategist",
        "task": "decide",
        "about": "",
        "model": "some-model",
        "purpose": "answer",
        "reserved_usd": Decimal(reserved),
    }
    return CallFacts(**{**values, **fields})


def an_ask(number: int = 0, **fields: Any) -> AskFacts:
    """Return the ask a<number>, which the rules answered."""
    values: dict[str, Any] = {
        "ask_id": f"a{number}",
        "at": NOON,
        "agent": "strategist",
        "task": "decide",
        "about": "20260304T170000Z",
        "prompt_name": "strategist/decide",
        "prompt_version": "v1",
        "inputs_digest": "0" * 64,
        "inputs": '{"symbol":"SPY"}',
        "source": "rules",
        "reason": "no model has the role strategist",
        "output": '{"views":[]}',
        "latency_ms": 1.5,
        "attempts": 0,
        "cost_usd": Decimal(0),
    }
    return AskFacts(**{**values, **fields})


def paid(cost: str | None, *, counted: bool = True, **fields: Any) -> Spent:
    """Return what came of a call; `counted` says whether the provider told the tokens."""
    usage = Usage(input_tokens=1000, cached_tokens=100, output_tokens=50) if counted else None
    values: dict[str, Any] = {"usage": usage, "latency_ms": 12.5}
    values["cost_usd"] = None if cost is None else Decimal(cost)
    return Spent(**{**values, **fields})


def days(count: float) -> timedelta:
    """Return so many days."""
    return timedelta(days=count)


def audit(path: Path) -> Books:
    """Add everything up again from the calls, and hold the file's own totals to it."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("BEGIN")  # one moment
        sums: dict[tuple[str, str, str], tuple[int, int]] = {}
        states: dict[str, int] = {}
        charges: dict[str, int] = {}
        held = 0
        rows = file.execute("SELECT id, call_id, state, reserved, charged FROM calls").fetchall()
        for number, name, state, reserved, charged in rows:
            states[state] = states.get(state, 0) + 1
            charges[name] = charged
            open_now = reserved if state == "reserved" else 0
            held += open_now
            assert not (state in ("reserved", "released") and charged), name
            for scope in file.execute(_SCOPES, (number,)).fetchall():
                spent, waits = sums.get(scope, (0, 0))
                sums[scope] = (spent + charged, waits + open_now)
        told = {
            (cap, span, name): (spent, waits)
            for cap, span, name, spent, waits in file.execute(
                "SELECT cap, span, name, spent, reserved FROM totals"
            )
        }
    assert {scope: both for scope, both in told.items() if any(both)} == {
        scope: both for scope, both in sums.items() if any(both)
    }
    return Books(
        spent=usd_of(sum(charges.values())),
        reserved=usd_of(held),
        states=states,
        charged={name: usd_of(charged) for name, charged in charges.items()},
    )
