"""The visit to Polygon: whether it is configured, what is asked, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.configuration.sections import Source
from roboinvest.runtime.vendors.endpoints import checked_host
from tools.data_fetcher.polygon.client import KEY_VARIABLE, VENDOR_STREAM, VENDOR_URL
from tools.live_doctor.around import Around
from tools.live_doctor.findings import KEYS, SETTINGS, Cost, LiveFinding, halves, place_of
from tools.live_doctor.polygon.questions import QUESTIONS, PolygonQuestions
from tools.live_doctor.polygon.stream import look_at_polygon_stream
from tools.live_doctor.polygon.verdicts import WORDS, PolygonCase, PolygonTerms, judge

_PAST: Final = timedelta(days=7)  # what every plan includes
_SPAN: Final = timedelta(days=14)  # in which there is always a session


class PolygonVisit:
    """Polygon as the settings name it."""

    def __init__(self, around: Around) -> None:
        """Look at the settings; nothing is asked."""
        self._around = around
        self._trades = around.settings.market.source is Source.POLYGON
        self._key = around.secrets.polygon_api_key
        self._found: list[LiveFinding] = []  # what is wrong before anything is asked
        self._url = self._stream_url = ""
        try:
            self._found = self._key_missing()
            if not self._found:
                self._url = self._checked(around.settings.polygon.base_url or VENDOR_URL)
                if not self._stream_unasked():
                    url = around.settings.polygon.stream_url or VENDOR_STREAM
                    self._stream_url = self._checked(url)
        except BadSettings as error:
            self._found = [WORDS.wrong(SETTINGS, *halves(error))]

    @property
    def cost(self) -> Cost | None:
        """Return what the visit takes; None where nothing will be asked."""
        if self._found:
            return None
        return Cost(
            vendor="Polygon",
            where=place_of(self._url),
            calls=len(self._questions()),
            per_minute=self._around.settings.polygon.calls_per_minute,
        )

    async def examine(self) -> Sequence[LiveFinding]:
        """Ask, and return the findings."""
        around, key = self._around, self._key
        if self._found or key is None:
            return self._found
        day = self._day()
        answers = await PolygonQuestions(
            key,
            self._url,
            symbol=around.symbol,
            day=day,
            clock=around.clock,
            in_flight=around.in_flight,
            patience=around.patience,
        ).ask(self._questions())
        case = PolygonCase(terms=self._terms(day), answers=answers)
        if case.takes_key and self._stream_url:
            seen = await look_at_polygon_stream(
                key,
                self._stream_url,
                symbol=around.symbol,
                in_flight=around.in_flight,
                patience=around.patience,
            )
            case = PolygonCase(terms=case.terms, answers=answers, stream=seen)
        return judge(case)

    def _questions(self) -> Sequence[str]:
        """Return what will be asked: no more than may be in one minute."""
        return QUESTIONS[: self._around.settings.polygon.calls_per_minute]

    def _key_missing(self) -> list[LiveFinding]:
        """Return the finding about a key that is not set; nothing where it is."""
        source = self._around.settings.market.source
        if self._key is not None:
            return []
        if self._trades:
            fact = f"market.source is {source} and {KEY_VARIABLE} is not set"
            mend = f"set it in the environment, or name a file that holds it in {KEY_VARIABLE}_FILE"
            return [WORDS.wrong(KEYS, fact, mend)]
        return [WORDS.fine(KEYS, f"not configured: no key is set, and market.source is {source}")]

    def _stream_unasked(self) -> str:
        """Return why nobody may or need look at the stream; empty: somebody shall."""
        pid = self._around.daemon_pid
        if pid is not None:
            return f"a second connection would push out that of the daemon, pid {pid}"
        if not self._trades and self._around.settings.polygon.stream_url is None:
            return f"market.source is {self._around.settings.market.source}"
        return ""

    def _day(self) -> date:
        """Return the exchange day to ask about: the newest for a daemon, a past one otherwise."""
        now = self._around.clock.now()
        last = now if self._trades else now - _PAST
        sessions = self._around.calendar.sessions((last - _SPAN).date(), last.date())
        begun = [session.day for session in sessions if session.opens_at <= last]
        return begun[-1] if begun else last.date()

    def _checked(self, url: str) -> str:
        return checked_host(url, loopback_only=self._around.loopback_only)

    def _terms(self, day: date) -> PolygonTerms:
        settings = self._around.settings
        return PolygonTerms(
            where=place_of(self._url),
            stream_where=place_of(self._stream_url) if self._stream_url else "",
            stream_unasked=self._stream_unasked(),
            trades=self._trades,
            symbol=self._around.symbol,
            day=day,
            calls_per_minute=settings.polygon.calls_per_minute,
            offset_s=settings.clock.offset_s,
        )
