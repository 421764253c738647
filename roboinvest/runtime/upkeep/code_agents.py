"""Whether generated code may run in this daemon: what its box was found to be, once, by trying it.

The trial takes a second and comes after the daemon is ready, in a thread of its own. It fails
closed: until it came out well, and whenever it did not, every code agent stays off. What is found
holds for the daemon's life: a machine does not grow a better box while it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from roboinvest.core.errors import Refused, RoboInvestError, TryLater
from roboinvest.core.events import Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.standing_alerts import StandingAlerts
from roboinvest.runtime.supervision.service import ServiceContext
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.rate_limiter import Lane

ALERT_PREFIX: Final = "sandbox."
TRIED_WITHIN_S: Final = 60.0
SETTLE_S: Final = 2.0  # after the daemon is ready: a short run never pays for the trial


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFound:
    """Which box this machine gives."""

    tier: str  # "A" to "D"
    runs_code: bool  # whether it holds code on arrays, which strategies are
    reason: str  # one sentence


class CodeAgents:
    """What everybody asks who is about to run generated code."""

    def __init__(self) -> None:
        self._found: BoxFound | None = None

    @property
    def found(self) -> BoxFound | None:
        """Return what the trial came to; None before it."""
        return self._found

    @property
    def allowed(self) -> bool:
        """Return whether generated code may run now."""
        return self._found is not None and self._found.runs_code

    def settle(self, found: BoxFound) -> None:
        """Take what the trial came to; the first word holds."""
        if self._found is None:
            self._found = found

    def require(self) -> BoxFound:
        """Return the box that generated code runs in.

        Raises:
            TryLater: the box was not tried yet.
            Refused: it does not hold; the sentence says why.
        """
        if self._found is None:
            raise TryLater("the box of generated code is being tried; ask again in a moment")
        if not self._found.runs_code:
            raise Refused(off(self._found))
        return self._found


def off(found: BoxFound) -> str:
    """Return why code agents are off, in one sentence."""
    return (
        f"code agents are off, this machine gives only tier {found.tier}: {found.reason}; see "
        "roboinvest doctor"
    )


class BoxTrial:
    """The service that tries the box, once."""

    name: Final = "sandbox"

    def __init__(
        self,
        agents: CodeAgents,
        detect: Callable[[], BoxFound],
        calls: VendorCalls,
        *,
        publish: Callable[[Event], None],
        clock: Clock,
        left_open: Iterable[str] = (),
        settle_s: float = SETTLE_S,
    ) -> None:
        """Take who is told.

        Args:
            agents: are told what is found.
            detect: tries; blocks for about a second.
            calls: a thread that is nobody else's.
            publish: hears of the alert.
            clock: of the alert.
            left_open: keys of the alerts that an earlier run left open, without `ALERT_PREFIX`.
            settle_s: seconds before the trial.
        """
        self._agents, self._detect, self._calls = agents, detect, calls
        self._clock, self._settle_s = clock, settle_s
        self._alerts = StandingAlerts(
            ALERT_PREFIX,
            kind="agent",
            over="the box holds",
            publish=publish,
            severity=Severity.MEDIUM,
        )
        self._alerts.resume(left_open)
        self._log = structlog.get_logger("roboinvest.sandbox")

    async def run(self, ctx: ServiceContext) -> None:
        """Try, tell, and stay: who looks at the services sees that nothing is amiss."""
        ctx.ready()
        if self._agents.found is None:
            await ctx.sleep(self._settle_s)
            ctx.beat()
            ctx.idle(TRIED_WITHIN_S)
            self._agents.settle(await self._tried())
        found = self._agents.found
        if found is not None:
            self._alerts.tell({} if found.runs_code else {"off": off(found)}, self._clock.now())
            self._log.info("sandbox_tried", tier=found.tier, code=found.runs_code, why=found.reason)
        ctx.beat()
        ctx.idle()
        await asyncio.Event().wait()

    async def _tried(self) -> BoxFound:
        try:
            return await self._calls.run(
                self._detect, lane=Lane.RESEARCH, deadline_s=TRIED_WITHIN_S
            )
        except (RoboInvestError, OSError) as error:
            reason = f"the box could not be tried ({error})"
            return BoxFound(tier="D", runs_code=False, reason=reason)
