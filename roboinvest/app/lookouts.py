"""What keeps alerts and tells people and watchers of them. None of it is needed to trade."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roboinvest.core.errors import BadSettings
from roboinvest.core.events import AlertRaised, AlertResolved, TickCompleted, TradingState
from roboinvest.core.ports import Clock
from roboinvest.runtime.alerting.board import DOCUMENT as ALERTS
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.alerting.keeper import AlertKeeper
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.configuration.secrets import Secret, Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.metrics import server
from roboinvest.runtime.metrics.figures import Figures
from roboinvest.runtime.metrics.server import MetricsServer
from roboinvest.runtime.notifications import heartbeat
from roboinvest.runtime.notifications.heartbeat import HeartbeatPing
from roboinvest.runtime.notifications.log import LogNotifier
from roboinvest.runtime.notifications.opening import notice_rules, open_channels
from roboinvest.runtime.notifications.outbox import DOCUMENT as NOTIFICATIONS
from roboinvest.runtime.notifications.outbox import Outbox
from roboinvest.runtime.notifications.queue import ALERT_PREFIX
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.reports.writer import ReportSource
from roboinvest.runtime.store import Store
from roboinvest.runtime.supervision.service import Child
from roboinvest.runtime.vendors.endpoints import checked_host
from roboinvest.trading.gate import TradingGate

BOARD_QUEUE = 10_000  # facts; a storm that comes at once must not lose one


class Lookouts:
    """The board, and who is told of it."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        *,
        bus: EventBus,
        gate: TradingGate,
        clock: Clock,
        in_flight: InFlight,
        counted: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """Take the parts; nothing is opened yet. `counted` says what the house brought about.

        Raises:
            BadSettings: the URL of a channel is missing, or the heartbeat's address is none.
        """
        self._settings, self._bus, self._gate = settings, bus, gate
        self._clock, self._in_flight = clock, in_flight
        self._redactor = Redactor((*secrets.texts(), *settings.notify.secret_texts()))
        self._channels = open_channels(
            settings, secrets, in_flight=in_flight, monotonic=clock.monotonic
        )
        self._heartbeat_url = heartbeat_address(settings)
        self._ticks, self._counted = 0, counted

    async def open(self, store: Store) -> AlertBoard:
        """Return the board as the run before left it; it hears the bus from now on."""
        board = AlertBoard(store.put_document, redact=self._redactor.whole)
        board.restore(await store.document(ALERTS))
        board.listen(LogNotifier().hear)
        self._outbox = Outbox(
            self._channels,
            notice_rules(self._settings),
            clock=self._clock,
            publish=self._bus.publish,
            save=store.put_document,
            left_open=board.open_keys(ALERT_PREFIX),
        )
        self._outbox.restore(await store.document(NOTIFICATIONS))
        board.listen(self._outbox.hear)
        about: tuple[type[AlertRaised | AlertResolved], ...] = (AlertRaised, AlertResolved)
        self._bus.subscribe("alert_board", about, board.receive, capacity=BOARD_QUEUE)
        self._bus.subscribe("tick_count", (TickCompleted,), self._count)
        return board

    def children(
        self, board: AlertBoard, reports: ReportSource, essentials_run: Callable[[], bool]
    ) -> tuple[Child, ...]:
        """Return the services that are wanted."""
        settings, publish, clock = self._settings, self._bus.publish, self._clock
        found = [Child(service=AlertKeeper(board, clock))]
        if self._channels or board.open_keys(ALERT_PREFIX):
            found.append(Child(service=self._outbox))
        if settings.metrics.port is not None:
            found.append(
                Child(
                    service=MetricsServer(
                        settings.metrics.port,
                        lambda: self._figures(reports),
                        publish=publish,
                        clock=clock,
                        left_open=bool(board.open_keys(server.ALERT_KEY)),
                    )
                )
            )
        if self._heartbeat_url is not None:
            ping = HeartbeatPing(
                self._heartbeat_url,
                lambda: essentials_run() and self._gate.look()[0] is TradingState.READY,
                interval_s=settings.notify.heartbeat_s,
                publish=publish,
                clock=clock,
                in_flight=self._in_flight,
                left_open=bool(board.open_keys(heartbeat.ALERT_KEY)),
            )
            found.append(Child(service=ping))
        return tuple(found)

    async def _count(self, _: TickCompleted) -> None:
        self._ticks += 1

    async def _figures(self, reports: ReportSource) -> Figures:
        return Figures(
            status=await reports.system_status(),
            alerts=await reports.alerts(),
            budget=await reports.budget(),
            performance=await reports.performance(),
            ticks=self._ticks,
            counted=self._counted(),
        )


def check_lookouts(settings: Settings, secrets: Secrets) -> None:
    """See that every channel and the heartbeat can be opened; nothing is.

    Raises:
        BadSettings: the URL of a channel is missing, or the heartbeat's address is none.
    """
    open_channels(settings, secrets, in_flight=InFlight(), monotonic=float)
    heartbeat_address(settings)


def heartbeat_address(settings: Settings) -> Secret | None:
    """Return the address for the sign of life, checked; None where there is none.

    Raises:
        BadSettings: it is no address, or not on this machine where it has to be.
    """
    url = settings.notify.heartbeat_url
    if url is None:
        return None
    try:
        loopback_only = settings.testing.loopback_only == "on"
        return Secret(checked_host(url.get_secret_value(), loopback_only=loopback_only))
    except BadSettings as error:
        raise BadSettings(f"notify.heartbeat_url: {error}") from None
