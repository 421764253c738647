"""Troubles of agents as they would be seen, each with the cause that a person would name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.evidence import (
    DataSeen,
    DependencySeen,
    ErrorSeen,
    Evidence,
    HttpSeen,
    Origin,
    RepliesSeen,
    ResourceSeen,
)
from roboinvest.core.oversight.health import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is seen, and what it is."""

    cause: Cause
    evidence: Evidence


def evidence(*errors: ErrorSeen, **seen: Any) -> Evidence:
    """Return what was seen of an agent."""
    return Evidence(agent="agent", errors=errors, **seen)


def own(kind: str, count: int = 10, **more: Any) -> ErrorSeen:
    """Return errors that own code raised."""
    return ErrorSeen(kind=kind, count=count, origin=Origin.OWN, where="strategy.py:88", **more)


def vendor(kind: str, count: int = 10, **more: Any) -> ErrorSeen:
    """Return errors that a library raised."""
    return ErrorSeen(kind=kind, count=count, origin=Origin.VENDOR, where="client.py:7", **more)


def http(status: int, count: int, code: str = "", provider: str = "alpaca") -> HttpSeen:
    """Return answers of a provider."""
    return HttpSeen(provider=provider, status=status, count=count, code=code)


def away(name: str, status: Status = Status.FAILING, *, is_outside: bool = False) -> DependencySeen:
    """Return a dependency that fails."""
    return DependencySeen(name=name, status=status, is_outside=is_outside)


def slow(name: str, *, is_outside: bool = False) -> DependencySeen:
    """Return a dependency that is slow."""
    return DependencySeen(name=name, status=Status.DEGRADED, is_slow=True, is_outside=is_outside)


def stale(name: str = "bars", age_s: float = 900.0) -> tuple[DataSeen, ...]:
    """Return data that should be newer."""
    return (DataSeen(name=name, age_s=age_s, limit_s=180.0),)


def over(name: str, value: float, limit: float) -> tuple[ResourceSeen, ...]:
    """Return a gauge."""
    return (ResourceSeen(name=name, value=value, limit=limit),)


def replies(asked: int, unreadable: int) -> RepliesSeen:
    """Return what a model said to a prompt."""
    return RepliesSeen(asked=asked, unreadable=unreadable, prompt="strategy v7")


_NONE = "'NoneType' object has no attribute 'close'"
_OFFLINE = Status.OFFLINE

_SEEN: Final[Mapping[Cause, Mapping[str, Evidence]]] = {
    Cause.OWN_CODE: {
        "a bug in a fresh revision": evidence(own("NameError", 40)),
        "a missing key in a table": evidence(own("KeyError", 12)),
        "a wrong index": evidence(own("IndexError", 7)),
        "a division by zero": evidence(own("ZeroDivisionError", 30)),
        "an assertion": evidence(own("AssertionError", 5)),
        "a bug beside a few time-outs": evidence(own("TypeError", 30), own("TimeoutError", 4)),
        "a bug while the store is away": evidence(
            own("UnboundLocalError", 60), dependencies=(away("store"),)
        ),
        "a bug beside two answers of 500": evidence(own("TypeError", 44), http=(http(500, 2),)),
        "a bug while the processor is busy": evidence(
            own("AttributeError", 25), resources=over("cpu_frac", 0.9, 0.8)
        ),
        "an agent that hangs": evidence(silent_s=420.0),
        "an agent that returned early": evidence(has_returned=True),
        "ten times slower by itself": evidence(is_slow=True),
        "endless recursion": evidence(own("RecursionError", 3)),
    },
    Cause.BAD_OUTPUT: {
        "a poisoned prompt": evidence(own("BadReply", 20), replies=replies(24, 20)),
        "a reply in another form": evidence(replies=replies(10, 4)),
        "replies that are no JSON": evidence(own("JSONDecodeError", 9), replies=replies(20, 9)),
        "replies that miss a field": evidence(vendor("ValidationError", 6), replies=replies(15, 6)),
        "bad replies and a slow model": evidence(
            own("BadReply", 12), replies=replies(20, 12), dependencies=(slow("llm"),)
        ),
        "garbage, and its code stumbles": evidence(
            own("ValueError", 5), replies=replies(30, 18), is_slow=True
        ),
        "bad replies told by errors alone": evidence(own("BadReply", 15)),
    },
    Cause.DEPENDENCY: {
        "the store fails": evidence(own("TryLater", 20), dependencies=(away("store"),)),
        "Chroma is gone": evidence(
            vendor("ConnectionRefusedError", 14), dependencies=(away("chroma", _OFFLINE),)
        ),
        "nothing came back from the memory": evidence(
            own("AttributeError", 9, text=_NONE), dependencies=(away("memory"),)
        ),
        "a slow store and time-outs": evidence(
            own("TimeoutError", 12), dependencies=(slow("store"),)
        ),
        "it waits for a slow calculator": evidence(
            is_slow=True, dependencies=(slow("calculator"),)
        ),
        "silent behind a dead feed reader": evidence(
            silent_s=500.0, dependencies=(away("feed reader", _OFFLINE),)
        ),
        "the data port says later": evidence(own("NoDaemon", 8, family="TryLater")),
        "the recall server is away": evidence(own("ServerAway", 8, family="TryLater")),
        "missing keys behind a dead cache": evidence(
            own("KeyError", 30), dependencies=(away("cache"),)
        ),
    },
    Cause.DATA_GAP: {
        "bars are stale": evidence(data=stale()),
        "an empty frame of stale bars": evidence(own("IndexError", 10), data=stale()),
        "a provider that skips minutes": evidence(own("Incomplete", 6, family="TryLater")),
        "news of yesterday": evidence(data=stale("news", 40_000.0)),
        "old quotes and time-outs": evidence(own("TimeoutError", 2), data=stale("quotes", 400.0)),
        "a hole before the open": evidence(own("ValueError", 3), data=stale("bars", 3_600.0)),
        "stale bars on a busy machine": evidence(
            data=stale(), resources=over("cpu_frac", 0.85, 0.8)
        ),
    },
    Cause.RESOURCE: {
        "a full disk": evidence(own("OSError", 8, number=28)),
        "a full disk below SQLite": evidence(
            vendor("OperationalError", 8, text="database or disk is full")
        ),
        "read-only data": evidence(own("OSError", 4, number=30)),
        "a read-only database": evidence(
            vendor("OperationalError", 4, text="attempt to write a readonly database")
        ),
        "too many open files": evidence(own("OSError", 4, number=24), http=(http(500, 3),)),
        "memory at its end": evidence(own("MemoryError", 1), own("TimeoutError", 30)),
        "memory leaks": evidence(resources=over("memory_frac", 0.96, 0.95)),
        "a starved loop": evidence(
            own("TimeoutError", 20), resources=over("loop_lag_s", 6.0, 5.0), is_slow=True
        ),
        "a busy processor": evidence(is_slow=True, resources=over("cpu_frac", 0.97, 0.8)),
        "a full disk and settings that do": evidence(
            own("BadSettings", 2), own("OSError", 2, number=28)
        ),
    },
    Cause.CONFIGURATION: {
        "a missing key": evidence(configuration=("alpaca.key is missing",)),
        "a refused key": evidence(http=(http(401, 6),)),
        "a key without rights": evidence(http=(http(403, 6),), silent_s=60.0),
        "a folder of somebody else": evidence(own("PermissionError", 3, number=13)),
        "settings that contradict": evidence(own("BadSettings", 1)),
        "a wrong key, told by the client": evidence(vendor("AuthenticationError", 5)),
        "a key that the fetcher refuses": evidence(own("BadKey", 3, family="BadSettings")),
    },
    Cause.BUDGET: {
        "the day's budget is spent": evidence(budget_refusals=12),
        "spent, and the rule stumbles once": evidence(own("KeyError", 1), budget_refusals=9),
        "the model's quota is out": evidence(
            vendor("RateLimitError", 9), http=(http(429, 9, "insufficient_quota", "openai"),)
        ),
        "payment required": evidence(http=(http(402, 3),)),
        "the limit of the bill": evidence(http=(http(429, 5, "billing_hard_limit_reached"),)),
    },
    Cause.PROVIDER: {
        "the broker answers 500": evidence(http=(http(500, 20),)),
        "a gateway that is down": evidence(vendor("InternalServerError", 7), http=(http(503, 7),)),
        "too many requests": evidence(vendor("RateLimitError", 15), http=(http(429, 15),)),
        "an overloaded model": evidence(http=(http(529, 4),), is_slow=True),
        "a vendor that does not answer": evidence(vendor("ReadTimeout", 10)),
        "a vendor that refuses calls": evidence(vendor("ConnectError", 10)),
        "an outage that is known": evidence(
            own("TryLater", 10), dependencies=(away("polygon", _OFFLINE, is_outside=True),)
        ),
        "a slow model": evidence(is_slow=True, dependencies=(slow("openai", is_outside=True),)),
        "500 and code that wants for input": evidence(own("KeyError", 18), http=(http(502, 20),)),
    },
    Cause.UNKNOWN: {
        "nothing was seen": evidence(),
        "a library of somebody else": evidence(vendor("RuntimeError", 4)),
        "an error of nobody": evidence(ErrorSeen(kind="Odd", count=2)),
        "orders that were declined": evidence(http=(http(422, 3),)),
    },
}

# Seen wrongly on purpose: the rules say something else, and a person would see more than they do.
_HARD: Final[Mapping[str, Trouble]] = {
    "a clock that jumped": Trouble(
        cause=Cause.CONFIGURATION, evidence=evidence(own("ValueError", 6), data=stale("bars", 1e6))
    ),
    "a provider that changed its form": Trouble(
        cause=Cause.PROVIDER, evidence=evidence(own("KeyError", 25))
    ),
    "a wait for a lock of its own": Trouble(
        cause=Cause.OWN_CODE, evidence=evidence(own("TimeoutError", 9))
    ),
    "two faults, the smaller one at home": Trouble(
        cause=Cause.DEPENDENCY,
        evidence=evidence(own("NameError", 9), own("TryLater", 8), dependencies=(away("store"),)),
    ),
}

TROUBLES: Final[Mapping[str, Trouble]] = {
    **{
        name: Trouble(cause=cause, evidence=seen)
        for cause, cases in _SEEN.items()
        for name, seen in cases.items()
    },
    **_HARD,
}
