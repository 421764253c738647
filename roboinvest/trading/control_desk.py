"""What a person may ask a running daemon: its state, a halt, its end, a restart of a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.ports import Clock
from roboinvest.runtime.alerting.desk import AlertDesk, acknowledged_text, snoozed_text
from roboinvest.runtime.control.port import (
    AckAlert,
    ClearLocks,
    Done,
    RestartService,
    Resume,
    SetHalt,
    SnoozeAlert,
    StatusReply,
    Stop,
)
from roboinvest.runtime.halt import HaltFile
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.house_reports import HouseReports
from roboinvest.trading.locks.desk import LockDesk, cleared_text


class ControlDesk:
    """Answers the control port; see `runtime.control_server.ControlHandlers`."""

    def __init__(
        self,
        *,
        halt_file: HaltFile,
        gate: TradingGate,
        reports: HouseReports,
        restart: Callable[[str], None],
        stop: Callable[[str], None],
        clock: Clock,
        locks: LockDesk | None = None,
        alerts: AlertDesk | None = None,
        before_resume: Callable[[], Awaitable[str | None]] | None = None,
    ) -> None:
        self._halt_file = halt_file
        self._gate = gate
        self._reports = reports
        self._restart = restart
        self._stop = stop
        self._clock = clock
        self._locks = locks
        self._alerts = alerts
        self._before_resume = before_resume
        self._log = structlog.get_logger("roboinvest.control")

    async def status(self) -> StatusReply:
        """Return the state of the house, as `system_status.json` has it."""
        report = await self._reports.system_status()
        return StatusReply(status=report.model_dump(mode="json"))

    async def halt(self, request: SetHalt) -> Done:
        """Put a halt in force before the reply leaves."""
        if not self._halt_file.at_least(request.level):  # the command may have set it already
            self._halt_file.set(
                request.level, reason=request.reason, by=request.by, at=self._clock.now()
            )
        self._gate.look()
        halt = self._gate.halt
        if halt is None:
            raise TryLater("the halt was lifted at the same moment; halt again")
        self._log.warning("halted", level=halt.level.value, reason=halt.reason, by=request.by)
        return Done(text=f"HALTED at level {halt.level.value}: {halt.reason}")

    async def resume(self, request: Resume) -> Done:
        """Lift the halt for a person, once orders and positions agree with the broker.

        Raises:
            Refused: they do not; the halt stays.
        """
        if self._halt_file.read() is None:
            return Done(text="trading was not halted")
        reason = None if self._before_resume is None else await self._before_resume()
        if reason is not None:
            raise Refused(f"trading stays halted: {reason}; mend that, then resume again")
        self._halt_file.clear()
        state, reason = self._gate.look()
        self._log.warning("resumed", by=request.by, state=state.value)
        return Done(text=f"the halt is lifted; trading is {state.value} ({reason})")

    async def restart_service(self, request: RestartService) -> Done:
        """Ask the supervisor for a restart."""
        self._restart(request.name)
        return Done(text=f"{request.name} is being restarted")

    async def clear_locks(self, request: ClearLocks) -> Done:
        """Lift locks for a person, from the next tick on."""
        if self._locks is None:
            raise TryLater("this daemon has no lock desk; stop it, and clear the lock then")
        status = await self._reports.system_status()
        cleared = await self._locks.clear(request.name, by=request.by, at=status.market_time)
        for lock in cleared:
            self._log.warning("lock_cleared", lock=lock.name, by=request.by, text=lock.text)
        return Done(text=cleared_text(cleared))

    async def ack_alert(self, request: AckAlert) -> Done:
        """Note who looks after an alert; it stays open until it recovers."""
        alert = await self._alert_desk().acknowledge(request.name, by=request.by)
        self._log.info("alert_acknowledged", key=alert.key, by=request.by)
        return Done(text=acknowledged_text(alert))

    async def snooze_alert(self, request: SnoozeAlert) -> Done:
        """Be silent about an alert for a while."""
        span = timedelta(seconds=request.span_s)
        alert = await self._alert_desk().snooze(request.name, by=request.by, span=span)
        self._log.info("alert_snoozed", key=alert.key, by=request.by, span_s=request.span_s)
        return Done(text=snoozed_text(alert))

    def _alert_desk(self) -> AlertDesk:
        if self._alerts is None:
            raise TryLater("this daemon has no alert desk; stop it, and try again then")
        return self._alerts

    async def stop(self, request: Stop) -> Done:
        """Begin an orderly stop."""
        self._stop(f"asked by {request.by}")
        return Done(text="the daemon is stopping")
