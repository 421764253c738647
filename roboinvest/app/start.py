"""From settings to a daemon on its loop, and to its end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

from roboinvest.app.house import House
from roboinvest.app.options import Outcome, RunOptions
from roboinvest.brokers.alpaca.opening import alpaca_access
from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.policies import clock_of
from roboinvest.runtime.configuration.secrets import Secrets, load_secrets
from roboinvest.runtime.configuration.sections import BrokerKind, Source
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.halt_guard import HaltGuard, HaltResults
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.prompts import PromptFiles, default_folder
from roboinvest.runtime.supervision.watchdog import (
    ForcedExit,
)
from roboinvest.runtime.telemetry import Telemetry
from roboinvest.trading.strategy_task import STRATEGY_TASK
from tools.data_fetcher.live_market import live_market
from tools.markets import Market, open_market


def start(
    settings: Settings, options: RunOptions, *, announce: Callable[[Market, DataFolder], None]
) -> Outcome:
    """Hold the data folder and run a house on it until it ends. Blocking.

    `announce` is called once everything that can be refused has been, before the first tick.

    Raises:
        FolderInUse, OtherRun: the data folder belongs to somebody else.
        BadInput, BadSettings: the market or the folder cannot be used.
    """
    return asyncio.run(_on_its_loop(settings, options, announce))


async def _on_its_loop(
    settings: Settings, options: RunOptions, announce: Callable[[Market, DataFolder], None]
) -> Outcome:
    """Do what `start` does. What blocks at the beginning holds up nobody: nothing runs yet."""
    clock = clock_of(settings)
    folder, secrets, in_flight = DataFolder(settings.data_dir), load_secrets(os.environ), InFlight()
    PromptFiles(default_folder()).read_all([STRATEGY_TASK.prompt])
    if settings.broker.kind is BrokerKind.ALPACA:
        alpaca_access(settings, secrets)  # a missing key is said before anything is touched
    market = _market_of(settings, secrets, folder, clock=clock, in_flight=in_flight)
    if settings.broker.kind is BrokerKind.ALPACA:
        mode = "live" if settings.alpaca.live else market.mode
        stamp = {**market.stamp, "mode": mode, "broker": settings.broker.kind.value}
        market = replace(market, mode=mode, stamp=stamp)
    try:
        folder.take(market.stamp, fresh_at=clock.now() if options.fresh else None)
        announce(market, folder)
        house = House(
            settings, market, folder, options, clock=clock, in_flight=in_flight, secrets=secrets
        )
        return await _run_house(house, settings, folder, clock, secrets)
    finally:
        if market.close is not None:
            market.close()
        folder.release()


def _market_of(
    settings: Settings,
    secrets: Secrets,
    folder: DataFolder,
    *,
    clock: Clock,
    in_flight: InFlight,
) -> Market:
    if settings.market.source is not Source.POLYGON:
        return open_market(settings)
    return live_market(settings, secrets, bars=folder.bars, clock=clock, in_flight=in_flight).market


async def _run_house(
    house: House, settings: Settings, folder: DataFolder, clock: Clock, secrets: Secrets
) -> Outcome:
    telemetry = Telemetry(
        folder.logs, clock=clock, secrets=secrets.texts(), **settings.logging.model_dump()
    )
    telemetry.start()
    forced = ForcedExit(after_s=settings.supervisor.forced_exit_s, clock=clock)
    forced.start()
    at_broker = settings.broker.kind is BrokerKind.ALPACA
    guard = HaltGuard(
        HaltFile(folder.halt),
        HaltResults(folder.halt_results),
        act=house.floor.carry_out_halt if at_broker else None,
        clock=clock,
    )
    guard.start()
    house.watch("the kill switch's thread is gone", guard.lives)
    try:
        return await house.run(forced)
    finally:
        guard.stop()
        forced.disarm()
        telemetry.close()
