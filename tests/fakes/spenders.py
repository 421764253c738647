"""A process that asks a language model fifty questions at once, until its money is gone.

`live` is what the process does: the real gateway, provider, prompts and ledger, against a server on
loopback. It may be killed at any moment.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from roboinvest.core.tasks import RULES, Task, TaskLimits
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.breaker import CircuitBreaker
from roboinvest.runtime.llm.cuts import Cuts
from roboinvest.runtime.llm.gateway import LlmGateway
from roboinvest.runtime.llm.seat import Seat
from roboinvest.runtime.llm.spend.caps import SpendCaps
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.prices import ModelPrice
from roboinvest.runtime.llm.tape import LedgerTape
from roboinvest.runtime.prompts.files import PromptFiles
from roboinvest.runtime.prompts.registry import PromptRegistry
from roboinvest.runtime.prompts.versions import PromptTerms
from tests.fakes.clocks import ManualClock
from tests.fakes.language_models.billing import Rates
from tests.fakes.language_models.client import provider
from tests.fakes.language_models.said import Answer, Asked, Refused, Said, Script
from tests.fakes.language_models.scripts import answering
from tests.fakes.llm_gateways import NUMBER, PROMPT, Question
from tests.fakes.spending import NOON

AT_ONCE: Final = 50
CAP: Final = SpendCaps(day_usd=Decimal("1.00"))
RATES: Final = Rates(read=Decimal(4), cached=Decimal(2), written=Decimal(12))
PRICE: Final = ModelPrice(
    input_usd=RATES.read, cached_input_usd=RATES.cached, output_usd=RATES.written
)
TASK: Final[Task[Question, int]] = replace(
    NUMBER, limits=TaskLimits(reply_tokens=50, deadline_s=1.5)
)
DENIALS: Final = 3  # after which an asker gives up
RARELY: Final = 10_000  # failures in a row: the breaker is not what is tried here


class Bookkeeper:
    """The server's side: it answers by chance, and knows for which question each bill is."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._lock = threading.Lock()
        self.billed: list[str] = []  # questions, in the order of the bills

    @property
    def script(self) -> Script:
        """Return what the server answers by."""
        return self._answer

    def _answer(self, asked: Asked) -> Answer:
        answer = self._said(asked)
        if isinstance(answer, Said):
            with self._lock:
                self.billed.append(_question_in(asked))
        return answer

    def _said(self, asked: Asked) -> Answer:
        draw = self._chance.random()
        if draw < 0.05:
            return Refused(status=500, kind="server_error")
        if draw < 0.10:
            return Refused(status=429, code="rate_limit_exceeded", headers={"Retry-After": "0"})
        if draw < 0.20:
            return answering(asked, '{"number": ')  # is asked for again
        good = json.dumps({"number": self._chance.randrange(100)})
        return answering(
            asked, good, has_usage=draw >= 0.35, cached_tokens=self._chance.choice([0, 20])
        )


def live(folder: str, url: str, life: int, started: Connection) -> None:
    """Be the process: spend until nothing is left, or until killed."""
    asyncio.run(_spend(Path(folder), url, life, started))


async def _spend(folder: Path, url: str, life: int, started: Connection) -> None:
    clock, in_flight = ManualClock(NOON), InFlight()
    async with AsyncExitStack() as stack:
        ledger = await SpendLedger.open(
            folder / "llm.db", CAP, in_flight=in_flight, clock=clock, recover=True
        )
        stack.push_async_callback(ledger.close)
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        prompts = await PromptRegistry.open(
            folder / "registry.db",
            _words(folder),
            {TASK.prompt: PromptTerms(model="gpt-loopback")},
            clean=clean,
            pool=pool,
            clock=clock,
            in_flight=in_flight,
        )
        stack.push_async_callback(prompts.close)
        model = provider(url, in_flight=in_flight, max_connections=AT_ONCE)
        stack.push_async_callback(model.close)
        breaker = CircuitBreaker(clock.monotonic, failures=RARELY)
        ids = itertools.count()
        cuts = Cuts(ledger)
        stack.push_async_callback(cuts.charge)
        gateway = LlmGateway(
            {
                TASK.role: (
                    Seat(provider=model, breaker=breaker, price=PRICE, method="json_schema"),
                )
            },
            ledger=ledger,
            prompts=prompts,
            tape=LedgerTape(ledger),
            cuts=cuts,
            clock=clock,
            new_id=lambda: f"{life}-{next(ids)}",
            marker=lambda: f"marker{next(ids):020d}",
            redact=str,
            max_concurrent=AT_ONCE,
        )
        started.send_bytes(b"%d" % os.getpid())
        async with asyncio.TaskGroup() as group:
            for asker in range(AT_ONCE):
                group.create_task(_ask_on(gateway, f"life {life} asker {asker}"))


async def _ask_on(gateway: LlmGateway, name: str) -> None:
    denials = 0
    for number in itertools.count():
        question = f"<<{name} question {number}>>"
        answer = await gateway.ask(TASK, Question(text=question), about=question)
        denials += answer.source == RULES and "has no room" in answer.reason
        if denials == DENIALS:
            return


def _words(folder: Path) -> PromptFiles:
    words = folder / "words" / "tester"
    words.mkdir(parents=True, exist_ok=True)
    (words / "number.md").write_text(PROMPT, encoding="utf-8")
    return PromptFiles(folder / "words")


def _question_in(asked: Asked) -> str:
    said: Any = next(each["content"] for each in asked.messages if each["role"] == "user")
    return "<<" + str(said).partition("<<")[2].partition(">>")[0] + ">>"
