"""The headlines of the simulated market, and what each of them does to a price.

Templates are written for this purpose; they name the symbol and invent no event of a real company
beyond what a template says. About a third of the items that sound good or bad are noise and move
nothing, and a rare one moves the price the other way, as in life: a headline is evidence, not an
order. An item can only move bars that open after it was published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from numpy.random import Generator

from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import NewsItem, Trend
from tools.simulation.prices import Shock

MARKET: Final = "MARKET"  # the name under which news of the whole market is drawn
SOURCE: Final = "simulated"
PER_SESSION: Final = 0.45  # mean items of one subject while the exchange is open
BEFORE_OPEN: Final = 0.15  # mean items of one subject before the open
EARLIEST: Final = timedelta(hours=4)  # before the open
_LATEST: Final = timedelta(minutes=2)  # before the open
_QUIET_END: Final = 5  # minutes before the close without news
_NOISE: Final = 0.32  # share of the leaning items that move nothing
_CONTRARY: Final = 0.06  # share that moves the price the other way
_AT_ONCE: Final = 0.6  # share of the move that is in the next price
_MEAN_MOVE: Final = 0.0055  # log return of one share; the market's is a third of it

_GOOD: Final = (
    "{name} beats quarterly estimates on record revenue",
    "{name} EPS beats by ${cents}, beats on revenue",
    "{name} raises full-year guidance after strong demand",
    "{name} upgraded to buy from hold, price target raised to ${high} from ${low}",
    "{name} price target raised to ${high} vs. ${low} on margin strength",
    "{name} announces share buyback and a dividend increase",
    "{name} wins contract worth {percent}% of annual sales",
    "{name} shares up {percent}% as orders accelerate",
    "{name} initiated as outperform with ${high} price target",
    "Regulator approves {name} product ahead of schedule, analysts bullish on launch",
)
_BAD: Final = (
    "{name} misses estimates as margins shrink",
    "{name} EPS misses by ${cents}, misses on revenue",
    "{name} cuts full-year guidance, warns on weak demand",
    "{name} downgraded to sell from hold, price target cut to ${low} from ${high}",
    "{name} price target lowered to ${low} vs. ${high} on rising costs",
    "{name} announces equity offering at a discount",
    "{name} recalls product after safety failures",
    "{name} shares down {percent}% on accounting probe",
    "{name} faces class action lawsuit over disclosures",
    "{name} to cut jobs as sales slump {percent}%",
)
_PLAIN: Final = (
    "{name} to present at an industrial conference next week",
    "{name} names a new head of investor relations",
    "{name} schedules its annual meeting of shareholders",
    "{name} publishes its yearly sustainability report",
    "{name} opens an office in a second city",
)
_MARKET_GOOD: Final = (
    "Stocks rally as inflation falls more than expected",
    "Jobless claims fall {percent}%, futures gain",
    "Risk appetite improves: market opens higher on trade deal hopes",
    "Retail sales rise {percent}%, better than expected",
)
_MARKET_BAD: Final = (
    "Stocks slump as inflation rises more than forecast",
    "Jobless claims jump {percent}%, futures fall",
    "Selloff deepens as recession fears rise",
    "Manufacturing output drops {percent}%, worse than expected",
)
_MARKET_PLAIN: Final = (
    "Central bank keeps interest rates unchanged",
    "Exchange publishes its holiday calendar",
    "Treasury auctions new ten-year notes",
)
_SUMMARY: Final = "Simulated report on {name}; the figures are invented."


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedItem:
    """A headline and the truth behind it, which no agent ever sees."""

    item: NewsItem
    direction: int  # what the words say: 1 good, -1 bad, 0 neither
    shock: Shock | None  # what it does; None for noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom the news is about."""

    name: str  # a symbol, or `MARKET`
    symbols: tuple[str, ...]  # as the items carry them
    price: float  # USD, last close; what price targets are built around


def draw_items(
    subject: Subject, session: Session, trend: Trend, rng: Generator
) -> tuple[SimulatedItem, ...]:
    """Return the news of one subject for a session and the hours before it, by time."""
    minutes = int((session.closes_at - session.opens_at) / timedelta(minutes=1))
    early = int(rng.poisson(BEFORE_OPEN))
    offsets = [_early_offset(rng) for _ in range(early)]
    for _ in range(int(rng.poisson(PER_SESSION))):
        seconds = float(rng.uniform(0, 60 * max(1, minutes - _QUIET_END)))
        offsets.append(timedelta(seconds=int(seconds)))
    return tuple(
        _draw_item(subject, session, trend, number, offset, rng)
        for number, offset in enumerate(sorted(offsets))
    )


def _early_offset(rng: Generator) -> timedelta:
    span = (EARLIEST - _LATEST).total_seconds()
    return -_LATEST - timedelta(seconds=int(rng.uniform(0, span)))


def _draw_item(
    subject: Subject,
    session: Session,
    trend: Trend,
    number: int,
    offset: timedelta,
    rng: Generator,
) -> SimulatedItem:
    direction = _direction(trend, rng)
    headline = _headline(subject, direction, rng)
    item = NewsItem(
        item_id=f"sim-{session.day:%Y%m%d}-{subject.name}-{number}",
        published_at=session.opens_at + offset,
        symbols=subject.symbols,
        headline=headline,
        summary=_SUMMARY.format(name=_spoken(subject)),
        source=SOURCE,
    )
    size = _MEAN_MOVE * float(rng.gamma(2.0, 0.5)) * (1 / 3 if subject.name == MARKET else 1.0)
    fate = float(rng.random())
    if direction == 0 or fate < _NOISE:
        return SimulatedItem(item=item, direction=direction, shock=None)
    move = direction * size * (-1 if fate > 1.0 - _CONTRARY else 1)
    shock = Shock(
        minute=max(0, offset // timedelta(minutes=1) + 1),
        jump=_AT_ONCE * move,
        drift=(1.0 - _AT_ONCE) * move,
        overnight=offset < timedelta(0),
    )
    return SimulatedItem(item=item, direction=direction, shock=shock)


def _direction(trend: Trend, rng: Generator) -> int:
    lean = {Trend.BULL: 0.05, Trend.BEAR: -0.05, Trend.RANGE: 0.0}[trend]
    draw = float(rng.random())
    if draw < 0.36 + lean:
        return 1
    return -1 if draw > 0.64 + lean else 0


def _headline(subject: Subject, direction: int, rng: Generator) -> str:
    own: Mapping[int, Sequence[str]] = {1: _GOOD, -1: _BAD, 0: _PLAIN}
    market: Mapping[int, Sequence[str]] = {1: _MARKET_GOOD, -1: _MARKET_BAD, 0: _MARKET_PLAIN}
    templates = (market if subject.name == MARKET else own)[direction]
    template = templates[int(rng.integers(len(templates)))]
    stretch = float(rng.uniform(1.08, 1.30))
    return template.format(
        name=_spoken(subject),
        percent=int(rng.integers(2, 10)),
        cents=f"{float(rng.uniform(0.01, 0.35)):.2f}",
        low=f"{subject.price * (stretch - 0.06):.0f}",
        high=f"{subject.price * stretch + 1.0:.0f}",
    )


def _spoken(subject: Subject) -> str:
    return "the market" if subject.name == MARKET else subject.name
