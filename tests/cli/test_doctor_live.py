"""`doctor --live` as a process against loopback vendors: what it says, costs, takes, and hides."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from roboinvest.runtime.clock import SystemClock
from tests.fakes.bar_files import quiet_rows
from tests.fakes.processes import PROGRAM, Ended, environment, roboinvest
from tests.fakes.replays import CALENDAR
from tests.fakes.vendors.alpaca_server import AlpacaServer
from tests.fakes.vendors.http_faults import Fault, FaultKind
from tests.fakes.vendors.polygon_desk import until
from tests.fakes.vendors.polygon_server import PolygonServer, not_entitled, too_many
from tests.fakes.vendors.polygon_stream import StreamManner

POLYGON_KEY: Final = "canary-polygon-0123456789"
BAD_KEY: Final = "PKCANARYKEYID0123456"
BAD_SECRET: Final = "canary/secret+of/nobody=42"  # noqa: S105 it opens nothing
LONGEST_S: Final = 20.0

Town = tuple[AlpacaServer, PolygonServer]
Break = Callable[[AlpacaServer, PolygonServer], None]


@pytest.fixture
def town() -> Iterator[Town]:
    today = SystemClock().now().date()
    with AlpacaServer(limit_per_minute=200) as alpaca, PolygonServer(key=POLYGON_KEY) as polygon:
        alpaca.set_price("SPY", 100)
        polygon.add_bars("SPY", quiet_rows(CALENDAR.sessions(today - timedelta(days=25), today)))
        yield alpaca, polygon


def keys_and_places(town: Town) -> dict[str, str]:
    alpaca, polygon = town
    return {
        "ALPACA_API_KEY": alpaca.key,
        "ALPACA_SECRET_KEY": alpaca.secret,
        "POLYGON_API_KEY": polygon.key,
        "ROBOINVEST_ALPACA__BASE_URL": alpaca.url,
        "ROBOINVEST_ALPACA__DATA_URL": alpaca.url,
        "ROBOINVEST_ALPACA__STREAM_URL": alpaca.stream_url,
        "ROBOINVEST_POLYGON__BASE_URL": polygon.url,
        "ROBOINVEST_POLYGON__STREAM_URL": polygon.stream_url,
        "ROBOINVEST_TESTING__LOOPBACK_ONLY": "on",
    }


def asked(town: Town, cwd: Path, *more: str, **env: str) -> Ended:
    """Run it, and hold it to what is true of every run."""
    given = {**keys_and_places(town), **env}
    ended = roboinvest("doctor", "--live", *more, cwd=cwd, env=given)
    assert ended.took_s < LONGEST_S
    assert "Traceback" not in ended.err + ended.out
    secrets = {POLYGON_KEY, BAD_SECRET, BAD_KEY, town[0].secret, town[0].key}
    written = "".join(p.read_text(errors="replace") for p in cwd.rglob("*") if p.is_file())
    for secret in secrets | {given["ALPACA_API_KEY"], given["ALPACA_SECRET_KEY"]}:
        assert secret not in ended.out + ended.err + written
    assert {request.method for vendor in town for request in vendor.requests} <= {"GET"}
    assert town[0].orders() == []
    return ended


def checks(ended: Ended) -> dict[str, Any]:
    return {check["name"]: check for check in ended.value()["checks"]}


def grades(ended: Ended) -> dict[str, str]:
    """Return what is not in order at the vendors; our own tree may lack a package."""
    found = checks(ended)
    vendors = {name: each["grade"] for name, each in found.items() if " " in name}
    names = ("alpaca ", "polygon ")
    return {n: g for n, g in vendors.items() if n.startswith(names) and g != "ok"}


def expected_code(ended: Ended, otherwise: int) -> int:
    """Return the exit code, where an incomplete installation is a finding of its own."""
    local = [c for c in checks(ended).values() if c["grade"] == "fail" and " " not in c["name"]]
    return 1 if local else otherwise


def test_vendors_in_order_are_said_to_be_so_and_what_it_costs(town: Town, tmp_path: Path) -> None:
    ended = asked(town, tmp_path, "--json")
    assert grades(ended) == {}
    assert ended.code == expected_code(ended, 0)
    assert ended.value()["calls"] == {"Alpaca": 6, "Polygon": 2}
    alpaca, polygon = town
    assert (len(alpaca.requests), len(polygon.requests)) == (6, 2)
    assert f"asking Alpaca at {alpaca.url}: 6 calls of 180 a minute" in ended.err
    assert f"asking Polygon at {polygon.url}: 2 calls of 5 a minute" in ended.err


def bad_key(alpaca: AlpacaServer, polygon: PolygonServer) -> None:
    keys_repeated(alpaca, polygon, alpaca.key, alpaca.secret)


def keys_repeated(alpaca: AlpacaServer, polygon: PolygonServer, key: str, secret: str) -> None:
    """Refuse every key, and be so careless as to say which."""
    body = {"code": 40110000, "message": f"key {key} with {secret} is not known"}
    alpaca.add_fault(kind="status", status=401, body=body, count=None)
    error = {"status": "ERROR", "error": f"Unknown API Key {POLYGON_KEY}"}
    polygon.plant(Fault(kind=FaultKind.STATUS, status=401, body=error, count=None))


def no_permission(alpaca: AlpacaServer, _: PolygonServer) -> None:
    body = {"message": "forbidden."}
    path = "/v2/(orders|positions|account/)"
    alpaca.add_fault(kind="status", status=403, body=body, path=path, count=None)


def blocked_account(alpaca: AlpacaServer, _: PolygonServer) -> None:
    alpaca.set_account(account_blocked=True)


def skewed_clock(alpaca: AlpacaServer, polygon: PolygonServer) -> None:
    alpaca.set_clock(-30.0)
    polygon.clock_off_by = timedelta(seconds=-30)


def no_entitlement(alpaca: AlpacaServer, polygon: PolygonServer) -> None:
    body = {"message": "subscription does not permit querying recent SIP data"}
    alpaca.add_fault(kind="status", status=403, body=body, path="/v2/stocks/", count=None)
    polygon.plant(not_entitled(path="/v2/aggs/", count=None))


def throttled(alpaca: AlpacaServer, polygon: PolygonServer) -> None:
    body = {"code": 42910000, "message": "rate limit exceeded"}
    headers = {"Retry-After": "37"}
    alpaca.add_fault(kind="status", status=429, body=body, headers=headers, count=None)
    polygon.plant(too_many(retry_after="41", count=None))


def mute_streams(alpaca: AlpacaServer, polygon: PolygonServer) -> None:
    alpaca.stream(mutes_auth=True)
    polygon.stream_manner(StreamManner.MUTE_AUTH)


def half_stalled(alpaca: AlpacaServer, polygon: PolygonServer) -> None:
    """Let each step take as long as it may, one after the other."""
    mute_streams(alpaca, polygon)
    alpaca.add_fault(kind="stall", path="/v2/positions", count=None)
    polygon.plant(Fault(kind=FaultKind.STALL, path="/v2/aggs/", count=None))


def stalled(alpaca: AlpacaServer, polygon: PolygonServer) -> None:
    alpaca.add_fault(kind="stall", count=None)
    polygon.plant(Fault(kind=FaultKind.STALL, count=None))


@pytest.mark.parametrize(
    ("spoil", "code", "wrong"),
    [
        (bad_key, 1, {"alpaca keys": "401", "polygon keys": "does not know the key"}),
        (no_permission, 1, {"alpaca permissions": "orders, positions, executions"}),
        (blocked_account, 1, {"alpaca account": "the account is blocked"}),
        (skewed_clock, 1, {"alpaca clock": "30.0 s ahead of", "polygon clock": "ahead of"}),
        (no_entitlement, 1, {"alpaca prices": "not entitled", "polygon bars": "no entitlement"}),
        (throttled, 1, {"alpaca rate limit": "37 s", "polygon rate limit": "41 s"}),
        (mute_streams, 4, {"alpaca stream": "no answer", "polygon stream": "no subscription"}),
        (
            half_stalled,
            4,
            {
                "alpaca permissions": "positions cannot be read",
                "alpaca stream": "no answer",
                "polygon bars": "did not come",
                "polygon stream": "no subscription",
            },
        ),
        (stalled, 4, {"alpaca address": "no answer", "polygon address": "no answer"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_fault_is_told_in_one_sentence_with_its_cure(
    spoil: Break, code: int, wrong: dict[str, str], town: Town, tmp_path: Path
) -> None:
    spoil(*town)
    ended = asked(town, tmp_path, "--json")
    found = checks(ended)
    failed = {name for name, grade in grades(ended).items() if grade == "fail"}
    assert failed == set(wrong)
    for name, text in wrong.items():
        assert text in found[name]["fact"]
        assert found[name]["mend"]
    assert ended.code == expected_code(ended, code)
    assert ended.value()["ok"] is False


def test_a_person_reads_one_line_for_each_check(town: Town, tmp_path: Path) -> None:
    keys_repeated(*town, BAD_KEY, BAD_SECRET)
    env = {"ALPACA_API_KEY": BAD_KEY, "ALPACA_SECRET_KEY": BAD_SECRET}
    ended = asked(town, tmp_path, **env)
    assert ended.code == 1
    lines = [line for line in ended.out.splitlines() if line.startswith("FAIL  alpaca ")]
    assert len(lines) == 1
    assert lines[0].startswith(f"FAIL  alpaca keys: {town[0].url} answered with status 401")
    assert "; correct ALPACA_API_KEY and ALPACA_SECRET_KEY" in lines[0]
    assert "kill switch: not set" in ended.out  # the installation is examined as well


def test_keys_are_hidden_also_from_who_wants_every_detail(town: Town, tmp_path: Path) -> None:
    keys_repeated(*town, BAD_KEY, BAD_SECRET)
    env = {
        **keys_and_places(town),
        "ALPACA_API_KEY": BAD_KEY,
        "ALPACA_SECRET_KEY": BAD_SECRET,
        "ROBOINVEST_LOGGING__LEVEL": "debug",
        "PYTHONASYNCIODEBUG": "1",
        "PYTHONWARNINGS": "default",
    }
    ended = roboinvest("--debug", "doctor", "--live", "--json", cwd=tmp_path, env=env)
    assert ended.code == 1
    for secret in (BAD_KEY, BAD_SECRET, POLYGON_KEY):
        assert secret not in ended.out + ended.err


def test_without_keys_nothing_is_asked_and_nothing_is_wrong(tmp_path: Path) -> None:
    none = dict.fromkeys(("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "POLYGON_API_KEY"), "")
    ended = roboinvest("doctor", "--live", "--json", cwd=tmp_path, env=none)
    found = checks(ended)
    assert "not configured" in found["alpaca keys"]["fact"]
    assert "not configured" in found["polygon keys"]["fact"]
    assert (ended.value()["calls"], ended.err) == ({}, "")
    assert ended.code == expected_code(ended, 0)


def test_keys_that_the_settings_trade_by_have_to_be_there(tmp_path: Path) -> None:
    none = dict.fromkeys(("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "POLYGON_API_KEY"), "")
    trade = {
        "ROBOINVEST_BROKER__KIND": "alpaca",
        "ROBOINVEST_MARKET__SOURCE": "polygon",
        "ROBOINVEST_MARKET__SYMBOLS": "SPY",
    }
    ended = roboinvest("doctor", "--live", "--json", cwd=tmp_path, env={**none, **trade})
    assert grades(ended) == {"alpaca keys": "fail", "polygon keys": "fail"}
    assert (ended.code, ended.value()["calls"]) == (1, {})


def test_without_the_flag_no_vendor_is_asked(town: Town, tmp_path: Path) -> None:
    ended = roboinvest("doctor", "--json", cwd=tmp_path, env=keys_and_places(town))
    assert "calls" not in ended.value()
    assert not [name for name in checks(ended) if name.startswith(("alpaca", "polygon"))]
    assert (town[0].requests, town[1].requests) == ([], [])


def test_a_vendor_elsewhere_is_refused_where_only_this_machine_is_allowed(
    town: Town, tmp_path: Path
) -> None:
    away = {"ROBOINVEST_ALPACA__BASE_URL": "https://api.alpaca.markets"}
    ended = asked(town, tmp_path, "--json", **away)
    assert "testing.loopback_only is on" in checks(ended)["alpaca settings"]["fact"]
    assert ended.code == 1


def test_a_shifted_daemon_agrees_with_vendors_shifted_alike(town: Town, tmp_path: Path) -> None:
    town[0].set_clock(86_400.0)
    town[1].clock_off_by = timedelta(days=1)
    ended = asked(town, tmp_path, "--json", ROBOINVEST_CLOCK__OFFSET_S="86400")
    assert grades(ended) == {}


def test_ctrl_c_is_an_orderly_end(town: Town, tmp_path: Path) -> None:
    stalled(*town)
    with subprocess.Popen(
        [*PROGRAM, "doctor", "--live"],
        cwd=tmp_path,
        env=environment(**keys_and_places(town)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        until(lambda: len(town[0].requests) == 6, within_s=60)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 75
    assert "stopped; nothing was changed" in err
    assert "Traceback" not in err
