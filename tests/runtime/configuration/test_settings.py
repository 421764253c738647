from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.errors import BadSettings
from roboinvest.core.market.values import Timeframe
from roboinvest.runtime.configuration.secrets import load_secrets
from roboinvest.runtime.configuration.sections import Source
from roboinvest.runtime.configuration.settings import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parents[3]


def complaint(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> str:
    """Return what loading these settings complains of."""
    with pytest.raises(BadSettings) as raised:
        load_settings(config, environ or {}, overrides or {})
    return str(raised.value)


def written(folder: Path, text: str) -> Path:
    path = folder / "roboinvest.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_need_no_file_no_key_and_no_network() -> None:
    settings = load_settings(None, {}, {})
    assert settings == Settings()
    assert settings.market.source is Source.SIMULATED
    assert settings.simulated.symbols == ("ALFA", "BRVO", "CHRL", "DLTA", "ECHO")
    assert settings.simulated.start == date(2026, 1, 5)
    assert settings.broker.starting_cash_usd == Decimal(100_000)
    assert settings.replay.speed == "max"
    assert settings.data_dir == Path("data")


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    config = written(
        tmp_path,
        "[simulated]\nseed = 1\nspeed = 10\nhistory_days = 5\n[market]\ntimeframe = '5m'\n",
    )
    settings = load_settings(
        config,
        {"ROBOINVEST_SIMULATED__SEED": "2", "ROBOINVEST_SIMULATED__SPEED": "20", "PATH": "/bin"},
        {"simulated.seed": 3, "simulated.speed": None},
    )
    assert settings.simulated.seed == 3
    assert settings.simulated.speed == 20.0
    assert settings.simulated.history_days == 5
    assert settings.market.timeframe is Timeframe.MINUTES_5


def test_the_environment_writes_lists_with_commas_and_numbers_as_text() -> None:
    environ = {
        "ROBOINVEST_MARKET__SYMBOLS": "SPY, BRK.B",
        "ROBOINVEST_RISK__MAX_GROSS_FRAC": "0.5",
        "ROBOINVEST_RISK__ALLOW_SHORT": "true",
        "ROBOINVEST_DATA_DIR": "/var/lib/roboinvest",
        "ROBOINVEST_REPLAY__SPEED": "390",
    }
    settings = load_settings(None, environ, {})
    assert settings.market.symbols == ("SPY", "BRK.B")
    assert settings.risk.max_gross_frac == Decimal("0.5")
    assert settings.risk.allow_short
    assert settings.data_dir == Path("/var/lib/roboinvest")
    assert settings.replay.speed == 390.0


def test_an_unknown_key_is_named_with_its_file_and_the_nearest_known_one(tmp_path: Path) -> None:
    config = written(tmp_path, "[risk]\nmax_gros_frac = 0.5\n")
    assert complaint(config) == (
        f"{config}: risk.max_gros_frac is not a setting; did you mean risk.max_gross_frac?"
    )


@pytest.mark.parametrize(
    ("environ", "overrides", "words"),
    [
        ({"ROBOINVEST_RISQ__A": "1"}, {}, "did you mean risk?"),
        ({"ROBOINVEST_DATA_DRI": "x"}, {}, "did you mean ROBOINVEST_DATA_DIR?"),
        ({}, {"market.seed": 1}, "did you mean simulated.seed?"),
        ({}, {"qqq": 1}, "known are data_dir, market"),
        ({}, {"risk.zzzzzz": 1}, "known are risk.allow_short"),
        ({}, {"market": 3}, "market is 3; it is a section"),
        ({}, {"risk.max_gross_frac": "1.5"}, "max_gross_frac is '1.5'; it should be less than or"),
        ({}, {"risk.max_gross_frac": 0}, "max_gross_frac is 0; it should be greater than 0"),
        ({}, {"risk.max_gross_frac": "NaN"}, "risk.max_gross_frac is 'NaN'"),
        ({}, {"simulated.seed": "seven"}, "simulated.seed is 'seven'; it should be a valid int"),
        ({}, {"simulated.speed": "inf"}, "simulated.speed: 'inf' is neither a number above 0"),
        ({}, {"replay.speed": "0"}, "'0' is neither a number above 0 nor \"max\""),
        ({}, {"replay.speed": "nan"}, "neither a number above 0"),
        ({}, {"market.symbols": ["SPY", "spy"]}, "market.symbols: 'spy' is not a ticker"),
        ({}, {"market.timeframe": "2m"}, "'1m', '5m', '15m', '1h' or '1d'"),
        ({}, {"llm.floor_usd": 3}, "llm.floor_usd 3 <= day_cap_usd 0.10"),
        ({}, {"market.source": "replay"}, "replay.path is missing"),
        ({}, {"supervisor.stop_grace_s": 30}, "stop_grace_s 30.0 must be below forced_exit_s"),
        ({}, {"broker.starting_cash_usd": "-5"}, "broker.starting_cash_usd is '-5'"),
    ],
)
def test_a_wrong_value_is_told_with_its_key_its_value_and_its_limit(
    environ: dict[str, str], overrides: dict[str, Any], words: str
) -> None:
    assert words in complaint(environ=environ, overrides=overrides)


@pytest.mark.parametrize("cap", ["day_cap_usd", "floor_usd", "month_cap_usd", "call_cap_usd"])
@pytest.mark.parametrize("usd", ["0", "-1", "nan"])
def test_a_cap_that_is_no_amount_of_money_is_refused(cap: str, usd: str) -> None:
    assert complaint(overrides={f"llm.{cap}": usd}).startswith(f"the command line: llm.{cap} is")


def test_a_role_may_have_its_own_model_server_and_key(tmp_path: Path) -> None:
    config = written(
        tmp_path,
        '[llm.roles.reader]\nmodel = "small"\nvariable = "OTHER_KEY"\n'
        '[llm.models."small"]\ninput_usd = 0.1\noutput_usd = 0.2\n',
    )
    llm = load_settings(config, {}, {}).llm
    assert llm.roles["reader"].model == "small"
    assert llm.variables() == ("OPENAI_API_KEY", "OTHER_KEY")
    secrets = load_secrets({"OTHER_KEY": "sk-other"}, llm.variables())
    assert "sk-other" in secrets.texts()
    held = secrets.named("OTHER_KEY")
    assert held is not None
    assert held.reveal() == "sk-other"
    assert "sk-other" not in repr(secrets)


def test_a_real_broker_is_never_sent_orders_for_an_invented_market() -> None:
    text = complaint(overrides={"broker.kind": "alpaca"})
    assert "broker.kind is alpaca and market.source is simulated" in text


def test_a_real_market_needs_to_be_told_what_to_trade() -> None:
    assert "market.symbols is empty" in complaint(overrides={"market.source": "polygon"})


def test_a_shifted_clock_is_for_vendors_on_this_machine_only() -> None:
    assert "testing.loopback_only is off" in complaint(overrides={"clock.offset_s": 60})
    shifted = {"clock.offset_s": 60, "testing.loopback_only": "on"}
    assert load_settings(None, {}, shifted).clock.offset_s == 60


def test_several_problems_are_the_first_and_how_many_more() -> None:
    text = complaint(overrides={"risk.a": 1, "risk.b": 2, "simulated.seed": -1})
    assert text.endswith("(and 2 more)")


def test_the_place_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    config = written(tmp_path, "[simulated]\nseed = 3\n")
    variable = "ROBOINVEST_SIMULATED__SEED"
    assert complaint(config, {variable: "x"}).startswith(f"the environment ({variable}): ")
    assert complaint(config, {}, {"simulated.seed": "x"}).startswith("the command line: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[market]\nsource = simulated\n", "line 2: invalid value"),
        ("a = 1\na = 2\n", "line 2: cannot overwrite a value"),
        ("x = [1,\n2", "unclosed array"),
        ("[llm]\napi_key = 'abc'\n", "llm.api_key looks like a secret"),
        ("[broker]\nalpaca_secret = 'abc'\n", "broker.alpaca_secret looks like a secret"),
        ("openai_key = 'abc'\n", "openai_key looks like a secret"),
    ],
)
def test_a_bad_file_is_told_with_its_name_and_line(tmp_path: Path, text: str, words: str) -> None:
    config = written(tmp_path, text)
    told = complaint(config)
    assert told.startswith(str(config))
    assert words in told.lower() or words in told


def test_a_secret_in_the_file_is_not_repeated_in_the_complaint(tmp_path: Path) -> None:
    config = written(tmp_path, "[llm]\napi_key = 'sk-canary-canary-canary'\n")
    assert "canary" not in complaint(config)


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory)" in complaint(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"a = '\xff\xfe'")
    assert "byte 5 is not UTF-8" in complaint(binary)


def test_names_with_our_prefix_that_are_not_ours_are_left_alone() -> None:
    assert load_settings(None, {"ROBOINVEST_DATA_PACK": "/x"}, {}) == Settings()


def test_every_setting_is_documented_below_its_field() -> None:
    folder = REPOSITORY / "roboinvest/runtime/configuration"
    sources = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))]
    documented = set()
    for section in chain.from_iterable(ast.parse(source).body for source in sources):
        if not isinstance(section, ast.ClassDef):
            continue
        for field, below in pairwise(section.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                documented.add((section.name, field.target.id))
    for name, info in Settings.model_fields.items():
        section_type = info.annotation
        assert section_type is not None
        keys = getattr(section_type, "model_fields", None)
        wanted = (
            {("Settings", name)} if keys is None else {(section_type.__name__, k) for k in keys}
        )
        assert wanted <= documented


def test_the_defaults_are_within_their_own_limits() -> None:
    assert Settings.model_validate(Settings().model_dump()) == Settings()


def test_secrets_come_from_the_environment_or_from_files_it_names(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("from-a-file\n", encoding="utf-8")
    secrets = load_secrets(
        {"POLYGON_API_KEY": "from-the-environment", "OPENAI_API_KEY_FILE": str(key_file)}
    )
    assert sorted(secrets.texts()) == ["from-a-file", "from-the-environment"]
    assert "from" not in repr(secrets)
    assert secrets.alpaca_api_key is None


def test_a_secret_given_twice_or_in_a_lost_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="both set"):
        load_secrets({"OPENAI_API_KEY": "a", "OPENAI_API_KEY_FILE": "b"})
    with pytest.raises(BadSettings, match="OPENAI_API_KEY_FILE names"):
        load_secrets({"OPENAI_API_KEY_FILE": str(tmp_path / "none")})


def test_what_the_command_line_imports_first_stays_light() -> None:
    program = (
        "import sys\n"
        "from roboinvest.runtime.configuration import secrets, settings\n"
        "from roboinvest.runtime import folder, halt\n"
        "from roboinvest.runtime.control import port\n"
        "heavy = ('numpy', 'sqlalchemy', 'langgraph', 'structlog', 'asyncio')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.strip() == "[]"
