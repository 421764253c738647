"""Keys that nobody could overlook appear nowhere, whatever the vendors and the house go through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tests.fakes.bad_weather import BadWeather
from tests.fakes.live_accounts import LiveAccount
from tests.fakes.live_daemons import LiveDaemon, asked
from tests.fakes.live_vendors import LiveVendors
from tests.fakes.processes import Ended, roboinvest
from tests.fakes.stored_runs import StoredRun
from tests.fakes.vendors.http_faults import Fault, FaultKind

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SEED: Final = 5
CANARIES: Final = {
    "ALPACA_API_KEY": "PKCANARYCANARYCANARY",
    "ALPACA_SECRET_KEY": "canary4secret5of6the7broker8canary9xyz",
    "POLYGON_API_KEY": "canary1key2of3the4data5vendor6canary7",
}
LIVES_S: Final = 8.0
DEBUG: Final = {"ROBOINVEST_LOGGING__LEVEL": "debug"}


def echoing(*secrets: str) -> dict[str, str]:
    """Return a refusal that repeats what it was given, as careless servers do."""
    return {"message": f"no such key: {' '.join(secrets)}", "error": " ".join(secrets)}


def assert_nowhere(data: Path, secrets: list[str], *ended: Ended) -> int:
    """Look through every file of a run and all it printed; return how many files there were."""
    texts = {path: path.read_bytes() for path in data.parent.rglob("*") if path.is_file()}
    texts[Path("ticks")] = json.dumps(StoredRun(data).bodies()).encode()  # they lie compressed
    for number, each in enumerate(ended):
        texts[Path(f"command {number}")] = (each.out + each.err).encode()
    for path, text in texts.items():
        for secret in secrets:
            assert secret.encode() not in text, f"a key is in {path}"
    return len(texts)


def test_keys_that_are_refused_and_repeated_by_the_vendors_are_nowhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with LiveVendors(rate=40.0, seed=SEED) as vendors:
        theirs = (CANARIES["ALPACA_API_KEY"], CANARIES["ALPACA_SECRET_KEY"])
        refusal = {"kind": FaultKind.STATUS, "status": 401, "count": None}
        vendors.alpaca.add_fault(path="positions|orders", body=echoing(*theirs), **refusal)
        data_keys = echoing(CANARIES["POLYGON_API_KEY"])
        vendors.polygon.plant(
            Fault(kind=FaultKind.STATUS, path="aggs", status=403, body=data_keys, count=None)
        )
        with LiveDaemon(data, vendors, env={**CANARIES, **DEBUG}) as daemon:
            lived = daemon.lives_on_for(LIVES_S)
            ended = daemon.kill()
        print(f"{'lived on' if lived else 'ended'} with {ended.code}: {ended.err}")
        env = {**vendors.env, **CANARIES}
        typed = (("halt", "--level", "flatten"), ("status",), ("doctor",))
        commands = [
            roboinvest(*words, "--data-dir", data, cwd=tmp_path, env=env) for words in typed
        ]
    assert commands[0].code != 0
    print(f"{assert_nowhere(data, [*CANARIES.values()], *commands)} files without a key")


def test_good_keys_are_nowhere_after_a_bad_day(tmp_path: Path) -> None:
    data = tmp_path / "data"
    vendors = LiveVendors(rate=40.0, seed=SEED, restless=True)
    secrets = [vendors.alpaca.secret, vendors.polygon.key, vendors.alpaca.key]
    with vendors, BadWeather(vendors, seed=SEED) as weather:
        account = LiveAccount(vendors.alpaca, data)
        with LiveDaemon(data, vendors, env=DEBUG) as daemon:
            daemon.until_state("READY")
            body = echoing(vendors.alpaca.secret, vendors.alpaca.key)
            vendors.alpaca.add_fault(
                kind=FaultKind.STATUS_AFTER, method="POST", status=400, body=body, count=2
            )
            daemon.until(account.our_orders, "an order leaves, and its answer tells the keys", 60)
            vendors.alpaca.add_fault(kind=FaultKind.STATUS, status=401, body=body, count=3)
            weather.storm()
            assert daemon.lives_on_for(LIVES_S)
            weather.calm()
            halted = asked(vendors, data, "halt", "--level", "flatten")
            daemon.kill()
        assert account.journal.states()
    print(f"{assert_nowhere(data, secrets, halted)} files without a key")
