"""What a meeting can set while no daemon runs: what files keep, and the next start goes by.

Limits, locks, the cap and intervals are kept; a service can be put away only where it runs. In a
market that is played, or runs at full speed, nothing is set, because no run would go by it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from meta_agents.meeting.measures import HouseMeasures
from meta_agents.meeting.ports import Hand
from meta_agents.performance_analyst import EVERY, PerformanceAnalystAgent
from roboinvest.app.governing import Governing, Interval, around, measures_of
from roboinvest.core.oversight.decisions import Act
from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.mandate_file import MandateFile
from roboinvest.runtime.configuration.policies import budget_policy, risk_limits, spend_caps
from roboinvest.runtime.configuration.sections import Source
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.oversight.file import OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.store import Store
from roboinvest.trading.reins import Account, TradingReins

NOT_ALONE: Final = "no service can be put in quarantine while no daemon runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What a meeting without a daemon has."""

    hands: Callable[[OverseerFile, Threads], Mapping[Act, Hand]]
    measures: Callable[[OverseerFile, Threads], HouseMeasures]
    missing: tuple[str, ...]  # sentences on what cannot be done, and why


@asynccontextmanager
async def alone(
    settings: Settings, folder: DataFolder, *, clock: Clock, in_flight: InFlight
) -> AsyncIterator[Alone]:
    """Open what can be set on a folder that the caller holds.

    Raises:
        BadSettings, TryLater: the store or the ledger cannot be opened.
    """
    async with AsyncExitStack() as closing:
        account, missing = await _account(settings, folder, clock, in_flight, closing)
        governing = Governing(account, clock=clock, publish=lambda _: None)
        governing.intervals = _intervals(settings)
        has_own_time = settings.market.source is not Source.POLYGON
        yield Alone(
            hands=lambda file, threads: (
                {} if _is_played(settings) else governing.hands(file, threads, None)
            ),
            measures=lambda file, threads: measures_of(
                *(file, folder), in_flight=in_flight, threads=threads, has_own_time=has_own_time
            ),
            missing=tuple(missing),
        )


async def _account(
    settings: Settings,
    folder: DataFolder,
    clock: Clock,
    in_flight: InFlight,
    closing: AsyncExitStack,
) -> tuple[Account | None, Sequence[str]]:
    """Return the account of a folder, and what cannot be done."""
    if _is_played(settings):
        return None, ["nothing can be set: no meeting is held in a market that is played"]
    if not folder.database.exists():
        return None, [NOT_ALONE, "no limit or lock can be set: no account was opened here yet"]
    store = await Store.open(folder.database, in_flight=in_flight, clock=clock)
    closing.push_async_callback(store.close)
    stored = await store.load()
    mandate = MandateFile(settings.mandate.path).read()
    reins = TradingReins(
        risk_limits(settings, settings.market.timeframe.length, mandate),
        lambda: None,
        publish=lambda _: None,
        clock=clock,
        follows=True,
    )
    reins.read(stored.documents)
    missing, ledger = [NOT_ALONE], None
    if folder.llm.exists():
        caps = spend_caps(settings)
        ledger = await SpendLedger.open(
            folder.llm, caps, in_flight=in_flight, clock=clock, recover=False
        )
        closing.push_async_callback(ledger.close)
    else:
        missing.append("no cap can be set: no model was ever paid here")
    account = Account(
        reins=reins,
        store=store,
        symbols=_symbols(settings),
        policy=budget_policy(settings),
        ledger=ledger,
    )
    return account, missing


def _is_played(settings: Settings) -> bool:
    simulated = settings.market.source is Source.SIMULATED and settings.simulated.speed == "max"
    return settings.market.source is Source.REPLAY or simulated


def _symbols(settings: Settings) -> Sequence[str]:
    if settings.market.symbols or settings.market.source is not Source.SIMULATED:
        return settings.market.symbols
    return settings.simulated.symbols


def _intervals(settings: Settings) -> dict[str, Interval]:
    """Return the intervals that the next start reads; nobody goes by them now."""
    chosen = settings.overseer
    return {
        "health": around(chosen.health_interval_s, _nobody),
        "healing": around(chosen.healing_interval_s, _nobody),
        PerformanceAnalystAgent.name: around(EVERY.total_seconds(), _nobody),
        "reports": around(settings.reports.interval_s, _nobody, factor=10.0),
    }


def _nobody(_seconds: float) -> None:
    """Tell nobody: it is read at the next start."""
