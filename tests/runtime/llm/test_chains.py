"""Which models a role has, and what is said where one of them cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.configuration.llm_sections import LlmSettings, ModelSettings
from roboinvest.runtime.configuration.secrets import Secrets, load_secrets
from roboinvest.runtime.llm.chains import ModelPlace, places_of, read_prices
from roboinvest.runtime.llm.spend.prices import PriceTable

REPOSITORY = Path(__file__).resolve().parents[3]
KEY = "sk-canary-canary-canary"
LOCAL = "http://127.0.0.1:9/v1"
PRICED = {"input_usd": "0.1", "output_usd": "0.4"}


def llm(**changes: Any) -> LlmSettings:
    whole = {"provider": "openai", "model": "one", "models": {"one": PRICED, "two": PRICED}}
    return LlmSettings.model_validate({**whole, **changes})


def chain(
    settings: LlmSettings, role: str = "strategist", *, secrets: Secrets | None = None
) -> tuple[ModelPlace, ...]:
    prices = read_prices(REPOSITORY / "config" / "models.toml", settings.models)
    held = secrets or load_secrets({"OPENAI_API_KEY": KEY})
    return places_of(role, settings, held, prices, loopback_only=False)


def test_models_are_asked_in_the_order_they_are_named_and_each_once() -> None:
    names = [place.name for place in chain(llm(fallbacks=["two", "one"]))]
    assert names == ["openai:one", "openai:two"]


def test_a_role_of_its_own_takes_what_it_does_not_say_from_the_section() -> None:
    settings = llm(
        base_url=LOCAL, roles={"reader": {"model": "two", "variable": "OTHER", "fallbacks": []}}
    )
    (reader,) = chain(settings, "reader", secrets=load_secrets({"OTHER": KEY}, ["OTHER"]))
    assert reader.model == "two"
    assert reader.base_url == LOCAL
    assert reader.api_key is not None
    assert reader.api_key.reveal() == KEY
    assert [place.model for place in chain(settings)] == ["one"]


@pytest.mark.parametrize(
    ("changes", "environ", "sentence"),
    [
        ({"model": None}, {"OPENAI_API_KEY": KEY}, "llm.model is missing"),
        ({"model": "three"}, {"OPENAI_API_KEY": KEY}, 'the model "three" has no price'),
        ({"fallbacks": ["three"]}, {"OPENAI_API_KEY": KEY}, 'the model "three" has no price'),
        ({}, {}, "OPENAI_API_KEY is not set"),
        ({"base_url": "http://models.example/v1"}, {"OPENAI_API_KEY": KEY}, "in clear text"),
        ({"base_url": "models.example"}, {"OPENAI_API_KEY": KEY}, "is not an address"),
        ({"base_url": f"https://u:{KEY}@h/v1"}, {"OPENAI_API_KEY": KEY}, "carries a name or a"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence_without_the_key(
    changes: dict[str, Any], environ: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadSettings) as raised:
        chain(llm(**changes), secrets=load_secrets(environ))
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)
    assert KEY not in str(raised.value)


def test_a_server_on_this_machine_needs_no_key() -> None:
    (place,) = chain(llm(base_url=LOCAL), secrets=Secrets())
    assert place.api_key is None


def test_nobody_but_this_machine_is_asked_where_only_this_machine_may_be() -> None:
    prices = PriceTable({})
    for base_url in (None, "https://models.example/v1"):
        with pytest.raises(BadSettings, match="loopback_only"):
            places_of(
                "strategist",
                llm(base_url=base_url),
                load_secrets({"OPENAI_API_KEY": KEY}),
                prices,
                loopback_only=True,
            )


def test_prices_of_the_settings_go_before_those_of_the_file() -> None:
    file = REPOSITORY / "config" / "models.toml"
    own = {"gpt-4o-mini": ModelSettings.model_validate({"input_usd": 7, "output_usd": 8})}
    assert read_prices(file, own).price("gpt-4o-mini").input_usd == 7
    told = read_prices(file, {}).price("gpt-4o-mini")
    assert told.input_usd < 1
    assert told.knowledge_cutoff is not None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[a]\ninput_usd = -1\noutput_usd = 1\n", "a.input_usd"),
        ("[a]\ninput_usd = 1\n", "a.output_usd"),
        ("[a\n", "is not TOML"),
    ],
)
def test_a_price_list_that_is_none_is_told_with_its_line(
    tmp_path: Path, text: str, word: str
) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadSettings, match=word):
        read_prices(path, {})
