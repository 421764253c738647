"""The owner's mandate: what a person allows this program to do with money, for how long.

It can only narrow the limits of the settings. Its consent hash is the SHA-256 of what was agreed
to, by whom and when, so that terms edited after the signature are told from those that were signed.
The hash proves a change, not an identity: whoever may write the file may sign it.

Where a mandate is wanted and is not good, no risk is added. Positions may always be closed, because
a rule that keeps us in a losing position protects nobody; where nobody ever signed, nothing was
ever entered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from roboinvest.core.records import canonical_json

ANY: Final = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateTerms:
    """What is allowed; fractions are of equity. `faults_of` says whether it makes sense."""

    universe: tuple[str, ...] | None  # tickers, sorted; None: any
    allow_short: bool  # whether a sale may open a short position
    max_order_usd: Decimal
    max_position_usd: Decimal  # of one symbol
    max_position_frac: Decimal
    max_gross_frac: Decimal
    max_daily_loss_usd: Decimal
    max_daily_loss_frac: Decimal
    max_drawdown_frac: Decimal
    max_trades_per_day: int  # entries
    entries_from: time  # exchange-local, included
    entries_until: time  # exchange-local, not included
    timezone: str  # IANA name of the exchange's zone
    expires_at: datetime  # UTC; from then on exits only


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who agreed, when, and to what."""

    signed_by: str
    signed_at: datetime  # UTC, whole seconds
    consent_hash: str  # hex SHA-256 of the terms, the name and the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """Terms, and the signature under them; None: nobody has signed yet."""

    terms: MandateTerms
    signature: Signature | None = None


class MandateState(StrEnum):
    """What a mandate is worth."""

    ABSENT = "absent"
    UNSIGNED = "unsigned"
    TAMPERED = "tampered"  # the terms are not those that were signed
    CONTRADICTORY = "contradictory"
    EXPIRED = "expired"
    IN_FORCE = "in force"


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateStanding:
    """Whether risk may be added under a mandate, and why; exits always may be sent."""

    state: MandateState
    entries_allowed: bool
    reason: str  # one sentence


def signed(terms: MandateTerms, *, by: str, at: datetime) -> Mandate:
    """Return the mandate that `by` agrees to at `at`; the time is cut to whole seconds."""
    at = at.astimezone(UTC).replace(microsecond=0)
    digest = consent_hash(terms, by=by, at=at)
    signature = Signature(signed_by=by, signed_at=at, consent_hash=digest)
    return Mandate(terms=terms, signature=signature)


def consent_hash(terms: MandateTerms, *, by: str, at: datetime) -> str:
    """Return the hex SHA-256 of the canonical content: terms, name and time."""
    content = {**_plain(terms), "signed_by": by, "signed_at": at.astimezone(UTC).isoformat()}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def state_of(mandate: Mandate | None, at: datetime) -> tuple[MandateState, str]:
    """Return what a mandate is worth at `at`, and the sentence that says why."""
    if mandate is None:
        return MandateState.ABSENT, "there is no mandate; write one with: roboinvest mandate init"
    terms, signature = mandate.terms, mandate.signature
    again = "look at it and sign it again with: roboinvest mandate sign"
    if signature is not None:
        found = consent_hash(terms, by=signature.signed_by, at=signature.signed_at)
        if found != signature.consent_hash:
            return MandateState.TAMPERED, (
                f"the mandate is not what {signature.signed_by} signed (hash {found[:12]}, "
                f"signed was {signature.consent_hash[:12]}); {again}"
            )
    fault = next(faults_of(mandate), None)
    if fault is not None:
        return MandateState.CONTRADICTORY, f"the mandate contradicts itself: {fault}; correct it"
    if signature is None:
        return MandateState.UNSIGNED, "the mandate is not signed; sign it: roboinvest mandate sign"
    if at >= terms.expires_at:
        return MandateState.EXPIRED, (
            f"the mandate expired at {terms.expires_at:%Y-%m-%d %H:%M} UTC, exits only; {again}"
        )
    return MandateState.IN_FORCE, (
        f"signed by {signature.signed_by} at {signature.signed_at:%Y-%m-%d %H:%M} UTC, "
        f"expires at {terms.expires_at:%Y-%m-%d %H:%M} UTC"
    )


def standing(mandate: Mandate | None, live: bool, at: datetime) -> MandateStanding:
    """Return what may be sent at `at`; `live` is real money.

    A paper account needs no mandate, and an unsigned one binds it without being asked for; one
    that was edited, contradicts itself or has expired stops entries there too.
    """
    state, reason = state_of(mandate, at)
    good = state is MandateState.IN_FORCE
    draft = state in (MandateState.ABSENT, MandateState.UNSIGNED)
    if draft and not live:
        reason = f"paper account: {reason}"
    elif not good and live:
        reason = f"real money: {reason}"
    return MandateStanding(
        state=state,
        entries_allowed=good or (draft and not live),
        reason=reason,
    )


def faults_of(mandate: Mandate) -> Iterator[str]:
    """Yield each contradiction of a mandate, with its values."""
    terms, signature = mandate.terms, mandate.signature
    yield from _faults_of_figures(terms)
    if terms.universe is not None and not terms.universe:
        yield 'universe is empty, so that nothing may be traded; name tickers, or "any"'
    if terms.entries_from >= terms.entries_until:
        yield (
            f"entries_from {terms.entries_from:%H:%M} is not before "
            f"entries_until {terms.entries_until:%H:%M}"
        )
    if not is_zone(terms.timezone):
        yield f"timezone {terms.timezone!r} is unknown"
    if signature is not None and terms.expires_at <= signature.signed_at:
        yield (
            f"it expires at {terms.expires_at:%Y-%m-%d %H:%M} UTC, not after its signature at "
            f"{signature.signed_at:%Y-%m-%d %H:%M} UTC"
        )


def within_hours(terms: MandateTerms, at: datetime) -> bool:
    """Return whether `at` lies in [entries_from, entries_until) of the exchange's own clock."""
    local = at.astimezone(ZoneInfo(terms.timezone)).time()
    return terms.entries_from <= local < terms.entries_until


def is_zone(name: str) -> bool:
    """Return whether a time zone of this name is known."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def in_words(terms: MandateTerms) -> tuple[str, ...]:
    """Return the terms as sentences, for the person who is about to agree to them."""
    universe = "any symbol" if terms.universe is None else ", ".join(terms.universe)
    sides = "bought and sold short" if terms.allow_short else "bought and sold again, never short"
    return (
        f"Traded may be: {universe}; {sides}.",
        f"One order is worth at most {terms.max_order_usd:,.2f} USD.",
        f"One position is worth at most {terms.max_position_usd:,.2f} USD and "
        f"{terms.max_position_frac:.2%} of equity, all together {terms.max_gross_frac:.2%}.",
        f"After a loss of {terms.max_daily_loss_usd:,.2f} USD or {terms.max_daily_loss_frac:.2%} "
        "in a day nothing is entered on that day.",
        f"At {terms.max_drawdown_frac:.2%} below the highest equity nothing is entered until a "
        "person clears the lock.",
        f"At most {terms.max_trades_per_day} entries a day, from {terms.entries_from:%H:%M} to "
        f"{terms.entries_until:%H:%M} ({terms.timezone}).",
        f"It ends at {terms.expires_at:%Y-%m-%d %H:%M} UTC; from then on positions are only "
        "closed.",
    )


def _faults_of_figures(terms: MandateTerms) -> Iterator[str]:
    for name in ("max_order_usd", "max_position_usd", "max_daily_loss_usd"):
        usd: Decimal = getattr(terms, name)
        if not (usd.is_finite() and usd > 0):
            yield f"{name} is {usd}, it must be above 0"
            return
    for name in _FRACTIONS:
        fraction: Decimal = getattr(terms, name)
        if not (fraction.is_finite() and 0 < fraction <= 1):
            yield f"{name} is {fraction}, it must be above 0 and at most 1"
            return
    if terms.max_trades_per_day < 0:
        yield f"max_trades_per_day is {terms.max_trades_per_day}, it must be 0 or more"
    for smaller, larger in _AT_MOST:
        if getattr(terms, smaller) > getattr(terms, larger):
            yield f"{smaller} {getattr(terms, smaller)} is above {larger} {getattr(terms, larger)}"


def _plain(terms: MandateTerms) -> dict[str, object]:
    """Return the terms as the canonical text takes them: clock times as text."""
    plain: dict[str, object] = {}
    for name in MandateTerms.__dataclass_fields__:
        value = getattr(terms, name)
        plain[name] = value.isoformat() if isinstance(value, time) else value
    plain["universe"] = ANY if terms.universe is None else sorted(terms.universe)
    plain["expires_at"] = terms.expires_at.astimezone(UTC)
    return plain


_FRACTIONS: Final = (
    "max_position_frac",
    "max_gross_frac",
    "max_daily_loss_frac",
    "max_drawdown_frac",
)
_AT_MOST: Final = (
    ("max_order_usd", "max_position_usd"),
    ("max_position_frac", "max_gross_frac"),
    ("max_daily_loss_frac", "max_drawdown_frac"),
)
