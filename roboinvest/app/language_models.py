"""The language models of a house: the gateway with its ledger, prompts and recorded answers.

A house without a usable model is a house all the same: what is wrong with the configured one is
said as an alert that stands, and the rules answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from roboinvest.core.errors import BadSettings
from roboinvest.core.events import Event
from roboinvest.core.ports import Clock, LanguageModel, SpendBook
from roboinvest.core.tasks import Task
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.configuration.llm_sections import Provider
from roboinvest.runtime.configuration.policies import spend_caps
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.breaker import CircuitBreaker
from roboinvest.runtime.llm.chains import PRICES_FILE, ROLES, ModelPlace, places_of, read_prices
from roboinvest.runtime.llm.cuts import Cuts
from roboinvest.runtime.llm.forgetting import ForgetTexts
from roboinvest.runtime.llm.gateway import LlmGateway, check_task
from roboinvest.runtime.llm.openai import OpenAiProvider
from roboinvest.runtime.llm.overruns import Overruns
from roboinvest.runtime.llm.provider import Provider as ModelProvider
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.runtime.llm.seat import Seat
from roboinvest.runtime.llm.silent import SilentProvider
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.tape import LedgerTape, ReplayTape, Tape
from roboinvest.runtime.llm.trial import Trial, try_model
from roboinvest.runtime.llm.watch import ALERT_PREFIX, ModelWatch
from roboinvest.runtime.prompts.files import PromptFiles, default_folder
from roboinvest.runtime.prompts.registry import PromptRegistry
from roboinvest.runtime.prompts.schema import registry_file
from roboinvest.runtime.prompts.versions import PromptTerms
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.supervision.service import Service

ID_BYTES: Final = 12
MARKER_BYTES: Final = 12
Chains = Mapping[str, tuple[ModelPlace, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModels:
    """Who answers tasks, and what has to run and be closed for it."""

    model: LanguageModel
    off: str | None = None  # why a configured model is not asked
    spend: SpendBook | None = None
    ledger: SpendLedger | None = None
    prompts: PromptRegistry | None = None
    services: tuple[Service, ...] = ()
    seats: tuple[Seat, ...] = ()
    unfit: Callable[[], Mapping[str, str]] = dict  # prompts that cannot be filled in, and why
    overruns: Overruns = field(default_factory=Overruns)
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)


async def open_models(
    settings: Settings,
    secrets: Secrets,
    folder: DataFolder,
    tasks: Sequence[Task[Any, Any]],
    *,
    clock: Clock,
    in_flight: InFlight,
    prompts: Path | None = None,
) -> OpenedModels:
    """Return who answers; the rules, and why, where the configured model cannot be used.

    `prompts` is the folder of the prompt files; None: those that came with the program.

    Raises:
        BadSettings: answers are to be replayed, and cannot be.
        BadInput: as before; the file of answers is not there.
    """
    llm, rules = settings.llm, RulesModel(clock)
    files = PromptFiles(prompts or default_folder())
    if llm.provider is Provider.RULES:
        if llm.replay_from is not None:
            raise BadSettings(
                "llm.replay_from is set and llm.provider is rules, so nothing would be replayed; "
                "set llm.provider and llm.model as in the recorded run, or leave replay_from out"
            )
        return OpenedModels(model=rules, off=_unusable(tasks, files))
    async with AsyncExitStack() as closing:
        opening = _Opening(settings, secrets, folder, tasks, clock, in_flight, closing, files)
        try:
            return await opening.open()  # which takes over what is to be closed
        except BadSettings as error:
            if llm.replay_from is not None:
                raise
            return OpenedModels(model=rules, off=str(error))


async def try_models(
    settings: Settings, secrets: Secrets, folder: DataFolder, *, clock: Clock, in_flight: InFlight
) -> tuple[Trial, ...]:
    """Ask each configured model one small question, which is paid out of the house's ledger.

    A daemon may run on the folder meanwhile.

    Raises:
        BadSettings: no model is configured, or it cannot be used as it is.
    """
    if settings.llm.provider is Provider.RULES:
        raise BadSettings(
            "llm.provider is rules, so there is no model to try; set it to openai, and llm.model"
        )
    async with AsyncExitStack() as closing:
        files = PromptFiles(default_folder())
        opening = _Opening(settings, secrets, folder, (), clock, in_flight, closing, files)
        places = {place: None for chain in opening.chains(ROLES).values() for place in chain}
        ledger = await SpendLedger.open(
            folder.llm, spend_caps(settings), in_flight=in_flight, clock=clock, recover=False
        )
        closing.push_async_callback(ledger.close)
        return tuple(
            [
                await try_model(
                    opening.seat(place),
                    ledger,
                    clock=clock,
                    new_id=partial(token_hex, ID_BYTES),
                    redact=Redactor(secrets.texts()).whole,
                )
                for place in places
            ]
        )


def services_of(
    models: OpenedModels, board: AlertBoard, *, publish: Callable[[Event], None], clock: Clock
) -> tuple[Service, ...]:
    """Return what runs for the models, and who tells of them; nothing where nothing is to tell."""
    left_open = sorted(board.open_keys(ALERT_PREFIX))
    if not (models.services or models.off or left_open):
        return ()
    watch = ModelWatch(
        models.off,
        models.seats,
        models.ledger,
        publish=publish,
        clock=clock,
        left_open=left_open,
        unfit=models.unfit,
        overruns=models.overruns,
    )
    return (*models.services, watch)


def _unusable(tasks: Sequence[Task[Any, Any]], files: PromptFiles) -> str | None:
    """Return what is wrong with a prompt: the day a model is configured is late to hear of it."""
    try:
        files.read_all([task.prompt for task in tasks])
    except BadSettings as error:
        return str(error)
    return None


@dataclass(frozen=True, slots=True)
class _Opening:
    """What the parts of a gateway are opened from; `closing` hears of each."""

    settings: Settings
    secrets: Secrets
    folder: DataFolder
    tasks: Sequence[Task[Any, Any]]
    clock: Clock
    in_flight: InFlight
    closing: AsyncExitStack
    files: PromptFiles

    async def open(self) -> OpenedModels:
        """Open the ledger, the prompts and the models."""
        for task in self.tasks:
            check_task(task)
        llm = self.settings.llm
        chains = self.chains({task.role for task in self.tasks})
        overruns = Overruns()
        ledger = await self._ledger(overruns)
        tape = await self._tape(ledger)
        prompts = await self._prompts(chains)
        cuts = Cuts(ledger)
        self.closing.push_async_callback(cuts.close)
        seats = {role: tuple(map(self.seat, places)) for role, places in chains.items()}
        gateway = LlmGateway(
            seats,
            ledger=ledger,
            prompts=prompts,
            tape=tape,
            cuts=cuts,
            clock=self.clock,
            new_id=partial(token_hex, ID_BYTES),
            marker=partial(token_hex, MARKER_BYTES),
            redact=Redactor(self.secrets.texts()).whole,
            max_concurrent=llm.max_concurrent,
            deadline_s=llm.deadline_s,
        )
        keep = timedelta(days=self.settings.retention.llm_text_days)
        return OpenedModels(
            model=gateway,
            spend=ledger,
            ledger=ledger,
            prompts=prompts,
            services=(prompts, cuts, ForgetTexts(ledger, keep, self.clock)),
            seats=tuple(seat for chain in seats.values() for seat in chain),
            unfit=gateway.unfit,
            overruns=overruns,
            closing=self.closing.pop_all(),
        )

    def chains(self, roles: Iterable[str]) -> Chains:
        """Return the models of each role."""
        llm = self.settings.llm
        prices = read_prices(default_folder().parent / PRICES_FILE, llm.models)
        loopback_only = self.settings.testing.loopback_only == "on"
        return {
            role: places_of(
                role,
                llm,
                self.secrets,
                prices,
                loopback_only=loopback_only,
                keyless=llm.replay_from is not None,
            )
            for role in sorted(roles)
        }

    async def _ledger(self, overruns: Overruns) -> SpendLedger:
        ledger = await SpendLedger.open(
            self.folder.llm,
            spend_caps(self.settings),
            in_flight=self.in_flight,
            clock=self.clock,
            recover=True,
            tell=overruns.hear,
        )
        self.closing.push_async_callback(ledger.close)
        return ledger

    async def _tape(self, ledger: SpendLedger) -> Tape:
        path = self.settings.llm.replay_from
        if path is None:
            return LedgerTape(ledger)
        tape = await ReplayTape.open(path, in_flight=self.in_flight)
        self.closing.push_async_callback(tape.close)
        return tape

    async def _prompts(self, chains: Chains) -> PromptRegistry:
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prompts")
        self.closing.callback(pool.shutdown, wait=False)
        prompts = await PromptRegistry.open(
            registry_file(self.folder.root),
            self.files,
            {task.prompt: _terms(task, chains[task.role]) for task in self.tasks},
            clean=clean,
            pool=pool,
            clock=self.clock,
            in_flight=self.in_flight,
        )
        self.closing.push_async_callback(prompts.close)
        return prompts

    def seat(self, place: ModelPlace) -> Seat:
        """Return a model with a breaker of its own."""
        return Seat(
            provider=self._provider(place),
            breaker=CircuitBreaker(self.clock.monotonic),
            price=place.price,
            method=place.method,
        )

    def _provider(self, place: ModelPlace) -> ModelProvider:
        if self.settings.llm.replay_from is not None:
            return SilentProvider(place.model)
        provider = OpenAiProvider(
            model=place.model,
            base_url=place.base_url,
            api_key=place.api_key,
            method=place.method,
            clock=self.clock,
            in_flight=self.in_flight,
            max_connections=self.settings.llm.max_concurrent,
        )
        self.closing.push_async_callback(provider.close)
        return provider


def _terms(task: Task[Any, Any], places: Sequence[ModelPlace]) -> PromptTerms:
    """Return what a prompt is asked with beside its words."""
    return PromptTerms(
        model=" ".join(place.model for place in places),
        parameters={
            "reply_tokens": task.limits.reply_tokens,
            "method": places[0].method,
            "tools": [tool.name for tool in task.tools],
        },
        form=task.form.model_json_schema(),
    )
