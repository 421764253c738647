"""The hands of healing in a running house: what is governed is opened for one act, and closed.

Most houses never heal anything that is governed, so the file of the audit log is not kept open for
it, and not made before there is something to write down. Names are translated here: an agent is
known to the gateway by the name that pays, and not by its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from meta_agents.delegations import Delegations, InboxInThreads
from meta_agents.healing_governed import CodeProposals, HealJournal, Quarantines, RevisionRollbacks
from meta_agents.healing_ports import HealPort, Order, Supervises
from roboinvest.core.approvals import InboxRules
from roboinvest.core.errors import BadSettings, Refused, TryLater
from roboinvest.core.oversight.healing_record import ActionEnd
from roboinvest.core.ports import Clock
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.revisions.approvals import InboxApprovals
from roboinvest.runtime.revisions.opening import Revisions, revisions_on
from roboinvest.runtime.revisions.schema import SCHEMAS


class Governed:
    """The governance of one data folder, opened when it is needed."""

    def __init__(
        self,
        data: Path,
        *,
        rules: InboxRules,
        limits: GovernorLimits,
        clock: Clock,
        threads: Threads,
        new_id: Callable[[], str],
    ) -> None:
        self._data, self._rules, self._limits = data, rules, limits
        self.clock, self.threads, self.new_id = clock, threads, new_id

    @contextlib.asynccontextmanager
    async def file(self) -> AsyncIterator[GovernanceFile]:
        """Open the file, made where it is absent.

        Raises:
            TryLater, BadSettings: it cannot be opened.
        """
        path = self._data / FILE_NAME
        file = await self.threads.do(
            "opening the audit log",
            lambda: GovernanceFile.open(path, self.clock, schemas=SCHEMAS),
        )
        try:
            yield file
        finally:
            await self.threads.do("closing the audit log", file.close)

    @contextlib.asynccontextmanager
    async def revisions_or_none(self) -> AsyncIterator[Revisions | None]:
        """Open the revisions; None where there are none, or their file is away."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                found = await stack.enter_async_context(self.revisions())
            except (TryLater, BadSettings) as error:
                structlog.get_logger("roboinvest.healing").warning(
                    "revisions_are_away", trouble=str(error)
                )
                found = None
            yield found

    @contextlib.asynccontextmanager
    async def revisions(self) -> AsyncIterator[Revisions | None]:
        """Open the revisions; None where there never was one."""
        path = self._data / FILE_NAME
        if not await self.threads.do("a look at the revisions", path.exists):
            yield None
            return
        async with self.file() as file:
            approvals = InboxApprovals(self.inbox(file))
            yield revisions_on(file, self._data, approvals=approvals, limits=self._limits)

    def inbox(self, file: GovernanceFile) -> Inbox:
        """Return the inbox of an open file."""
        return Inbox(file, self._rules, self.clock)


class JournalOnDemand:
    """Tells the audit log of what healing changes."""

    def __init__(self, governed: Governed) -> None:
        self._governed = governed

    async def begun(self, order: Order, metric: str, value: float) -> None:
        """Tell what is about to be done.

        Raises:
            TryLater, Refused, BadSettings: it cannot be told.
        """
        async with self._governed.file() as file:
            await HealJournal(file, self._governed.threads).begun(order, metric, value)

    async def ended(self, order: Order, end: ActionEnd, words: str) -> None:
        """Tell how it ended; raises as `begun`."""
        async with self._governed.file() as file:
            await HealJournal(file, self._governed.threads).ended(order, end, words)


class OnDemand:
    """A port whose revisions are opened for each call, where there are any."""

    def __init__(
        self,
        opens: Callable[[], contextlib.AbstractAsyncContextManager[Revisions | None]],
        make: Callable[[Revisions | None], HealPort],
    ) -> None:
        self._opens, self._make = opens, make

    async def refusal(self, order: Order) -> str | None:
        """Return why it cannot be done now."""
        async with self._opens() as revisions:
            return await self._make(revisions).refusal(order)

    async def act(self, order: Order) -> str:
        """Do it."""
        async with self._opens() as revisions:
            return await self._make(revisions).act(order)

    async def happened(self, order: Order) -> bool | None:
        """Return whether it is there to be seen."""
        async with self._opens() as revisions:
            return await self._make(revisions).happened(order)


class ProposalsOnDemand:
    """Asks for code by the inbox, which is opened for it."""

    def __init__(self, governed: Governed) -> None:
        self._governed = governed
        self._asked: set[str] = set()

    async def refusal(self, order: Order) -> str | None:  # noqa: ARG002 port
        """Nothing stands against asking."""
        return None

    async def act(self, order: Order) -> str:
        """Ask; raises as `CodeProposals.act`."""
        governed = self._governed
        async with governed.file() as file:
            inbox = InboxInThreads(governed.inbox(file), governed.threads)
            delegations = Delegations(inbox, clock=governed.clock, new_id=governed.new_id)
            said = await CodeProposals(delegations).act(order)
        self._asked.add(order.attempt_id)
        return said

    async def happened(self, order: Order) -> bool | None:
        """Say whether it was asked for by this process."""
        return True if order.attempt_id in self._asked else None


class Renamed:
    """A port that knows agents by other names."""

    def __init__(self, port: HealPort, names: Mapping[str, str]) -> None:
        """Take the port, and its names by ours; who is not named is called as before."""
        self._port, self._names = port, dict(names)

    async def refusal(self, order: Order) -> str | None:
        """Return why it cannot be done now."""
        return await self._port.refusal(self._renamed(order))

    async def act(self, order: Order) -> str:
        """Do it."""
        return await self._port.act(self._renamed(order))

    async def happened(self, order: Order) -> bool | None:
        """Return whether it is there to be seen."""
        return await self._port.happened(self._renamed(order))

    def _renamed(self, order: Order) -> Order:
        return replace(order, agent=self._names.get(order.agent, order.agent))


class WhileDown:
    """A port that is for agents that do not work at all, and not for those that limp."""

    def __init__(self, port: HealPort, is_down: Callable[[str], bool]) -> None:
        self._port, self._is_down = port, is_down

    async def refusal(self, order: Order) -> str | None:
        """Return why it cannot be done now."""
        if not self._is_down(order.agent):
            return f"{order.agent} works, if badly, and is not put away"
        return await self._port.refusal(order)

    async def act(self, order: Order) -> str:
        """Do it."""
        return await self._port.act(order)

    async def happened(self, order: Order) -> bool | None:
        """Return whether it is there to be seen."""
        return await self._port.happened(order)


def rollbacks(governed: Governed) -> HealPort:
    """Return the port that goes one revision back."""

    def make(revisions: Revisions | None) -> HealPort:
        if revisions is None:
            return _NoRevision()
        return RevisionRollbacks(revisions, governed.threads)

    return OnDemand(governed.revisions, make)


def quarantines(
    governed: Governed, supervisor: Callable[[], Supervises], limits: GovernorLimits
) -> HealPort:
    """Return the port that puts agents away; a service also where the revisions are away."""
    return OnDemand(
        governed.revisions_or_none,
        lambda revisions: Quarantines(supervisor, governed.threads, revisions, limits=limits),
    )


class _NoRevision:
    """What stands behind a rollback where nothing was ever revised."""

    async def refusal(self, order: Order) -> str | None:
        """Say so."""
        return f"{order.agent} runs no revision: none was ever made here"

    async def act(self, order: Order) -> str:
        """Do nothing.

        Raises:
            Refused: always.
        """
        raise Refused(f"{order.agent} runs no revision; nothing was done")

    async def happened(self, order: Order) -> bool | None:  # noqa: ARG002 port
        """Return that nothing did."""
        return False
