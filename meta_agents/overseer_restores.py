"""Lets a model answer an agent again that healing had given to the rules.

The way back is as careful as the way there: the provider has to have been well for a while, the
model is then asked on trial, and only what it answers decides. A trial that fails puts the rules
back and makes the next wait twice as long, so that a prompt that poisons every reply is not tried
all day. Each step is in the audit log, and health.json says who answers an agent meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import structlog

from meta_agents.healing_ports import Order
from roboinvest.core.errors import BadSettings, Refused, TryLater
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import ActionEnd, Rung
from roboinvest.core.ports import Clock
from roboinvest.core.tasks import RULES, SAFE, Answer
from roboinvest.runtime.oversight.model_switch import ModelSwitch

WELL_S: Final = 600.0  # that the provider is well before the first trial
LONGEST_S: Final = 6 * 3600.0  # that a wait is doubled to
TRIAL: Final = 5  # answers that a trial takes
MOST_BAD: Final = 1  # of these
FORGOTTEN_S: Final = 86_400.0  # after which a trial that failed does not lengthen a wait


class Journal(Protocol):
    """Tells the audit log."""

    async def begun(self, order: Order, metric: str, value: float) -> None:
        """Tell what is about to be done; raises TryLater, Refused or BadSettings."""

    async def ended(self, order: Order, end: ActionEnd, words: str) -> None:
        """Tell how it ended; raises as `begun`."""


@dataclass(slots=True)
class _Case:
    """One agent that rules answer, or that is on trial."""

    since: datetime  # UTC
    why: str  # as the switch has it
    order: Order | None = None  # while it is on trial
    good: int = 0
    bad: int = 0


class Restorer:
    """Takes degraded agents back; `look` is called every few seconds."""

    def __init__(
        self,
        switch: ModelSwitch,
        *,
        is_well: Callable[[], bool],
        agents: Mapping[str, str],
        journal: Journal,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        """Take the parts.

        Args:
            switch: says whom rules answer, by the names that pay.
            is_well: whether the provider answers, as the last look at it found.
            agents: names of agents, by the names that pay.
            journal: of what healing changes.
            clock: the machine's.
            new_id: names a trial.
        """
        self._switch, self._is_well, self._agents = switch, is_well, dict(agents)
        self._journal, self._clock, self._new_id = journal, clock, new_id
        self._cases: dict[str, _Case] = {}
        self._well_from_s: float | None = None
        self._failed: dict[str, tuple[int, float]] = {}  # trials in a row, and when the last
        self._log = structlog.get_logger("roboinvest.overseer")

    async def look(self) -> None:
        """Begin a trial for whoever waited long enough, and end those that are decided."""
        at = self._clock.monotonic()
        if not self._is_well():
            self._well_from_s = None
        elif self._well_from_s is None:
            self._well_from_s = at
        self._take_note()
        for payer, case in list(self._cases.items()):
            if case.order is not None:
                await self._judge(payer, case, case.order)
            elif self._well_from_s is not None and at - self._well_from_s >= self._wait_s(payer):
                await self._begin(payer, case)

    def hear(self, payer: str, answer: Answer[Any]) -> None:
        """Take note of how a task of an agent was answered."""
        case = self._cases.get(payer)
        if case is None or case.order is None or answer.is_recalled:
            return
        if answer.source in (RULES, SAFE):
            case.bad += 1
        else:
            case.good += 1

    def words(self) -> Mapping[str, str]:
        """Return who answers in place of the model, by agent."""
        return {
            self._agents.get(payer, payer): f"rules answer it since {case.since:%Y-%m-%d %H:%M} UTC"
            if case.order is None
            else f"its model answers again, on trial: {case.good} of {case.good + case.bad} well"
            for payer, case in self._cases.items()
        }

    def _take_note(self) -> None:
        degraded = self._switch.degraded
        for payer, why in degraded.items():
            case = self._cases.get(payer)
            if case is None or case.order is not None:  # anew, or healing put it back itself
                self._cases[payer] = _Case(self._clock.now(), why)
                if case is not None:
                    self._note_failure(payer)
        for payer in [each for each, case in self._cases.items() if case.order is None]:
            if payer not in degraded:  # somebody else restored it
                del self._cases[payer]

    async def _begin(self, payer: str, case: _Case) -> None:
        waited_s = self._wait_s(payer)
        order = Order(
            attempt_id=self._new_id(),
            agent=self._agents.get(payer, payer),
            cause=Cause.PROVIDER,
            rung=Rung.DEGRADE,
            reason=f"taken back on trial: the provider has been well for {waited_s:g} s",
            at=self._clock.now(),
        )
        try:
            await self._journal.begun(order, "answers of the model's own", 0.0)
        except (TryLater, Refused, BadSettings) as error:
            self._log.warning("restore_not_begun", agent=order.agent, trouble=str(error))
            return
        case.order, case.good, case.bad = order, 0, 0
        self._switch.restore(payer)
        self._log.info("model_on_trial", agent=order.agent, waited_s=waited_s)

    async def _judge(self, payer: str, case: _Case, order: Order) -> None:
        """End a trial that is decided; until then the model goes on."""
        asked = case.good + case.bad
        if case.bad > MOST_BAD:
            words = f"{case.bad} of {asked} answers on trial were not the model's own"
            self._switch.degrade(payer, f"degraded by {order.words}: {words}"[:_MOST])
            self._cases[payer] = _Case(self._clock.now(), words)
            self._note_failure(payer)
            await self._tell(order, ActionEnd.FAILED, f"{words}; rules answer again")
        elif asked >= TRIAL:
            del self._cases[payer]
            self._failed.pop(payer, None)
            words = f"the model answers {order.agent} again: {case.good} of {asked} on trial"
            await self._tell(order, ActionEnd.RETURNED, words)

    async def _tell(self, order: Order, end: ActionEnd, words: str) -> None:
        self._log.info("model_trial_ended", agent=order.agent, end=end.value, said=words)
        try:
            await self._journal.ended(order, end, words)
        except (TryLater, Refused, BadSettings) as error:
            self._log.warning("restore_not_recorded", agent=order.agent, trouble=str(error))

    def _wait_s(self, payer: str) -> float:
        times, last = self._failed.get(payer, (0, 0.0))
        if self._clock.monotonic() - last > FORGOTTEN_S:
            times = 0
        return min(WELL_S * 2.0 ** min(times, 16), LONGEST_S)

    def _note_failure(self, payer: str) -> None:
        times, _ = self._failed.get(payer, (0, 0.0))
        self._failed[payer] = (times + 1, self._clock.monotonic())
        self._well_from_s = None  # the wait begins anew


_MOST: Final = 300  # characters of a reason
