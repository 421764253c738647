"""The section about language models: who answers tasks, what that may cost, and what it knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from roboinvest.runtime.configuration.sections import OnOff, Seconds, Section, Usd, split

Cap = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Method = Literal["json_schema", "json_mode", "function_calling"]


def _one_word(name: str) -> str:
    if name.split() != [name]:
        raise ValueError(f"{name!r} is no name of a model, which has no spaces; correct it")
    return name


ModelName = Annotated[
    str, StringConstraints(min_length=1, max_length=120), AfterValidator(_one_word)
]
ModelNames = Annotated[tuple[ModelName, ...], BeforeValidator(split)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
KEY_VARIABLE = "OPENAI_API_KEY"


class Provider(StrEnum):
    """Who answers tasks."""

    RULES = "rules"
    OPENAI = "openai"


class ModelSettings(Section):
    """What a model costs in USD per million tokens, and what it can know."""

    input_usd: Usd
    """USD per million tokens that are sent."""
    cached_input_usd: Usd | None = None
    """USD per million tokens sent that the provider had in its cache; None: as other input."""
    output_usd: Usd
    """USD per million tokens that are written, those of its reasoning included."""
    cutoff: date | None = None
    """Last day that its training data may speak of; None: it is not known."""


class RoleSettings(Section):
    """Another model for one role: strategist, reader or researcher."""

    model: ModelName | None = None
    """Name of the model; None: that of the section."""
    fallbacks: ModelNames | None = None
    """Models that are asked when it fails; None: those of the section."""
    base_url: str | None = None
    """Address of its server; None: that of the section."""
    method: Method | None = None
    """How the form of an answer is asked for; None: as in the section."""
    variable: Variable | None = None
    """Environment variable that holds its server's key; None: OPENAI_API_KEY."""


class LlmSettings(Section):
    """Who answers tasks, and what that may cost."""

    provider: Provider = Provider.RULES
    """The rules need no key and cost nothing."""
    base_url: str | None = None
    """Address of an OpenAI-compatible server; None: the provider's own."""
    model: ModelName | None = None
    """Name of the model."""
    fallbacks: ModelNames = ()
    """Models of the same server that are asked, in order, when it fails; then the rules."""
    method: Method = "json_schema"
    """How the form of an answer is asked for; many servers know only some of these."""
    roles: Mapping[Literal["strategist", "reader", "researcher"], RoleSettings] = Field(
        default_factory=dict
    )
    """Other models for some roles."""
    models: Mapping[ModelName, ModelSettings] = Field(default_factory=dict)
    """Prices and cut-offs; they go before those of config/models.toml."""
    day_cap_usd: Cap = Decimal("0.10")
    """USD a day at the start; results move it between floor and ceiling."""
    floor_usd: Cap = Decimal("0.02")
    """USD a day that stay after bad results."""
    ceiling_usd: Cap = Decimal("1.00")
    """USD a day that good results cannot pass."""
    month_cap_usd: Cap = Decimal("20.00")
    """USD a calendar month."""
    agent_day_cap_usd: Cap | None = None
    """USD a day of one agent; None: only the day's cap binds it."""
    iteration_cap_usd: Cap | None = None
    """USD of one tick, or one iteration of research."""
    call_cap_usd: Cap | None = None
    """USD of one call."""
    max_concurrent: int = Field(default=4, ge=1, le=64)
    """Calls under way at once."""
    deadline_s: Seconds | None = None
    """Seconds that an answer may take; None: as long as each task allows."""
    replay_from: Path | None = None
    """File of recorded answers (another run's llm.db): no model is asked, each must be in it."""
    anonymise: OnOff = "off"
    """Whether models see disguised tickers, dates and prices."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.floor_usd <= self.day_cap_usd <= self.ceiling_usd:
            raise ValueError(
                f"floor_usd {self.floor_usd} <= day_cap_usd {self.day_cap_usd} "
                f"<= ceiling_usd {self.ceiling_usd} does not hold"
            )
        return self

    def variables(self) -> tuple[str, ...]:
        """Return the environment variables that may hold keys, sorted."""
        named = {role.variable for role in self.roles.values() if role.variable is not None}
        return tuple(sorted({KEY_VARIABLE, *named}))
