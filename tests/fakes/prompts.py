"""Prompts for tests: a text in good form, versions of it, and a registry with what it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from roboinvest.core.ports import Clock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.prompts.files import PromptFiles
from roboinvest.runtime.prompts.labels import Cause
from roboinvest.runtime.prompts.reading import read_prompt
from roboinvest.runtime.prompts.registry import DEADLINE_S, PromptRegistry
from roboinvest.runtime.prompts.schema import registry_file
from roboinvest.runtime.prompts.versions import PromptTerms, PromptVersion, version_of
from tests.fakes.clocks import START, ManualClock

NAME: Final = "strategy/decide"
TERMS: Final = PromptTerms(model="model-1", parameters={"reply_tokens": 900}, form={"type": "x"})
MARKER: Final = "m4rk" * 5
RULES: Final = 'Never sell short.\nAnswer {"views": []} and {{ nothing }} {% else %}.'


def a_prompt(
    user: str = "It is {{ at }}: {{ symbols|tojson }}",
    *,
    system: str = "You decide.",
    protected: str = RULES,
    placeholders: Mapping[str, str] | None = None,
    temperature: object = 0.2,
) -> str:
    """Return a prompt's text."""
    declared = {"at": "text", "symbols": "json"} if placeholders is None else placeholders
    lines = "\n".join(f'{name} = "{kind}"' for name, kind in declared.items())
    return (
        f"+++\ntemperature = {temperature}\n\n[placeholders]\n{lines}\n+++\n--- system ---\n"
        f"{system}\n{{# protected #}}\n{protected}\n{{# end protected #}}\nBe brief.\n"
        f"--- user ---\n{user}\n"
    )


def a_version(text: str, name: str = NAME, terms: PromptTerms = TERMS) -> PromptVersion:
    """Return a version that is in no registry."""
    return PromptVersion(
        version=version_of(name, text, terms),
        name=name,
        prompt=read_prompt(text, where=name),
        terms=terms,
        made_at=START,
    )


def cause(reason: str = "a test", at: datetime = START, **evidence: Any) -> Cause:
    """Return why a label is moved."""
    return Cause(reason=reason, by="tester", at=at, evidence=evidence)


class PromptPlace:
    """A folder of prompts and a data folder, in which registries are opened one after another."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.files = PromptFiles(root / "prompts")
        self.path = registry_file(root / "data")
        self.in_flight = InFlight()
        self.pool: ThreadPoolExecutor | None = None  # of the registry that is open
        self._root = root
        self._clock = clock or ManualClock()

    def write(self, text: str, name: str = NAME) -> None:
        """Write a prompt's file."""
        path = self._root / "prompts" / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    @asynccontextmanager
    async def opened(
        self,
        terms: PromptTerms = TERMS,
        names: tuple[str, ...] = (NAME,),
        *,
        deadline_s: float = DEADLINE_S,
    ) -> AsyncIterator[PromptRegistry]:
        """Be one life of a daemon."""
        with ThreadPoolExecutor(1) as pool:
            self.pool = pool
            registry = await PromptRegistry.open(
                self.path,
                self.files,
                dict.fromkeys(names, terms),
                clean=str.strip,
                pool=pool,
                clock=self._clock,
                in_flight=self.in_flight,
                deadline_s=deadline_s,
            )
            try:
                yield registry
            finally:
                await registry.close()
