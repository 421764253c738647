"""What a language model costs beside itself: the gateway's part of a call, prompts, rows on disk.

The rival is a bare ChatOpenAI that sends the same words to the same server, taken in turns with
ours; the server is a process of its own on another core. The reader of headlines is compared with
VADER on labelled ones with an odd index, which nothing was ever fitted on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import median, percentile
from benchmarks.houses import scratch
from benchmarks.table import Goal, Row
from roboinvest.core.quant.sentiment import label
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.openai import OpenAiProvider
from tests.fakes.language_models.main import LanguageModelProcess
from tests.fakes.llm_gateways import NUMBER, Desk, Question, gateway_desk

FAMILY: Final = "models"
CALLS: Final = 400  # of each, in turns
AT_ONCE: Final = 50
WAVES: Final = 8
RENDERS: Final = 2_000
TICKS_A_DAY: Final = 390
MODEL: Final = "gpt-loopback"
ADDED: Final = Goal(limit=5.0)  # ms, median
SLOWEST: Final = Goal(limit=15.0)  # ms, p99
BULLISH: Final = 0.05  # compound scores, as VADER's authors recommend
CLASSES: Final = ("bullish", "bearish", "neutral")
HEADLINES: Final = (
    Path(__file__).resolve().parents[2] / "shared" / "data" / "news" / "headlines_labelled.parquet"
)


def rows(folder: Path) -> list[Row]:
    """Measure in a scratch folder below `folder`."""
    with LanguageModelProcess("--script", "valid") as server, scratch(folder) as home:
        return [*asyncio.run(_gateway_rows(home, server.url)), *_sentiment_rows()]


async def _gateway_rows(home: Path, url: str) -> list[Row]:
    in_flight = InFlight()
    provider = OpenAiProvider(
        model=MODEL,
        base_url=url,
        api_key=None,
        method="json_schema",
        clock=SystemClock(),
        in_flight=in_flight,
        max_connections=AT_ONCE,
    )
    async with gateway_desk(home, provider, in_flight=in_flight, max_concurrent=AT_ONCE) as desk:
        ours, bare = await _in_turns(desk, url)
        pace = await _pace(desk)
        await desk.cuts.charge()
        asks = len(ours) + AT_ONCE * (WAVES + 1)
        bytes_each = (home / "llm.db").stat().st_size / asks
        rows_each = _rows(home / "llm.db") / asks
        rendered_us = _render_us(desk)
    await provider.close()
    added = [our - their for our, their in zip(sorted(ours), sorted(bare), strict=True)]
    whole, plain = median(ours), median(bare)
    beside = f"{whole:.2f} ms against {plain:.2f} ms bare"
    p99 = percentile(ours, 0.99) - percentile(bare, 0.99)
    return [
        _row("added by the gateway, median", median(added), "ms", CALLS, beside, ADDED),
        _row("added by the gateway, p99", p99, "ms", CALLS, "difference of the two p99", SLOWEST),
        _row("calls", pace, "/s", AT_ONCE * WAVES, f"{AT_ONCE} at once, paid and recorded"),
        _row("a prompt rendered", rendered_us, "us", RENDERS),
        _row("ledger rows a day", rows_each * TICKS_A_DAY, "rows", asks, "a question a tick"),
        _row(
            "ledger growth a day",
            bytes_each * TICKS_A_DAY / 1e6,
            "MB",
            asks,
            "small prompts; the texts are dropped with age",
        ),
    ]


async def _in_turns(desk: Desk, url: str) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each call: ours, and those of a bare client."""
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    client: Any = ChatOpenAI(
        model=MODEL, base_url=url, api_key=SecretStr("none"), max_retries=0, timeout=30
    )
    version = desk.prompts.current(NUMBER.prompt)
    ours, bare = list[float](), list[float]()
    for number in range(CALLS + 20):
        question = Question(text=f"question {number}")
        words = desk.prompts.render(version, NUMBER.show(question), "0123456789abcdef")
        said = [("system" if m.speaker == "system" else "human", m.text) for m in words]
        began = time.perf_counter()
        await client.ainvoke(said)
        middle = time.perf_counter()
        answer = await desk.gateway.ask(NUMBER, question, about="bench")
        ended = time.perf_counter()
        if answer.source != f"openai:{MODEL}":
            raise RuntimeError(f"the model was not asked: {answer.reason}")
        if number >= 20:  # the first ones open connections
            bare.append((middle - began) * 1000)
            ours.append((ended - middle) * 1000)
    return ours, bare


async def _pace(desk: Desk) -> float:
    """Return the asks a second with many at once."""
    numbers = itertools.count(10**6)

    async def wave() -> None:
        asks = (
            desk.gateway.ask(NUMBER, Question(text=f"{next(numbers)}"), about="pace")
            for _ in range(AT_ONCE)
        )
        await asyncio.gather(*asks)

    await wave()
    began = time.perf_counter()
    for _ in range(WAVES):
        await wave()
    return AT_ONCE * WAVES / (time.perf_counter() - began)


def _rows(path: Path) -> int:
    """Return the rows that asks leave: the ask, its calls, their texts, the recorded answer."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        counts = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 ours
            for table in ("asks", "calls", "texts", "replies")
        )
        return sum(counts)


def _render_us(desk: Desk) -> float:
    version = desk.prompts.current(NUMBER.prompt)
    began = time.perf_counter()
    for number in range(RENDERS):
        desk.prompts.render(version, {"question": f"{number}", "page": "a page"}, "m" * 24)
    return (time.perf_counter() - began) / RENDERS * 1e6


def _sentiment_rows() -> list[Row]:
    """Compare the rule that reads headlines with VADER; no row where either is not there."""
    with contextlib.suppress(ImportError, FileNotFoundError):
        from pyarrow import parquet
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        kept = parquet.read_table(HEADLINES).to_pylist()[1::2]
        judge = SentimentIntensityAnalyzer()
        truth = [row["label"] for row in kept]
        ours = macro_f1([label(row["text"]) for row in kept], truth)
        vader = macro_f1(
            [_vader_label(judge.polarity_scores(row["text"])["compound"]) for row in kept], truth
        )
        goal = Goal(limit=vader, at_least=True)
        return [
            _row(
                "headlines read by rule, macro-F1", ours, "", len(kept), f"VADER {vader:.3f}", goal
            )
        ]
    return []


def _vader_label(compound: float) -> str:
    if compound >= BULLISH:
        return "bullish"
    return "bearish" if compound <= -BULLISH else "neutral"


def macro_f1(said: Sequence[str], truth: Sequence[str]) -> float:
    """Return the mean of the F1 scores of the three classes."""
    return sum(_f1(name, zip(said, truth, strict=True)) for name in CLASSES) / len(CLASSES)


def _f1(name: str, pairs: Iterable[tuple[str, str]]) -> float:
    both = wrong = missed = 0
    for said, true in pairs:
        both += said == true == name
        wrong += said == name != true
        missed += true == name != said
    return 2 * both / (2 * both + wrong + missed) if both else 0.0


def _row(
    what: str, figure: float, unit: str, n: int, compared: str = "", goal: Goal | None = None
) -> Row:
    return Row(
        family=FAMILY, what=what, figure=figure, unit=unit, n=n, compared=compared, goal=goal
    )
