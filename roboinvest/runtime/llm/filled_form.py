"""From a model's text to a valid form, or to one sentence about why it is none.

Strict on purpose: a form with words around it, a number in quotes or a field too many is refused,
because a model that does not keep the form is not to be trusted with its content. What is said of
the mistake is made of field names and rules, never of the model's own words: it goes into a prompt.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from pydantic import BaseModel, ValidationError

from roboinvest.core.errors import BadReply
from roboinvest.runtime.llm.provider import Reply

MAX_BYTES: Final = 256 * 1024
_SHOWN: Final = 3  # mistakes


def filled_in(form: type[BaseModel], reply: Reply) -> BaseModel:
    """Return the form that a reply fills in.

    Raises:
        BadReply: it is refused, cut, empty, no JSON, or not valid for the form.
    """
    if reply.refusal is not None:
        raise BadReply("the model refused to answer")
    if reply.is_cut:
        raise BadReply("the answer was cut by its limit of tokens; answer shorter")
    text = reply.text.strip()
    if not text:
        raise BadReply("the answer is empty")
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise BadReply(f"the answer is longer than {MAX_BYTES} bytes")
    try:
        tree = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise BadReply("the answer is not JSON alone; write the object and nothing else") from error
    try:
        return form.model_validate_json(json.dumps(tree))
    except (ValidationError, ValueError) as error:
        raise BadReply(_mistakes(error)) from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; one that says a thing twice says nothing."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def _mistakes(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return "the answer holds a value that has no meaning"
    found: list[Any] = error.errors(include_url=False, include_input=False, include_context=False)
    told = [_mistake(each) for each in found[:_SHOWN]]
    more = len(found) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _mistake(found: dict[str, Any]) -> str:
    """Return one mistake; a field that the form does not know is not named by its own word."""
    if found["type"] == "extra_forbidden":
        return "a field is there that the form does not have"
    place = ".".join(str(part) for part in found["loc"]) or "the answer"
    return f"{place}: {str(found['msg'])[:120].lower()}"
