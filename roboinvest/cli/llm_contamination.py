"""`llm contamination`: the same days twice, on true and on disguised inputs, and what differs.

Each run is the whole daemon in a replay on a data folder of its own, as `roboinvest run` starts it.
News is left out of both: the words of a headline cannot be disguised.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from roboinvest.cli.llm_contamination_words import show
from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.run import FromOption, SourceOption, SymbolsOption, ToOption
from roboinvest.cli.settings import settings_of
from roboinvest.core.errors import BadInput, NeedsApproval, TryLater

if TYPE_CHECKING:
    from roboinvest.app.options import Outcome, RunOptions
    from roboinvest.runtime.configuration.settings import Settings
    from roboinvest.runtime.llm.chains import ModelPlace
    from roboinvest.runtime.llm.hindsight.comparison import Comparison
    from roboinvest.runtime.llm.hindsight.cost import CostEstimate
    from roboinvest.runtime.llm.hindsight.lived import Lived

    Start = Callable[[Settings, RunOptions], Outcome]

FOLDER: Final = "contamination"  # below the data folder: a folder for each run
DONE: Final = "the replay is done"
SEED: Final = 20231001  # of the resamples: the same runs say the same
_KEPT_DAYS: Final = 36_500  # that ticks keep their bodies, which the comparison reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What both runs came to."""

    comparison: Comparison
    estimate: CostEstimate
    cost_usd: Decimal

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        from roboinvest.core.records import to_plain

        found: dict[str, Any] = to_plain(self.comparison)
        found["contamination"] = self.comparison.contamination.to_json()
        money = {"most_usd": float(self.estimate.most_usd), "asks": self.estimate.asks}
        return {**found, "estimate": money, "cost_usd": float(self.cost_usd)}


def contamination(
    replay: Annotated[Path, typer.Option("--replay", help="Recorded bars: a parquet or CSV file.")],
    symbols: SymbolsOption = None,
    first: FromOption = None,
    last: ToOption = None,
    source: SourceOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to what it can cost.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay days on true and on disguised inputs: how much of the result is the model's memory."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # the kill switch's, as in `run`
    typed = {
        "market.source": "replay",
        "market.symbols": symbols,
        "replay.path": replay,
        "replay.source": source,
        "replay.first": first,
        "replay.last": last,
        "replay.speed": "max",
        "broker.kind": "paper",
        "memory.chroma": "off",
        "retention.hold_tick_days": _KEPT_DAYS,
    }
    settings = settings_of(config, data_dir, typed)
    from roboinvest.app.start import start

    found = examine(
        settings,
        start=partial(start, announce=lambda *_: None),
        agreed=yes,
        environ=os.environ,
        say=partial(console(stderr=True).print, markup=False),
    )
    if as_json:
        print_json(found.to_json())
    else:
        show(found.comparison, found.cost_usd)


def examine(
    settings: Settings,
    *,
    start: Start,
    agreed: bool,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> Findings:
    """Say what it can cost, live through the days twice, and compare.

    Args:
        settings: of a replay.
        start: runs a house to its end.
        agreed: a person agreed to the cost.
        environ: holds the keys.
        say: takes what a person should know meanwhile.

    Raises:
        BadInput: rules answer, or recorded answers are played; the days have no session.
        BadSettings: the model cannot be used.
        NeedsApproval: it can cost money, and nobody agreed.
        TryLater: a run did not come to its end.
    """
    import numpy as np

    from roboinvest.runtime.llm.hindsight.comparison import compare

    chain = _chain(settings, environ)
    replay = settings.replay.model_copy(update={"news_path": None})
    settings = settings.model_copy(update={"replay": replay})
    estimate = _estimate(settings, chain)
    if estimate.most_usd > 0 and not agreed:
        raise NeedsApproval(f"{estimate.text}; add --yes to agree")
    say(f"{estimate.text}.")
    lived: list[Lived] = []
    cost_usd = Decimal(0)
    for name, anonymise in (("true", "off"), ("disguised", "on")):
        say(f"Replaying on {name} inputs ...")
        run, spent = _run(_settings_for(settings, name, anonymise), start)
        lived.append(run)
        cost_usd += spent
    comparison = compare(
        *lived,
        model=", ".join(place.model for place in chain),
        cutoff=_cutoff(chain),
        chance=np.random.default_rng(SEED),
    )
    return Findings(comparison=comparison, estimate=estimate, cost_usd=cost_usd)


def _chain(settings: Settings, environ: Mapping[str, str]) -> tuple[ModelPlace, ...]:
    """Return the models that the strategy task may be answered by."""
    from roboinvest.runtime.configuration.llm_sections import Provider
    from roboinvest.runtime.configuration.secrets import load_secrets
    from roboinvest.runtime.llm.chains import PRICES_FILE, places_of, read_prices
    from roboinvest.runtime.prompts.files import default_folder
    from roboinvest.trading.strategy_task import STRATEGY_TASK

    llm = settings.llm
    if llm.provider is Provider.RULES:
        raise BadInput(
            "llm.provider is rules, and rules have no memory to test; set it to openai and name "
            "a model"
        )
    if llm.replay_from is not None:
        raise BadInput(
            f"llm.replay_from is {llm.replay_from}, and recorded answers cannot be asked anew in "
            "disguise; leave it out"
        )
    return places_of(
        STRATEGY_TASK.role,
        llm,
        load_secrets(environ, llm.variables()),
        read_prices(default_folder().parent / PRICES_FILE, llm.models),
        loopback_only=settings.testing.loopback_only == "on",
    )


def _cutoff(chain: tuple[ModelPlace, ...]) -> date | None:
    """Return the last day that any of the models may know of; None where one of them is unknown."""
    days = [place.price.knowledge_cutoff for place in chain]
    known = [day for day in days if day is not None]
    return max(known) if len(known) == len(days) else None


def _estimate(settings: Settings, chain: tuple[ModelPlace, ...]) -> CostEstimate:
    from roboinvest.runtime.llm.hindsight.cost import cost_at_most
    from roboinvest.runtime.prompts.files import PromptFiles, default_folder
    from roboinvest.trading.schedule import TickSchedule
    from roboinvest.trading.strategy_task import STRATEGY_TASK
    from tools.markets import open_market

    market = open_market(settings)
    schedule = TickSchedule(market.calendar, market.timeframe, market.starts_at, market.last_day)
    estimate = cost_at_most(
        STRATEGY_TASK,
        PromptFiles(default_folder()).read(STRATEGY_TASK.prompt).text,
        [place.price for place in chain],
        ticks=sum(1 for _ in schedule.after(None)),
        symbols=len(market.symbols),
        day_usd=settings.llm.day_cap_usd,
        ceiling_usd=settings.llm.ceiling_usd,
    )
    if market.close is not None:
        market.close()
    return estimate


def _settings_for(settings: Settings, name: str, anonymise: str) -> Settings:
    """Return the settings of one run: a folder of its own, disguised or not."""
    llm = settings.llm.model_copy(update={"anonymise": anonymise})
    folder = settings.data_dir / FOLDER / name
    return settings.model_copy(update={"llm": llm, "data_dir": folder})


def _run(settings: Settings, start: Start) -> tuple[Lived, Decimal]:
    """Return what became of one run, and what it cost in USD."""
    from roboinvest.app.options import RunOptions

    outcome = start(settings, RunOptions(fresh=True, exit_when_done=True))
    if outcome.exit_code or outcome.reason != DONE:
        raise TryLater(
            f"the run in {settings.data_dir} ended before its last day ({outcome.reason}), and "
            "half a run is not compared; start again"
        )
    lived = asyncio.run(_read(settings))
    summary = outcome.summary or {}
    return lived, Decimal(str(summary.get("llm", {}).get("cost_usd", 0)))


async def _read(settings: Settings) -> Lived:
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.llm.hindsight.lived import read_lived
    from roboinvest.runtime.storage.reads import StoreReader

    database = DataFolder(settings.data_dir).database
    store = await StoreReader.open_read_only(database, in_flight=InFlight())
    try:
        return await read_lived(store, float(settings.broker.starting_cash_usd))
    finally:
        await store.close()
