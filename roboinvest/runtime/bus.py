"""The bus: services tell each other facts without knowing each other.

`publish` never waits and never raises, because the one who states a fact must not suffer from who
listens. Each subscriber has its own bounded queue and its own delivery task: a slow one loses its
own oldest facts, a failing one loses the fact it failed on, and both are counted.

Deliberately absent: replies, wildcards and persistence. A fact that must survive is in the store;
a request goes to a port or to the inbox.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import structlog

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.supervision.service import ServiceContext, in_words

EventT = TypeVar("EventT", bound=Event)

_ABOUT_ALERTS: Final = (AlertRaised, AlertResolved)


class WhenFull(StrEnum):
    """Which fact a full queue gives up."""

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounts:
    """What became of the facts for one subscriber."""

    subscriber: str
    delivered: int
    dropped: int  # given up because its queue was full
    failed: int  # its receiver raised, or took longer than its deadline
    waiting: int


class Subscription(Generic[EventT]):
    """One subscriber's queue. Close it when the subscriber goes away."""

    def __init__(
        self,
        subscriber: str,
        kinds: tuple[type[EventT], ...],
        receive: Callable[[EventT], Awaitable[None]],
        *,
        capacity: int,
        when_full: WhenFull,
        deadline_s: float,
    ) -> None:
        self.subscriber = subscriber
        self.is_closed = False
        self.delivered = 0
        self.dropped = 0
        self.failed = 0
        self.in_trouble = False  # the last delivery failed
        self._kinds = kinds
        self._receive = receive
        self._when_full = when_full
        self._deadline_s = deadline_s
        self._queue: deque[EventT] = deque()
        self._capacity = capacity
        self._filled = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    def offer(self, event: Event) -> None:
        """Queue the fact if this subscriber wants its kind."""
        if self.is_closed or not isinstance(event, self._kinds):
            return
        if len(self._queue) >= self._capacity:
            self.dropped += 1
            if self._when_full is WhenFull.DROP_NEWEST:
                return
            self._queue.popleft()
        self._queue.append(event)
        self._filled.set()
        self._settled.clear()

    async def take(self) -> EventT:
        """Return the next fact, waiting for one."""
        while not self._queue:
            self._filled.clear()
            self._settled.set()
            await self._filled.wait()
        return self._queue.popleft()

    async def deliver(self, event: EventT) -> None:
        """Hand one fact over, within the deadline."""
        async with asyncio.timeout(self._deadline_s):
            await self._receive(event)

    async def settled(self) -> None:
        """Return once every fact queued so far was handed over."""
        await self._settled.wait()

    @property
    def is_settled(self) -> bool:
        """Return whether nothing waits and nothing is being handed over."""
        return self._settled.is_set()

    def close(self) -> None:
        """Stop delivery; what still waits is forgotten."""
        self.is_closed = True
        self._queue.clear()
        self._settled.set()

    def counts(self) -> DeliveryCounts:
        """Return what became of its facts so far."""
        return DeliveryCounts(
            subscriber=self.subscriber,
            delivered=self.delivered,
            dropped=self.dropped,
            failed=self.failed,
            waiting=len(self._queue),
        )


class EventBus:
    """Publish and subscribe, by the class of the fact; a subclass counts as its base."""

    name: Final = "bus"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log = structlog.get_logger("roboinvest.bus")
        self._subscriptions: list[Subscription[Any]] = []
        self._tasks: dict[Subscription[Any], asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._ctx: ServiceContext | None = None

    def subscribe(
        self,
        subscriber: str,
        kinds: tuple[type[EventT], ...],
        receive: Callable[[EventT], Awaitable[None]],
        *,
        capacity: int = 1_000,
        when_full: WhenFull = WhenFull.DROP_OLDEST,
        deadline_s: float = 30.0,
    ) -> Subscription[EventT]:
        """Call `receive` with each fact of these kinds from now on, one after the other."""
        subscription = Subscription(
            subscriber,
            kinds,
            receive,
            capacity=capacity,
            when_full=when_full,
            deadline_s=deadline_s,
        )
        self._subscriptions.append(subscription)
        self._start(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription[Any]) -> None:
        """End a subscription; a delivery under way is cancelled."""
        subscription.close()
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
        task = self._tasks.pop(subscription, None)
        if task is not None:
            task.cancel()

    def publish(self, event: Event) -> None:
        """State a fact. Called on the loop's thread only."""
        for subscription in self._subscriptions:
            subscription.offer(event)

    def counts(self) -> tuple[DeliveryCounts, ...]:
        """Return the counters of every subscriber, in order of subscription."""
        return tuple(subscription.counts() for subscription in self._subscriptions)

    async def settled(self) -> None:
        """Return once every fact published so far, and what followed from it, was handed over."""
        while busy := [each for each in self._subscriptions if not each.is_settled]:
            for subscription in busy:
                await subscription.settled()

    async def run(self, ctx: ServiceContext) -> None:
        """Deliver until cancelled. Queues outlive a restart of this service."""
        self._ctx = ctx
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for subscription in self._subscriptions:
                    self._start(subscription)
                ctx.ready()
                ctx.idle()
                await asyncio.Event().wait()
        finally:
            self._group = None
            self._tasks.clear()

    def _start(self, subscription: Subscription[Any]) -> None:
        if self._group is None:
            return
        task = self._group.create_task(self._serve(subscription), name=subscription.subscriber)
        self._tasks[subscription] = task

    async def _serve(self, subscription: Subscription[Any]) -> None:
        while True:
            event = await subscription.take()
            problem: BaseException | None = None
            try:
                await subscription.deliver(event)
            except asyncio.CancelledError as error:
                if _is_being_cancelled():
                    raise
                problem = error
            except Exception as error:  # noqa: BLE001 one subscriber's bug must not reach another
                problem = error
            self._note(subscription, event, problem)

    def _note(
        self, subscription: Subscription[Any], event: Event, problem: BaseException | None
    ) -> None:
        """Count the delivery; say once when a subscriber begins to fail, and once when it stops."""
        was_in_trouble, subscription.in_trouble = subscription.in_trouble, problem is not None
        if problem is None:
            subscription.delivered += 1
        else:
            subscription.failed += 1
            self._log.error(
                "delivery_failed",
                subscriber=subscription.subscriber,
                fact=type(event).__name__,
                exc_info=problem,
            )
        if self._ctx is not None:
            self._ctx.beat()
            self._ctx.idle()
        if was_in_trouble != subscription.in_trouble and not isinstance(event, _ABOUT_ALERTS):
            self._tell(subscription, problem)  # an alert never begets an alert

    def _tell(self, subscription: Subscription[Any], problem: BaseException | None) -> None:
        key = f"bus.{subscription.subscriber}"
        if problem is None:
            text = f"{subscription.subscriber} takes its events again"
            self.publish(AlertResolved(at=self._clock.now(), key=key, message=text))
            return
        text = f"{subscription.subscriber} failed on an event: {in_words(problem)}"
        self.publish(
            AlertRaised(
                at=self._clock.now(),
                key=key,
                severity=Severity.MEDIUM,
                kind="system",
                message=text,
            )
        )


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
