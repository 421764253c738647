"""Alpaca put together: venue, order desk, reconciler and trade stream, and the kill switch's hands.

This is the only place that knows all parts of this broker; the composition root asks it for an
`OpenedBroker` and for `hands`, and knows nothing else of Alpaca.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.hands import AlpacaHands
from roboinvest.brokers.alpaca.stream import AlpacaTradeStream, TradeUpdate
from roboinvest.brokers.alpaca.venue import alpaca_venue
from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.brokers.desk.parts import DeskPolicy, MayAct
from roboinvest.brokers.desk.reconciler import Reconciler
from roboinvest.brokers.desk.standing import Alarms, OnState
from roboinvest.brokers.emergency import EmergencyDesk
from roboinvest.brokers.notebook import HaltNotebook, fold_halt_log
from roboinvest.brokers.opened import OpenedBroker
from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.core.ports import Broker, Clock, Venue
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.halt import Halt
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.halt_log import HaltLog
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.supervision.service import Child, Restart

DESK_DOCUMENT: Final = "order_desk"
NOTHING_TOLD: Final = '{"cursor":0,"told":[]}'
STREAM_ALARM: Final = "stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskOffice:
    """Whom the desk asks and tells."""

    instance: str  # of our client order ids
    limits: Callable[[], str]  # in force, as canonical JSON
    may_short: bool  # whether a sale may open a short position
    may_act: MayAct
    on_state: OnState
    alarms: Alarms


def alpaca_access(settings: Settings, secrets: Secrets) -> AlpacaAccess:
    """Return where Alpaca is and what it knows us by.

    Raises:
        BadSettings: a key is missing, or an address is wrong or not allowed.
    """
    key, secret = secrets.alpaca_api_key, secrets.alpaca_secret_key
    if key is None or secret is None:
        missing = "ALPACA_API_KEY" if key is None else "ALPACA_SECRET_KEY"
        raise BadSettings(
            f"broker.kind is alpaca and {missing} is not set; set it in the environment, or name "
            f"a file that holds it in {missing}_FILE"
        )
    access = AlpacaAccess(
        key_id=key,
        secret_key=secret,
        live=settings.alpaca.live,
        base_url=settings.alpaca.base_url,
        stream_url=settings.alpaca.stream_url,
        loopback_only=settings.testing.loopback_only == "on",
    )
    access.rest_address()
    access.stream_address()
    return access


def open_alpaca(
    access: AlpacaAccess,
    journal: SqliteOrderJournal,
    halt_log: HaltLog,
    office: DeskOffice,
    *,
    calls_per_minute: int,
    clock: Clock,
    rng: random.Random,
    in_flight: InFlight,
) -> OpenedBroker:
    """Return the broker; nothing is sent before its reconciler has run."""
    venue = alpaca_venue(
        access, calls_per_minute=calls_per_minute, clock=clock, rng=rng, in_flight=in_flight
    )
    desk = _desk(venue, journal, clock, office)
    stream = _stream(access, desk, office, clock=clock, rng=rng, in_flight=in_flight)

    async def before_resume() -> str | None:
        try:
            await fold_halt_log(halt_log, journal, clock.now())
        except TryLater as error:
            return str(error)
        found = await desk.reconcile()
        return None if found.agrees else found.reason

    def fresh() -> Broker:
        desk.restore(NOTHING_TOLD)  # what a tick heard that was not committed is told again
        return desk

    return OpenedBroker(
        document=DESK_DOCUMENT,
        broker=fresh,
        children=(
            Child(service=Reconciler(desk), essential=True),
            Child(service=stream, restart=Restart.PERMANENT),
        ),
        before_tick=desk.before_tick,
        before_resume=before_resume,
        account=venue.account,
        away=desk.away,
        halts_itself=True,
        close=venue.close,
    )


def _desk(venue: Venue, journal: SqliteOrderJournal, clock: Clock, office: DeskOffice) -> OrderDesk:
    return OrderDesk(
        venue,
        journal,
        clock,
        instance=office.instance,
        limits=office.limits,
        may_act=office.may_act,
        on_state=office.on_state,
        alarms=office.alarms,
        policy=DeskPolicy(may_short=office.may_short),
    )


def carry_out_halt(
    access: AlpacaAccess,
    journal: SqliteOrderJournal | None,
    halt_log: HaltLog,
    halt: Halt,
    tell: Callable[[str], None],
    *,
    instance: str,
    clock: Clock,
    all_positions: bool = False,
) -> bool:
    """Cancel and close at the broker, on a client of its own. Blocking.

    Returns:
        Whether nothing was refused or left open.

    Raises:
        TryLater: the broker could not be asked what is there.
    """
    hands = AlpacaHands(access, monotonic=clock.monotonic)
    try:
        desk = EmergencyDesk(
            hands,
            HaltNotebook(journal, halt_log, instance=instance),
            instance=instance,
            clock=clock,
            pause=threading.Event().wait,
        )
        return desk.carry_out(halt, tell, all_positions=all_positions).is_clean
    finally:
        hands.close()


def _stream(
    access: AlpacaAccess,
    desk: OrderDesk,
    office: DeskOffice,
    *,
    clock: Clock,
    rng: random.Random,
    in_flight: InFlight,
) -> AlpacaTradeStream:
    async def on_update(update: TradeUpdate) -> None:
        executions = () if update.execution is None else (update.execution,)
        if not update.orders:
            await desk.on_update(None, executions)
        for place, order in enumerate(update.orders):
            await desk.on_update(order, executions if place == 0 else ())

    async def on_connected() -> None:
        office.alarms.resolved(STREAM_ALARM, "the trade stream takes our keys")
        desk.wake()

    async def on_quiet() -> bool:
        return (await desk.reconcile()).booked > 0  # it executed, and the stream did not say so

    def on_refused(reason: str) -> None:
        office.alarms.raised(STREAM_ALARM, f"the trade stream refuses our keys: {reason}")

    return AlpacaTradeStream(
        access,
        on_update=on_update,
        on_connected=on_connected,
        on_quiet=on_quiet,
        on_refused=on_refused,
        clock=clock,
        rng=rng,
        in_flight=in_flight,
    )
