"""Recorded answers, by content: what makes a day with a language model repeatable to the bit.

An entry is what became of one question: the form that was read, or that the rule or the safe output
stood in for it. The key is everything that the answer may depend on: task, prompt, model,
parameters and inputs; never the instant, the attempt or the random delimiter of that call. While
recording, a question that was answered before is not asked and not paid again, which is how a
replay that was killed comes to the same end. In replay a missing entry is an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from roboinvest.core.errors import BadInput, BadSettings, NotRecorded, TryLater
from roboinvest.core.records import canonical_json, plain_json
from roboinvest.core.tasks import RULES, Task
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.lanes import file
from roboinvest.runtime.lanes.lane import Lane
from roboinvest.runtime.lanes.servers import Reader
from roboinvest.runtime.llm.spend import reads
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.schema import KIND

TIMEOUT_S: Final = 30.0
_WHOSE: Final = "the file of recorded answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taped:
    """What became of a question."""

    source: str
    form: Mapping[str, Any] | None  # JSON types; None where no form was read
    reason: str

    def to_json(self) -> str:
        """Return it as `from_json` reads it."""
        return plain_json({"source": self.source, "form": self.form, "reason": self.reason})

    @classmethod
    def from_json(cls, text: str) -> Taped | None:
        """Return what `to_json` wrote; None for any other text."""
        try:
            raw = json.loads(text)
            return cls(source=raw["source"], form=raw["form"], reason=raw["reason"])
        except (ValueError, LookupError, TypeError):
            return None


class Tape(Protocol):
    """Where recorded answers are kept."""

    async def played(self, key: str, asks: str) -> Taped | None:
        """Return the entry of a question, or None where it has to be asked; `asks` names it.

        Raises:
            NotRecorded: nothing may be asked, and there is no entry.
        """

    def misfits(self, asks: str, why: str) -> None:
        """Hear that an entry cannot be read by this program, and that it is asked anew.

        Raises:
            NotRecorded: nothing may be asked.
        """

    async def record(self, key: str, taped: Taped) -> None:
        """Keep an entry; the first one of a key stays."""


def key_of(
    task: Task[Any, Any], inputs: object, *, version: str, models: Sequence[str]
) -> tuple[str, str]:
    """Return the key of a question and the digest of its inputs, both hex SHA-256.

    The form of the answer and the limit of tokens are in the prompt's version.
    """
    digest = hashlib.sha256(canonical_json(inputs).encode()).hexdigest()
    facts = plain_json(
        {
            "task": task.name,
            "prompt": version,
            "models": list(models),
            "inputs": digest,
        }
    )
    return hashlib.sha256(facts.encode()).hexdigest(), digest


def not_on_tape(path: Path, asks: str) -> NotRecorded:
    """Return the error of a replay that would have to ask a model."""
    return NotRecorded(
        f"{path} has no answer to {asks}: the market, the settings, the prompt or the model differ "
        "from the recorded run; give the same ones, or leave llm.replay_from out to ask a model"
    )


class LedgerTape:
    """Keeps answers in the ledger's file, and gives them back.

    That nobody could be asked then (an outage, an empty purse) is no answer to keep to: the
    question is asked again, and what comes of it takes the place of the old entry.
    """

    def __init__(self, ledger: SpendLedger) -> None:
        self._ledger = ledger
        self._unanswered = dict[str, str]()  # key -> the entry that says that nobody answered
        self._log = structlog.get_logger("roboinvest.llm")

    async def played(self, key: str, asks: str) -> Taped | None:  # noqa: ARG002 asked otherwise
        """Return what was answered before; None: ask, also where the file cannot be read."""
        try:
            text = await self._ledger.get_reply(key)
        except TryLater:
            return None
        taped = None if text is None else Taped.from_json(text)
        if text is not None and taped is not None and taped.source == RULES:
            self._unanswered[key] = text
            return None
        return taped

    def misfits(self, asks: str, why: str) -> None:
        """Let it be asked anew: the program or its prompts were changed since."""
        self._log.info("recorded_answer_does_not_fit", asks=asks, why=why)

    async def record(self, key: str, taped: Taped) -> None:
        """Keep an entry; the first one of a key stays, unless it says that nobody answered."""
        standing = self._unanswered.pop(key, None)
        await self._ledger.put_reply(key, taped.to_json(), instead_of=standing)


class ReplayTape:
    """Gives back what another run recorded, and nothing else."""

    def __init__(self, path: Path, in_flight: InFlight) -> None:
        self._path = path
        self._played: set[str] = set()  # keys
        self._lane = Lane("recorded-answers", _WHOSE, self._open, in_flight)

    @classmethod
    async def open(cls, path: Path, *, in_flight: InFlight) -> ReplayTape:
        """Open the file of a run that has ended, or that goes on.

        Raises:
            BadInput: there is no such file.
            BadSettings: it is damaged, no ledger, or an empty one.
        """
        if not path.is_file():
            raise BadInput(
                f"llm.replay_from names {path}, which is no file; give the llm.db in the data "
                "folder of the run whose answers are to be replayed"
            )
        tape = cls(path, in_flight)
        await tape._lane.open(TIMEOUT_S)
        try:
            await tape._look_up("")
        except TryLater as error:
            await tape.close()
            raise BadSettings(
                f"llm.replay_from names {path}, which holds no recorded answers; give the llm.db "
                "in the data folder of the run whose answers are to be replayed"
            ) from error
        return tape

    async def played(self, key: str, asks: str) -> Taped | None:
        """Return what was answered then; never None.

        Raises:
            NotRecorded: it was not asked then, or the file is damaged there.
        """
        try:
            text = await self._look_up(key)
        except TryLater as error:
            raise NotRecorded(f"the answer to {asks} cannot be read: {error}") from error
        if text is None:
            raise not_on_tape(self._path, asks)
        taped = Taped.from_json(text)
        if taped is None:
            self.misfits(asks, "it is no answer of this program's")
        self._played.add(key)
        return taped

    def misfits(self, asks: str, why: str) -> None:
        """End the replay."""
        raise NotRecorded(
            f"the answer to {asks} in {self._path} cannot be used ({why}); replay it with the "
            "program that recorded it, or leave llm.replay_from out to ask a model"
        )

    async def record(self, key: str, taped: Taped) -> None:
        """Keep nothing: what was played is there; anything else is a mistake of ours."""
        if key not in self._played:
            raise ValueError(f"an answer from {taped.source} was made in a replay of answers")

    async def close(self) -> None:
        """Let go of the file."""
        await self._lane.close(TIMEOUT_S)

    async def _look_up(self, key: str) -> str | None:
        return await self._lane.ask("look it up", partial(reads.reply, key=key), TIMEOUT_S)

    def _open(self) -> Reader:
        return Reader(file.open_reader(self._path, KIND), self._path, _WHOSE)
