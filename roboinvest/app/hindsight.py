"""What models may know of a run's market: their cut-offs, and the disguise they are asked in."""

from __future__ import annotations

from dataclasses import replace

from roboinvest.app.language_models import OpenedModels
from roboinvest.core.errors import BadSettings
from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.llm.chains import PRICES_FILE, read_prices
from roboinvest.runtime.llm.hindsight.contamination import Cutoffs
from roboinvest.runtime.llm.hindsight.disguise import RunDisguise
from roboinvest.runtime.llm.hindsight.masked import AnonymousModel
from roboinvest.runtime.prompts.files import default_folder
from tools.markets import Market


def in_disguise(
    models: OpenedModels, settings: Settings, market: Market, clock: Clock
) -> OpenedModels:
    """Return the models as the settings want them asked; without any, nothing changes."""
    if settings.llm.anonymise == "off" or not models.seats:
        return models
    disguise = RunDisguise(market.stamp, market.symbols)
    return replace(models, model=AnonymousModel(models.model, disguise, clock))


def cutoffs_of(settings: Settings, market: Market) -> Cutoffs:
    """Return what each model with a price can know of a market, those of earlier runs included.

    A price table that cannot be read tells no cut-off, and such a model may know everything.
    """
    try:
        prices = read_prices(default_folder().parent / PRICES_FILE, settings.llm.models)
        days = {model: price.knowledge_cutoff for model, price in prices.items()}
    except BadSettings:
        days = {}
    return Cutoffs(
        days=days, invented=market.is_simulated, disguised=settings.llm.anonymise == "on"
    )
