"""Forms are shown strict where a strict schema says enough, and whole where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from roboinvest.runtime.llm.chat.schemas import form_tool, response_format, strict_schema
from tests.fakes.language_models.filled import filled


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Leg(BaseModel):
    side: Side = Field(Side.BUY, description="which way")
    title: str = Field(min_length=2, max_length=9, examples=["ab"])
    price: Decimal | None = None


class Plan(BaseModel):
    """What to do."""

    legs: list[Leg] = Field(min_length=1, max_length=3)
    kind: Literal["one", "two"]
    default: Annotated[int, Field(gt=0, lt=10)] = 5  # a field with a schema's own word as its name


class Scores(BaseModel):
    scores: dict[str, float]


class Anything(BaseModel):
    anything: Any


class Pair(BaseModel):
    pair: tuple[int, str]


class Tree(BaseModel):
    leaves: list[Tree] = []


class Nested(BaseModel):
    tree: Tree


def words(node: object) -> set[str]:
    """Return the schema words of a schema, names of fields left out."""
    if not isinstance(node, Mapping):
        return set()
    found = set(node)
    for name in ("properties", "$defs"):
        for part in node.get(name, {}).values():
            found |= words(part)
    for part in (node.get("items"), *node.get("anyOf", ())):
        found |= words(part)
    return found


def test_a_strict_schema_closes_every_object_and_requires_every_field() -> None:
    schema = strict_schema(Plan)
    assert schema is not None
    assert schema["required"] == ["legs", "kind", "default"]
    leg = schema["$defs"]["Leg"]
    assert leg["required"] == ["side", "title", "price"]
    assert schema["additionalProperties"] is leg["additionalProperties"] is False
    assert leg["properties"]["side"] == {"$ref": "#/$defs/Side"}
    assert not words(schema) & {"default", "title", "examples", "minLength", "maxLength", "format"}


def test_what_fits_the_strict_schema_fits_the_form() -> None:
    for form in (Plan, Nested):
        schema = strict_schema(form)
        assert schema is not None
        form.model_validate({**filled(schema), **({"legs": LEGS} if form is Plan else {})})


LEGS = [{"side": "sell", "title": "ab", "price": "1.5"}]


@pytest.mark.parametrize("form", [Scores, Anything, Pair, Tree])
def test_a_form_that_needs_more_is_sent_whole_and_not_strict(form: type[BaseModel]) -> None:
    assert strict_schema(form) is None
    sent = response_format(form, "json_schema")
    assert sent is not None
    assert sent["json_schema"]["strict"] is False
    assert sent["json_schema"]["schema"] == form.model_json_schema()
    tool = form_tool(form)["function"]
    assert (tool["strict"], tool["parameters"]) == (False, form.model_json_schema())


def test_each_method_asks_in_its_own_way() -> None:
    assert response_format(Plan, "json_mode") == {"type": "json_object"}
    assert response_format(Plan, "function_calling") is None
    tool = form_tool(Plan)
    assert tool["function"]["name"] == "Plan"
    assert tool["function"]["parameters"] == strict_schema(Plan)
