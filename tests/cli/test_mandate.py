"""The owner drafts, sees and signs a mandate; the exit codes say what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fakes.processes import roboinvest

PATH = Path("config") / "mandate.toml"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a place with a draft."""
    drafted = roboinvest("mandate", "init", cwd=tmp_path)
    assert (drafted.code, drafted.err) == (0, "")
    return tmp_path


def test_without_a_mandate_a_paper_account_trades_and_show_says_so(tmp_path: Path) -> None:
    words = roboinvest("mandate", "show", cwd=tmp_path)
    assert (words.code, words.err) == (0, "")
    assert "a mandate" not in words.err
    assert "roboinvest mandate init" in words.out
    answer = roboinvest("mandate", "show", "--json", cwd=tmp_path).value()
    assert (answer["state"], answer["live"], answer["terms"]) == ("absent", False, None)
    assert answer["entries_allowed"] is True


def test_a_draft_is_unsigned_and_never_replaced_unasked(place: Path) -> None:
    answer = roboinvest("mandate", "show", "--json", cwd=place).value()
    assert (answer["state"], answer["signature"]) == ("unsigned", None)
    assert answer["terms"]["max_order_usd"] == "10000"
    again = roboinvest("mandate", "init", cwd=place)
    assert again.code == 2
    assert "--force" in again.err
    assert roboinvest("mandate", "init", "--force", "--days", 1, cwd=place).code == 0


def test_signing_shows_the_figures_in_words_and_names_the_person(place: Path) -> None:
    done = roboinvest("mandate", "sign", "--yes-i-am", "Ann Owner", cwd=place)
    assert (done.code, done.err) == (0, "")
    assert "One order is worth at most 10,000.00 USD." in done.out
    assert "signed by Ann Owner, consent hash " in done.out
    answer = roboinvest("mandate", "show", "--json", cwd=place).value()
    assert answer["state"] == "in force"
    assert answer["signature"]["signed_by"] == "Ann Owner"
    assert answer["signature"]["consent_hash"] in done.out


def test_a_service_without_a_terminal_cannot_sign_by_accident(place: Path) -> None:
    refused = roboinvest("mandate", "sign", cwd=place)
    assert refused.code == 5
    assert "--yes-i-am NAME" in refused.err
    assert roboinvest("mandate", "show", "--json", cwd=place).value()["state"] == "unsigned"


def test_there_is_nothing_to_sign_before_there_is_a_mandate(tmp_path: Path) -> None:
    refused = roboinvest("mandate", "sign", "--yes-i-am", "ann", cwd=tmp_path)
    assert (refused.code, refused.out) == (2, "")
    assert "roboinvest mandate init" in refused.err


def test_an_edit_after_the_signature_and_a_contradiction_are_told(place: Path) -> None:
    assert roboinvest("mandate", "sign", "--yes-i-am", "ann", cwd=place).code == 0
    file = place / PATH
    file.write_text(file.read_text().replace("max_order_usd = 10000", "max_order_usd = 10001"))
    words = roboinvest("mandate", "show", cwd=place)
    assert "tampered" in words.out
    assert "not what ann signed" in words.out
    refused = roboinvest("mandate", "sign", "--yes-i-am", "ann", cwd=place)
    assert refused.code == 2
    assert "max_order_usd 10001 is above max_position_usd 10000" in refused.err


def test_a_file_that_is_no_mandate_is_one_sentence_and_exit_3(place: Path) -> None:
    (place / PATH).write_text("universe = ")
    broken = roboinvest("mandate", "show", cwd=place)
    assert (broken.code, broken.out) == (3, "")
    assert str(PATH) in broken.err
    assert broken.err.count("\n") == 1


def test_the_file_lies_where_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(
        '[mandate]\npath = "mine.toml"\n[risk]\nmax_order_usd = 7\n'
    )
    assert roboinvest("mandate", "init", "--config", "other.toml", cwd=tmp_path).code == 0
    assert "max_order_usd = 7\n" in (tmp_path / "mine.toml").read_text()
    shown = roboinvest("mandate", "show", "--config", "other.toml", "--json", cwd=tmp_path)
    assert json.loads(shown.out)["path"] == "mine.toml"
