"""What Alpaca's answers mean, in one sentence each. No question is asked in here.

One cause is told once: keys that are refused, an address where nobody answers and an allowance that
is used up each make other checks impossible, and those are then named in one line and not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from roboinvest.brokers.alpaca.errors import Failure
from roboinvest.core.venue import VenueAccount
from roboinvest.runtime.vendors.requests_session import wait_asked_for
from tools.live_doctor.alpaca.failures import (
    FORBIDDEN,
    KEY_UNKNOWN,
    TOO_MANY,
    is_away,
    said,
    status_of,
)
from tools.live_doctor.alpaca.questions import ACCOUNT, LISTS, PRICES, AccountFacts, AlpacaAnswers
from tools.live_doctor.clock_skew import CLOCK, clock_finding
from tools.live_doctor.findings import (
    ADDRESS,
    ALLOWANCE,
    KEYS,
    STREAM,
    LiveFinding,
    StreamSeen,
    Words,
)

PERMISSIONS: Final = "permissions"
WORDS: Final = Words(vendor="alpaca")
VENDORS_LIMIT: Final = 200  # calls a minute, of an ordinary account
_FEW: Final = 20  # calls: what one reconciliation may take
_LIVE_KEY, _PAPER_KEY = "AK", "PK"  # how the vendor's key ids begin


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaTerms:
    """What the settings say, as far as it matters here."""

    where: str  # place of the trading interface
    prices_where: str | None  # place of the data interface; None: it is not asked
    stream_where: str
    live: bool
    key_begins: str  # the first two characters of the key id, which tell live from paper
    wants_short: bool
    wants_prices: bool  # whether somebody set alpaca.data_url
    symbol: str
    calls_per_minute: int
    offset_s: float

    @property
    def kind(self) -> str:
        """Return which of the two accounts the settings mean."""
        return "live" if self.live else "paper"


@dataclass(frozen=True, kw_only=True)
class AlpacaCase:
    """All there is to judge by."""

    terms: AlpacaTerms
    answers: AlpacaAnswers
    stream: StreamSeen | None = None  # None: nobody looked

    @cached_property
    def trading(self) -> Mapping[str, Any]:
        """Return the replies of the trading interface."""
        return {name: each for name, each in self.answers.replies.items() if name != PRICES}

    @property
    def takes_keys(self) -> bool:
        """Return whether the trading interface answered a question, so that it knows the keys."""
        return any(not isinstance(each, Failure) for each in self.trading.values())

    def failed_with(self, *statuses: int) -> dict[str, Failure]:
        """Return the trading questions that failed with one of these statuses."""
        return {name: each for name, each in self.trading.items() if status_of(each) in statuses}


def judge(case: AlpacaCase) -> list[LiveFinding]:
    """Return the findings, in the order in which to mend them."""
    checks: dict[str, Callable[[AlpacaCase], LiveFinding | None]] = {
        KEYS: _keys,
        PERMISSIONS: _permissions,
        ACCOUNT: _account,
        CLOCK: _clock,
        PRICES: _prices,
        ALLOWANCE: _allowance,
        STREAM: _stream,
    }
    if case.terms.prices_where is None:
        del checks[PRICES]
    silence = _silence(case)
    if silence is not None:
        return [silence, *WORDS.unexamined(checks)]
    found = {name: check(case) for name, check in checks.items()}
    judged = [each for each in found.values() if each is not None]
    return [*judged, *WORDS.unexamined(name for name, each in found.items() if each is None)]


def _silence(case: AlpacaCase) -> LiveFinding | None:
    """Return the finding that nobody is there, or somebody else."""
    if case.takes_keys or case.failed_with(KEY_UNKNOWN, FORBIDDEN, TOO_MANY):
        return None
    failures: Iterable[Failure] = case.trading.values()
    strange = next((each for each in failures if not is_away(each)), None)
    if strange is not None:
        fact = f"{case.terms.where} is not Alpaca: it {said(strange)}"
        return WORDS.wrong(ADDRESS, fact, "correct alpaca.base_url, which has no path such as /v2")
    fact = f"{case.terms.where} {said(next(iter(failures)))}"
    mend = "check alpaca.base_url and the network, or try again when Alpaca is back"
    return WORDS.wrong(ADDRESS, fact, mend, is_away=True)


def _keys(case: AlpacaCase) -> LiveFinding | None:
    terms = case.terms
    if case.takes_keys:
        return WORDS.fine(KEYS, f"accepted by {terms.where} for {terms.kind} trading")
    unknown = case.failed_with(KEY_UNKNOWN)
    if not unknown:
        return None
    mend = "correct ALPACA_API_KEY and ALPACA_SECRET_KEY, or make new keys in Alpaca's dashboard"
    other, begins = ("paper", _PAPER_KEY) if terms.live else ("live", _LIVE_KEY)
    if terms.key_begins == begins:
        mend = (
            f"ALPACA_API_KEY has the form of a {other} key and alpaca.live is "
            f"{str(terms.live).lower()}, so give a {terms.kind} key or change the setting"
        )
    return WORDS.wrong(KEYS, f"{terms.where} {said(next(iter(unknown.values())))}", mend)


def _permissions(case: AlpacaCase) -> LiveFinding | None:
    """Judge whether everything can be read that the daemon reads before it trades."""
    where = case.terms.where
    refused = case.failed_with(FORBIDDEN, *([KEY_UNKNOWN] if case.takes_keys else []))
    if refused:
        fact = f"{where} does not let these keys read {_listed(refused)}: it {_first(refused)}"
        mend = "give them the right to trade in Alpaca's dashboard, or make keys that have it"
        return WORDS.wrong(PERMISSIONS, fact, mend)
    lists = {name: case.trading[name] for name in LISTS if name in case.trading}
    broken = {
        name: each
        for name, each in lists.items()
        if isinstance(each, Failure) and each.status != TOO_MANY
    }
    if not case.takes_keys:
        return None
    if broken:
        fact = f"{_listed(broken)} cannot be read: {where} {_first(broken)}"
        mend = "ask again, because without them the daemon does not become READY"
        away = all(is_away(each) for each in broken.values())
        return WORDS.wrong(PERMISSIONS, fact, mend, is_away=away)
    if case.failed_with(TOO_MANY) or len(lists) < len(LISTS):
        return None
    account = case.trading.get(ACCOUNT)
    if case.terms.wants_short and isinstance(account, AccountFacts) and account.may_short is False:
        fact = "risk.allow_short is true and the account may not sell short"
        mend = "enable shorting at Alpaca, or set risk.allow_short to false"
        return WORDS.doubt(PERMISSIONS, fact, mend)
    fact = f"the keys may read {_listed(case.trading)}; whether orders are taken, no read tells"
    return WORDS.fine(PERMISSIONS, fact)


def _account(case: AlpacaCase) -> LiveFinding | None:
    reply = case.trading.get(ACCOUNT)
    if isinstance(reply, AccountFacts):
        return _account_told(reply.account, case.terms)
    if not isinstance(reply, Failure) or reply.status in {KEY_UNKNOWN, FORBIDDEN, TOO_MANY}:
        return None
    fact = f"{case.terms.where} {said(reply)}"
    mend = "ask again, and if it stays so ask Alpaca's support"
    return WORDS.wrong(ACCOUNT, fact, mend, is_away=is_away(reply))


def _account_told(account: VenueAccount, terms: AlpacaTerms) -> LiveFinding:
    power = account.buying_power
    figures = f"equity {account.equity:,.2f} USD"
    if power is not None:
        figures += f", buying power {power:,.2f} USD"
    if account.blocked is not None:
        mend = "log in at Alpaca and see what it asks for, or write to its support"
        return WORDS.wrong(ACCOUNT, f"{account.blocked}, so no order will be taken", mend)
    if account.equity <= 0 or (power is not None and power <= 0):
        mend = "pay money in or close positions; until then no entry can be paid"
        return WORDS.doubt(ACCOUNT, f"active, and nothing can be bought: {figures}", mend)
    return WORDS.fine(ACCOUNT, f"{terms.kind}, active, {figures}")


def _clock(case: AlpacaCase) -> LiveFinding | None:
    sample = case.answers.clock
    return None if sample is None else clock_finding(WORDS, sample, case.terms.offset_s)


def _prices(case: AlpacaCase) -> LiveFinding | None:
    reply, terms = case.answers.replies.get(PRICES), case.terms
    if isinstance(reply, int):
        if reply:
            return WORDS.fine(PRICES, f"{terms.prices_where} gives the price of {terms.symbol}")
        fact = f"{terms.prices_where} answers, and has no price of {terms.symbol}"
        return WORDS.doubt(PRICES, fact, "ask again while the market is open")
    if not isinstance(reply, Failure) or not case.takes_keys or reply.status == TOO_MANY:
        return None
    fact = f"{terms.prices_where} {said(reply)}"
    if reply.status in {KEY_UNKNOWN, FORBIDDEN}:
        fact = f"these keys are not entitled to prices: {fact}"
    if not terms.wants_prices:
        return WORDS.doubt(PRICES, fact, "nothing here trades by them, bars come from Polygon")
    mend = "subscribe to market data at Alpaca, or correct alpaca.data_url"
    return WORDS.wrong(PRICES, fact, mend, is_away=is_away(reply))


def _allowance(case: AlpacaCase) -> LiveFinding | None:
    answers, ours = case.answers, case.terms.calls_per_minute
    limited = [name for name, each in answers.replies.items() if status_of(each) == TOO_MANY]
    if limited:
        now_s = answers.answered_at.timestamp()
        waits = [wait_asked_for(note, now_s) or 0 for note in answers.notes if note.status == 429]
        fact = (
            f"Alpaca refused {len(limited)} of {len(answers.replies)} calls with 429, too many, "
            f"and is to be left alone for {max(waits, default=0):.0f} s"
        )
        mend = f"lower alpaca.calls_per_minute, now {ours}, or stop what else uses this account"
        return WORDS.wrong(ALLOWANCE, fact, mend)
    if ours > VENDORS_LIMIT:
        fact = f"alpaca.calls_per_minute is {ours}, and an ordinary account has {VENDORS_LIMIT}"
        return WORDS.doubt(ALLOWANCE, fact, f"set it to {VENDORS_LIMIT} or less")
    left = min((note.remaining for note in answers.notes if note.remaining is not None), default=-1)
    if 0 <= left < _FEW:
        fact = f"{left} calls are left of this minute, and a reconciliation may take {_FEW}"
        return WORDS.doubt(ALLOWANCE, fact, "stop what else uses this account, or wait a minute")
    told = "the vendor names no figure" if left < 0 else f"{left} are left of this minute"
    return WORDS.fine(
        ALLOWANCE,
        f"{len(answers.replies)} calls were not too many, {told}; ours is {ours} a minute",
    )


def _stream(case: AlpacaCase) -> LiveFinding | None:
    seen, where = case.stream, case.terms.stream_where
    if seen is None:
        return None
    if seen.is_up:
        return WORDS.fine(STREAM, f"{where} takes the keys and sends trade updates")
    if seen.is_refused:
        fact = f"{where} refuses the keys that {case.terms.where} accepts"
        mend = "let alpaca.stream_url and alpaca.base_url both be of paper, or both of live"
        return WORDS.wrong(STREAM, fact, mend)
    if seen.is_taken:
        fact = f"{where} has no place for a second connection: {seen.reason}"
        return WORDS.doubt(STREAM, fact, "unless a daemon of yours holds it, stop what does")
    fact = f"{where} sends no trade updates: {seen.reason}"
    mend = "check alpaca.stream_url and the network; until then fills are only seen by reading"
    return WORDS.wrong(STREAM, fact, mend, is_away=True)


def _first(failures: Mapping[str, Failure]) -> str:
    return said(next(iter(failures.values())))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
