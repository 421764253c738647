"""Agents that are well, with the noise that real ones have: sessions, weekends, cycles, tails.

Nothing of it is a fault: a processor that jumps for a reading, a market that opens with slow
answers, a call in fifty that fails, a cache that is cold in the morning, a track that sleeps.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from roboinvest.core.oversight.vitals import Vitals

Minute = Callable[[Vitals, float, datetime, random.Random], None]

_OPEN_S, _CLOSE_S = 14.5 * 3600, 21.0 * 3600  # UTC
_RUSH = timedelta(minutes=30)


def since_open(wall: datetime) -> timedelta | None:
    """Return how long the market has been open; None: it is closed."""
    second = (wall - wall.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    if wall.weekday() >= 5 or not _OPEN_S <= second < _CLOSE_S:
        return None
    return timedelta(seconds=second - _OPEN_S)


def trading(vitals: Vitals, at: float, wall: datetime, rng: random.Random) -> None:
    """Trade in the session, with slow answers in its first half hour; beat slowly at night."""
    opened = since_open(wall)
    if opened is None:
        vitals.progressed(at + rng.uniform(0, 12))
        return
    slower = 2.5 if opened < _RUSH else 1.0
    for part in range(4):
        moment = at + 15 * part + rng.uniform(0, 10)
        vitals.progressed(moment)
        call(vitals, moment, slower * 0.3 * rng.lognormvariate(0, 0.5), 0.01, rng)
    if rng.random() < (0.3 if opened < _RUSH else 0.08):
        vitals.counter("trades", 1, at + 59)


def fetching(vitals: Vitals, at: float, wall: datetime, rng: random.Random) -> None:
    """Fetch much in the session and little outside, with a long tail and a bad spell a week."""
    opened = since_open(wall)
    is_bad_spell = wall.weekday() == 2 and wall.hour == 16 and wall.minute < 5
    for part in range(6 if opened is not None else 1):
        moment = at + 9 * part + rng.uniform(0, 8)
        vitals.progressed(moment)
        took = 20.0 if rng.random() < 0.002 else 0.15 * rng.lognormvariate(0, 0.8)
        call(vitals, moment, took, 0.08 if is_bad_spell else 0.02, rng)
        vitals.counter("cache_hits", rng.randint(0, 5), moment)
    backlog = 40 if opened is not None and opened < _RUSH else 5
    vitals.gauge("queue", rng.expovariate(1 / backlog), at + 59)


def machine(vitals: Vitals, at: float, wall: datetime, rng: random.Random) -> None:
    """Read the machine: busy in the session, memory with a daily cycle and a saw-tooth."""
    moment = at + 30
    vitals.progressed(moment)
    is_open = since_open(wall) is not None
    cpu = 1.0 if rng.random() < 0.003 else rng.gauss(0.45 if is_open else 0.10, 0.05)
    hours = wall.hour + wall.minute / 60
    cycle = 0.06 * math.sin(2 * math.pi * (hours - 12) / 24) + (0.05 if is_open else 0.0)
    saw = 0.04 * (wall.minute % 30) / 30
    vitals.gauge("cpu_frac", min(max(cpu, 0.0), 1.0), moment)
    vitals.gauge("memory_frac", 0.45 + cycle + saw + rng.gauss(0, 0.01), moment)
    vitals.gauge("disk_frac", 0.40 + at / 2.6e6 * 0.05, moment)
    vitals.gauge("loop_lag_s", 0.4 if rng.random() < 0.003 else rng.expovariate(200), moment)


def researching(vitals: Vitals, at: float, wall: datetime, rng: random.Random) -> None:
    """Work for some minutes of every quarter of an hour, and announce the sleep."""
    minute = wall.minute % 15
    busy = 3 + wall.hour % 5
    if minute >= busy:
        return
    vitals.progressed(at + rng.uniform(0, 50))
    call(vitals, at + 50, 8.0 * rng.lognormvariate(0, 0.4), 0.03, rng)
    if rng.random() < 0.2:
        vitals.counter("insights", 1, at + 51)
    if minute == busy - 1:
        vitals.waits(at + 55, until=at + 60.0 * (15 - minute))


def remembering(vitals: Vitals, at: float, wall: datetime, rng: random.Random) -> None:
    """Answer from a cache or from a model; the cache is cold in the morning."""
    cold = 0.6 if wall.hour in {12, 13, 14} else 0.2
    for part in range(3):
        moment = at + 18 * part + rng.uniform(0, 15)
        vitals.progressed(moment)
        took = 2.0 if rng.random() < cold else 0.01
        call(vitals, moment, took * rng.lognormvariate(0, 0.3), 0.005, rng)


def call(vitals: Vitals, at: float, seconds: float, error_frac: float, rng: random.Random) -> None:
    """Make one call."""
    if rng.random() < error_frac:
        vitals.failed(at, "TryLater at port.py:12", seconds)
    else:
        vitals.succeeded(at, seconds)


AGENTS: Mapping[str, Minute] = {
    "trading": trading,
    "fetching": fetching,
    "machine": machine,
    "researching": researching,
    "remembering": remembering,
}
