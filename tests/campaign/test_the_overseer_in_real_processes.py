"""Faults in a real daemon: noticed within two looks, told once, over when they are over.

One daemon lives through one fault after the other; a second one runs out of files meanwhile, until
its Overseer asks for a clean process, and is killed at that very moment.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from sqlite3 import DatabaseError
from typing import Any, Final

import psutil
import pytest

from tests.fakes.background import Background
from tests.fakes.faulty_house import HEALTH_S, FaultyHouse
from tests.fakes.outsiders import Outsider
from tests.fakes.process_faults import (
    CHANNEL,
    FAULTS,
    LLM,
    RECALL,
    Fault,
    exhaust_files,
    fill_disk,
    make_room,
)
from tests.fakes.processes import Daemon, side_by_side

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SEED: Final = 7
TWO_LOOKS_S: Final = 2 * HEALTH_S
STOPPED_S: Final = 20.0
ESCALATED: Final = "files run out for good"
FAILED: Final = 70  # of a house that asks the service manager for a clean process
RIPE_S: Final = 90.0  # two slots of half a minute, and a look
MORE_TICKS: Final = 3
DISK_FULL: Final = "No space left|disk is full|too large"
OF_THE_DISK: Final = frozenset({"reports.unwritable", "health.unwritable", "service.trading"})
FLEETING: Final = ("service.", "reports.unwritable", RECALL)  # of a call that ran out of its time
ESCALATING: Final = {
    "ROBOINVEST_OVERSEER__HEALTH_INTERVAL_S": str(HEALTH_S),
    "ROBOINVEST_OVERSEER__HEALING_INTERVAL_S": "5",
    "ROBOINVEST_MEMORY__CHROMA": "off",
}


class Watch(Background):
    """Notes when each alert was first seen open, and when it was seen closed again."""

    def __init__(self, house: FaultyHouse) -> None:
        super().__init__("watch", pause_s=lambda: 0.05)
        self._house = house
        self.opened: dict[str, list[float]] = {}  # time.monotonic, by key
        self.closed: dict[str, list[float]] = {}
        self._open: set[str] = set()

    def happen(self) -> None:
        """Compare the board with what it was."""
        try:
            now_open = set(self._house.open_alerts())
        except DatabaseError:  # while the disk is full
            return
        for key in now_open - self._open:
            self.opened.setdefault(key, []).append(time.monotonic())
        for key in self._open - now_open:
            self.closed.setdefault(key, []).append(time.monotonic())
        self._open = now_open

    def opened_since(self, began: float, prefix: str = "") -> dict[str, int]:
        """Return how often alerts were opened since then, by key."""
        known = tuple(self.opened.items())
        counts = {key: sum(at >= began for at in times) for key, times in known}
        return {key: n for key, n in counts.items() if n and key.startswith(prefix)}

    def closed_since(self, began: float, key: str) -> bool:
        """Return whether an alert was closed since then, and is so still."""
        closed = self.closed.get(key, [])
        return bool(closed) and closed[-1] > max(began, self.opened[key][-1])


class Table:
    """What came of each fault: seconds until it was noticed, and until it was over."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[float, float | None, str]] = {}
        self.planted: dict[str, float] = {}  # time.monotonic, by fault

    def note(self, name: str, noticed_s: float, over_s: float | None, end: str) -> None:
        """Write a line; None: it is not over."""
        self.rows[name] = (noticed_s, over_s, end)

    def text(self) -> str:
        """Return it for a person, with the means."""
        lines = [f"{'fault':<66} {'noticed':>8} {'over':>8}  end"]
        for name, row in self.rows.items():
            noticed_s, over_s, end = row
            over = "-" if over_s is None else f"{over_s:.1f} s"
            lines.append(f"{name:<66} {noticed_s:6.1f} s {over:>8}  {end}")
        noticed = [row[0] for row in self.rows.values()]
        over_all = [row[1] for row in self.rows.values() if row[1] is not None]
        lines.append(
            f"{len(noticed)} faults: noticed after {sum(noticed) / len(noticed):.1f} s, over "
            f"{sum(over_all) / max(len(over_all), 1):.1f} s after they were mended, on average"
        )
        return "\n".join(lines)


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    found = Table()
    yield found
    print(f"\n{found.text()}")


class Killer(Background):
    """Halts trading and kills a daemon the moment that it heals its own process."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__("killer", pause_s=lambda: 0.02)
        self.daemon = daemon
        self.killed: tuple[float, Any] | None = None  # time.monotonic, and the attempt

    def happen(self) -> None:
        """Look into the Overseer's file."""
        found = attempts_of(self.daemon) if self.killed is None else []
        if found:
            (self.daemon.data / "HALT").touch()  # a person halts at the same moment
            self.daemon.send(signal.SIGKILL)
            self.killed = time.monotonic(), found

    def until_killed(self, timeout_s: float) -> tuple[float, Any]:
        """Return when it was killed, and what was pulled then."""
        deadline = time.monotonic() + timeout_s
        while self.killed is None and time.monotonic() < deadline:
            self._thread.join(0.1)
        assert self.killed is not None, f"no heal within {timeout_s:g} s"
        return self.killed


def attempts_of(daemon: Daemon) -> list[Any]:
    """Return what was pulled on the process: id, rung, cause and verdict."""
    columns = "attempt_id, rung, cause, verdict"
    with suppress(DatabaseError):
        return Outsider(daemon.data / "overseer.db").rows(
            f"SELECT {columns} FROM heal_attempts WHERE agent = 'process' ORDER BY at"  # noqa: S608 columns
        )
    return []


@pytest.fixture(scope="module")
def ripening(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    """Return who kills a daemon that may open no more files; it is believed after a minute."""
    place = tmp_path_factory.mktemp("ripening")
    with escalating(place) as daemon:
        daemon.until_ready()
        daemon.until((daemon.data / "reports" / "health.json").exists, "the Overseer looked")
        daemon.until(lambda: sandbox_is_tried(daemon), "the sandbox is tried")
        exhaust_files(psutil.Process(daemon.pid))
        table.planted[ESCALATED] = time.monotonic()
        with Killer(daemon) as killer:
            yield killer


def sandbox_is_tried(daemon: Daemon) -> bool:
    """Return whether its trial, which takes files, is over."""
    status = daemon.report("system_status") or {}
    return bool((status.get("governance") or {}).get("sandbox"))


def escalating(place: Path) -> Daemon:
    typed = ("run", "--speed", 60, "--seed", SEED)
    return Daemon(place / "data", *typed, cwd=place, env=ESCALATING)


@pytest.fixture(scope="module")
def house(ripening: Killer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyHouse]:
    """Return a house in which ticks go by, recall answers and the Overseer has looked twice."""
    assert ripening.killed is None
    print(f"the simulated market of seed {SEED}")
    with FaultyHouse(tmp_path_factory.mktemp("house"), seed=SEED) as found:
        found.until(lambda: found.daemon.recall()[0] == "ready", "recall answers", 30)
        found.until(lambda: found.ticks() >= MORE_TICKS, "ticks", 30)
        found.until(found.health, "the Overseer looked", 2 * TWO_LOOKS_S)
        yield found


@pytest.fixture(scope="module")
def watch(house: FaultyHouse) -> Iterator[Watch]:
    with Watch(house) as found:
        yield found


def lag_s(house: FaultyHouse) -> float:
    """Return how late the daemon's loop was lately, as it says itself."""
    with suppress(OSError):  # the reports folder may be what is spoilt
        house.lags = house.daemon.report("system_status") or house.lags
    status = house.lags
    return float((status.get("process") or {}).get("loop_lag_p99_ms") or 0.0) / 1000


def root_of(house: FaultyHouse, fault: Fault) -> dict[str, Any] | None:
    """Return the open alert of a fault's cause."""
    found = house.open_alerts().items()
    return next((each for key, each in found if key.startswith(fault.told)), None)


def is_told_once(house: FaultyHouse, watch: Watch, fault: Fault, began: float) -> None:
    """See that a person was told of the cause, once, and of nothing that is not argued for."""
    known = house.alerts()
    told = {
        key: count
        for key, count in watch.opened_since(began).items()
        if known[key]["told"] is not None and not key.startswith(fault.beside)
    }
    assert len(told) <= 1, f"{fault.name} was told as {told}"
    assert all(key.startswith(fault.told) and count == 1 for key, count in told.items()), told


def is_named(house: FaultyHouse, fault: Fault) -> None:
    """See that the commands of a person say what is, or was, wrong, and end well."""
    health, listed = side_by_side(
        (lambda: house.asked("health"), lambda: house.asked("alerts", "ls", "--all", "--json"))
    )
    assert listed.code == 0, listed.err
    shown = [each for each in listed.value()["alerts"] if each["key"].startswith(fault.told)]
    assert any(re.search(fault.says, each["message"]) for each in shown), shown
    assert health.code == 0 or "reports" in health.out + health.err, health


def goes_on(house: FaultyHouse, ticks: int) -> None:
    house.until(lambda: house.ticks() >= ticks + MORE_TICKS, "ticks go on", 30)


def no_false_heal(house: FaultyHouse) -> None:
    """See that healing claims nothing: no rung of ours mended any of this."""
    claimed = [each for each in house.attempted() if each["verdict"] == "healed"]
    assert not claimed, claimed


@pytest.mark.parametrize("fault", FAULTS[:-1], ids=lambda fault: fault.name)
def test_a_fault_is_noticed_within_two_looks_told_once_and_over_with_its_cause(
    house: FaultyHouse, watch: Watch, table: Table, fault: Fault
) -> None:
    lives_through(house, watch, table, fault)
    assert fault.name in table.planted


def lives_through(house: FaultyHouse, watch: Watch, table: Table, fault: Fault) -> None:
    house.until(lambda: root_of(house, fault) is None, "an earlier trouble of it is over", 60)
    ticks, began, patience_s = house.ticks(), time.monotonic(), fault.patience_s
    with ExitStack() as planted:
        planted.callback(fault.mend, house)
        fault.plant(house)
        table.planted[fault.name] = began
        key = house.daemon.until(
            lambda: next(iter(watch.opened_since(began, fault.told)), None), fault.name, 60
        )
        noticed_s = watch.opened[key][-1] - began
        assert noticed_s < TWO_LOOKS_S + patience_s + lag_s(house)
        message = house.alerts()[key]["message"]
        assert re.search(fault.says, message), message
        is_named(house, fault)
        goes_on(house, ticks)
        if fault.also:
            house.until(lambda: watch.opened_since(began, fault.also), fault.also, TWO_LOOKS_S)
        mended = time.monotonic()
    goes_on(house, ticks)
    if fault.later:
        table.note(fault.name, noticed_s, None, "")
    elif fault.stays:
        assert root_of(house, fault), "it was resolved, and nobody mended it"
        table.note(fault.name, noticed_s, None, "a person was told, who alone can mend it")
    else:
        house.until(lambda: watch.closed_since(began, key), f"{fault.name} is over", 60)
        over_s = max(0.0, watch.closed[key][-1] - mended)
        assert over_s < fault.over_within_s + lag_s(house)
        table.note(fault.name, noticed_s, over_s, house.alerts()[key]["resolution"])
    is_told_once(house, watch, fault, began)
    no_false_heal(house)


def test_a_stopped_process_is_forgiven_and_begins_the_log_anew_that_was_taken_away(
    house: FaultyHouse, watch: Watch, table: Table
) -> None:
    ticks, began = house.ticks(), time.monotonic()
    restarts = restarts_in(house)
    house.daemon.send(signal.SIGSTOP)
    log = house.data / "logs" / "roboinvest.jsonl"
    log.rename(log.with_suffix(".taken"))
    assert house.daemon.lives_on_for(STOPPED_S)
    house.daemon.send(signal.SIGCONT)
    continued = time.monotonic()
    noticed_s = house.until(lambda: house.said("loop_stood_still"), "a new log tells of it", 20)
    goes_on(house, ticks)
    over_s = time.monotonic() - continued
    looked = house.health().get("checked_at")
    house.until(lambda: house.health().get("checked_at") != looked, "a look", 2 * TWO_LOOKS_S)
    # What was asked of a disk just before ran out of its time meanwhile, and is asked once more.
    more = {name: count - restarts[name] for name, count in restarts_in(house).items()}
    assert max(more.values()) <= 1, more
    mine = watch.opened_since(began)
    assert all(key.startswith((*FLEETING, LLM, CHANNEL)) for key in mine), mine
    house.until(
        lambda: all(watch.closed_since(began, key) for key in mine if key.startswith(FLEETING)),
        "nothing of it is left",
        TWO_LOOKS_S + lag_s(house),
    )
    down = [a["name"] for a in house.health()["agents"] if a["status"] in ("offline", "failing")]
    assert not set(down) - {"language model"}, down
    table.note("the process is stopped for 20 s", noticed_s, over_s, "forgiven")
    table.note("the log is taken away", noticed_s, 0.0, "begun anew with the next line")


def restarts_in(house: FaultyHouse) -> Mapping[str, int]:
    status = house.daemon.report("system_status") or {}
    return {each["name"]: each["restarts"] for each in status["services"]}


def test_what_only_a_person_can_mend_stands_until_then(
    house: FaultyHouse, watch: Watch, table: Table
) -> None:
    lives_through(house, watch, table, FAULTS[-1])
    assert root_of(house, FAULTS[-1]) is not None


def test_a_full_disk_is_told_though_the_board_cannot_be_kept(
    house: FaultyHouse, table: Table
) -> None:
    ticks, told, began = house.ticks(), len(house.phone.requests), time.monotonic()
    fill_disk(house)
    with ExitStack() as filled:
        filled.callback(make_room, house)
        house.until(lambda: house.heard(DISK_FULL, told), "a message", 60)
        noticed_s = time.monotonic() - began
        assert house.asked("health").code == 0
        mended = time.monotonic()
    goes_on(house, ticks)
    house.until(lambda: not set(house.open_alerts()) & OF_THE_DISK, "nothing of it is left", 30)
    no_false_heal(house)
    table.note("the disk is full", noticed_s, time.monotonic() - mended, "trading waited for it")
    assert noticed_s < TWO_LOOKS_S + lag_s(house)


def test_what_the_world_mended_is_over(house: FaultyHouse, watch: Watch, table: Table) -> None:
    def is_over() -> bool:
        left = [key for key in house.open_alerts() if key.startswith((CHANNEL, RECALL))]
        return not left

    house.until(is_over, "the channel and recall are well", 60)
    assert len(watch.closed.get(CHANNEL, ())) >= 1
    took_s = watch.closed[CHANNEL][0] - watch.opened[CHANNEL][0]
    both = next(fault.name for fault in FAULTS if CHANNEL in fault.beside)
    noticed_s = watch.opened[CHANNEL][0] - table.planted[both]
    assert noticed_s < TWO_LOOKS_S + lag_s(house)
    table.note("the channel to people is down", noticed_s, took_s, "a message went through again")
    model = next(key for key in watch.opened if key.startswith(LLM))
    for name, closed in zip(
        ("the model talks garbage", "the model does not answer"), watch.closed[model], strict=False
    ):
        opened = max(at for at in watch.opened[model] if at < closed)
        noticed_s, _, _ = table.rows[name]
        table.note(name, noticed_s, closed - opened, "it answers again")


def test_a_daemon_killed_while_it_heals_does_not_heal_twice(ripening: Killer, table: Table) -> None:
    first = ripening.daemon
    killed_at, ((attempt_id, rung, cause, verdict),) = ripening.until_killed(RIPE_S)
    assert first.ended(TWO_LOOKS_S).code in (-signal.SIGKILL, FAILED)  # whichever was faster
    assert (rung, cause, verdict) == ("escalate", "resource", None)
    with escalating(first.data.parent) as second:
        assert second.until_ready()["trading_state"] == "HALTED"
        looked = second.report("health")
        second.until(lambda: second.report("health") != looked, "the Overseer looked")
        left = attempts_of(second)
        assert [each[0] for each in left] == [attempt_id], "it was pulled again"
        assert left[0][-1] != "healed", "nobody measured that"
        assert (second.data / "HALT").exists(), "healing lifts no halt"
        second.kill()
    end = "escalated; killed and halted at that moment, and pulled once"
    table.note(ESCALATED, killed_at - table.planted[ESCALATED], None, end)
