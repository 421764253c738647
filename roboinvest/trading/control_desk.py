"""What a person may ask a running daemon: its state, a halt, its end, a restart of a service."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from roboinvest.core.ports import Clock
from roboinvest.runtime.control.port import Done, RestartService, Resume, SetHalt, StatusReply, Stop
from roboinvest.runtime.halt import HaltFile
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.house_reports import HouseReports


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
    ) -> None:
        self._halt_file = halt_file
        self._gate = gate
        self._reports = reports
        self._restart = restart
        self._stop = stop
        self._clock = clock
        self._log = structlog.get_logger("roboinvest.control")

    async def status(self) -> StatusReply:
        """Return the state of the house, as `system_status.json` has it."""
        report = await self._reports.system_status()
        return StatusReply(status=report.model_dump(mode="json"))

    async def halt(self, request: SetHalt) -> Done:
        """Put a halt in force before the reply leaves."""
        halt = self._halt_file.set(
            request.level, reason=request.reason, by=request.by, at=self._clock.now()
        )
        self._gate.look()
        self._log.warning("halted", level=halt.level.value, reason=halt.reason, by=request.by)
        return Done(text=f"HALTED at level {halt.level.value}: {halt.reason}")

    async def resume(self, request: Resume) -> Done:
        """Lift the halt for a person."""
        if self._halt_file.read() is None:
            return Done(text="trading was not halted")
        self._halt_file.clear()
        state, reason = self._gate.look()
        self._log.warning("resumed", by=request.by, state=state.value)
        return Done(text=f"the halt is lifted; trading is {state.value} ({reason})")

    async def restart_service(self, request: RestartService) -> Done:
        """Ask the supervisor for a restart."""
        self._restart(request.name)
        return Done(text=f"{request.name} is being restarted")

    async def stop(self, request: Stop) -> Done:
        """Begin an orderly stop."""
        self._stop(f"asked by {request.by}")
        return Done(text="the daemon is stopping")
