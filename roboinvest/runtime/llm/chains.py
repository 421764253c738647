"""From settings to the models of each role: which are asked, in which order, and at what price.

Everything that would make a model unusable is found here, before the first question: a name that is
missing, an address that is none, a price that nobody told, a key that is not there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.configuration.llm_sections import (
    KEY_VARIABLE,
    LlmSettings,
    Method,
    ModelSettings,
    RoleSettings,
)
from roboinvest.runtime.configuration.secrets import Secret, Secrets
from roboinvest.runtime.llm.spend.prices import ModelPrice, PriceTable
from roboinvest.runtime.vendors.endpoints import checked_host, is_loopback

PRICES_FILE: Final = "models.toml"  # beside the prompts, in the program's own configuration
ROLES: Final = ("strategist", "reader")  # that tasks of this version have
_MODELS: Final = TypeAdapter(Mapping[str, ModelSettings])


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlace:
    """A model and where it is reached."""

    model: str
    base_url: str | None  # None: the provider's own
    api_key: Secret | None  # None: its server asks for none
    method: Method
    price: ModelPrice

    @property
    def name(self) -> str:
        """Return the source of its answers."""
        return f"openai:{self.model}"


def places_of(
    role: str,
    llm: LlmSettings,
    secrets: Secrets,
    prices: PriceTable,
    *,
    loopback_only: bool,
    keyless: bool = False,
) -> tuple[ModelPlace, ...]:
    """Return the models of a role, best first; `keyless`: nothing will be sent.

    Raises:
        BadSettings: a model, its address, its price or its key is missing or wrong.
    """
    own = llm.roles.get(role, RoleSettings())  # type: ignore[call-overload]
    model = own.model or llm.model
    if model is None:
        raise BadSettings(
            f"llm.model is missing, so the {role} has no model; name one, or set llm.provider to "
            "rules"
        )
    base_url = own.base_url or llm.base_url
    if base_url is not None:
        base_url = checked_host(base_url, loopback_only=loopback_only)
    elif loopback_only and not keyless:
        raise BadSettings(
            "llm.base_url is missing, and testing.loopback_only is on; name an address such as "
            "http://127.0.0.1:PORT/v1"
        )
    variable = own.variable or KEY_VARIABLE
    key = secrets.named(variable)
    if key is None and not keyless and not (base_url and is_loopback(base_url)):
        raise BadSettings(
            f"{variable} is not set, and the {role}'s model {model} needs a key; set it in the "
            f"environment, or name its file in {variable}_FILE"
        )
    fallbacks = llm.fallbacks if own.fallbacks is None else own.fallbacks
    return tuple(
        ModelPlace(
            model=name,
            base_url=base_url,
            api_key=key,
            method=own.method or llm.method,
            price=prices.price(name),
        )
        for name in dict.fromkeys((model, *fallbacks))
    )


def read_prices(path: Path, own: Mapping[str, ModelSettings]) -> PriceTable:
    """Return the prices of a file, and those of the settings in their place.

    Raises:
        BadSettings: the file cannot be read, or a line of it is no price.
    """
    try:
        found = _MODELS.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadSettings(f"{path} cannot be read ({error.strerror}); put it back") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadSettings(f"{path} is not TOML ({error}); correct it") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadSettings(f"{path}: {place}: {first['msg']}; correct that line") from error
    return PriceTable({name: _price(model) for name, model in {**found, **own}.items()})


def _price(model: ModelSettings) -> ModelPrice:
    return ModelPrice(
        input_usd=model.input_usd,
        cached_input_usd=model.cached_input_usd,
        output_usd=model.output_usd,
        knowledge_cutoff=model.cutoff,
    )
