"""How revisions, inbox and audit stand: what a round found, and what reports say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from roboinvest.core.approvals import Filed, ProposalState
from roboinvest.core.audit import ChainCheck
from roboinvest.core.revisions.storm import Storm


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one round found. None says that it could not be known this time."""

    chain: ChainCheck | None = None
    unanchored: str | None = None  # why the last rows are in no anchor
    proposals: tuple[Filed, ...] | None = None  # that wait for a word or for their use
    quarantined: tuple[str, ...] | None = None  # agents with a revision in quarantine
    storm: Storm | None = None
    troubles: Mapping[str, str] = field(default_factory=dict)  # by step, one sentence each
    swept: tuple[str, ...] = ()  # what killed processes had left
    settled: int = 0  # proposals that time has moved

    @property
    def open_proposals(self) -> tuple[Filed, ...] | None:
        """Return what waits for a word."""
        if self.proposals is None:
            return None
        return tuple(each for each in self.proposals if each.state is ProposalState.OPEN)


class UpkeepState(StrEnum):
    """Whether revisions, inbox and audit are looked after."""

    STARTING = "starting"
    KEPT = "kept"
    DEGRADED = "degraded"  # nothing changes; trading goes on; it is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceStanding:
    """What is known by now, for reports and for people."""

    state: UpkeepState = UpkeepState.STARTING
    reason: str = ""  # why it is degraded
    waiting: Mapping[str, int] = field(default_factory=dict)  # proposals, by level: {"L3": 2}
    quarantined: tuple[str, ...] = ()  # agents
    rows: int | None = None  # of the audit log; None: it was not verified yet
    fault: str | None = None  # the first place where the log is not what was written
    frozen: str | None = None  # why nothing is promoted

    @property
    def is_whole(self) -> bool | None:
        """Return whether the audit log is what was written; None while nobody looked."""
        return None if self.rows is None else self.fault is None

    def after(self, seen: Seen) -> GovernanceStanding:
        """Return what is known after a round; what it could not see stands as it was."""
        waiting = self.waiting
        if (open_ones := seen.open_proposals) is not None:
            waiting = dict(sorted(Counter(each.level.name for each in open_ones).items()))
        rows, fault = self.rows, self.fault
        if seen.chain is not None:
            rows = seen.chain.rows
            fault = None if seen.chain.is_whole else seen.chain.breaks[0].text
        known = seen.quarantined is not None
        return GovernanceStanding(
            state=UpkeepState.DEGRADED if seen.troubles else UpkeepState.KEPT,
            reason="; ".join(seen.troubles.values()),
            waiting=waiting,
            quarantined=self.quarantined if seen.quarantined is None else seen.quarantined,
            rows=rows,
            fault=fault,
            frozen=(seen.storm.text if seen.storm else None) if known else self.frozen,
        )
