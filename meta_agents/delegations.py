"""What the Overseer asks of CodeEditorAgent, PromptEngineerAgent and SystemArchitectAgent.

A request is typed, and so is what comes of it. Where nobody stands behind a port, or where a person
has to agree first, the request becomes a proposal in the inbox that says so; it is then a request
and nothing more, and nothing reports that anything was changed. Whether two requests are the same
is read off what they want, and not off figures and prose that change from hour to hour: the same is
not proposed twice while it is open. Text of a finding may come from strangers: it is shown, never
obeyed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar

from roboinvest.core.approvals import Filed
from roboinvest.core.errors import BadInput, NeedsApproval, Refused, RoboInvestError
from roboinvest.core.ports import Clock
from roboinvest.core.proposals import Proposal, ProposalKind
from roboinvest.core.records import canonical_json
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.oversight.threads import Threads

WHO: Final = "overseer"
LASTS: Final = timedelta(days=7)  # of a proposal
DEADLINE_S: Final = 60.0  # that an agent behind a port has to take a request
MAX_LINES: Final = 10  # of evidence
_NO_SUBJECT: Final = re.compile(r"[^A-Za-z0-9_.:/@+-]")  # which a name may have, and a subject not


class Delegate(StrEnum):
    """Who is asked."""

    CODE_EDITOR = "CodeEditorAgent"
    PROMPT_ENGINEER = "PromptEngineerAgent"
    SYSTEM_ARCHITECT = "SystemArchitectAgent"


class CodeWork(StrEnum):
    """What is to be done to code."""

    FIX = "fix"
    OPTIMISE = "optimise"
    FEATURE = "feature"
    REFACTOR = "refactor"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequest:
    """Code of an agent is to be changed."""

    agent: str
    work: CodeWork
    topic: str  # which part of it: a function, a cause; the same topic is the same request
    finding: str  # what was seen
    cause: str = ""
    evidence: tuple[str, ...] = ()
    approval_required: bool = False  # a person agrees before anybody begins


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRequest:
    """The words of a prompt are to be changed."""

    prompt: str  # its name in the registry
    agent: str
    topic: str
    finding: str
    cause: str = ""
    evidence: tuple[str, ...] = ()
    approval_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignRequest:
    """An agent, or a way in which agents work together, is to be designed."""

    agent: str  # its name, new or known
    topic: str
    finding: str
    capabilities: tuple[str, ...] = ()  # that it would need, in words
    cause: str = ""
    evidence: tuple[str, ...] = ()
    approval_required: bool = False


RequestT = TypeVar("RequestT", CodeRequest, PromptRequest, DesignRequest)
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)


class Worker(Protocol, Generic[RequestT_contra]):
    """An agent behind a port. It takes a request or says no; it changes nothing in force."""

    async def take(self, request: RequestT_contra, attempt_id: str) -> str:
        """Return the name of the job; asked twice under one id is asked once.

        Raises:
            Refused: it does not do this.
            NeedsApproval: a person has to agree first.
            TryLater: it is away.
        """


class DelegationState(StrEnum):
    """What became of a request; none of these says that anything was changed."""

    TAKEN = "taken"  # an agent works on it
    PROPOSED = "proposed"  # it waits in the inbox for a person
    OPEN_ALREADY = "open_already"  # the same waits there
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """What became of a request."""

    to: Delegate
    state: DelegationState
    reference: str  # of the job, or of the proposal; "": there is none
    text: str  # one sentence


class Proposes(Protocol):
    """The inbox, as far as a request needs it."""

    async def waiting(self) -> tuple[Filed, ...]:
        """Return what waits for a word."""

    async def propose(self, proposal: Proposal) -> Filed:
        """File a proposal; see `Inbox.propose`."""


class InboxInThreads:
    """The inbox of a governance file, in threads."""

    def __init__(self, inbox: Inbox, threads: Threads) -> None:
        self._inbox = inbox
        self._threads = threads

    async def waiting(self) -> tuple[Filed, ...]:
        """Return what waits for a word."""
        return await self._threads.do("the inbox", self._inbox.listed)

    async def propose(self, proposal: Proposal) -> Filed:
        """File a proposal."""
        return await self._threads.do("the inbox", lambda: self._inbox.propose(proposal))


class Delegations:
    """Hands requests to agents, or to the inbox."""

    def __init__(
        self,
        inbox: Proposes,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        code_editor: Worker[CodeRequest] | None = None,
        prompt_engineer: Worker[PromptRequest] | None = None,
        system_architect: Worker[DesignRequest] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Take the agents that are there; None: nobody stands behind that port.

        Args:
            inbox: takes what nobody takes.
            clock: stamps proposals.
            new_id: names proposals.
            code_editor: changes code.
            prompt_engineer: changes prompts.
            system_architect: designs agents.
            deadline_s: that each has to take a request.
        """
        self._inbox = inbox
        self._clock = clock
        self._new_id = new_id
        self._code_editor = code_editor
        self._prompt_engineer = prompt_engineer
        self._system_architect = system_architect
        self._deadline_s = deadline_s

    async def code(self, request: CodeRequest, attempt_id: str | None = None) -> Delegation:
        """Ask for a change of code.

        Raises:
            BadInput: the request says nothing, or names no agent.
            TryLater: nobody took it, and the inbox is away: nothing was asked of anybody.
        """
        wanted = {"work": request.work, "topic": request.topic}
        asked = _Asked(
            Delegate.CODE_EDITOR,
            ProposalKind.REFINEMENT,
            f"{request.agent}/{request.work}",  # one wish at a time for each sort of work
            wanted,
            request.cause,
        )
        return await self._hand(asked, request, self._code_editor, attempt_id)

    async def prompt(self, request: PromptRequest, attempt_id: str | None = None) -> Delegation:
        """Ask for other words of a prompt; raises as `code`."""
        wanted = {"agent": request.agent, "topic": request.topic}
        asked = _Asked(
            Delegate.PROMPT_ENGINEER,
            ProposalKind.PROMPT_EDIT,
            request.prompt,
            wanted,
            request.cause,
        )
        return await self._hand(asked, request, self._prompt_engineer, attempt_id)

    async def design(self, request: DesignRequest, attempt_id: str | None = None) -> Delegation:
        """Ask for a design; raises as `code`."""
        wanted = {"topic": request.topic, "capabilities": sorted(request.capabilities)}
        asked = _Asked(
            Delegate.SYSTEM_ARCHITECT,
            ProposalKind.NEW_AGENT,
            request.agent,
            wanted,
            request.cause,
        )
        return await self._hand(asked, request, self._system_architect, attempt_id)

    async def _hand(
        self,
        asked: _Asked,
        request: RequestT,
        worker: Worker[RequestT] | None,
        attempt_id: str | None,
    ) -> Delegation:
        name = attempt_id or self._new_id()
        if not clean(request.topic, 200) or not clean(request.finding, 200):
            raise BadInput(
                f"a request to {asked.to} about {asked.subject} needs a topic and a finding"
            )
        if request.approval_required:
            return await self._propose(asked, request, name, "a person has to agree first")
        if worker is None:
            why = f"nobody stands behind {asked.to} yet: whoever agrees to this does it by hand"
            return await self._propose(asked, request, name, why)
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                job = await worker.take(request, name)
        except NeedsApproval as error:
            return await self._propose(asked, request, name, str(error))
        except Refused as error:
            return Delegation(
                to=asked.to, state=DelegationState.REFUSED, reference="", text=str(error)
            )
        except TimeoutError:
            if not deadline.expired():
                raise
            why = f"{asked.to} did not answer within {self._deadline_s:g} s"
            return await self._propose(asked, request, name, why)
        except RoboInvestError as error:
            return await self._propose(asked, request, name, f"{asked.to} is away: {error}")
        text = f"{asked.to} works on it as {job}; nothing is changed yet"
        return Delegation(to=asked.to, state=DelegationState.TAKEN, reference=job, text=text)

    async def _propose(self, asked: _Asked, request: RequestT, name: str, why: str) -> Delegation:
        proposal = self._proposal(asked, request, name, why)
        for filed in await self._inbox.waiting():
            if filed.proposal.fingerprint == proposal.fingerprint:
                known = filed.proposal.proposal_id
                return Delegation(
                    to=asked.to,
                    state=DelegationState.OPEN_ALREADY,
                    reference=known,
                    text=f"the same waits in the inbox as {known}",
                )
        try:
            await self._inbox.propose(proposal)
        except Refused as error:
            return Delegation(
                to=asked.to, state=DelegationState.REFUSED, reference="", text=str(error)
            )
        text = f"{why}; it waits in the inbox as {name}"
        return Delegation(to=asked.to, state=DelegationState.PROPOSED, reference=name, text=text)

    def _proposal(self, asked: _Asked, request: RequestT, name: str, why: str) -> Proposal:
        now = self._clock.now()
        wanted = {"request_to": asked.to, **asked.wanted}
        lines = [clean(line, 500) for line in (request.finding, *request.evidence)]
        return Proposal(
            proposal_id=name,
            kind=asked.kind,
            subject=_NO_SUBJECT.sub("-", asked.subject)[:120],
            who=WHO,
            why=f"{request.topic}. This is a request, and nothing was changed: {why}.",
            cause=asked.cause,
            evidence=tuple(line for line in lines if line)[:MAX_LINES],
            before=None,
            after=canonical_json(wanted),
            risk="none by itself: a change that comes of it is a proposal of its own",
            undo=f"roboinvest approvals reject {name}",
            made_at=now,
            expires_at=now + LASTS,
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request as the inbox sees it."""

    to: Delegate
    kind: ProposalKind
    subject: str
    wanted: Mapping[str, object]  # what makes it this request and no other
    cause: str
