"""HTTP on loopback that misbehaves on request: requests, answers, and the faults planted in them.

A vendor gives one synchronous function from `Request` to `Response`. `HttpServer` (http_server.py)
speaks HTTP/1.1 with real sockets around it and does to each answer what a `Fault` says.
`LoopThread` (loop_thread.py) gives a vendor a loop and a thread of its own.
"""

from __future__ import annotations

import json
import random
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came in."""

    method: str
    path: str  # decoded, without the query
    query: Mapping[str, str]  # the last of equal names
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    at: datetime  # UTC, by the server's clock

    @property
    def parsed(self) -> Any:
        """Return the body read as JSON; None where there is none or it is none."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            return None

    @property
    def target(self) -> str:
        """Return path and query as a fault's `path` matches them: "/v2/orders?status=open"."""
        text = "&".join(f"{name}={value}" for name, value in self.query.items())
        return f"{self.path}?{text}" if text else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=UTF-8"


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a value as an answer; numbers with exact decimals are the caller's texts."""
    return Response(status=status, body=json.dumps(value).encode(), headers=headers or {})


class FaultKind(StrEnum):
    """What goes wrong. "Handled" means: the vendor did what was asked, an order is booked."""

    STALL = "stall"  # not handled, never answered
    STALL_AFTER = "stall_after"  # handled, never answered
    SLOW = "slow"  # handled, answered `delay_s` later
    DRIP = "drip"  # handled, answered one byte each `drip_s`
    RESET_BEFORE = "reset_before"  # not handled, connection reset
    RESET_AFTER = "reset_after"  # handled, connection reset: a lost reply
    STATUS = "status"  # not handled, answered `status` with `body`
    STATUS_AFTER = "status_after"  # handled, answered `status` with `body`
    LATE = "late"  # answered `status` (0: reset) at once, handled `delay_s` later
    TRUNCATED = "truncated"  # handled; the body ends at `at_byte`, and its length says so
    CUT = "cut"  # handled; the connection closes at byte `at_byte` of the promised body
    REWRITE = "rewrite"  # handled; each field named in `fields` gets the value given there


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One planted fault: which requests, how often, and what."""

    kind: FaultKind
    method: str = ".*"  # regular expression for the whole method
    path: str = ".*"  # regular expression found anywhere in path and query
    count: int | None = 1  # requests it spoils; None: all of them
    skip: int = 0  # matching requests that pass before it begins
    probability: float = 1.0  # in [0, 1], by the rng of the plan
    status: int = 503
    body: object = ""  # text or bytes go as they are, anything else as JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 1.0
    drip_s: float = 0.02
    at_byte: int = 10
    fields: Mapping[str, object] = field(default_factory=dict)

    def response(self) -> Response:
        """Return the answer that `status`, `body` and `headers` describe."""
        if isinstance(self.body, bytes | str):
            raw = self.body.encode() if isinstance(self.body, str) else self.body
            kind = "text/html" if raw.lstrip()[:1] == b"<" else "application/json"
            return Response(status=self.status, body=raw, headers=self.headers, content_type=kind)
        return json_response(self.body, self.status, self.headers)


class FaultPlan:
    """The faults that are planted; the first that matches and is not spent is taken."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self.rng = rng or random.Random(0)
        self.taken: list[tuple[Request, Fault]] = []  # oldest first
        self._planted: list[_Planted] = []

    def add(self, *faults: Fault) -> None:
        """Plant faults behind those that stand."""
        self._planted += [_Planted(fault) for fault in faults]

    def clear(self) -> None:
        """Take all faults away; requests that are stalled stay so."""
        self._planted.clear()

    def take(self, request: Request) -> Fault | None:
        """Return the fault for a request, and count it as used."""
        for planted in self._planted:
            if planted.meets(request, self.rng):
                self.taken.append((request, planted.fault))
                return planted.fault
        return None


@dataclass(slots=True)
class _Planted:
    fault: Fault
    seen: int = 0  # matching requests
    spoilt: int = 0

    def meets(self, request: Request, rng: random.Random) -> bool:
        fault = self.fault
        if fault.count is not None and self.spoilt >= fault.count:
            return False
        if not re.fullmatch(fault.method, request.method):
            return False
        if not re.search(fault.path, request.target):
            return False
        self.seen += 1
        if self.seen <= fault.skip or rng.random() >= fault.probability:
            return False
        self.spoilt += 1
        return True


class RollingLimit:
    """Counts requests in the last minute, as vendors do."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.most = 0  # the most requests admitted within any rolling minute
        self._at: deque[float] = deque()

    def admit(self, now_s: float) -> bool:
        """Return whether a request at `now_s` (seconds, never going back) is within the limit."""
        while self._at and now_s - self._at[0] >= 60.0:
            self._at.popleft()
        if len(self._at) >= self.per_minute:
            return False
        self._at.append(now_s)
        self.most = max(self.most, len(self._at))
        return True

    @property
    def remaining(self) -> int:
        """Return how many requests are left."""
        return self.per_minute - len(self._at)

    def reset_in_s(self, now_s: float) -> float:
        """Return the seconds until the next request is admitted."""
        return max(0.0, 60.0 - (now_s - self._at[0])) if self.remaining <= 0 else 0.0
