"""The smallest value that a JSON schema takes."""

from __future__ import annotations

from typing import Any


def filled(schema: dict[str, Any]) -> Any:
    """Return a value for a schema as pydantic writes them; patterns are not looked at."""
    return _filled(schema, schema)


def _filled(node: dict[str, Any], root: dict[str, Any]) -> Any:
    if "$ref" in node:
        return _filled(_found(node["$ref"], root), root)
    for name in ("anyOf", "oneOf", "allOf"):
        if name in node:
            return _filled(node[name][0], root)
    if "const" in node:
        return node["const"]
    return node["enum"][0] if "enum" in node else _made(node, root)


def _found(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    target = root
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target


def _made(node: dict[str, Any], root: dict[str, Any]) -> Any:
    match node.get("type"):
        case "object":
            wanted = node.get("required", list(node.get("properties", {})))
            return {name: _filled(node["properties"][name], root) for name in wanted}
        case "array":
            return [_filled(node["items"], root) for _ in range(node.get("minItems", 0))]
        case "string":
            return "x" * max(1, node.get("minLength", 1))
        case "integer" | "number":
            return _number(node)
        case "boolean":
            return False
    return None


def _number(node: dict[str, Any]) -> int | float:
    least = node.get("minimum", node.get("exclusiveMinimum"))
    most = node.get("maximum", node.get("exclusiveMaximum"))
    value: int | float = 0
    if least is not None and value < least:
        value = least
    if most is not None and value > most:
        value = most
    if value in (node.get("exclusiveMinimum"), node.get("exclusiveMaximum")):
        step = 1 if node["type"] == "integer" else 0.5
        value += step if value == node.get("exclusiveMinimum") else -step
    return value
