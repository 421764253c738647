"""The visit to Alpaca: whether it is configured, what is asked, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.opening import alpaca_access
from roboinvest.core.errors import BadSettings
from roboinvest.runtime.configuration.sections import BrokerKind
from roboinvest.runtime.vendors.endpoints import checked_host
from tools.live_doctor.alpaca.prices import DATA_URL
from tools.live_doctor.alpaca.questions import PRICES, QUESTIONS, AlpacaQuestions
from tools.live_doctor.alpaca.stream import look_at_alpaca_stream
from tools.live_doctor.alpaca.verdicts import WORDS, AlpacaCase, AlpacaTerms, judge
from tools.live_doctor.around import Around
from tools.live_doctor.findings import KEYS, SETTINGS, Cost, LiveFinding, halves, place_of

_VARIABLES: Final = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")


class AlpacaVisit:
    """Alpaca as the settings name it."""

    def __init__(self, around: Around) -> None:
        """Look at the settings; nothing is asked."""
        self._around = around
        self._found: list[LiveFinding] = []  # what is wrong before anything is asked
        self._access: AlpacaAccess | None = None
        self._prices_url: str | None = None
        try:
            self._found = _keys_missing(around)
            if not self._found:
                self._access = alpaca_access(around.settings, around.secrets)
                self._prices_url = _prices_url(around)
        except BadSettings as error:
            self._access = None
            self._found = [WORDS.wrong(SETTINGS, *halves(error))]

    @property
    def cost(self) -> Cost | None:
        """Return what the visit takes; None where nothing will be asked."""
        if self._access is None:
            return None
        return Cost(
            vendor="Alpaca",
            where=place_of(self._access.rest_address()),
            calls=len(self._questions()),
            per_minute=self._around.settings.alpaca.calls_per_minute,
        )

    async def examine(self) -> Sequence[LiveFinding]:
        """Ask, and return the findings."""
        access, around = self._access, self._around
        if access is None:
            return self._found
        answers = await AlpacaQuestions(
            access,
            self._prices_url,
            symbol=around.symbol,
            clock=around.clock,
            in_flight=around.in_flight,
            patience=around.patience,
        ).ask(self._questions())
        case = AlpacaCase(terms=self._terms(access), answers=answers)
        if case.takes_keys:
            seen = await look_at_alpaca_stream(
                access,
                clock=around.clock,
                rng=around.rng,
                in_flight=around.in_flight,
                patience=around.patience,
            )
            case = AlpacaCase(terms=case.terms, answers=answers, stream=seen)
        return judge(case)

    def _questions(self) -> Sequence[str]:
        """Return what will be asked: no more than may be in one minute."""
        wanted = [name for name in QUESTIONS if name != PRICES or self._prices_url is not None]
        return wanted[: self._around.settings.alpaca.calls_per_minute]

    def _terms(self, access: AlpacaAccess) -> AlpacaTerms:
        settings, prices = self._around.settings, self._prices_url
        return AlpacaTerms(
            where=place_of(access.rest_address()),
            prices_where=None if prices is None else place_of(prices),
            stream_where=place_of(access.stream_address()),
            live=access.live,
            key_begins=access.key_id.reveal()[:2],
            wants_short=settings.risk.allow_short,
            wants_prices=settings.alpaca.data_url is not None,
            symbol=self._around.symbol,
            calls_per_minute=settings.alpaca.calls_per_minute,
            offset_s=settings.clock.offset_s,
        )


def _keys_missing(around: Around) -> list[LiveFinding]:
    """Return the finding about keys that are not set; nothing where both are."""
    kind = around.settings.broker.kind
    held = (around.secrets.alpaca_api_key, around.secrets.alpaca_secret_key)
    missing = [name for name, key in zip(_VARIABLES, held, strict=True) if key is None]
    if not missing:
        return []
    names = " and ".join(missing)
    verb = "is" if len(missing) == 1 else "are"
    mend = f"set {names} in the environment, or name files that hold them in NAME_FILE"
    if kind is BrokerKind.ALPACA:
        return [WORDS.wrong(KEYS, f"broker.kind is {kind} and {names} {verb} not set", mend)]
    if len(missing) == 1:
        return [WORDS.wrong(KEYS, f"{names} is not set and its companion is", mend)]
    return [WORDS.fine(KEYS, f"not configured: no key is set, and broker.kind is {kind}")]


def _prices_url(around: Around) -> str | None:
    """Return where prices are asked for; None where nobody named a place that is allowed."""
    url = around.settings.alpaca.data_url
    if url is None and around.loopback_only:
        return None
    return checked_host(url or DATA_URL, loopback_only=around.loopback_only)
