"""From the command line to settings: the file, then the environment, then what was typed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.configuration.settings import Settings
    from roboinvest.runtime.folder import DataFolder

DEFAULT_CONFIG: Final = Path("config/roboinvest.toml")


def settings_of(
    config: Path | None, data_dir: Path | None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings for a command; what was typed wins."""
    from roboinvest.runtime.configuration.settings import load_settings

    typed = {key: value for key, value in (overrides or {}).items() if value is not None}
    if data_dir is not None:
        typed["data_dir"] = data_dir
    if config is None and DEFAULT_CONFIG.is_file():
        config = DEFAULT_CONFIG
    return load_settings(config, os.environ, typed)


def folder_of(config: Path | None, data_dir: Path | None) -> DataFolder:
    """Return the data folder a command is about; it may not exist yet."""
    from roboinvest.runtime.folder import DataFolder

    return DataFolder(settings_of(config, data_dir).data_dir)


def clock_in(config: Path | None, data_dir: Path | None) -> SystemClock:
    """Return the clock that the daemon of these settings goes by."""
    from roboinvest.runtime.configuration.policies import clock_of

    return clock_of(settings_of(config, data_dir))


def person() -> str:
    """Return who types, for the record of a halt."""
    return os.environ.get("SUDO_USER") or os.environ.get("USER") or "operator"
