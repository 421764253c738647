"""How what is there before a change, and after it, is written: as JSON, in the form of its kind."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from roboinvest.core.errors import BadInput

MAX_VALUE: Final = 64_000  # characters of before and of after
_MOST: Final = Decimal("1e9")


class Form(StrEnum):
    """How before and after are written, which is how a direction is read off them."""

    TEXT = "text"  # anything; no direction can be read off it, so it counts as more
    AMOUNT = "amount"  # a number in text, not negative; more is more risk
    SHARE = "share"  # the same, at most 1
    SET = "set"  # a list of names; each added one is more risk
    RUNNING = "running"  # true or false; true is more risk
    HELD = "held"  # true or false; false is more risk


def value_of(kind: str, form: Form, text: str | None) -> Any:  # noqa: ANN401 as the form says
    """Return a value in its form: a Decimal, a frozenset, a bool, or what the JSON text says.

    Raises:
        BadInput: it is not written in that form.
    """
    value = None if text is None else json.loads(text, parse_float=Decimal, parse_int=Decimal)
    if form is Form.TEXT:
        return value
    if form is Form.SHARE:
        return _amount(kind, value, Decimal(1))
    if form is Form.AMOUNT:
        return _amount(kind, value, _MOST)
    if form is Form.SET:
        value = [] if value is None else value
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise BadInput(f"before and after of {kind} are JSON lists of names")
        return frozenset(value)
    value = False if value is None else value
    if not isinstance(value, bool):
        raise BadInput(f"before and after of {kind} are true or false")
    return value


def require_value(name: str, text: str | None) -> None:
    """Raise BadInput for a text that is no JSON, or longer than a person is shown."""
    if text is None:
        return
    if len(text) > MAX_VALUE:
        raise BadInput(f"{name} has {len(text)} characters, and {MAX_VALUE} are shown; use a diff")
    try:
        json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} of a proposal is no JSON text: {error}") from error


def _amount(kind: str, value: object, most: Decimal) -> Decimal:
    try:
        amount = Decimal(0) if value is None else Decimal(str(value))
    except InvalidOperation as error:
        raise BadInput(
            f"before and after of {kind} are numbers, not {str(value)[:40]!a}"
        ) from error
    if not (amount.is_finite() and 0 <= amount <= most):
        raise BadInput(
            f"before and after of {kind} lie between 0 and {most}, and {amount} does not"
        )
    return amount


def _no_number(name: str) -> Any:  # noqa: ANN401 never returns
    raise ValueError(f"{name} is no JSON number")
