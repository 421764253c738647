"""The section of the settings on what waits for a word, and on how often an agent may change."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from roboinvest.core.proposals import ProposalKind
from roboinvest.runtime.configuration.sections import OnOff, Section, split

_DAY_S: Final = 86_400.0


def _each_once(kinds: tuple[ProposalKind, ...]) -> tuple[ProposalKind, ...]:
    if len(set(kinds)) != len(kinds):
        raise ValueError("a kind is named twice")
    return kinds


Kinds = Annotated[tuple[ProposalKind, ...], BeforeValidator(split), AfterValidator(_each_once)]


class GovernanceSettings(Section):
    """What waits for a word, and how often an agent may change."""

    sweep_interval_s: float = Field(default=60.0, ge=1, le=3600)
    """Seconds between two looks at revisions and inbox."""
    audit_interval_s: float = Field(default=3600.0, ge=10, le=_DAY_S)
    """Seconds between two verifications of the whole audit log; new rows are, at every look."""
    max_open: int = Field(default=5, ge=1, le=100)
    """Proposals of one source that may wait."""
    max_a_day: int = Field(default=5, ge=1, le=100)
    """Proposals of one source in 24 hours, decided or not."""
    max_open_of_all: int = Field(default=100, ge=1, le=500)
    """Proposals that may wait together."""
    approval_hours: float = Field(default=24, ge=0.1, le=168)
    """Hours for which an approval may be used."""
    veto_hours: float = Field(default=1, ge=0.5, le=168)
    """Hours in which people may say no to what needs nobody's yes."""
    proposal_days: int = Field(default=14, ge=1, le=90)
    """Longest life of a proposal."""
    rejected_days: int = Field(default=30, ge=1, le=365)
    """Days for which what was rejected is not asked for again."""
    two_persons: Kinds = ()
    """Kinds of proposals that need the word of two persons."""
    governor: OnOff = "on"
    """Whether the rules below hold; gates and quarantine hold either way."""
    promotions_a_day: int = Field(default=3, ge=1, le=100)
    """Promotions of one agent in 24 hours."""
    no_return_to: int = Field(default=4, ge=1, le=100)
    """Revisions that were active last; nothing is promoted back to one of them."""
    rising_findings: int = Field(default=3, ge=2, le=100)
    """Promotions in a row whose findings rise, of which the last one is refused."""
    rejects: int = Field(default=3, ge=1, le=100)
    """Rejections of one change after which a person has to acknowledge them."""
    storm_frac: float = Field(default=0.3, ge=0.05, le=0.95)
    """Share of the agents; when more go into quarantine in an hour, a day without promotions."""
    storm_agents: int = Field(default=2, ge=1, le=100)
    """Agents in quarantine within an hour below which there is no such storm."""
