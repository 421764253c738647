"""What looks after agents, inbox and audit, and tries the box of generated code.

None of it is needed to trade, so all of it starts after trading is ready, and stops first.
"""

from __future__ import annotations

from collections.abc import Callable

from meta_agents.evolution.standards import JUDGED_HERE, Standards
from roboinvest.app import succession
from roboinvest.app.succession import Succession
from roboinvest.core.events import Event
from roboinvest.core.ports import Clock
from roboinvest.core.revisions.gates import Standard
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.configuration.policies import governor_limits, inbox_rules
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.reports.governance_line import governance_line
from roboinvest.runtime.reports.models import GovernanceLine
from roboinvest.runtime.supervision.service import Child
from roboinvest.runtime.upkeep import code_agents, keeper
from roboinvest.runtime.upkeep.code_agents import BoxFound, BoxTrial, CodeAgents
from roboinvest.runtime.upkeep.keeper import GovernanceKeeper
from roboinvest.runtime.upkeep.rounds import Rounds
from roboinvest.runtime.upkeep.standing import GovernanceStanding
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.trading.installed_strategy import Installed
from tools.sandbox.tiers import detect


def found_here() -> BoxFound:
    """Return the best box this machine gives; blocks for about a second."""
    found = detect()
    return BoxFound(tier=found.tier.value, runs_code=found.tier.runs_jobs, reason=found.reason)


def todays(standards: Standards) -> Callable[[Standard], Standard]:
    """Return what tells a gate's standard in this program; one without an evaluator stays."""

    def of(known: Standard) -> Standard:
        judged = known.gate in JUDGED_HERE
        return standards.standard(known.gate, known.data_digest) if judged else known

    return of


class Governance:
    """The services, and what others may ask of them."""

    def __init__(
        self,
        settings: Settings,
        folder: DataFolder,
        installed: Installed | None,
        *,
        clock: Clock,
        in_flight: InFlight,
        detects: Callable[[], BoxFound] = found_here,
    ) -> None:
        """Take the parts; nothing is opened or tried yet."""
        self._installed = installed
        self._loads = VendorCalls("strategies", threads=1, limiter=None, in_flight=in_flight)
        self._settings, self._folder, self._clock = settings, folder, clock
        self._detects = detects
        self._calls = VendorCalls("governance", threads=1, limiter=None, in_flight=in_flight)
        self._trials = VendorCalls("the sandbox", threads=1, limiter=None, in_flight=in_flight)
        self.agents = CodeAgents()
        self._keeper: GovernanceKeeper | None = None

    def children(self, publish: Callable[[Event], None], board: AlertBoard) -> tuple[Child, ...]:
        """Return the services, in the order of their start."""
        settings = self._settings.governance
        rounds = Rounds(
            self._folder.root,
            self._clock,
            rules=inbox_rules(self._settings),
            limits=governor_limits(self._settings),
            todays=todays(Standards()),
        )
        self._keeper = GovernanceKeeper(
            rounds,
            self._calls,
            every_s=settings.sweep_interval_s,
            whole_every_s=settings.audit_interval_s,
            publish=publish,
            clock=self._clock,
            left_open=board.open_keys(keeper.ALERT_PREFIX),
            open_keys=lambda: board.open_keys(""),
        )
        trial = BoxTrial(
            self.agents,
            self._detects,
            self._trials,
            publish=publish,
            clock=self._clock,
            left_open=board.open_keys(code_agents.ALERT_PREFIX),
        )
        children = Child(service=self._keeper), Child(service=trial)
        if self._installed is None or self._installed.seat is None:
            return children
        follows = Succession(
            self._installed,
            self._installed.seat,
            self._folder.root,
            self._loads,
            publish=publish,
            clock=self._clock,
            left_open=board.open_keys(succession.ALERT_PREFIX),
        )
        return (*children, Child(service=follows))

    def line(self) -> GovernanceLine:
        """Return what the status says of it."""
        standing = self._keeper.standing() if self._keeper else GovernanceStanding()
        return governance_line(standing, self.agents.found)

    def close(self) -> None:
        """Take no more work; a thread that hangs is left behind."""
        self._calls.close()
        self._trials.close()
        self._loads.close()
