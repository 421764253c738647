"""The mandate as a file: drafted from the limits, signed by a person, never signed half read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, BadSettings, Refused
from roboinvest.core.mandate import Mandate, MandateState, faults_of, state_of
from roboinvest.core.risk import narrowed
from roboinvest.runtime.configuration.mandate_file import MandateFile
from roboinvest.runtime.configuration.policies import is_live, mandate_terms, risk_limits
from roboinvest.runtime.configuration.settings import Settings, load_settings
from tests.fakes.mandates import EXPIRES_AT, SIGNED_AT, mandate, terms

MINUTE = timedelta(minutes=1)


@pytest.fixture
def file(tmp_path: Path) -> MandateFile:
    return MandateFile(tmp_path / "config" / "mandate.toml")


def drafted(file: MandateFile) -> MandateFile:
    file.write_draft(terms(), replace=False)
    return file


def edited(file: MandateFile, old: str, new: str) -> None:
    text = file.path.read_text()
    assert text.count(old) == 1
    file.path.write_text(text.replace(old, new))


def test_no_file_is_no_mandate(file: MandateFile) -> None:
    assert file.read() is None


@pytest.mark.parametrize("universe", [None, ("SPY",), ("QQQ", "SPY")])
def test_a_draft_reads_back_as_it_was_meant_and_nobody_has_signed(
    file: MandateFile, universe: tuple[str, ...] | None
) -> None:
    file.write_draft(terms(universe=universe), replace=False)
    assert file.read() == Mandate(terms=terms(universe=universe))


def test_every_figure_of_a_draft_is_explained(file: MandateFile) -> None:
    lines = drafted(file).path.read_text().splitlines()
    above = [lines[number - 1] for number, line in enumerate(lines) if " = " in line]
    assert all(line.startswith("#") or " = " in line for line in above)


def test_a_draft_never_replaces_a_mandate_unasked(file: MandateFile) -> None:
    drafted(file)
    with pytest.raises(BadInput, match=r"exists; edit it, or replace it with --force"):
        file.write_draft(terms(), replace=False)
    file.write_draft(terms(max_trades_per_day=1), replace=True)
    assert file.read() == Mandate(terms=terms(max_trades_per_day=1))


def test_a_signed_mandate_reads_back_in_force_and_keeps_what_was_written(file: MandateFile) -> None:
    drafted(file)
    edited(file, "# USD of one order.", "# USD of one order. My wife agrees.")
    done = file.sign(terms(), by='Ann "the owner"', at=SIGNED_AT + timedelta(microseconds=7))
    assert done == mandate(by='Ann "the owner"')
    assert file.read() == done
    assert state_of(file.read(), SIGNED_AT)[0] is MandateState.IN_FORCE
    assert "My wife agrees." in file.path.read_text()


def test_a_second_signature_takes_the_place_of_the_first(file: MandateFile) -> None:
    drafted(file).sign(terms(), by="ann", at=SIGNED_AT)
    again = file.sign(terms(), by="bob", at=SIGNED_AT + MINUTE)
    assert file.read() == again
    assert file.path.read_text().count("[signature]") == 1


def test_an_edit_after_the_signature_is_noticed_by_its_hash(file: MandateFile) -> None:
    drafted(file).sign(terms(), by="ann", at=SIGNED_AT)
    edited(file, "max_order_usd = 8000", "max_order_usd = 8000.01")
    assert state_of(file.read(), SIGNED_AT)[0] is MandateState.TAMPERED


def test_money_is_read_as_it_is_written(file: MandateFile) -> None:
    edited(drafted(file), "max_order_usd = 8000", "max_order_usd = 7999.99999999999999999")
    found = file.read()
    assert found is not None
    assert found.terms.max_order_usd == Decimal("7999.99999999999999999")


def test_what_changed_while_a_person_read_it_is_not_signed(file: MandateFile) -> None:
    edited(drafted(file), "max_order_usd = 8000", "max_order_usd = 8001")
    before = file.path.read_text()
    with pytest.raises(Refused, match="changed while it was read"):
        file.sign(terms(), by="ann", at=SIGNED_AT)
    assert file.path.read_text() == before


@pytest.mark.parametrize("name", ["", " ", "ann\n[terms]", "\x1b[31m"])
def test_a_name_that_is_none_signs_nothing(file: MandateFile, name: str) -> None:
    with pytest.raises(BadInput, match="is no name to sign with"):
        drafted(file).sign(terms(), by=name, at=SIGNED_AT)
    assert file.read() == Mandate(terms=terms())


def test_a_contradictory_or_expired_mandate_is_not_signed(file: MandateFile) -> None:
    wrong = terms(max_order_usd=Decimal(9_001))
    file.write_draft(wrong, replace=False)
    with pytest.raises(BadInput, match="max_order_usd 9001 is above max_position_usd 9000"):
        file.sign(wrong, by="ann", at=SIGNED_AT)
    file.write_draft(terms(), replace=True)
    with pytest.raises(BadInput, match="not after its signature"):
        file.sign(terms(), by="ann", at=EXPIRES_AT)


def test_a_signature_that_is_not_the_last_part_is_not_lost_silently(file: MandateFile) -> None:
    drafted(file).sign(terms(), by="ann", at=SIGNED_AT)
    head, _, signature = file.path.read_text().partition("[signature]")
    file.path.write_text(f"[signature]{signature}\n{head}")
    assert file.read() == mandate()
    with pytest.raises(BadSettings, match="put"):
        file.sign(terms(), by="bob", at=SIGNED_AT)
    assert file.read() == mandate()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("max_order_usd = 8000", "max_order_usd = ", r"(?i)invalid value .*; correct the file"),
        ("max_order_usd = 8000\n", "", r"terms\.max_order_usd; field required"),
        ("max_order_usd = 8000", "max_order_usd = nan", r"terms\.max_order_usd is NaN;"),
        ("max_order_usd = 8000", "max_ordre_usd = 8000", r"terms\.max_order_usd; field required"),
        ("[terms]", "[terms]\nspeed = 3", r"terms\.speed is 3; extra inputs"),
        ('["QQQ", "SPY"]', '["QQQ", "s p y"]', r"'s p y'"),
        ('["QQQ", "SPY"]', '"some"', r"terms\.universe"),
        ("2024-06-01T00:00:00Z", "2024-06-01T00:00:00", r"terms\.expires_at .* timezone"),
        ("max_trades_per_day = 5", "max_trades_per_day = true", r"max_trades_per_day is True"),
        ("allow_short = false", "allow_short = 0", r"allow_short is 0"),
    ],
)
def test_a_file_that_is_no_mandate_is_told_in_one_sentence(
    file: MandateFile, old: str, new: str, words: str
) -> None:
    edited(drafted(file), old, new)
    with pytest.raises(BadSettings, match=words) as told:
        file.read()
    assert str(told.value).startswith(str(file.path))
    assert "\n" not in str(told.value)


def test_a_file_that_cannot_be_read_is_not_taken_for_none(file: MandateFile) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadSettings, match="it is not UTF-8 text"):
        file.read()
    file.path.unlink()
    file.path.mkdir()
    with pytest.raises(BadSettings, match="cannot be read"):
        file.read()


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"risk.max_position_frac": "0.9", "risk.max_gross_frac": "0.5"},
        {"risk.max_daily_loss_frac": "0.3", "risk.max_drawdown_frac": "0.1"},
        {"risk.max_order_usd": 500, "market.symbols": "SPY,QQQ,SPY", "risk.allow_short": True},
        {"risk.max_trades_per_day": 0},
    ],
)
def test_a_mandate_of_the_present_limits_makes_sense_and_widens_none(
    typed: dict[str, object],
) -> None:
    settings = load_settings(None, {}, typed)
    drawn = Mandate(terms=mandate_terms(settings, datetime(2030, 1, 1, tzinfo=UTC)))
    assert list(faults_of(drawn)) == []
    limits = risk_limits(settings, MINUTE)
    within = narrowed(limits, drawn)
    assert within.max_trades_per_day == limits.max_trades_per_day
    assert within.allow_short == limits.allow_short
    assert within.max_order_usd <= limits.max_order_usd


def test_the_limits_of_a_run_are_those_under_its_mandate() -> None:
    settings = Settings()
    limits = risk_limits(settings, MINUTE, mandate())
    assert limits.max_order_usd == 8_000
    assert limits.mandate == mandate()
    assert replace(limits, mandate=None) != risk_limits(settings, MINUTE)
    assert not limits.live


def test_money_is_real_only_on_a_live_account_of_a_real_broker() -> None:
    assert not is_live(load_settings(None, {}, {"alpaca.live": True}))
