"""The service that looks after revisions, inbox and audit while the daemon runs.

It works in a thread with a deadline, and nothing waits for it: a governance file that is locked,
full, read-only or damaged is told as an alert and tried again, and trading goes on. That the log is
broken stops promotions and approvals by itself: whoever makes one verifies the log first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable
from typing import Final

import structlog

from roboinvest.core.errors import TryLater
from roboinvest.core.events import Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.standing_alerts import StandingAlerts
from roboinvest.runtime.supervision.service import ServiceContext
from roboinvest.runtime.upkeep.notices import behind, questions, vetoes
from roboinvest.runtime.upkeep.rounds import Rounds
from roboinvest.runtime.upkeep.standing import GovernanceStanding, Seen
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.rate_limiter import Lane

ALERT_PREFIX: Final = "governance."
ROUND_WITHIN_S: Final = 300.0  # a million rows, all of them verified
CLOSE_WITHIN_S: Final = 1.0


class GovernanceKeeper:
    """Goes round every minute, and every hour through the whole of the log."""

    name: Final = "governance"

    def __init__(
        self,
        rounds: Rounds,
        calls: VendorCalls,
        *,
        every_s: float,
        whole_every_s: float,
        publish: Callable[[Event], None],
        clock: Clock,
        left_open: Iterable[str] = (),
        open_keys: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Take what goes round.

        Args:
            rounds: is used in the thread of `calls` alone.
            calls: one thread, that is nobody else's.
            every_s: between two rounds.
            whole_every_s: between two verifications of the whole log; the first round is one.
            publish: hears of the alerts.
            clock: of the alerts.
            left_open: keys of the alerts that an earlier run left open, without `ALERT_PREFIX`.
            open_keys: of every alert that is open now: questions may follow from one.
        """
        self._rounds, self._calls = rounds, calls
        self._every_s, self._whole_every_s = every_s, whole_every_s
        self._clock = clock
        self._standing = GovernanceStanding()
        self._anchored = ""  # the digest that was logged last
        self._alerts = _Alerts(publish, tuple(left_open), open_keys)
        self._log = structlog.get_logger("roboinvest.governance")

    def standing(self) -> GovernanceStanding:
        """Return what is known by now."""
        return self._standing

    async def run(self, ctx: ServiceContext) -> None:
        """Go round until cancelled."""
        ctx.ready()  # nothing waits for it
        self._rounds.hurry(is_over=False)
        loop = asyncio.get_running_loop()
        whole_at = loop.time()
        try:
            async for _ in ctx.every(self._every_s):
                is_due = loop.time() >= whole_at
                ctx.idle(ROUND_WITHIN_S)
                if await self.look(whole=is_due) and is_due:
                    whole_at = loop.time() + self._whole_every_s
                ctx.beat()
        finally:
            self._rounds.hurry()
            with contextlib.suppress(TryLater):  # a thread that hangs keeps its file, and nobody
                await self._calls.run(
                    self._rounds.close, lane=Lane.RESEARCH, deadline_s=CLOSE_WITHIN_S
                )

    async def look(self, *, whole: bool) -> bool:
        """Go round once, and tell what changed; return whether the log could be verified."""
        try:
            seen = await self._calls.run(
                lambda: self._rounds.go(whole=whole),
                lane=Lane.RESEARCH,
                deadline_s=ROUND_WITHIN_S,
            )
        except TryLater as error:
            seen = Seen(troubles={"file": str(error)})
        self._standing = self._standing.after(seen)
        self._alerts.tell(seen, self._clock)
        self._note(seen)
        return seen.chain is not None

    def _note(self, seen: Seen) -> None:
        """Leave a second copy of where the log stands in the daemon's own log."""
        if seen.swept:
            self._log.info("orphans_swept", paths=list(seen.swept))
        if seen.settled:
            self._log.info("proposals_settled", count=seen.settled)
        chain = seen.chain
        if chain is None or not chain.is_whole or chain.digest in ("", self._anchored):
            return
        self._anchored = chain.digest
        self._log.info("audit_anchor", number=chain.rows, digest=chain.digest)


class _Alerts:
    """What stands, each cause once; what could not be seen this time stands as it was told."""

    def __init__(
        self,
        publish: Callable[[Event], None],
        left_open: tuple[str, ...],
        open_keys: Callable[[], Collection[str]],
    ) -> None:
        self._open_keys = open_keys

        def alerts(name: str, severity: Severity, kind: str, over: str) -> StandingAlerts:
            found = StandingAlerts(
                f"{ALERT_PREFIX}{name}.", kind=kind, over=over, publish=publish, severity=severity
            )
            start = f"{name}."
            found.resume(key.removeprefix(start) for key in left_open if key.startswith(start))
            return found

        self._audit = alerts(
            "audit", Severity.CRITICAL, "security", "the audit log is what was written again"
        )
        self._anchors = alerts("anchors", Severity.MEDIUM, "system", "every row is anchored again")
        self._upkeep = alerts("upkeep", Severity.HIGH, "system", "it works again")
        self._storm = alerts("storm", Severity.HIGH, "agent", "promotions are free again")
        self._vetoes = alerts("notice", Severity.LOW, "agent", "it is decided, or over")
        self._questions = alerts("question", Severity.MEDIUM, "agent", "it is decided, or over")

    def tell(self, seen: Seen, clock: Clock) -> None:
        """Compare what stands with what was told."""
        now = clock.now()
        told = {name: f"governance is not kept up ({why})" for name, why in seen.troubles.items()}
        self._upkeep.tell(told, now)
        if seen.chain is not None:
            self._audit.tell(_broken(seen), now)
        if "file" not in seen.troubles:
            why = seen.unanchored
            text = f"the last rows of the audit log are in no anchor: {why}"
            self._anchors.tell({} if why is None else {"behind": text}, now)
        if seen.quarantined is not None:
            found = seen.storm
            self._storm.tell({} if found is None else {"quarantine": found.text}, now)
        if (waiting := seen.open_proposals) is not None:
            self._vetoes.tell(vetoes(waiting), now)
            under = behind(waiting, self._open_keys())
            self._questions.tell(questions(waiting), now, under=under)


def _broken(seen: Seen) -> dict[str, str]:
    if seen.chain is None or seen.chain.is_whole:
        return {}
    first = seen.chain.breaks[0].text
    return {
        "broken": f"the audit log is not what was written: {first}; nothing is promoted or "
        "approved, trading goes on: roboinvest audit verify"
    }
