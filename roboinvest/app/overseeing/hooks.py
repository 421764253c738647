"""Which agents can be healed by connecting again or clearing a cache, and who does it.

What a service keeps under its own name is offered under that name; what an agent lives by (the
stream behind the market's data, the pool behind a model, the words of a prompt) under the agent's.
Deliberately absent: the recorded answers of models, which are history and no cache, and whatever
holds orders, positions or limits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from meta_agents.overseer_models import MODEL
from roboinvest.app.language_models import OpenedModels
from roboinvest.app.roster import BROKER, DATA, PROMPTS
from roboinvest.core.errors import TryLater
from roboinvest.runtime.llm.openai import OpenAiProvider
from roboinvest.runtime.oversight.hooks import HealingHooks, Reconnects
from roboinvest.runtime.supervision.service import Service

BEHIND: Final = {"market_stream": DATA, "alpaca-trade-stream": BROKER}  # who lives by which


class ModelClients:
    """The clients of the models."""

    name: Final = MODEL
    reconnects: Final = "closes every connection to the models; the next call opens another"

    def __init__(self, models: OpenedModels) -> None:
        """Take the models; those that only play recorded answers have no connection."""
        providers = (seat.provider for seat in models.seats)
        self._clients = [each for each in providers if isinstance(each, OpenAiProvider)]

    async def reconnect(self) -> None:
        """Take no connection into use again.

        Raises:
            TryLater: there is no client.
        """
        if not self._clients:
            raise TryLater("no model is reached over a connection in this run; nothing was done")
        for client in self._clients:
            await client.renew()


def offer_hooks(hooks: HealingHooks, services: Iterable[Service], models: OpenedModels) -> None:
    """Register every way that there is in a house.

    Args:
        hooks: of the house.
        services: those that run; others than those that can reconnect are left out.
        models: with the registry of prompts, which is one of the services as well.
    """
    for service in services:
        if isinstance(service, Reconnects):
            for agent in filter(None, (service.name, BEHIND.get(service.name))):
                _offer(hooks, agent, service)
    if models.prompts is not None:
        for agent in PROMPTS:
            _offer(hooks, agent, models.prompts)
    if models.seats:
        _offer(hooks, MODEL, ModelClients(models))


def _offer(hooks: HealingHooks, agent: str, service: Reconnects) -> None:
    """Register a way; one that somebody registered before stands."""
    if hooks.find(agent) is None:
        hooks.offer(agent, service)
