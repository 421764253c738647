"""The doctor: looks at what a daemon needs, and names the one step that mends each finding.

It changes nothing but a probe file that it takes away again, and it never starts anything.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from roboinvest.core.errors import BadInput, RoboInvestError, TryLater
from roboinvest.core.ports import Calendar
from roboinvest.runtime.configuration.llm_sections import Provider
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.sections import BrokerKind
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.governance.anchors import anchors_beside
from roboinvest.runtime.governance.file import FILE_NAME
from roboinvest.runtime.governance.verify import verify
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.llm.chains import PRICES_FILE, ROLES, places_of, read_prices
from roboinvest.runtime.oversight.file import FILE_NAME as OVERSEER_FILE
from roboinvest.runtime.oversight.file import damage
from roboinvest.runtime.prompts.files import default_folder
from roboinvest.runtime.reports.health import read_health
from tools.sandbox.tier import Tier
from tools.sandbox.tiers import detect

MIN_FREE_MB: Final = 500
SILENT_LOOKS: Final = 3.0  # that may be missed
OLDEST_PYTHON: Final = (3, 11)
_SANE_YEARS: Final = (2025, 2100)  # a clock outside them was never set


class Grade(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check."""

    name: str
    grade: Grade
    fact: str
    mend: str = ""  # the next step; empty when nothing is wrong


class Doctor:
    """Examines one installation and one data folder."""

    def __init__(
        self,
        settings: Settings,
        folder: DataFolder,
        calendar: Calendar,
        now: datetime,
        secrets: Secrets | None = None,
    ) -> None:
        self._settings = settings
        self._secrets = secrets or Secrets()
        self._folder = folder
        self._calendar = calendar
        self._now = now

    def examine(self) -> Sequence[Finding]:
        """Return every finding, in the order in which to mend them."""
        checks: tuple[Callable[[], Finding], ...] = (
            self._python,
            self._packages,
            self._clock,
            self._data_folder,
            self._disk,
            self._daemon,
            self._halt,
            self._sessions,
            self._recall,
            self._model,
            self._broker,
            self._sandbox,
            self._audit,
            self._overseer,
        )
        return [check() for check in checks]

    def _sandbox(self) -> Finding:
        """Try the box that generated code would run in."""
        found = detect()
        fact = f"tier {found.tier}: {found.reason}"
        lacks_bubblewrap = found.tier is not Tier.A and shutil.which("bwrap") is None
        mend = "install the package bubblewrap for tier A" if lacks_bubblewrap else ""
        if found.tier.runs_jobs:
            return Finding(name="sandbox", grade=Grade.OK, fact=fact, mend=mend)
        off = "trading goes on; generated code stays off on this machine"
        mend = f"{off}; {mend}" if mend else off
        return Finding(name="sandbox", grade=Grade.WARN, fact=fact, mend=mend)

    def _audit(self) -> Finding:
        """Verify the audit log; whether anything is promoted hangs on it, and trading does not."""
        path = self._folder.root / FILE_NAME
        if not path.exists() and not anchors_beside(path).exists():
            fact = "nothing was proposed or changed here yet"
            return Finding(name="audit", grade=Grade.OK, fact=fact)
        try:
            found = verify(path)
        except (RoboInvestError, OSError) as error:
            fact = f"it cannot be verified: {error}"
        else:
            if found.is_whole:
                fact = f"{found.rows} rows are what was written, by {found.anchors} anchors"
                return Finding(name="audit", grade=Grade.OK, fact=fact)
            fact = f"it is not what was written: {found.breaks[0].text}"
        mend = "nothing is promoted or approved until then; see: roboinvest audit verify"
        return Finding(name="audit", grade=Grade.FAIL, fact=fact, mend=mend)

    def _overseer(self) -> Finding:
        """See whether somebody looks after the house, and remembers what was tried."""
        if self._settings.overseer.enabled == "off":
            fact = "off: nobody looks at agents, heals them, reports daily or holds meetings"
            mend = 'to have it back: enabled = "on" under [overseer]; trading goes on either way'
            return Finding(name="overseer", grade=Grade.WARN, fact=fact, mend=mend)
        trouble = damage(self._folder.root / OVERSEER_FILE)
        if trouble is not None:
            fact = f"its memory, {self._folder.root / OVERSEER_FILE}, is damaged: {trouble}"
            mend = "move it and its -wal away; the Overseer begins anew, and trading goes on"
            return Finding(name="overseer", grade=Grade.FAIL, fact=fact, mend=mend)
        return self._overseer_lives()

    def _overseer_lives(self) -> Finding:
        """Compare its last look with the clock, where a daemon runs."""
        try:
            looked_at = read_health(self._folder.reports).checked_at
        except TryLater:
            fact = "on; it has not looked at anybody here yet"
            return Finding(name="overseer", grade=Grade.OK, fact=fact)
        except BadInput as error:
            mend = "what is wrong all the same: roboinvest alerts ls"
            return Finding(name="overseer", grade=Grade.WARN, fact=f"{error}", mend=mend)
        age = self._now - looked_at
        fact = f"on; it looked at the agents last at {looked_at:%Y-%m-%d %H:%M} UTC"
        silent_s = SILENT_LOOKS * self._settings.overseer.health_interval_s
        if self._folder.holder() is not None and age.total_seconds() > silent_s:
            mend = "see what became of the service health: roboinvest status"
            return Finding(name="overseer", grade=Grade.WARN, fact=f"silent: {fact}", mend=mend)
        return Finding(name="overseer", grade=Grade.OK, fact=fact)

    def _python(self) -> Finding:
        version = ".".join(str(part) for part in sys.version_info[:3])
        if sys.version_info[:2] < OLDEST_PYTHON:
            mend = "install Python 3.11 or newer and run: make setup"
            return Finding(name="python", grade=Grade.FAIL, fact=version, mend=mend)
        return Finding(name="python", grade=Grade.OK, fact=version)

    def _packages(self) -> Finding:
        absent = sorted(set(_missing_packages()))
        if absent:
            fact = f"missing: {', '.join(absent)}"
            return Finding(name="packages", grade=Grade.FAIL, fact=fact, mend="run: make setup")
        return Finding(name="packages", grade=Grade.OK, fact="all that the program declares")

    def _clock(self) -> Finding:
        fact = f"{self._now:%Y-%m-%d %H:%M:%S} UTC"
        first, last = _SANE_YEARS
        if not first <= self._now.year < last:
            mend = "set the machine's clock; orders and bars are stamped by it"
            return Finding(name="clock", grade=Grade.FAIL, fact=fact, mend=mend)
        return Finding(name="clock", grade=Grade.OK, fact=fact)

    def _data_folder(self) -> Finding:
        try:
            self._folder.create()
        except RoboInvestError as error:
            mend = "make it writable, or give another --data-dir"
            return Finding(name="data folder", grade=Grade.FAIL, fact=str(error), mend=mend)
        fact = f"{self._folder.root} can be written"
        return Finding(name="data folder", grade=Grade.OK, fact=fact)

    def _disk(self) -> Finding:
        place = next(p for p in (self._folder.root, *self._folder.root.parents) if p.exists())
        free_mb = shutil.disk_usage(place).free // 1_000_000
        fact = f"{free_mb:,} MB free, {MIN_FREE_MB} are needed"
        if free_mb < MIN_FREE_MB:
            mend = "free some space; the books stop being written when the disk is full"
            return Finding(name="disk", grade=Grade.FAIL, fact=fact, mend=mend)
        return Finding(name="disk", grade=Grade.OK, fact=fact)

    def _daemon(self) -> Finding:
        holder = self._folder.holder()
        fact = "none runs on this folder" if holder is None else f"running, pid {holder}"
        return Finding(name="daemon", grade=Grade.OK, fact=fact)

    def _halt(self) -> Finding:
        halt = HaltFile(self._folder.halt).read()
        if halt is not None:
            fact = f"HALTED at level {halt.level.value}: {halt.reason}"
            mend = "when you are ready: roboinvest resume"
            return Finding(name="kill switch", grade=Grade.WARN, fact=fact, mend=mend)
        return Finding(name="kill switch", grade=Grade.OK, fact="not set")

    def _sessions(self) -> Finding:
        today = self._now.date()
        found = self._calendar.sessions(today, today + timedelta(days=14))
        if not found:
            mend = "update exchange-calendars; without sessions nothing is traded"
            fact = "no session in the next two weeks"
            return Finding(name="calendar", grade=Grade.FAIL, fact=fact, mend=mend)
        fact = f"next session {found[0].day}, {found[0].opens_at:%H:%M} UTC"
        return Finding(name="calendar", grade=Grade.OK, fact=fact)

    def _recall(self) -> Finding:
        if self._settings.memory.chroma == "off":
            return Finding(name="text recall", grade=Grade.OK, fact="off by memory.chroma")
        if importlib.util.find_spec("chromadb") is None:
            fact, mend = "chromadb is not installed; trading does not need it", "run: make setup"
            return Finding(name="text recall", grade=Grade.WARN, fact=fact, mend=mend)
        return Finding(name="text recall", grade=Grade.OK, fact="chromadb is installed")

    def _model(self) -> Finding:
        """Say whether the configured model can be asked; whether it answers costs money to know."""
        settings, llm = self._settings, self._settings.llm
        if llm.provider is Provider.RULES:
            return Finding(name="model", grade=Grade.OK, fact="rules, no key needed, no cost")
        try:
            prices = read_prices(default_folder().parent / PRICES_FILE, llm.models)
            chains = {
                role: places_of(
                    role,
                    llm,
                    self._secrets,
                    prices,
                    loopback_only=settings.testing.loopback_only == "on",
                    keyless=llm.replay_from is not None,
                )
                for role in ROLES
            }
        except RoboInvestError as error:
            fact = f"off, so rules answer: {error}"
            return Finding(name="model", grade=Grade.WARN, fact=fact, mend="mend that, start again")
        if llm.replay_from is not None:
            fact = f"recorded answers of {llm.replay_from}; nothing is asked, nothing is paid"
            return Finding(name="model", grade=Grade.OK, fact=fact)
        asked = {place.model: place.price for chain in chains.values() for place in chain}
        shown = "; ".join(
            f"{model}, {price.input_usd:f} USD in and {price.output_usd:f} USD out per million"
            for model, price in asked.items()
        )
        fact = f"{shown}; {llm.day_cap_usd:f} USD a day; roboinvest llm test asks"
        return Finding(name="model", grade=Grade.OK, fact=fact)

    def _broker(self) -> Finding:
        kind, live = self._settings.broker.kind, self._settings.alpaca.live
        money = "real money" if kind is BrokerKind.ALPACA and live else "no real money"
        return Finding(name="broker", grade=Grade.OK, fact=f"{kind.value}: {money}")


def _missing_packages() -> Iterator[str]:
    """Yield the declared requirements that are not installed."""
    try:
        declared = importlib.metadata.requires("roboinvest") or []
    except importlib.metadata.PackageNotFoundError:
        yield "roboinvest"
        return
    for requirement in declared:
        name = requirement.split(";")[0]
        for mark in "<>=!~[ (":
            name = name.split(mark)[0]
        if "extra ==" in requirement:
            continue
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name
