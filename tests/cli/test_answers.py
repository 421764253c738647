"""What every command answers: to a person in words, and with --json one JSON value alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.fakes.processes import Finished, roboinvest
from tests.fakes.stored_runs import StoredRun

TICKS = 78 + 42  # five-minute bars of a whole day and of a half day
REPORTS = {"system_status", "performance", "positions", "trades", "alerts", "budget"}
LOOKING_BACK = {"health", "performance_analysis", "daily_report", "governance_meeting"}
QUESTIONS = ("status", "report", "positions", "orders", "trades")


def test_a_replay_answers_with_its_summary_alone_and_puts_the_banner_on_stderr(
    finished: Finished,
) -> None:
    summary = finished.ended.value()
    assert (summary["sessions"], summary["ticks"]) == (2, TICKS)
    assert sum(summary["decisions"].values()) == 2 * TICKS
    assert summary["trades"] > 0
    assert summary["data"]["quarantined"] == 0
    assert summary["llm"]["cost_usd"] == 0
    assert len(summary["decision_digest"]) == 64
    assert "REPLAY of recorded bars, PAPER broker. No real money." in finished.ended.err


def test_the_summary_is_what_the_store_holds(finished: Finished) -> None:
    summary, stored = finished.ended.value(), StoredRun(finished.data)
    assert stored.tick_count() == TICKS
    assert len(stored.order_ids()) == stored.sent() == summary["orders"]
    assert round(float(stored.equity()[-1]), 2) == summary["equity_end"]
    assert stored.rows("SELECT count(*) FROM trades WHERE closes_entry") == [(summary["trades"],)]


def test_a_finished_replay_says_in_words_what_it_came_to_and_does_not_trade_again(
    finished: Finished,
) -> None:
    again = roboinvest(*finished.arguments, "--data-dir", finished.data, cwd=finished.place)
    assert again.code == 0
    assert "REPLAY of recorded bars" in again.out
    assert f"Stopped (the replay is done): {TICKS} ticks in 2 sessions" in again.out
    assert not again.err
    assert StoredRun(finished.data).tick_count() == TICKS


@pytest.mark.parametrize("command", QUESTIONS)
def test_a_command_that_reads_answers_in_words_or_in_json(finished: Finished, command: str) -> None:
    words = roboinvest(command, "--data-dir", finished.data, cwd=finished.place)
    assert (words.code, words.err) == (0, "")
    assert words.out.strip()
    answer = roboinvest(command, "--data-dir", finished.data, "--json", cwd=finished.place)
    assert (answer.code, answer.err) == (0, "")
    assert isinstance(answer.value(), dict)


def test_the_answers_tell_one_story(finished: Finished) -> None:
    def ask(command: str) -> Any:
        return roboinvest(
            command, "--data-dir", finished.data, "--json", cwd=finished.place
        ).value()

    summary, status = finished.ended.value(), ask("status")
    assert (status["running"], status["live"], status["mode"]) == (False, False, "replay")
    assert status["last_tick"]["digest"] == summary["decision_digest"]
    assert ask("report")["equity"] == summary["equity_end"]
    assert ask("report")["trades"] == summary["trades"]
    assert ask("trades")["total"] == len(ask("trades")["trades"])
    assert len(ask("orders")["orders"]) == summary["orders"]
    assert ask("positions")["positions"] == {}  # the house is flat before the close


def test_limits_and_filters_narrow_what_is_listed(finished: Finished) -> None:
    def ask(*command: object) -> Any:
        return roboinvest(
            *command, "--data-dir", finished.data, "--json", cwd=finished.place
        ).value()

    assert len(ask("orders", "--limit", 3)["orders"]) == 3
    assert ask("orders", "--open")["orders"] == []
    newest = ask("trades", "--limit", 1)["trades"]
    assert newest == ask("trades")["trades"][:1]


def test_once_lives_through_one_tick_after_the_other(bars: Path, tmp_path: Path) -> None:
    command = ("once", "--replay", bars, "--from", "2015-12-23", "--data-dir", tmp_path / "data")
    first = roboinvest(*command, "--json", cwd=tmp_path)
    tick = first.value()
    assert tick["tick_id"] == "20151223T143500Z"
    assert [decision["symbol"] for decision in tick["decisions"]] == ["AAA", "BBB"]
    second = roboinvest(*command, cwd=tmp_path)
    assert (second.code, second.err) == (0, "")
    assert second.out.startswith("Tick 20151223T144000Z\n")
    assert StoredRun(tmp_path / "data").tick_count() == 2


def test_once_needs_nothing_but_itself(tmp_path: Path) -> None:
    tick = roboinvest("once", "--json", cwd=tmp_path).value()
    assert len(tick["decisions"]) == 5
    assert (tmp_path / "data" / "roboinvest.db").exists()


def test_status_before_any_run_says_so_and_check_fails(tmp_path: Path) -> None:
    words = roboinvest("status", cwd=tmp_path)
    assert (words.code, words.err) == (0, "")
    assert "no daemon has run" in words.out
    assert "roboinvest run" in words.out
    answer = roboinvest("status", "--json", "--check", cwd=tmp_path)
    assert answer.code == 1
    assert answer.value() == {"running": False, "live": False, "data_dir": str(tmp_path / "data")}


def test_bars_are_checked_imported_listed_and_replayed_from_the_store(
    bars: Path, tmp_path: Path
) -> None:
    checked = roboinvest("data", "check", bars, "--json", cwd=tmp_path)
    assert checked.code == 0
    assert (checked.value()["ok"], checked.value()["rows"]) == (True, 552)

    first = roboinvest("data", "import", bars, "--json", cwd=tmp_path).value()
    assert [(one["symbol"], one["added"]) for one in first["series"]] == [
        ("AAA", 276),
        ("BBB", 276),
    ]
    again = roboinvest("data", "import", bars, "--json", cwd=tmp_path).value()
    assert [one["added"] for one in again["series"]] == [0, 0]

    held = roboinvest("data", "ls", "--json", cwd=tmp_path).value()["series"]
    assert [(one["symbol"], one["timeframe"], one["rows"]) for one in held] == [
        ("AAA", "5m", 276),
        ("BBB", "5m", 276),
    ]
    replay = ("--replay", tmp_path / "data" / "bars", "--from", "2015-12-23", "--symbols", "BBB")
    tick = roboinvest("once", *replay, "--data-dir", "replay", "--json", cwd=tmp_path).value()
    assert tick["tick_id"] == "20151223T143500Z"


def test_a_check_that_finds_something_names_the_row_and_exits_with_1(
    bars: Path, tmp_path: Path
) -> None:
    lines = bars.read_text().splitlines()
    symbol, ts, *rest = lines[10].split(",")
    lines[10] = ",".join([symbol, ts, "-5.0", *rest[1:]])
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join(lines) + "\n")
    answer = roboinvest("data", "check", bad, "--json", cwd=tmp_path)
    assert answer.code == 1
    assert (answer.value()["ok"], answer.value()["quarantined"]) == (False, 1)
    words = roboinvest("data", "check", bad, cwd=tmp_path)
    assert (words.code, words.err) == (1, "")
    assert ts in words.out


def test_columns_under_other_names_are_mapped(bars: Path, tmp_path: Path) -> None:
    text = bars.read_text()
    other = tmp_path / "other.csv"
    other.write_text(text.replace("close,volume", "Last,volume", 1))
    answer = roboinvest("data", "check", other, "--map", "close=Last", "--json", cwd=tmp_path)
    assert (answer.code, answer.value()["rows"]) == (0, 552)


def test_a_halt_without_a_daemon_is_a_file_and_resume_takes_it_away(tmp_path: Path) -> None:
    halted = roboinvest("halt", "--level", "cancel", "--reason", "lunch", "--json", cwd=tmp_path)
    assert halted.value()["level"] == "cancel"
    file = json.loads((tmp_path / "data" / "HALT").read_text())
    assert (file["level"], file["reason"]) == ("cancel", "lunch")

    weaker = roboinvest("halt", "--json", cwd=tmp_path).value()
    assert weaker["level"] == "cancel"  # a halt is never lowered by another halt

    words = roboinvest("resume", cwd=tmp_path)
    assert (words.code, words.out) == (0, "the halt is lifted; no daemon runs\n")
    assert not (tmp_path / "data" / "HALT").exists()
    idle = roboinvest("resume", "--json", cwd=tmp_path).value()
    assert idle == {"halted": False, "text": "trading was not halted; no daemon runs"}


def test_schema_prints_a_valid_schema_for_every_report_that_is_written(finished: Finished) -> None:
    schemas = roboinvest("schema", cwd=finished.place).value()
    assert set(schemas) == REPORTS | LOOKING_BACK
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        if name in REPORTS:
            report = json.loads((finished.data / "reports" / f"{name}.json").read_text())
            jsonschema.validate(report, schema, jsonschema.Draft202012Validator)
    assert roboinvest("schema", "positions", cwd=finished.place).value() == schemas["positions"]


def test_init_writes_settings_that_load_and_never_replaces_them_unasked(tmp_path: Path) -> None:
    first = roboinvest("init", cwd=tmp_path)
    assert (first.code, first.err) == (0, "")
    config = tmp_path / "config" / "roboinvest.toml"
    assert config.exists()
    assert (tmp_path / "data").is_dir()
    assert roboinvest("status", cwd=tmp_path).code == 0  # it reads the file

    config.write_text(config.read_text() + "# mine\n")
    refused = roboinvest("init", cwd=tmp_path)
    assert refused.code == 2
    assert "--force" in refused.refusal()
    assert config.read_text().endswith("# mine\n")
    assert roboinvest("init", "--force", cwd=tmp_path).code == 0
    assert not config.read_text().endswith("# mine\n")


def test_doctor_examines_the_place_and_exits_by_what_it_found(tmp_path: Path) -> None:
    answer = roboinvest("doctor", "--json", cwd=tmp_path)
    body = answer.value()
    failed = [check["name"] for check in body["checks"] if check["grade"] == "fail"]
    assert {"python", "data folder", "daemon", "kill switch", "broker", "sandbox"} <= {
        check["name"] for check in body["checks"]
    }
    assert set(failed) <= {"packages"}  # a tree that was not installed is found, rightly
    assert (answer.code, body["ok"]) == (int(bool(failed)), not failed)
    assert all(check["mend"] for check in body["checks"] if check["grade"] == "fail")
    words = roboinvest("doctor", cwd=tmp_path)
    assert (words.code, words.err) == (answer.code, "")
    assert "kill switch: not set" in words.out
