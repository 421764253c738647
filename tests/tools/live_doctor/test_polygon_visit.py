"""Each thing that can be wrong at the data vendor is told in one sentence, with its cure."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from websockets.asyncio.server import ServerConnection, serve

from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.configuration.sections import Source
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.fakes.vendors.polygon_server import (
    AGGREGATES,
    PolygonServer,
    empty,
    not_entitled,
    too_many,
)
from tests.fakes.vendors.polygon_stream import StreamManner
from tests.tools.live_doctor.conftest import QUICK, Visit, said
from tools.doctor import Grade
from tools.live_doctor.findings import Patience
from tools.live_doctor.polygon.stream import look_at_polygon_stream


async def test_a_key_in_order_has_nothing_to_mend(polygon_only: Visit) -> None:
    found = await said(polygon_only(source=Source.POLYGON))
    assert {each.grade for each in found.values()} == {Grade.OK}
    names = {f"polygon {name}" for name in ("keys", "bars", "clock", "rate limit", "stream")}
    assert set(found) == {"alpaca keys", *names}


async def test_it_costs_two_of_the_five_calls_of_the_free_plan(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    doctor = polygon_only()
    (cost,) = doctor.costs()
    assert polygon.requests == []
    await doctor.examine()
    assert len(polygon.requests) == cost.calls == 2
    assert {request.method for request in polygon.requests} == {"GET"}


async def test_a_minute_of_one_call_asks_one_question(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    found = await said(polygon_only(settings={"polygon.calls_per_minute": 1}))
    assert [request.path[: len(AGGREGATES)] for request in polygon.requests] == [AGGREGATES]
    assert found["polygon the rest"].fact == "not examined: clock"
    assert found["polygon keys"].grade is Grade.OK


async def test_a_daemon_asks_for_the_newest_session_and_a_fetch_for_the_past(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    await polygon_only(source=Source.POLYGON).examine()
    await polygon_only().examine()
    newest, past = (
        date.fromisoformat(request.path.rpartition("/")[2])
        for request in polygon.asked_for(AGGREGATES)
    )
    today = SystemClock().now().date()
    assert timedelta(0) <= today - newest < timedelta(days=6)
    assert timedelta(days=7) <= today - past < timedelta(days=14)


async def test_an_unknown_key_is_told_once(polygon: PolygonServer, polygon_only: Visit) -> None:
    found = await said(polygon_only(key="canary-key-of-nobody"))
    keys = found["polygon keys"]
    assert (keys.grade, keys.is_away) == (Grade.FAIL, False)
    assert "does not know the key in POLYGON_API_KEY" in keys.fact
    assert keys.mend == "correct the key"
    assert found["polygon the rest"].fact == "not examined: bars, clock, stream"
    assert "canary-key-of-nobody" not in str(found)
    assert polygon.stream_connections == 0


@pytest.mark.parametrize("status", [200, 403])
async def test_a_plan_without_the_data_is_told_with_what_it_lacks(
    status: int, polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.plant(not_entitled(status=status, path=AGGREGATES))
    found = await said(polygon_only(source=Source.POLYGON))
    bars = found["polygon bars"]
    assert (bars.grade, bars.is_away) == (Grade.FAIL, False)
    assert "no entitlement to bars of SPY of 20" in bars.fact
    assert "upgrade the plan" in bars.mend
    assert found["polygon keys"].grade is Grade.OK  # the vendor knows us


async def test_a_plan_without_anything_still_knows_the_key(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.plant(not_entitled(status=403, count=None))
    found = await said(polygon_only())
    assert found["polygon keys"].grade is Grade.OK
    assert found["polygon bars"].grade is Grade.FAIL
    assert found["polygon the rest"].fact == "not examined: clock"


async def test_whatever_is_said_passes_the_redactor_last(polygon_only: Visit) -> None:
    key = "CANARYKEY"  # which is also the symbol, so that it stands in a fact of our own
    with PolygonServer(key=key) as server:
        words = {
            "market.symbols": key,
            "polygon.base_url": server.url,
            "polygon.stream_url": server.stream_url,
        }
        found = await said(polygon_only(settings=words, source=Source.POLYGON, key=key))
    assert "bars of [redacted]" in found["polygon bars"].fact
    assert key not in str(found)


async def test_too_many_calls_are_told_with_the_patience_that_is_wanted(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.plant(too_many(retry_after="41", path=AGGREGATES))
    found = await said(polygon_only())
    allowance = found["polygon rate limit"]
    assert allowance.grade is Grade.FAIL
    assert "429" in allowance.fact
    assert "41 s of patience" in allowance.fact
    assert "polygon.calls_per_minute" in allowance.mend
    assert found["polygon the rest"].fact == "not examined: bars"


async def test_with_every_call_refused_for_too_many_only_that_is_known(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.plant(too_many(count=None))
    found = await said(polygon_only())
    assert found["polygon rate limit"].grade is Grade.FAIL
    assert found["polygon the rest"].fact == "not examined: keys, bars, clock, stream"


@pytest.mark.parametrize(("off_s", "side"), [(-30, "ahead of"), (30, "behind")])
async def test_a_skewed_clock_is_told_with_its_side(
    off_s: int, side: str, polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.clock_off_by = timedelta(seconds=off_s)
    clock = (await said(polygon_only()))["polygon clock"]
    assert (clock.grade, side in clock.fact) == (Grade.FAIL, True), clock


@pytest.mark.parametrize(("source", "grade"), [(Source.POLYGON, Grade.WARN), (None, Grade.OK)])
async def test_late_bars_matter_to_who_trades_by_them(
    source: Source | None, grade: Grade, polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.behave(status="DELAYED")
    bars = (await said(polygon_only(source=source)))["polygon bars"]
    assert (bars.grade, "late by the plan" in bars.fact) == (grade, True), bars


async def test_a_plan_that_answers_with_nothing_is_worth_a_word(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.plant(empty())
    assert (await said(polygon_only()))["polygon bars"].grade is Grade.WARN


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STALL, count=None),
        Fault(kind=FaultKind.RESET_BEFORE, count=None),
        Fault(kind=FaultKind.STATUS, status=503, body="<html>", count=None),
    ],
    ids=lambda fault: fault.kind.value,
)
async def test_a_vendor_that_does_not_answer_is_away_and_is_told_once(
    fault: Fault, polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.plant(fault)
    found = await said(polygon_only(patience=QUICK))
    address = found["polygon address"]
    assert (address.grade, address.is_away) == (Grade.FAIL, True), address
    assert "polygon.base_url" in address.mend
    assert set(found) == {"polygon address", "polygon the rest", "alpaca keys"}


async def test_a_place_that_is_not_polygon_is_told_from_one_that_is_away(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.plant(Fault(kind=FaultKind.STATUS, status=200, body="<html>a login", count=None))
    address = (await said(polygon_only()))["polygon address"]
    assert (address.grade, address.is_away) == (Grade.FAIL, False)
    assert "correct polygon.base_url" in address.mend


async def test_bars_that_break_off_do_not_hide_the_rest(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.plant(Fault(kind=FaultKind.STALL, path=AGGREGATES, count=None))
    found = await said(polygon_only(patience=QUICK))
    assert (found["polygon bars"].grade, found["polygon bars"].is_away) == (Grade.FAIL, True)
    assert found["polygon clock"].grade is Grade.OK


async def test_a_vendor_that_does_not_tell_its_time_is_worth_a_word(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.plant(Fault(kind=FaultKind.STATUS, status=500, path="/v1/marketstatus"))
    found = await said(polygon_only())
    assert (found["polygon clock"].grade, found["polygon clock"].fact[:9]) == (
        Grade.WARN,
        "not told:",
    )
    assert found["polygon bars"].grade is Grade.OK


@pytest.mark.parametrize(
    ("manner", "says"),
    [
        (StreamManner.REFUSING, "refuses a key that"),
        (StreamManner.MUTE, "no subscription within"),
        (StreamManner.MUTE_AUTH, "no subscription within"),
        (StreamManner.ODD, "it talks nonsense"),
    ],
)
async def test_a_stream_that_does_not_serve_us_is_told_by_what_it_did(
    manner: StreamManner, says: str, polygon: PolygonServer, polygon_only: Visit
) -> None:
    polygon.stream_manner(manner)
    stream = (await said(polygon_only(patience=QUICK)))["polygon stream"]
    assert (stream.grade, says in stream.fact) == (Grade.FAIL, True), stream


async def test_a_stream_address_that_is_wrong_is_away(polygon_only: Visit) -> None:
    wrong = {"polygon.stream_url": "ws://127.0.0.1:9"}
    stream = (await said(polygon_only(settings=wrong, patience=QUICK)))["polygon stream"]
    assert (stream.grade, stream.is_away) == (Grade.FAIL, True)


async def test_the_one_connection_of_a_running_daemon_is_left_alone(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    stream = (await said(polygon_only(daemon_pid=4711)))["polygon stream"]
    assert (stream.grade, "pid 4711" in stream.fact) == (Grade.OK, True)
    assert polygon.stream_connections == 0


async def test_a_stream_that_nobody_uses_is_not_asked(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    stream = (await said(polygon_only(settings={"polygon.stream_url": None})))["polygon stream"]
    assert stream.fact == "not asked, because market.source is simulated"
    assert polygon.stream_connections == 0


@pytest.mark.parametrize(
    ("source", "grade", "says"),
    [
        (None, Grade.OK, "not configured: no key is set, and market.source is simulated"),
        (Source.POLYGON, Grade.FAIL, "market.source is polygon and POLYGON_API_KEY is not set"),
    ],
)
async def test_a_missing_key_matters_where_the_settings_trade_by_it(
    source: Source | None, grade: Grade, says: str, polygon: PolygonServer, polygon_only: Visit
) -> None:
    doctor = polygon_only(key="", source=source)
    keys = (await said(doctor))["polygon keys"]
    assert (keys.grade, keys.fact) == (grade, says)
    assert (doctor.costs(), polygon.requests) == ([], [])


@pytest.mark.parametrize("name", ["polygon.base_url", "polygon.stream_url"])
async def test_an_address_that_may_not_be_used_is_a_finding_and_is_not_asked(
    name: str, polygon: PolygonServer, polygon_only: Visit
) -> None:
    wrong = {name: "https://api.polygon.io"}
    found = await said(polygon_only(settings=wrong, source=Source.POLYGON))
    assert found["polygon settings"].grade is Grade.FAIL
    assert "testing.loopback_only is on" in found["polygon settings"].fact
    assert polygon.requests == []


async def test_our_own_symbol_is_asked_about_where_it_is_real(
    polygon: PolygonServer, polygon_only: Visit
) -> None:
    mine = {"market.symbols": "MSFT,AAPL"}
    await polygon_only(settings=mine, source=Source.POLYGON).examine()
    await polygon_only(settings=mine).examine()
    asked = [request.path.split("/")[4] for request in polygon.asked_for(AGGREGATES)]
    assert asked == ["MSFT", "SPY"]  # symbols of a simulation are invented


async def test_a_stream_that_repeats_our_key_does_not_get_it_shown_in_part() -> None:
    key = "canary" * 30  # longer than what is repeated of a message

    async def careless(socket: ServerConnection) -> None:
        await socket.send('[{"ev": "status", "status": "connected"}]')
        said = json.loads(await socket.recv())["params"]
        event = {"ev": "status", "status": "auth_failed", "message": f"no plan for {said}"}
        await socket.send(json.dumps([event]))

    async with serve(careless, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        seen = await look_at_polygon_stream(
            Secret(key),
            f"ws://127.0.0.1:{port}",
            symbol="SPY",
            in_flight=InFlight(),
            patience=Patience(),
        )
    assert (seen.is_refused, seen.reason) == (True, "no plan for ****")
