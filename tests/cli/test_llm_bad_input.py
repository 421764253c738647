"""What is wrong with a language model is told in one sentence, and the house trades by its rules.

What the settings themselves forbid stops the start (3); so does a replay of answers that are not
there (2 or 3). Everything else starts on rules, and an alert, `status` and `doctor` say why.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from roboinvest.app.language_models import OpenedModels, open_models
from roboinvest.app.start import TASKS
from roboinvest.core.errors import BadInput, BadSettings
from roboinvest.core.tasks import RULES
from roboinvest.runtime.configuration.secrets import Secrets, load_secrets
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.prompts.files import default_folder
from roboinvest.trading.strategy_task import STRATEGY_TASK
from tests.fakes.clocks import LoopClock
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.language_models.traders import house_model
from tests.fakes.llm_days import (
    KEY,
    MODEL,
    SOURCE,
    assert_nowhere,
    environment_of,
    lived,
    settings_of,
    sources_in,
    write_days,
)
from tests.fakes.processes import Ended, roboinvest

NOBODY: Final = "http://127.0.0.1:9/v1"  # where nothing listens, and nothing is asked
Tasks = tuple[Any, ...]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_days(tmp_path_factory.mktemp("bars"))


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with LanguageModelServer(script=house_model(), key=KEY) as running:
        yield running


def opened(
    folder: Path,
    *,
    prompts: Path | None = None,
    tasks: Tasks = TASKS,
    secrets: Secrets | None = None,
    **typed: Any,
) -> OpenedModels:
    """Return what the settings of the model come to; nothing stays open."""

    async def main() -> OpenedModels:
        given = {"llm.provider": "openai", "llm.base_url": NOBODY, "llm.model": MODEL}
        given |= {f"llm.{name}": value for name, value in typed.items()}
        data = DataFolder(folder)
        data.create()
        models = await open_models(
            load_settings(None, {}, {name: v for name, v in given.items() if v is not None}),
            Secrets() if secrets is None else secrets,
            data,
            tasks,
            clock=LoopClock(),
            in_flight=InFlight(),
            prompts=prompts,
        )
        await models.closing.aclose()
        return models

    return asyncio.run(main())


def assert_one_sentence(text: str | None, *parts: str) -> None:
    assert text is not None
    assert "\n" not in text
    assert "Traceback" not in text
    for part in parts:
        assert part in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Off:
    """Settings of a model that cannot be used, and the sentence about them."""

    name: str
    typed: Mapping[str, Any]
    says: tuple[str, ...]


OFF: Final = (
    Off(
        name="unknown model",
        typed={"model": "gpt-unheard-of"},
        says=('"gpt-unheard-of" has no price', '[llm.models."gpt-unheard-of"]', "input_usd"),
    ),
    Off(
        name="unknown fallback",
        typed={"fallbacks": ("gpt-unheard-of",)},
        says=('"gpt-unheard-of" has no price', "write under"),
    ),
    Off(name="no model", typed={"model": None}, says=("llm.model is missing", "name one")),
    Off(
        name="malformed address",
        typed={"base_url": "localhost"},
        says=("'localhost' is not an address", "write one such as https://HOST"),
    ),
    Off(
        name="impossible port",
        typed={"base_url": "http://127.0.0.1:99999/v1"},
        says=("an address cannot be read", "correct it"),
    ),
    Off(
        name="password in the address",
        typed={"base_url": f"https://me:{KEY}@models.example/v1"},
        says=("carries a name or a password", "into the environment"),
    ),
    Off(
        name="clear text",
        typed={"base_url": "http://models.example/v1"},
        says=("http://models.example would send the keys in clear text", "use https"),
    ),
    Off(
        name="no key",
        typed={"base_url": "https://models.example/v1"},
        says=("OPENAI_API_KEY is not set", MODEL, "OPENAI_API_KEY_FILE"),
    ),
    Off(
        name="no key of a role",
        typed={
            "roles": {"reader": {"base_url": "https://models.example/v1", "variable": "OTHER_KEY"}}
        },
        says=("OTHER_KEY is not set", "the reader's model", "OTHER_KEY_FILE"),
    ),
)


@pytest.mark.parametrize("off", OFF, ids=lambda off: off.name)
def test_a_model_that_cannot_be_used_is_off_and_why_is_one_sentence(
    off: Off, tmp_path: Path
) -> None:
    models = opened(tmp_path / "data", **off.typed)
    assert_one_sentence(models.off, *off.says)
    assert KEY not in str(models.off)
    assert (models.seats, models.services, models.ledger) == ((), (), None)


def test_a_task_without_a_safe_output_is_asked_of_no_model(tmp_path: Path) -> None:
    unsafe = replace(STRATEGY_TASK, safe=None)  # type: ignore[arg-type]
    models = opened(tmp_path / "data", tasks=(unsafe,))
    assert_one_sentence(models.off, "the task strategy has no safe output", "declare one")


def spoilt(folder: Path, change: Callable[[str], str | None]) -> Path:
    """Return the program's prompts with that of the strategist changed, or left out."""
    for path in default_folder().glob("*/*.md"):
        copy = folder / path.relative_to(default_folder())
        copy.parent.mkdir(parents=True, exist_ok=True)
        text: str | None = path.read_text()
        if path.parent.name == "strategy":
            text = change(str(text))
        if text is not None:
            copy.write_text(text)
    return folder


PROMPTS: Final[Mapping[str, tuple[Callable[[str], str | None], str]]] = {
    "no file": (lambda text: None, "cannot be read (No such file or directory)"),
    "no head": (lambda text: text.replace("+++", "", 1), "line 1"),
    "broken head": (
        lambda text: text.replace('at = "text"', "at = text"),
        "line 1: the head is not TOML",
    ),
    "unknown placeholder": (lambda text: text.replace("{{ at }}", "{{ att }}"), "att"),
    "unknown kind": (lambda text: text.replace('at = "text"', 'at = "words"'), "words"),
    "no protected block": (lambda text: text.replace("{# protected #}", ""), "protected"),
    "nothing": (lambda text: " ", "1 bytes"),
}


@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("provider", ["openai", "rules"])
def test_a_prompt_that_cannot_be_read_is_told_with_its_file_also_while_rules_answer(
    name: str, provider: str, tmp_path: Path
) -> None:
    change, says = PROMPTS[name]
    prompts = spoilt(tmp_path / "prompts", change)
    models = opened(tmp_path / "data", prompts=prompts, provider=provider)
    assert_one_sentence(models.off, str(prompts / "strategy" / "decide.md"), says)


def test_a_prompt_that_wants_what_no_task_gives_is_an_alert_and_rules_decide(
    day: Path, tmp_path: Path
) -> None:
    declared = 'at = "text"\nmood = "text"'
    prompts = spoilt(
        tmp_path / "prompts",
        lambda text: text.replace('at = "text"', declared).replace(
            "{{ at }}", "{{ at }}, {{ mood }}"
        ),
    )
    lived_day = lived(settings_of(tmp_path / "data", day, NOBODY), prompts=prompts)
    assert lived_day.outcome.exit_code == 0
    assert set(lived_day.sources) == {RULES}
    (alert,) = lived_day.alerts
    assert (alert["key"], alert["count"]) == ("llm.model.prompt.strategy/decide", 1)
    assert_one_sentence(
        alert["message"], "strategy/decide cannot be written", "mood", "rules answer"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Environment variables that no daemon starts with."""

    name: str
    env: Mapping[str, str]
    says: tuple[str, ...]


REFUSED: Final = (
    Refused(
        name="cap of zero",
        env={"ROBOINVEST_LLM__DAY_CAP_USD": "0"},
        says=("(ROBOINVEST_LLM__DAY_CAP_USD): llm.day_cap_usd is '0'", "greater than 0"),
    ),
    Refused(
        name="negative cap",
        env={"ROBOINVEST_LLM__CALL_CAP_USD": "-0.5"},
        says=("(ROBOINVEST_LLM__CALL_CAP_USD): llm.call_cap_usd is '-0.5'", "greater than 0"),
    ),
    Refused(
        name="cap that is no number",
        env={"ROBOINVEST_LLM__MONTH_CAP_USD": "nan"},
        says=("(ROBOINVEST_LLM__MONTH_CAP_USD): llm.month_cap_usd is 'nan'", "finite"),
    ),
    Refused(
        name="deadline of zero",
        env={"ROBOINVEST_LLM__DEADLINE_S": "0"},
        says=("(ROBOINVEST_LLM__DEADLINE_S): llm.deadline_s is '0'", "greater than 0"),
    ),
    Refused(
        name="spaces in a name",
        env={"ROBOINVEST_LLM__MODEL": "gpt 4o"},
        says=("(ROBOINVEST_LLM__MODEL): llm.model: 'gpt 4o' is no name", "no spaces"),
    ),
    Refused(
        name="unknown provider",
        env={"ROBOINVEST_LLM__PROVIDER": "oracle"},
        says=("(ROBOINVEST_LLM__PROVIDER): llm.provider is 'oracle'", "'rules' or 'openai'"),
    ),
)


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_what_the_settings_forbid_is_one_sentence_about_the_variable(refused: Refused) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(None, refused.env, {})
    assert_one_sentence(str(caught.value), *refused.says)


def test_a_key_that_is_given_twice_is_given_once_to_nobody(tmp_path: Path) -> None:
    twice = {"OPENAI_API_KEY": KEY, "OPENAI_API_KEY_FILE": str(tmp_path / "key")}
    with pytest.raises(BadSettings) as caught:
        load_secrets(twice)
    assert_one_sentence(str(caught.value), "OPENAI_API_KEY and OPENAI_API_KEY_FILE", "unset one")
    assert KEY not in str(caught.value)


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE replies (key TEXT, body TEXT)")


TAPES: Final[Mapping[str, tuple[Callable[[Path], object], type[Exception], str]]] = {
    "missing": (lambda path: None, BadInput, "which is no file"),
    "a folder": (Path.mkdir, BadInput, "which is no file"),
    "empty": (Path.touch, BadSettings, "holds no recorded answers"),
    "text": (lambda path: path.write_text("not a database " * 99), BadSettings, "is damaged"),
    "of others": (other_database, BadSettings, "a database of another program"),
}


@pytest.mark.parametrize("name", TAPES)
def test_answers_that_cannot_be_replayed_stop_the_start(name: str, tmp_path: Path) -> None:
    make, kind, says = TAPES[name]
    tape = tmp_path / "tape.db"
    make(tape)
    with pytest.raises(kind) as caught:
        opened(tmp_path / "data", replay_from=tape)
    assert_one_sentence(str(caught.value), str(tape), says)


def test_a_replay_of_answers_without_a_model_to_answer_is_not_left_to_rules(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        opened(tmp_path / "data", provider="rules", replay_from=tmp_path / "llm.db")
    assert_one_sentence(str(caught.value), "llm.provider is rules", "leave replay_from out")


# ------------------------------------------------------------------ as people meet it


def typed(place: Path, bars: Path, *command: object, env: Mapping[str, str]) -> Ended:
    more = ("--replay", bars, "--from", "2015-12-23", "--to", "2015-12-23")
    return roboinvest(*command, *more, cwd=place, env={**environment_of(NOBODY), **env})


def test_a_house_whose_model_is_unknown_trades_by_rules_and_says_so_everywhere(
    day: Path, tmp_path: Path
) -> None:
    env = {"ROBOINVEST_LLM__MODEL": "gpt-unheard-of"}
    ended = typed(tmp_path, day, "once", "--json", env=env)
    assert (ended.code, ended.err) == (0, "")
    assert {one["source"] for one in ended.value()["decisions"]} == {RULES}
    status = roboinvest("status", cwd=tmp_path, env=env)
    words = " ".join(status.out.split())
    assert "the language model is off, and rules answer: the model" in words
    assert "gpt-unheard-of" in words
    doctor = roboinvest("doctor", "--json", cwd=tmp_path, env={**environment_of(NOBODY), **env})
    (check,) = [each for each in doctor.value()["checks"] if each["name"] == "model"]
    assert check["grade"] == "warn"
    assert_one_sentence(check["fact"], "off, so rules answer", '"gpt-unheard-of" has no price')


def test_a_key_that_is_refused_is_an_alert_and_in_no_file(
    server: LanguageModelServer, day: Path, tmp_path: Path
) -> None:
    bad = "sk-canary-refused-00112233445566"
    env = {**environment_of(server.url), "OPENAI_API_KEY": bad}
    env["ROBOINVEST_LOGGING__LEVEL"] = "debug"
    ended = typed(tmp_path, day, "once", "--json", env=env)
    assert ended.code == 0
    assert {one["source"] for one in ended.value()["decisions"]} == {RULES}
    status = roboinvest("status", cwd=tmp_path, env=env)
    assert f"{SOURCE} is not asked: the key is refused" in " ".join(status.out.split())
    assert len(server.requests) == 1
    assert bad not in ended.out + ended.err + status.out + status.err
    assert_nowhere(tmp_path, bad, bad[-12:])


def test_a_replay_that_misses_an_answer_ends_with_one_sentence_and_code_2(
    server: LanguageModelServer, day: Path, tmp_path: Path
) -> None:
    tape = tmp_path / "tape"
    recorded = lived(settings_of(tape, day, server.url, replay__last="2015-12-23"))
    server.stop()
    env = {"ROBOINVEST_LLM__REPLAY_FROM": str(tape / "llm.db"), "OPENAI_API_KEY": ""}
    with closing(sqlite3.connect(tape / "llm.db")) as connection, connection:
        connection.execute("DELETE FROM replies WHERE rowid > 30")
    ended = typed(tmp_path, day, "run", "--exit-when-done", env=env)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1, ended.err
    assert_one_sentence(
        ended.err.strip(), "roboinvest: ", str(tape / "llm.db"), "has no answer to strategy about"
    )
    assert sources_in(tmp_path / "data") == [SOURCE] * 30 == recorded.sources[:30]
    lines = (tmp_path / "data" / "logs" / "roboinvest.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert not [each for each in events if each["event"] == "service_failed"], "nothing is repeated"


def test_a_replay_from_no_file_is_refused_with_code_2(day: Path, tmp_path: Path) -> None:
    env = {"ROBOINVEST_LLM__REPLAY_FROM": "nowhere.db"}
    ended = typed(tmp_path, day, "run", "--exit-when-done", env=env)
    assert ended.code == 2
    assert_one_sentence(ended.refusal(), "nowhere.db, which is no file", "give the llm.db")
