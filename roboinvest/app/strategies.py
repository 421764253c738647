"""The strategy that a run is asked to trade by, ready to decide, or a clear refusal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from roboinvest.core.errors import BadInput
from roboinvest.core.strategy import Strategy, asks_elsewhere
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.trading.installed_strategy import Elsewhere, Installed
from roboinvest.trading.installed_strategy_seat import Seat
from tools.boxed_strategies.shelf import AGENT, StrategyShelf
from tools.markets import Market


def installed_of(
    settings: Settings, market: Market, shelf: StrategyShelf, elsewhere: Elsewhere
) -> Installed | None:
    """Return the strategy that the settings name; None where the house decides itself.

    Blocking: it may read a file, and open boxes, which live as long as `shelf`. A strategy in the
    box is asked `elsewhere`. One that is meant as an agent's active revision has a seat, so that it
    can go where the alias goes, but in a replay, which decides by what was there at its start.

    Raises:
        BadInput: there is no such strategy, or it cannot trade in this market.
        Refused: it needs a box, and there is none; or its gates are not passed.
    """
    name = settings.strategy.name
    if name is None:
        if settings.strategy.params:
            given = ", ".join(settings.strategy.params)
            raise BadInput(f"--param {given} belongs to a strategy; add --strategy NAME")
        return None
    first = _installed(name, settings, market, shelf, elsewhere)
    agent, at, _ = name.removeprefix(AGENT).partition("@")
    is_real = market.is_live or (market.mode != "replay" and market.speed is not None)
    if not name.startswith(AGENT) or at or not is_real:
        return first

    def load(digits: str) -> Installed:
        found = _installed(f"{AGENT}{agent}@{digits}", settings, market, shelf, elsewhere)
        if found.stamp != first.stamp:
            raise BadInput(
                f"it is the strategy {found.stamp}, and this run is by {first.stamp}; start "
                "another run, in a data folder of its own"
            )
        return found

    return replace(first, seat=Seat(agent=agent, load=load))


def _installed(
    name: str, settings: Settings, market: Market, shelf: StrategyShelf, elsewhere: Elsewhere
) -> Installed:
    """Return one strategy by its name; see `installed_of`."""
    strategy = shelf.find(name, trades=True)
    values = strategy.values(parameters(settings.strategy.params))
    plan = strategy.plan(values, len(market.symbols))
    for fault in _faults(strategy, settings, market, has_stop=plan.execution.stop is not None):
        raise BadInput(f"{strategy.stamp} {fault}")
    return Installed(
        stamp=strategy.stamp,
        plan=plan,
        revision=shelf.revision_of(name),
        elsewhere=elsewhere if asks_elsewhere(plan) else None,
    )


def parameters(pairs: Iterable[str]) -> dict[str, str]:
    """Return `name=value` texts by name.

    Raises:
        BadInput: one of them is no such pair, or a name comes twice.
    """
    found = dict[str, str]()
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            raise BadInput(f"--param {pair} is no pair; write it as fast=10")
        if name in found:
            raise BadInput(f"--param {name} is given twice; give it once")
        found[name] = value
    return found


def _faults(
    strategy: Strategy, settings: Settings, market: Market, *, has_stop: bool
) -> Iterable[str]:
    """Yield why a strategy cannot be traded by the daemon, each as the rest of a sentence."""
    if not strategy.timeframe.suits(market.timeframe):
        yield (
            f"is for {strategy.timeframe} bars and this market has bars of {market.timeframe}; "
            "choose another: roboinvest backtest strategies"
        )
    if len(market.symbols) < strategy.symbols:
        yield (
            f"needs {strategy.symbols} symbols and the run has {len(market.symbols)}; "
            "name them with --symbols"
        )
    if strategy.shorts and not settings.risk.allow_short:
        yield "sells short and risk.allow_short is off; set it, or choose another strategy"
    if not has_stop:
        yield (
            "declares no stop, and the daemon never holds a position without one; "
            "give it one with --param, such as stop_frac=0.05"
        )
