"""Whole days of a house that asks a language model on loopback, and all that is left of them.

A day is lived in this process, under virtual time or really, or by the program (`ARGUMENTS` and
`environment_of`). What is looked at afterwards is read by SQL, as any outsider could.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from roboinvest.app.house import House
from roboinvest.app.language_models import open_models
from roboinvest.app.options import Outcome, RunOptions
from roboinvest.app.start import TASKS
from roboinvest.core.market.values import Timeframe
from roboinvest.core.ports import Clock
from roboinvest.core.tasks import SAFE
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.secrets import Secret, Secrets
from roboinvest.runtime.configuration.settings import Settings, load_settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.supervision.watchdog import ForcedExit
from tests.fakes.clocks import LoopClock, ManualClock
from tests.fakes.language_models.billing import Rates
from tests.fakes.language_models.said import Asked, Refused, Said, Script
from tests.fakes.language_models.scripts import rate_limited, raw, refusing, saying
from tests.fakes.outsiders import Outsider
from tests.fakes.stored_runs import StoredRun
from tests.fakes.virtual_time import run_virtual
from tests.fakes.walks import write_walks
from tools.markets import open_market

MODEL: Final = "gpt-4o-mini"  # which has a price
SOURCE: Final = f"openai:{MODEL}"
KEY: Final = "sk-canary-7f3a91c2d4e5b60718293a4b"
RATES: Final = Rates(read=Decimal("0.15"), cached=Decimal("0.075"), written=Decimal("0.60"))
SEED: Final = 41
FIRST, DAY = date(2015, 12, 21), date(2015, 12, 23)  # two sessions to warm up, and the day itself
TICKS: Final = 78  # five-minute bars of the day
Beside = Callable[[House], Coroutine[Any, Any, None]]


def write_days(folder: Path, *symbols: str) -> Path:
    """Write bars of the day and of those before it, and return their file."""
    names = symbols or ("AAA",)
    path = folder / "walks.csv"
    return write_walks(path, SEED, FIRST, DAY, symbols=names, timeframe=Timeframe.MINUTES_5)


def settings_of(folder: Path, bars: Path, url: str | None, **typed: Any) -> Settings:
    """Return the settings of the day; `typed` are dotted keys with "__" for the dot."""
    given = {
        "data_dir": folder,
        "memory.chroma": "off",
        "market.source": "replay",
        "replay.path": bars,
        "replay.first": DAY,
        "replay.speed": "max",
        **({} if url is None else model_settings(url)),
        **{name.replace("__", "."): value for name, value in typed.items()},
    }
    return load_settings(None, {}, given)


def model_settings(url: str) -> dict[str, Any]:
    """Return what makes a house ask the model at an address, with more money than a day takes."""
    return {
        "llm.provider": "openai",
        "llm.base_url": url,
        "llm.model": MODEL,
        "llm.day_cap_usd": 50,
        "llm.ceiling_usd": 100,
        "llm.month_cap_usd": 500,
        "testing.loopback_only": "on",
    }


def environment_of(url: str, **typed: Any) -> dict[str, str]:
    """Return the same as environment variables, with a key."""
    given = {**model_settings(url), "memory.chroma": "off"}
    given |= {name.replace("__", "."): value for name, value in typed.items()}
    names = {f"ROBOINVEST_{key.replace('.', '__').upper()}": str(v) for key, v in given.items()}
    return {**names, "OPENAI_API_KEY": KEY}


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmDay:
    """What is left of a day."""

    folder: Path
    outcome: Outcome
    took_s: float  # by the loop's time
    lag_p99_ms: float | None

    @property
    def summary(self) -> Mapping[str, Any]:
        assert self.outcome.summary is not None
        return self.outcome.summary

    @property
    def sources(self) -> list[str]:
        """Return who decided each tick, in order."""
        return sources_in(self.folder)

    @property
    def book(self) -> LlmBook:
        return LlmBook(self.folder)

    @property
    def alerts(self) -> list[Mapping[str, Any]]:
        """Return the alerts about language models, oldest first."""
        found = json.loads((self.folder / "reports" / "alerts.json").read_text())["alerts"]
        mine = [alert for alert in found if alert["key"].startswith("llm.")]
        return sorted(mine, key=lambda alert: str(alert["raised_at"]))


class LlmBook(Outsider):
    """The file of calls and answers of one data folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "llm.db")

    @property
    def charged_usd(self) -> Decimal:
        """Return what all calls were charged, exact."""
        ((nano,),) = self.rows("SELECT coalesce(sum(charged), 0) FROM calls")
        return Decimal(nano) / 10**9

    @property
    def counted_usd(self) -> Decimal:
        """Return what the calls were charged whose tokens the server counted, exact."""
        ((nano,),) = self.rows("SELECT coalesce(sum(charged), 0) FROM calls WHERE NOT is_estimated")
        return Decimal(nano) / 10**9

    @property
    def held(self) -> int:
        """Return how many calls still hold money, in their rows or in the totals."""
        ((calls,),) = self.rows("SELECT count(*) FROM calls WHERE state = 'reserved'")
        ((totals,),) = self.rows("SELECT count(*) FROM totals WHERE reserved <> 0")
        return int(calls) + int(totals)

    @property
    def slowest_ms(self) -> float:
        """Return how long the slowest ask took."""
        ((slowest,),) = self.rows("SELECT max(latency_ms) FROM asks")
        return float(slowest)

    def reasons(self, source: str) -> set[str]:
        """Return why asks ended with this source."""
        return {why for (why,) in self.rows("SELECT reason FROM asks WHERE source = ?", source)}


def sources_in(folder: Path) -> list[str]:
    """Return who decided each tick, in order; a tick has one source."""
    found = []
    for body in StoredRun(folder).bodies():
        (source,) = {decision["source"] for decision in body["decisions"]}
        found.append(source)
    return found


def decided_in(folder: Path) -> list[list[tuple[str, str]]]:
    """Return what was decided in each tick, in order, by symbol."""
    return [
        [(one["symbol"], one["action"]) for one in body["decisions"]]
        for body in StoredRun(folder).bodies()
    ]


def lived(
    settings: Settings,
    *,
    beside: Beside | None = None,
    really: bool = False,
    prompts: Path | None = None,
) -> LlmDay:
    """Let a house live through what its settings say, and somebody do something `beside` it.

    Under virtual time the model's answers take none; a model that does not answer needs `really`.
    """
    folder, in_flight = DataFolder(settings.data_dir), InFlight()
    clock: Clock = SystemClock() if really else LoopClock()
    secrets = Secrets(openai_api_key=Secret(KEY))

    async def main() -> tuple[Outcome, float, float | None]:
        market = open_market(settings)
        folder.take(market.stamp, fresh_at=None)
        models = await open_models(
            settings, secrets, folder, TASKS, clock=clock, in_flight=in_flight, prompts=prompts
        )
        async with models.closing:
            house = House(
                settings,
                market,
                folder,
                RunOptions(exit_when_done=True),
                clock=clock,
                in_flight=in_flight,
                secrets=secrets,
                models=models,
            )
            forced = ForcedExit(after_s=25.0, clock=ManualClock(), end_process=lambda _: None)
            began = asyncio.get_running_loop().time()
            aside = None if beside is None else asyncio.ensure_future(beside(house))
            try:
                outcome = await house.run(forced)
            finally:
                if aside is not None:
                    aside.cancel()
            if aside is not None and aside.done() and not aside.cancelled():
                aside.result()
            took_s = asyncio.get_running_loop().time() - began
            return outcome, took_s, house.loop_lag_p99_ms()

    try:
        outcome, took_s, lag_ms = asyncio.run(main()) if really else run_virtual(main, in_flight)
    finally:
        folder.release()
    assert in_flight.count == 0
    return LlmDay(folder=settings.data_dir, outcome=outcome, took_s=took_s, lag_p99_ms=lag_ms)


class Turning:
    """A script that turns into another one at some ask, and back again when it is told to."""

    def __init__(self, good: Script, bad: Script, *, after: int) -> None:
        """Take both; the first `after` asks are answered by `good`."""
        self._good, self._bad = good, bad
        self._after: float = after
        self._lock = threading.Lock()
        self.asked = 0

    def __call__(self, asked: Asked) -> Any:
        with self._lock:
            self.asked += 1
            script = self._good if self.asked <= self._after else self._bad
        return script(asked)

    def heal(self) -> None:
        """Answer well from now on."""
        with self._lock:
            self._after = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbled:
    """A model that answers at once and never what it was asked for, and what comes of that."""

    name: str
    script: Script
    then: tuple[str, ...]  # who decides the next ticks; the rules decide those that follow
    calls: int  # until it is not asked any more


GARBLED: Final = (
    Garbled(name="not-json", script=raw(b"{not json"), then=(), calls=3),
    Garbled(name="prose", script=saying("I would buy. Or not."), then=(SAFE,) * 3, calls=6),
    Garbled(name="wrong-schema", script=saying('{"views": 7}'), then=(SAFE,) * 3, calls=6),
    Garbled(name="status-500", script=refusing(500, None, kind="server_error"), then=(), calls=3),
    Garbled(name="too-many-requests", script=rate_limited("3600"), then=(), calls=1),
    Garbled(
        name="no-money",
        script=refusing(429, "insufficient_quota", kind="insufficient_quota"),
        then=(),
        calls=1,
    ),
)


def echoing_key() -> Script:
    """Return a script that refuses, and repeats the whole key, as careless servers do."""

    def script(asked: Asked) -> Refused:
        key = asked.request.headers.get("authorization", "")
        return Refused(status=401, code="invalid_api_key", message=f"I do not know {key}")

    return script


def gossiping_key(inner: Script) -> Script:
    """Return a script that answers well, and tells the key as the reason of each view."""

    def script(asked: Asked) -> Any:
        said = inner(asked)
        if not isinstance(said, Said) or '"views"' not in str(said.text):
            return said
        form = json.loads(said.text or "")
        key = asked.request.headers.get("authorization", "").removeprefix("Bearer ")
        for view in form["views"]:
            view["reason"] = f"because {key} is the key"
        return replace(said, text=json.dumps(form))

    return script


def write_news(path: Path, symbol: str, at: datetime, *headlines: str) -> Path:
    """Write headlines, a minute apart."""
    lines = (
        {"id": f"n{number}", "ts": (at + timedelta(minutes=number)).isoformat()}
        | {"symbols": [symbol], "headline": text, "source": "wire"}
        for number, text in enumerate(headlines)
    )
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def assert_nowhere(folder: Path, *secrets: str) -> int:
    """See that no file below a folder holds a secret; return how many files there are."""
    texts = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for found in folder.rglob("roboinvest.db"):  # where bodies lie compressed
        texts[found / "ticks"] = json.dumps(StoredRun(found.parent).bodies()).encode()
    for path, text in texts.items():
        for secret in secrets:
            assert secret.encode() not in text, f"a key is in {path}"
    return len(texts)
