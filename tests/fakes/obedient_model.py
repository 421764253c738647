"""A language model whose reader does whatever its text wants, as far as the form can carry it.

What it says goes the way of a real model's answer: text, form, task, one repair, the safe output.
Every tool that it asks for is looked up in the task's closed list; what is there would run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from roboinvest.core.errors import BadReply
from roboinvest.core.news.reading import NewsText
from roboinvest.core.news.records import QUOTE_CHARS
from roboinvest.core.tasks import RULES, SAFE, Answer, Task
from roboinvest.runtime.llm.filled_form import filled_in
from roboinvest.runtime.llm.provider import Reply
from tests.fakes.hostile_news import Attack

SOURCE: Final = "openai:obedient"


class ObedientModel:
    """Obeys every item; decides about trades by the rules, which see no item."""

    def __init__(self, attacks: Mapping[str, Attack], prompt: str = "") -> None:
        """Take the attacks by the id of their items, and what the model was told first."""
        self._attacks = attacks
        self._prompt = json.dumps(" ".join(prompt.split())[:QUOTE_CHARS])[1:-1]
        self.decided_on: list[object] = []  # what the strategist was shown
        self.read: list[NewsText] = []
        self.ran: list[str] = []  # tools that the task let it call
        self.refused: list[str] = []
        self.unreadable = 0  # replies that became the safe output

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        """Return what an obeying model's answer becomes."""
        if not isinstance(inputs, NewsText):
            self.decided_on.append(inputs)
            return _answer(task.rule(inputs), RULES)
        self.read.append(inputs)
        attack = self._attacks[inputs.item_id]
        listed = {tool.name for tool in task.tools}
        self.ran += [name for name in attack.tools if name in listed]
        self.refused += [name for name in attack.tools if name not in listed]
        for text in self._replies(attack, inputs):
            try:
                form = filled_in(task.form, Reply(text=text, usage=None))
                return _answer(task.read(inputs, form), SOURCE)
            except BadReply:
                continue
        self.unreadable += 1
        return _answer(task.safe(inputs), SAFE)

    def _replies(self, attack: Attack, inputs: NewsText) -> list[str]:
        """Return the reply and the repair."""
        if not attack.replies:
            return [_extreme(attack, inputs)]
        symbols = json.dumps(list(inputs.symbols))
        told = [
            text.format(item=inputs.ref, symbols=symbols, prompt=self._prompt)
            for text in attack.replies[:2]
        ]
        return told * (2 // len(told))


def _extreme(attack: Attack, inputs: NewsText) -> str:
    """Return the worst that the form can carry."""
    return json.dumps(
        {
            "item": inputs.ref,
            "symbols": list(inputs.symbols),
            "event": "other",
            "sentiment": float(attack.lean),
            "confidence": 1.0,
            "quote": inputs.headline[:QUOTE_CHARS].strip(),
        }
    )


def _answer(output: Any, source: str) -> Answer[Any]:
    return Answer(output=output, source=source, cost_usd=Decimal(0), latency_ms=0.0)
