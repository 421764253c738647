"""How a form is shown to a model: as a strict schema where that says everything, else as it is.

Strict schemas are what OpenAI guarantees to be kept to, for a part of JSON Schema only: every
object closed, every field required, and few other words. What a strict schema cannot say but the
form checks anyway (lengths, defaults, formats) is left out; a form that needs more than that, such
as one with a free mapping, is sent whole and not strict.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from roboinvest.runtime.llm.provider import Method

_KEPT: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "anyOf", "$defs", "$ref"}
    | {"enum", "const", "description", "pattern", "minItems", "maxItems"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
_KINDS: Final = frozenset({"type", "$ref", "anyOf", "enum", "const"})  # a node has one of them
_DROPPED: Final = frozenset(
    {"title", "default", "examples", "deprecated", "format", "minLength", "maxLength"}
    | {"uniqueItems", "discriminator"}
)


class _NotStrict(ValueError):
    """The schema says something that a strict one cannot."""


def response_format(form: type[BaseModel], method: Method) -> dict[str, Any] | None:
    """Return the `response_format` of a request; None where the form goes as a tool."""
    if method == "function_calling":
        return None
    if method == "json_mode":
        return {"type": "json_object"}
    strict = strict_schema(form)
    return {
        "type": "json_schema",
        "json_schema": {
            "name": form.__name__,
            "schema": strict or form.model_json_schema(),
            "strict": strict is not None,
        },
    }


def form_tool(form: type[BaseModel]) -> dict[str, Any]:
    """Return the form as a tool whose arguments are the answer."""
    strict = strict_schema(form)
    return {
        "type": "function",
        "function": {
            "name": form.__name__,
            "description": "Give the answer.",
            "parameters": strict or form.model_json_schema(),
            "strict": strict is not None,
        },
    }


def strict_schema(form: type[BaseModel]) -> dict[str, Any] | None:
    """Return the form's strict schema; None where there is none."""
    try:
        schema = _strict(form.model_json_schema())
    except _NotStrict:
        return None
    return schema if schema.get("type") == "object" else None


def _strict(node: Any) -> dict[str, Any]:  # noqa: ANN401 a node of a JSON schema
    if not isinstance(node, dict) or node.keys() - _KEPT - _DROPPED or not node.keys() & _KINDS:
        raise _NotStrict
    kept: dict[str, Any] = {name: node[name] for name in node if name in _KEPT}
    if "$ref" in kept:  # a strict schema allows nothing beside it
        return {"$ref": kept["$ref"]}
    if "(?" in kept.get("pattern", ""):  # no look-arounds
        del kept["pattern"]
    if kept.get("type") == "object":
        if kept.get("additionalProperties", False) is not False or "properties" not in kept:
            raise _NotStrict
        kept |= {"additionalProperties": False, "required": list(kept["properties"])}
    for name in ("properties", "$defs"):
        if name in kept:
            kept[name] = {key: _strict(part) for key, part in kept[name].items()}
    if "items" in kept:
        kept["items"] = _strict(kept["items"])
    if "anyOf" in kept:
        kept["anyOf"] = [_strict(part) for part in kept["anyOf"]]
    return kept
