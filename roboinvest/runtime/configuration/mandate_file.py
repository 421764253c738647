"""The owner's mandate as a file that a person writes and signs: `config/mandate.toml`.

It is read once, when the daemon starts: an edit binds nobody before a person starts it again, and
then the hash tells whether it was signed. Signing replaces the signature alone; what a person wrote
above it, comments included, stays as it is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from roboinvest.core.errors import BadInput, BadSettings, Refused
from roboinvest.core.mandate import (
    ANY,
    Mandate,
    MandateState,
    MandateTerms,
    Signature,
    faults_of,
    signed,
    state_of,
)
from roboinvest.runtime.configuration.sections import Section, Ticker
from roboinvest.runtime.folder import replace_file

_SIGNATURE: Final = "[signature]"
_TEMPLATE: Final = """\
# The owner's mandate: what this program may do with money, for how long. It narrows the limits of
# roboinvest.toml and never widens them. Edit it, then sign it: roboinvest mandate sign
#
# A change after the signature is noticed: nothing is entered until it is signed again. The daemon
# reads this file when it starts. A fraction is of equity: 0.02 is 2 %.

[terms]
# Tickers that may be traded, such as ["SPY", "QQQ"], or "any".
universe = {universe}
# Whether a sale may open a short position: true or false.
allow_short = {allow_short}
# USD of one order.
max_order_usd = {max_order_usd}
# USD, and fraction of equity, in one symbol.
max_position_usd = {max_position_usd}
max_position_frac = {max_position_frac}
# Of all positions together.
max_gross_frac = {max_gross_frac}
# USD, and fraction, lost in a day after which nothing is entered on that day.
max_daily_loss_usd = {max_daily_loss_usd}
max_daily_loss_frac = {max_daily_loss_frac}
# Fall from the highest equity after which nothing is entered until a person clears the lock.
max_drawdown_frac = {max_drawdown_frac}
# Entries a day.
max_trades_per_day = {max_trades_per_day}
# When entries may be sent, by the exchange's own clock: from the first, before the second.
entries_from = {entries_from}
entries_until = {entries_until}
timezone = "{timezone}"
# From then on positions are only closed.
expires_at = {expires_at}
"""


class _Terms(Section):
    universe: Literal["any"] | list[Ticker]
    allow_short: StrictBool
    max_order_usd: Decimal
    max_position_usd: Decimal
    max_position_frac: Decimal
    max_gross_frac: Decimal
    max_daily_loss_usd: Decimal
    max_daily_loss_frac: Decimal
    max_drawdown_frac: Decimal
    max_trades_per_day: StrictInt
    entries_from: time
    entries_until: time
    timezone: str
    expires_at: AwareDatetime


class _Signature(Section):
    signed_by: str = Field(min_length=1, max_length=200)
    signed_at: AwareDatetime
    consent_hash: str


class _File(Section):
    model_config = ConfigDict(extra="forbid", frozen=True)

    terms: _Terms
    signature: _Signature | None = None


class MandateFile:
    """Reads, drafts and signs the mandate."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Mandate | None:
        """Return the mandate, whatever it is worth; None where there is no file.

        Raises:
            BadSettings: the file cannot be read, or is no mandate.
        """
        text = self._text()
        return None if text is None else self._parsed(text)

    def write_draft(self, terms: MandateTerms, *, replace: bool) -> None:
        """Write a commented mandate that nobody has signed.

        Raises:
            BadInput: there is a file already, and `replace` is False.
            BadSettings: the file cannot be written.
        """
        if not replace and self._text() is not None:
            raise BadInput(f"{self.path} exists; edit it, or replace it with --force")
        self._write(_TEMPLATE.format_map(dict(_written(terms))), Mandate(terms=terms))

    def sign(self, seen: MandateTerms, *, by: str, at: datetime) -> Mandate:
        """Put a signature under the terms that a person has seen, and return the mandate.

        Raises:
            BadInput: the name is none, or the terms contradict themselves or have run out.
            Refused: the file no longer says what the person has seen.
            BadSettings: the file cannot be read or written.
        """
        if not by.isprintable() or not by.strip():
            raise BadInput(f"{by!r} is no name to sign with; give one in printable letters")
        text = self._text()
        if text is None or self._parsed(text).terms != seen:
            raise Refused(f"{self.path} changed while it was read; look at it and sign again")
        mandate = signed(seen, by=by, at=at)
        fault = next(faults_of(mandate), None)
        if fault is not None:
            raise BadInput(f"{self.path}: {fault}; correct it, then sign")
        signature = mandate.signature
        if state_of(mandate, at)[0] is not MandateState.IN_FORCE or signature is None:
            raise BadInput(f"{self.path}: {state_of(mandate, at)[1]}")
        head = "".join(_above_signature(text)).rstrip("\n")
        name = by.replace("\\", "\\\\").replace('"', '\\"')
        whole = (
            f"{head}\n\n{_SIGNATURE} # written by roboinvest mandate sign\n"
            f'signed_by = "{name}"\n'
            f"signed_at = {signature.signed_at:%Y-%m-%dT%H:%M:%SZ}\n"
            f'consent_hash = "{signature.consent_hash}"\n'
        )
        self._write(whole, mandate)
        return mandate

    def _text(self) -> str | None:
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise BadSettings(f"{self.path} cannot be read ({why}); mend or remove it") from error

    def _parsed(self, text: str) -> Mandate:
        try:
            found = _File.model_validate(tomllib.loads(text, parse_float=Decimal))
        except tomllib.TOMLDecodeError as error:
            raise BadSettings(f"{self.path}: {error}; correct the file") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            given = "" if first["type"] == "missing" else f" is {_shown(first['input'])}"
            raise BadSettings(
                f"{self.path}: {where}{given}; {first['msg'][:1].lower()}{first['msg'][1:]}"
            ) from None
        terms, under = _terms(found.terms), found.signature
        if under is None:
            return Mandate(terms=terms)
        signature = Signature(
            signed_by=under.signed_by,
            signed_at=under.signed_at.astimezone(UTC),
            consent_hash=under.consent_hash,
        )
        return Mandate(terms=terms, signature=signature)

    def _means(self, text: str, meant: Mandate) -> bool:
        try:
            return self._parsed(text) == meant
        except BadSettings:
            return False

    def _write(self, text: str, meant: Mandate) -> None:
        if not self._means(text, meant):
            raise BadSettings(
                f"{self.path} has an order that cannot be signed; put {_SIGNATURE} last"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path.absolute(), text.encode())
        except OSError as error:
            raise BadSettings(f"{self.path} cannot be written ({error.strerror})") from error


def _terms(found: _Terms) -> MandateTerms:
    values: dict[str, Any] = {name: getattr(found, name) for name in _Terms.model_fields}
    values["universe"] = None if found.universe == ANY else tuple(sorted(set(found.universe)))
    values["expires_at"] = found.expires_at.astimezone(UTC)
    return MandateTerms(**values)


def _written(terms: MandateTerms) -> Iterator[tuple[str, str]]:
    """Yield each term as TOML has it."""
    for name in MandateTerms.__dataclass_fields__:
        value = getattr(terms, name)
        match value:
            case bool():
                yield name, str(value).lower()
            case Decimal():
                yield name, f"{value.normalize():f}"
            case datetime():
                yield name, f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
            case time():
                yield name, f"{value:%H:%M:%S}"
            case tuple():
                yield name, "[" + ", ".join(f'"{symbol}"' for symbol in value) + "]"
            case None:
                yield name, f'"{ANY}"'
            case _:
                yield name, str(value)


def _above_signature(text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith(_SIGNATURE):
            return
        yield line


def _shown(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)[:80]
