"""Says while it lasts that models are not asked: misconfigured, away, or out of money.

The rules answer meanwhile, which is no emergency; but who pays for a model wants to know that it is
not used. Each cause is told once, and resolved by what recovered it, never by the time that passed:
what an earlier run left open stays until the model was asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from roboinvest.core.errors import TryLater
from roboinvest.core.events import Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.llm.overruns import Overruns
from roboinvest.runtime.llm.seat import Seat
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import CapStanding
from roboinvest.runtime.standing_alerts import StandingAlerts
from roboinvest.runtime.supervision.service import ServiceContext

INTERVAL_S: Final = 5.0
ALERT_PREFIX: Final = "llm."
MODEL: Final = "model."
BUDGET: Final = "budget."
OFF: Final = "configuration"
PROMPT: Final = "prompt."
SOFT: Final = ".soft"  # ends the key of a cap that is nearly reached


class ModelWatch:
    """The service that looks."""

    name: Final = "llm_watch"

    def __init__(
        self,
        off: str | None,
        seats: Sequence[Seat],
        ledger: SpendLedger | None,
        *,
        publish: Callable[[Event], None],
        clock: Clock,
        left_open: Iterable[str] = (),
        unfit: Callable[[], Mapping[str, str]] = dict,
        overruns: Overruns | None = None,
    ) -> None:
        """Take what is watched.

        Args:
            off: why no model is asked at all; None: they are.
            seats: of the models.
            ledger: that pays; None: nothing can be spent.
            publish: hears of the alerts.
            clock: of the alerts.
            left_open: keys of the alerts that an earlier run left open, without `ALERT_PREFIX`.
            unfit: tells which prompts cannot be filled in, and why.
            overruns: tells of calls that cost more than was reserved.
        """
        self._off, self._seats, self._ledger = off, seats, ledger
        self._unfit, self._clock = unfit, clock
        self._overruns = overruns or Overruns()
        self._models = _alerts(MODEL, "agent", "it answers again", publish)
        self._money = _alerts(BUDGET, "budget", "there is money again", publish)
        keys = tuple(left_open)
        self._left_open = {key.removeprefix(MODEL) for key in keys if key.startswith(MODEL)}
        self._models.resume(self._left_open)
        of_money = [key.removeprefix(BUDGET) for key in keys if key.startswith(BUDGET)]
        self._warned = {name for name in of_money if name.endswith(SOFT)}
        self._money.resume(of_money)

    async def run(self, ctx: ServiceContext) -> None:
        """Look until cancelled, and once more: a short run tells of its end as well."""
        ctx.ready()
        try:
            async for _ in ctx.every(INTERVAL_S):
                await self.look()
        finally:
            await self.look()

    async def look(self) -> None:
        """Compare what stands with what was told."""
        now = self._clock.now()
        self._models.tell(self._silent_models(), now)
        if self._ledger is None:
            self._money.tell({}, now)
            return
        try:
            standing = await self._ledger.standing(now)
        except TryLater:
            return  # what was told stands until it can be known again
        causes = self._scarce_money(standing.caps)
        self._money.tell({**causes, **self._overruns.today(standing.day)}, now)

    def _scarce_money(self, caps: Iterable[CapStanding]) -> Mapping[str, str]:
        """Return the caps that stop calls, and those nearly reached, which are told first."""
        causes = {}
        for cap in caps:
            name = f"{cap.cap}.{cap.name}".rstrip(".")
            soft = name + SOFT
            if cap.is_stopped:
                causes[name] = cap.text
            if cap.is_warned and (soft in self._warned or not cap.is_stopped):
                causes[soft] = cap.text
        self._warned = {name for name in causes if name.endswith(SOFT)}
        return causes

    def _silent_models(self) -> Mapping[str, str]:
        causes = {}
        if self._off is not None:
            causes[OFF] = f"the language model is off, and rules answer: {self._off}"
        for prompt, why in self._unfit().items():
            causes[f"{PROMPT}{prompt}"] = f"{why}; rules answer what it asks"
        tried = {seat.provider.name for seat in self._seats if seat.breaker.is_tried}
        for seat in self._seats:
            name, trouble = seat.provider.name, seat.breaker.trouble
            if trouble is not None:
                causes[name] = f"{name} is not asked: {trouble}; others or the rules answer"
            elif name in self._left_open - tried:
                causes[name] = f"{name} was not asked since; others or the rules answer"
        return causes


def _alerts(prefix: str, kind: str, over: str, publish: Callable[[Event], None]) -> StandingAlerts:
    return StandingAlerts(
        ALERT_PREFIX + prefix, kind=kind, over=over, publish=publish, severity=Severity.MEDIUM
    )
