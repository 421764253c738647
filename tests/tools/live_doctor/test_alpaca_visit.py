"""Each thing that can be wrong at the broker is told in one sentence, which ends with its cure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from roboinvest.brokers.alpaca.errors import Failure
from roboinvest.runtime.configuration.sections import BrokerKind
from tests.fakes.vendors.alpaca_server import AlpacaServer
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.tools.live_doctor.conftest import QUICK, Visit, said
from tools.doctor import Grade
from tools.live_doctor.alpaca.questions import AlpacaAnswers
from tools.live_doctor.alpaca.verdicts import AlpacaCase, AlpacaTerms, judge

FORBIDDEN = {"kind": "status", "status": 403, "body": {"message": "forbidden."}, "count": None}
TOO_MANY = {"code": 42910000, "message": "rate limit exceeded"}


async def test_an_account_in_order_has_nothing_to_mend(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    found = await said(alpaca_only())
    assert {each.grade for each in found.values()} == {Grade.OK}
    assert set(found) == {
        *(f"alpaca {name}" for name in ("keys", "permissions", "account", "clock", "prices")),
        "alpaca rate limit",
        "alpaca stream",
        "polygon keys",
    }
    assert "equity 100,000.00 USD" in found["alpaca account"].fact
    assert "paper" in found["alpaca keys"].fact


async def test_it_costs_what_it_said_and_changes_nothing(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    doctor = alpaca_only()
    (cost,) = doctor.costs()
    assert alpaca.requests == []  # saying what it costs is free
    await doctor.examine()
    assert len(alpaca.requests) == cost.calls == 6
    assert {request.method for request in alpaca.requests} == {"GET"}
    assert (alpaca.orders(), alpaca.updates, alpaca.stream_connections()) == ([], [], 1)
    alpaca.until(lambda: alpaca.listeners() == 0)


async def test_wrong_keys_are_told_once_and_what_hangs_on_them_is_named(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    found = await said(alpaca_only(key="PKUNKNOWN"))
    keys = found["alpaca keys"]
    assert (keys.grade, keys.is_away) == (Grade.FAIL, False)
    assert "status 401" in keys.fact
    assert "ALPACA_API_KEY and ALPACA_SECRET_KEY" in keys.mend
    failed = [name for name, each in found.items() if each.grade is Grade.FAIL]
    assert failed == ["alpaca keys"]
    rest = found["alpaca the rest"].fact
    assert rest == "not examined: permissions, account, prices, stream"
    assert alpaca.stream_connections() == 0  # wrong keys are not tried again elsewhere
    assert found["alpaca clock"].grade is Grade.OK  # told by the head of the refusal


@pytest.mark.parametrize(
    ("key", "live", "says"),
    [
        ("AKWRONGPLACE", False, "has the form of a live key and alpaca.live is false"),
        ("PKWRONGPLACE", True, "has the form of a paper key and alpaca.live is true"),
        ("PKRIGHTPLACE", False, "correct ALPACA_API_KEY"),
    ],
)
async def test_keys_of_the_other_kind_are_known_by_their_form(
    key: str, live: bool, says: str, alpaca_only: Visit
) -> None:
    found = await said(alpaca_only(key=key, settings={"alpaca.live": live}))
    assert says in found["alpaca keys"].mend
    assert key not in str(found)


async def test_keys_without_a_permission_are_told_what_they_may_not_read(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.add_fault(path="/v2/(orders|account/activities)", **FORBIDDEN)
    found = await said(alpaca_only())
    permissions = found["alpaca permissions"]
    assert permissions.grade is Grade.FAIL
    assert "does not let these keys read orders, executions" in permissions.fact
    assert "403" in permissions.fact
    assert "right to trade" in permissions.mend
    assert found["alpaca keys"].grade is Grade.OK


async def test_keys_that_may_do_nothing_at_all_lack_permissions(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.add_fault(**FORBIDDEN)
    found = await said(alpaca_only())
    assert found["alpaca permissions"].grade is Grade.FAIL
    assert found["alpaca the rest"].fact == "not examined: keys, account, prices, stream"


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"account_blocked": True}, "the account is blocked"),
        ({"trading_blocked": True}, "trading is blocked"),
        ({"trade_suspended_by_user": True}, "its owner suspended trading"),
        ({"status": "ACCOUNT_UPDATED"}, "the account is ACCOUNT_UPDATED"),
    ],
)
async def test_a_blocked_account_is_a_finding_whatever_blocks_it(
    terms: dict[str, object], says: str, alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.set_account(**terms)
    account = (await said(alpaca_only()))["alpaca account"]
    assert (account.grade, says in account.fact) == (Grade.FAIL, True), account
    assert "Alpaca" in account.mend


async def test_an_account_without_money_is_worth_a_word(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.set_account(cash=0)
    account = (await said(alpaca_only()))["alpaca account"]
    assert (account.grade, "equity 0.00 USD" in account.fact) == (Grade.WARN, True)


async def test_shorting_that_is_wanted_and_not_enabled_is_worth_a_word(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    wanted = {"risk.allow_short": True}
    doubted = (await said(alpaca_only(settings=wanted)))["alpaca permissions"]
    assert (doubted.grade, "risk.allow_short" in doubted.mend) == (Grade.WARN, True)
    alpaca.set_account(shorting_enabled=True)
    assert (await said(alpaca_only(settings=wanted)))["alpaca permissions"].grade is Grade.OK


@pytest.mark.parametrize(("server_s", "side"), [(-30.0, "ahead of"), (30.0, "behind")])
async def test_a_skewed_clock_is_told_with_its_side(
    server_s: float, side: str, alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.set_clock(server_s)
    clock = (await said(alpaca_only()))["alpaca clock"]
    assert clock.grade is Grade.FAIL
    assert side in clock.fact
    assert "tolerated" in clock.fact


async def test_a_shifted_daemon_agrees_with_a_shifted_vendor(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    shift = timedelta(days=3).total_seconds()
    alpaca.set_clock(shift)
    found = await said(alpaca_only(settings={"clock.offset_s": shift}))
    assert found["alpaca clock"].grade is Grade.OK


async def test_prices_without_entitlement_are_told_with_what_the_vendor_said(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    body = {"message": "subscription does not permit querying recent SIP data"}
    alpaca.add_fault(kind="status", status=403, body=body, path="/v2/stocks", count=None)
    prices = (await said(alpaca_only()))["alpaca prices"]
    assert (prices.grade, prices.is_away) == (Grade.FAIL, False)
    assert "not entitled to prices" in prices.fact
    assert "recent SIP data" in prices.fact
    assert "subscribe" in prices.mend


async def test_on_this_machine_alone_prices_are_asked_only_where_somebody_said(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    found = await said(alpaca_only(settings={"alpaca.data_url": None}))
    assert "alpaca prices" not in found
    assert found["alpaca account"].grade is Grade.OK
    assert len(alpaca.requests) == 5


@pytest.mark.parametrize(("wanted", "grade"), [(True, Grade.FAIL), (False, Grade.WARN)])
def test_prices_that_are_refused_matter_where_somebody_named_their_address(
    wanted: bool, grade: Grade
) -> None:
    refused = Failure(is_definitive=True, code="auth", text="refused: forbidden.", status=403)
    answers = AlpacaAnswers(
        replies={"orders": 0, "prices": refused},
        clock=None,
        notes=(),
        answered_at=datetime(2026, 1, 5, tzinfo=UTC),
    )
    terms = AlpacaTerms(
        where="https://paper-api.alpaca.markets",
        prices_where="https://data.alpaca.markets",
        stream_where="wss://paper-api.alpaca.markets",
        live=False,
        key_begins="PK",
        wants_short=False,
        wants_prices=wanted,
        symbol="SPY",
        calls_per_minute=180,
        offset_s=0.0,
    )
    found = {each.name: each for each in judge(AlpacaCase(terms=terms, answers=answers))}
    assert found["alpaca prices"].grade is grade


async def test_an_allowance_that_is_used_up_is_told_with_its_end(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    headers = {"Retry-After": "37"}
    alpaca.add_fault(
        kind="status", status=429, body=TOO_MANY, headers=headers, path="/v2/(orders|account$)"
    )
    alpaca.add_fault(kind="status", status=429, body=TOO_MANY, headers=headers, path="/positions")
    found = await said(alpaca_only())
    allowance = found["alpaca rate limit"]
    assert allowance.grade is Grade.FAIL
    assert "refused 2 of 6 calls with 429" in allowance.fact
    assert "37 s" in allowance.fact
    assert "alpaca.calls_per_minute, now 180" in allowance.mend


async def test_with_every_call_refused_for_too_many_only_that_is_known(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.add_fault(kind="status", status=429, body=TOO_MANY, count=None)
    found = await said(alpaca_only())
    assert found["alpaca rate limit"].grade is Grade.FAIL
    rest = found["alpaca the rest"].fact
    assert rest == "not examined: keys, permissions, account, prices, stream"


async def test_a_minute_that_is_nearly_used_up_is_worth_a_word(alpaca_only: Visit) -> None:
    with AlpacaServer(limit_per_minute=10) as crowded:
        where = {
            name: crowded.stream_url if name == "alpaca.stream_url" else crowded.url
            for name in ("alpaca.base_url", "alpaca.data_url", "alpaca.stream_url")
        }
        allowance = (await said(alpaca_only(settings=where)))["alpaca rate limit"]
    assert (allowance.grade, allowance.fact[:16]) == (Grade.WARN, "4 calls are left")


async def test_a_setting_above_the_vendors_limit_is_worth_a_word(alpaca_only: Visit) -> None:
    found = await said(alpaca_only(settings={"alpaca.calls_per_minute": 201}))
    assert found["alpaca rate limit"].grade is Grade.WARN
    found = await said(alpaca_only(settings={"alpaca.calls_per_minute": 200}))
    assert found["alpaca rate limit"].grade is Grade.OK


@pytest.mark.parametrize("allowed", [1, 3])
async def test_no_more_is_asked_than_a_minute_allows(
    allowed: int, alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    found = await said(alpaca_only(settings={"alpaca.calls_per_minute": allowed}))
    assert len(alpaca.requests) == allowed
    assert found["alpaca account"].grade is Grade.OK
    assert "permissions" in found["alpaca the rest"].fact


async def test_a_vendor_that_stalls_is_away_and_is_told_once(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.add_fault(kind="stall", count=None)
    found = await said(alpaca_only(patience=QUICK))
    address = found["alpaca address"]
    assert (address.grade, address.is_away) == (Grade.FAIL, True)
    assert "gave no answer in time" in address.fact
    assert set(found) == {"alpaca address", "alpaca the rest", "polygon keys"}


async def test_a_port_where_nobody_listens_is_away(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.go_down()
    found = await said(alpaca_only())
    assert (found["alpaca address"].is_away, "cannot be reached" in str(found)) == (True, True)


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_a_vendor_that_is_ill_is_away(
    status: int, alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.add_fault(kind="status", status=status, body="<html>oops", count=None)
    address = (await said(alpaca_only()))["alpaca address"]
    assert (address.is_away, f"status {status}" in address.fact) == (True, True)
    assert "<html>" not in address.fact


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "status", "status": 404, "body": {"message": "no"}}, "status 404"),
        ({"kind": "status", "status": 200, "body": "<html>a hotel's login"}, "cannot be read"),
    ],
)
async def test_a_place_that_is_not_alpaca_is_told_from_one_that_is_away(
    fault: dict[str, object], says: str, alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.add_fault(**{**fault, "count": None})
    address = (await said(alpaca_only()))["alpaca address"]
    assert (address.grade, address.is_away) == (Grade.FAIL, False)
    assert says in address.fact
    assert "alpaca.base_url" in address.mend


async def test_one_list_that_stalls_does_not_hide_the_others(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.add_fault(kind="stall", path="/v2/positions", count=None)
    found = await said(alpaca_only(patience=QUICK))
    permissions = found["alpaca permissions"]
    assert (permissions.grade, permissions.is_away) == (Grade.FAIL, True)
    assert permissions.fact.startswith("positions cannot be read")
    assert found["alpaca account"].grade is Grade.OK


async def test_an_account_that_cannot_be_read_is_a_finding(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.set_account(omitted=["equity", "portfolio_value"])
    account = (await said(alpaca_only()))["alpaca account"]
    assert (account.grade, account.is_away) == (Grade.FAIL, False)
    assert "portfolio_value is missing" in account.fact


@pytest.mark.parametrize(
    ("manners", "grade", "says"),
    [
        ({"unauthorized": True}, Grade.FAIL, "refuses the keys that"),
        ({"refuses": 401}, Grade.FAIL, "refuses the keys that"),
        ({"refuses": 429}, Grade.WARN, "no place for a second connection"),
        ({"refuses": 503}, Grade.FAIL, "status 503"),
        ({"mutes_auth": True}, Grade.FAIL, "no answer to the credentials"),
        ({"mutes": True}, Grade.FAIL, "no answer to the subscription"),
        ({"closes_after_auth": True}, Grade.FAIL, "the connection broke"),
    ],
)
async def test_a_stream_that_does_not_serve_us_is_told_by_what_it_did(
    manners: dict[str, object],
    grade: Grade,
    says: str,
    alpaca: AlpacaServer,
    alpaca_only: Visit,
) -> None:
    alpaca.stream(**manners)
    stream = (await said(alpaca_only(patience=QUICK)))["alpaca stream"]
    assert (stream.grade, says in stream.fact) == (grade, True), stream


async def test_a_daemon_that_listens_is_not_pushed_out_of_the_stream(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    alpaca.stream(refuses=406)
    assert (await said(alpaca_only()))["alpaca stream"].grade is Grade.WARN
    assert alpaca.stream_connections() == 0


@pytest.mark.parametrize(
    ("key", "secret", "broker", "grade", "says"),
    [
        ("", "", None, Grade.OK, "not configured"),
        ("", "", BrokerKind.ALPACA, Grade.FAIL, "ALPACA_API_KEY and ALPACA_SECRET_KEY are not set"),
        ("set", "", None, Grade.FAIL, "ALPACA_SECRET_KEY is not set and its companion is"),
        ("", "set", BrokerKind.ALPACA, Grade.FAIL, "broker.kind is alpaca and ALPACA_API_KEY"),
    ],
)
async def test_missing_keys_matter_where_the_settings_trade_by_them(
    key: str,
    secret: str,
    broker: BrokerKind | None,
    grade: Grade,
    says: str,
    alpaca: AlpacaServer,
    alpaca_only: Visit,
) -> None:
    doctor = alpaca_only(key=key, secret=secret, broker=broker)
    keys = (await said(doctor))["alpaca keys"]
    assert (keys.grade, says in keys.fact) == (grade, True), keys
    assert (doctor.costs(), alpaca.requests) == ([], [])


@pytest.mark.parametrize(
    ("name", "url", "says"),
    [
        ("alpaca.base_url", "https://api.alpaca.markets", "testing.loopback_only is on"),
        ("alpaca.stream_url", None, "testing.loopback_only is on"),
        ("alpaca.data_url", "http://someone:hunter2@127.0.0.1:1", "a name or a password"),
    ],
)
async def test_an_address_that_may_not_be_used_is_a_finding_and_is_not_asked(
    name: str, url: str | None, says: str, alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    found = await said(alpaca_only(settings={name: url}))
    assert found["alpaca settings"].grade is Grade.FAIL
    assert says in found["alpaca settings"].fact
    assert "hunter2" not in str(found)
    assert alpaca.requests == []


async def test_a_vendor_that_repeats_our_keys_does_not_get_them_shown(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    key, secret = "PKCANARY", "canary/secret+1"
    for status, path in ((401, "/v2/account$"), (403, "/v2/orders"), (200, "/v2/clock")):
        body = {"message": f"key {key} with {secret} is bad", "timestamp": secret}
        alpaca.add_fault(
            Fault(kind=FaultKind.STATUS, status=status, body=body, path=path, count=None)
        )
    found = await said(alpaca_only(key=key, secret=secret))
    assert found["alpaca keys"].grade is Grade.FAIL
    assert key not in str(found)
    assert secret not in str(found)


async def test_a_long_secret_in_an_odd_place_is_not_shown_in_part(
    alpaca: AlpacaServer, alpaca_only: Visit
) -> None:
    secret = "canarycage" * 5  # longer than what is repeated of a value
    body = {"timestamp": secret, "is_open": True, "id": "1", "cash": secret, "equity": secret}
    alpaca.add_fault(kind="status", status=200, body=body, count=None)
    found = await said(alpaca_only(secret=secret))
    assert "cannot be read" in found["alpaca address"].fact
    assert secret[:10] not in str(found)
