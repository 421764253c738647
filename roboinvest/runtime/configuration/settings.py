"""Settings: all sections together, and how they are read.

Limits a person sets are checked here, once, so that nothing behind it asks again. Keys of vendors
are no settings: they come from the environment (`Secrets`) and are never written to a file, a stamp
or a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from roboinvest.runtime.configuration.governance_sections import GovernanceSettings
from roboinvest.runtime.configuration.llm_sections import LlmSettings
from roboinvest.runtime.configuration.notify_sections import MetricsSettings, NotifySettings
from roboinvest.runtime.configuration.overseer_sections import OverseerSettings
from roboinvest.runtime.configuration.sections import (
    BrokerKind,
    BrokerSettings,
    LoggingSettings,
    MarketSettings,
    MemorySettings,
    ProtectionSettings,
    ReplaySettings,
    ReportsSettings,
    RetentionSettings,
    RiskSettings,
    Section,
    SimulatedSettings,
    Source,
    StrategySettings,
    SupervisorSettings,
)
from roboinvest.runtime.configuration.settings_text import Layers, bad_settings
from roboinvest.runtime.configuration.vendor_sections import (
    AlpacaSettings,
    ClockSettings,
    MandateSettings,
    PolygonSettings,
    TestingSettings,
)


class Settings(Section):
    """The whole."""

    data_dir: Path = Path("data")
    """Folder in which the machine writes."""
    market: MarketSettings = Field(default_factory=MarketSettings)
    simulated: SimulatedSettings = Field(default_factory=SimulatedSettings)
    replay: ReplaySettings = Field(default_factory=ReplaySettings)
    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    alpaca: AlpacaSettings = Field(default_factory=AlpacaSettings)
    polygon: PolygonSettings = Field(default_factory=PolygonSettings)
    mandate: MandateSettings = Field(default_factory=MandateSettings)
    risk: RiskSettings = Field(default_factory=RiskSettings)
    protections: ProtectionSettings = Field(default_factory=ProtectionSettings)
    llm: LlmSettings = Field(default_factory=LlmSettings)
    strategy: StrategySettings = Field(default_factory=StrategySettings)
    governance: GovernanceSettings = Field(default_factory=GovernanceSettings)
    overseer: OverseerSettings = Field(default_factory=OverseerSettings)
    memory: MemorySettings = Field(default_factory=MemorySettings)
    supervisor: SupervisorSettings = Field(default_factory=SupervisorSettings)
    reports: ReportsSettings = Field(default_factory=ReportsSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    testing: TestingSettings = Field(default_factory=TestingSettings)
    clock: ClockSettings = Field(default_factory=ClockSettings)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        real = self.market.source is Source.POLYGON
        if self.broker.kind is BrokerKind.ALPACA and not real:
            raise ValueError(
                f"broker.kind is alpaca and market.source is {self.market.source}: a real broker "
                "is never sent orders for another market's prices; set market.source to polygon"
            )
        if real and not self.market.symbols:
            raise ValueError(
                "market.symbols is empty and market.source is polygon; name the tickers to trade"
            )
        replay = self.replay
        if self.market.source is Source.REPLAY and replay.path is None:
            raise ValueError("replay.path is missing, and market.source is replay; name a folder")
        if replay.first is not None and replay.last is not None and replay.first > replay.last:
            raise ValueError(f"replay.first {replay.first} is after replay.last {replay.last}")
        self._check_clock()
        return self

    def _check_clock(self) -> None:
        clock = self.clock
        derived = [
            key for key, plain in (("offset_s", 0), ("rate", 1)) if getattr(clock, key) != plain
        ]
        if derived and self.testing.loopback_only == "off":
            key = derived[0]
            raise ValueError(
                f"clock.{key} is {getattr(clock, key):g} and testing.loopback_only is off; "
                "another clock is for vendors on this machine only"
            )
        if clock.rate != 1 and clock.anchor is None:
            raise ValueError(f"clock.rate is {clock.rate:g} and clock.anchor is missing; set it")


def load_settings(
    config_path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
) -> Settings:
    """Return the settings: defaults, then the file, the environment, and the command line.

    `overrides` maps dotted keys to values, such as {"replay.speed": "max"}. In the environment
    the key broker.kind is written ROBOINVEST_BROKER__KIND.

    Raises:
        BadSettings: the first problem, with its key, value and limit, and how many more there are.
    """
    layers = Layers()
    if config_path is not None:
        layers.add_file(config_path)
    layers.add_environment(environ, known=Settings.model_fields)
    layers.add_command_line(overrides)
    try:
        return Settings.model_validate(layers.tree)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise bad_settings(problems, layers, known=known_keys()) from None


def known_keys() -> tuple[str, ...]:
    """Return every dotted key, in the order of this file."""
    keys: list[str] = []
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            keys.extend(f"{name}.{key}" for key in section.model_fields)
        else:
            keys.append(name)
    return tuple(keys)
