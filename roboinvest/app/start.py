"""From settings to a daemon on its loop, and to its end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from meta_agents.meeting.question import MEETING
from roboinvest.app.hindsight import in_disguise
from roboinvest.app.house import House
from roboinvest.app.language_models import open_models
from roboinvest.app.lookouts import check_lookouts
from roboinvest.app.options import Outcome, RunOptions
from roboinvest.app.strategies import installed_of
from roboinvest.brokers.alpaca.opening import alpaca_access
from roboinvest.core.news.reading import READ_NEWS
from roboinvest.core.ports import Clock
from roboinvest.runtime.collector import Collector
from roboinvest.runtime.configuration.policies import clock_of
from roboinvest.runtime.configuration.secrets import Secrets, load_secrets
from roboinvest.runtime.configuration.sections import BrokerKind, Source
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.halt_guard import HaltGuard, HaltResults
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.supervision.watchdog import ForcedExit
from roboinvest.runtime.telemetry import Telemetry
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.trading.installed_strategy import Installed
from roboinvest.trading.strategy_task import STRATEGY_TASK
from tools.boxed_strategies.shelf import StrategyShelf
from tools.data_fetcher.live_market import live_market
from tools.markets import Market, open_market

TASKS: Final = (STRATEGY_TASK, READ_NEWS, MEETING)  # every question that a model may be asked


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
    folder, in_flight = DataFolder(settings.data_dir), InFlight()
    secrets = _secrets_of(settings)
    market = _market_of(settings, secrets, folder, clock=clock, in_flight=in_flight)
    shelf = StrategyShelf(settings.data_dir, clock)
    calls = VendorCalls("the box", threads=2, limiter=None, in_flight=in_flight)
    try:
        installed = installed_of(settings, market, shelf, calls)
        market = _stamped(market, installed, settings)
        folder.take(market.stamp, fresh_at=clock.now() if options.fresh else None)
        models = await open_models(
            settings, secrets, folder, TASKS, clock=clock, in_flight=in_flight
        )
        models = in_disguise(models, settings, market, clock)
        async with models.closing:
            announce(market, folder)
            with Collector() as collector:
                house = House(
                    settings,
                    market,
                    folder,
                    options,
                    clock=clock,
                    in_flight=in_flight,
                    secrets=secrets,
                    models=models,
                    installed=installed,
                    at_ready=collector.settle,
                )
                return await _run_house(house, settings, folder, clock, secrets)
    finally:
        calls.close()
        shelf.close()
        if market.close is not None:
            market.close()
        folder.release()


def _stamped(market: Market, installed: Installed | None, settings: Settings) -> Market:
    """Return a market whose run is another one at another broker, or by another strategy."""
    if settings.broker.kind is BrokerKind.ALPACA:
        mode = "live" if settings.alpaca.live else market.mode
        stamp = {**market.stamp, "mode": mode, "broker": settings.broker.kind.value}
        market = replace(market, mode=mode, stamp=stamp)
    if settings.llm.anonymise == "on":  # true and disguised answers do not mix in one folder
        market = replace(market, stamp={**market.stamp, "anonymise": "on"})
    if installed is None:
        return market
    chosen = {"strategy": installed.stamp, "params": sorted(settings.strategy.params)}
    return replace(market, stamp={**market.stamp, **chosen})


def _secrets_of(settings: Settings) -> Secrets:
    """Return the keys; one that is missing is said before anything is touched."""
    variables = (*settings.llm.variables(), *settings.notify.variables())
    secrets = load_secrets(os.environ, variables)
    check_lookouts(settings, secrets)
    if settings.broker.kind is BrokerKind.ALPACA:
        alpaca_access(settings, secrets)
    return secrets


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
        folder.logs,
        clock=clock,
        secrets=(*secrets.texts(), *settings.notify.secret_texts()),
        **settings.logging.model_dump(),
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
