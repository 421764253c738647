"""BudgetAgent: turns realised and open profit into the day's language-model cap.

A meeting may ask for another cap, inside floor and ceiling: the next tick goes on from there, as if
the sessions before had led to it. What was asked for is a document of its own, written at once, and
taken over once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeVar

from pydantic import TypeAdapter

from roboinvest.core.budget import (
    BudgetFacts,
    BudgetPolicy,
    CapMove,
    cap_for_session,
    cap_within_session,
)
from roboinvest.core.errors import TryLater
from roboinvest.core.orders import Leg
from roboinvest.core.ports import SpendBook
from roboinvest.core.records import canonical_json
from roboinvest.trading.account_book import AccountBook
from roboinvest.trading.state import Budget, TickState

ASKED_CAP: Final = "llm_cap_asked"
ValueT = TypeVar("ValueT")
RECENT: Final = 50  # trades and entries that a session's gain is judged by


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCap:
    """A cap that a meeting asked for."""

    cap_usd: Decimal
    why: str
    at: datetime  # UTC, real time: no two are the same one


def asked_cap_in(text: str | None) -> AskedCap | None:
    """Return what was asked for last; None: nothing was."""
    return None if text is None else TypeAdapter(AskedCap).validate_json(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFigures:
    """What has to survive a restart."""

    session_day: date | None
    next_cap_usd: Decimal  # the base that sessions move
    cap_usd: Decimal  # today's, which a bad day may have cut
    spent_usd: Decimal  # today
    total_usd: Decimal  # since the start
    asks: Mapping[str, int]  # answers since the start, by source
    last_move: CapMove
    recent_wins: tuple[bool, ...] = ()  # of the last closed trades, oldest first
    recent_confidence: tuple[float, ...] = ()  # of the last entries
    asked_at: datetime | None = None  # of the last cap that a meeting asked for and got

    @classmethod
    def starting_with(cls, policy: BudgetPolicy) -> BudgetFigures:
        """Return the figures before the first session."""
        cap = policy.start_usd
        return cls(
            session_day=None,
            next_cap_usd=cap,
            cap_usd=cap,
            spent_usd=Decimal(0),
            total_usd=Decimal(0),
            asks={},
            last_move=CapMove(before=cap, after=cap, reason="the cap set by the owner"),
        )

    @classmethod
    def from_json(cls, text: str) -> BudgetFigures:
        """Return the figures that `canonical_json` wrote."""
        raw = json.loads(text)
        day, move, asked_at = raw["session_day"], raw["last_move"], raw.get("asked_at")
        return cls(
            session_day=None if day is None else date.fromisoformat(day),
            next_cap_usd=Decimal(raw["next_cap_usd"]),
            cap_usd=Decimal(raw["cap_usd"]),
            spent_usd=Decimal(raw["spent_usd"]),
            total_usd=Decimal(raw["total_usd"]),
            asks=raw["asks"],
            last_move=CapMove(
                before=Decimal(move["before"]),
                after=Decimal(move["after"]),
                reason=move["reason"],
            ),
            recent_wins=tuple(raw.get("recent_wins", ())),
            recent_confidence=tuple(raw.get("recent_confidence", ())),
            asked_at=None if asked_at is None else datetime.fromisoformat(asked_at),
        )


class BudgetAgent:
    """Moves the cap at the first tick of a session, and cuts it on a bad day."""

    def __init__(
        self,
        account: AccountBook,
        figures: BudgetFigures,
        policy: BudgetPolicy,
        spend: SpendBook | None = None,
        asked: AskedCap | None = None,
    ) -> None:
        """Take the books.

        Args:
            account: whose result moves the cap.
            figures: as they were committed.
            policy: floor and ceiling.
            spend: where the cap is in force; None where nothing can be spent.
            asked: what a meeting asked for last, whether it was taken over or not.
        """
        self._account = account
        self._asked = asked
        self._policy = policy
        self._spend = spend
        self._told: Decimal | None = None  # the cap that `spend` knows
        self.figures = figures

    def take_asked(self, asked: AskedCap) -> None:
        """Note what a meeting asked for; the next tick goes on from there."""
        self._asked = asked

    async def __call__(self, state: TickState) -> TickState:
        """Return the `budget` after this tick."""
        self._follow()
        day, figures = state["tick"].session.day, self.figures
        facts = self._facts(state["execution"].account.equity)
        base, today, spent = figures.next_cap_usd, figures.cap_usd, figures.spent_usd
        move = figures.last_move
        if figures.session_day != day:
            move = cap_for_session(base, facts, self._policy)
            base = today = move.after
            spent = Decimal(0)
        cut = cap_within_session(today, facts, self._policy)
        if cut.after != cut.before:
            move = cut
        cost, source = state["strategy"].cost_usd, state["strategy"].source
        self.figures = BudgetFigures(
            recent_wins=_last(figures.recent_wins, [t.pnl > 0 for t in state["tick"].trades]),
            recent_confidence=_last(figures.recent_confidence, _entered(state)),
            session_day=day,
            next_cap_usd=base,
            cap_usd=cut.after,
            spent_usd=spent + cost,
            total_usd=figures.total_usd + cost,
            asks={**figures.asks, source: figures.asks.get(source, 0) + 1},
            last_move=move,
            asked_at=figures.asked_at,
        )
        await self._tell(cut.after, move.reason, state["tick"].at)
        return {"budget": Budget(cap_usd=cut.after, spent_usd=spent + cost, move=move)}

    def _follow(self) -> None:
        """Go on from the cap that a meeting asked for, once, and inside floor and ceiling."""
        asked, figures = self._asked, self.figures
        if asked is None or asked.at == figures.asked_at:
            return
        cap = min(max(asked.cap_usd, self._policy.floor_usd), self._policy.ceiling_usd)
        self.figures = replace(
            figures,
            next_cap_usd=cap,
            cap_usd=cap,
            last_move=CapMove(before=figures.cap_usd, after=cap, reason=asked.why),
            asked_at=asked.at,
        )

    async def _tell(self, cap: Decimal, reason: str, at: datetime) -> None:
        """Put the cap in force; where that cannot be written, the one before stays until it can."""
        if self._spend is None or cap == self._told:
            return
        try:
            await self._spend.set_day_cap(cap, reason, at)
        except TryLater:
            return
        self._told = cap

    def document(self) -> str:
        """Return the figures as the JSON document that a restart reads."""
        return canonical_json(self.figures)

    def _facts(self, equity: Decimal) -> BudgetFacts:
        figures = self._account.figures
        start = figures.day_start_equity
        return BudgetFacts(
            session_pnl=figures.last_session_pnl,
            closed_trades=figures.closed_trades,
            win_rate=_mean(self.figures.recent_wins),
            mean_confidence=_mean(self.figures.recent_confidence),
            day_return_frac=equity / start - 1 if start else Decimal(0),
        )


def _entered(state: TickState) -> list[float]:
    """Return the confidence of each decision that became an entry."""
    entries = {i.symbol for i in state["execution"].intents if i.leg is Leg.ENTRY}
    return [d.confidence for d in state["strategy"].decisions if d.symbol in entries]


def _last(before: Sequence[ValueT], came: Sequence[ValueT]) -> tuple[ValueT, ...]:
    return (*before, *came)[-RECENT:]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
