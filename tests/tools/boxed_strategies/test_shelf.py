"""Strategies by name: what an agent wrote runs in the box and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.revisions.lifecycle import SHORT
from roboinvest.core.strategy import asks_elsewhere
from roboinvest.runtime.revisions.opening import AGENTS
from roboinvest.trading.installed_strategy import Installed
from tests.fakes.clocks import ManualClock
from tests.fakes.revisions import PERSON, AgentHouse, agent_house, an_artifact
from tests.fakes.sandboxes import needs
from tests.fakes.strategy_files import CROSSING, PULLBACK, written
from tools.boxed_strategies.shelf import StrategyShelf
from tools.sandbox.tier import Tier
from tools.sandbox.tiers import Detection

HERE = Detection(tier=Tier.B, reason="limits hold", refused={})
NOWHERE = Detection(tier=Tier.D, reason="nothing would hold it", refused={})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[AgentHouse]:
    needs(Tier.B)
    with agent_house(tmp_path) as made:
        yield made


def shelf_of(data: Path, found: Detection = HERE) -> StrategyShelf:
    return StrategyShelf(data, ManualClock(), detects=lambda: found, workers=1)


def test_a_name_of_the_library_and_a_plain_file_need_no_box(tmp_path: Path) -> None:
    path = written(tmp_path, PULLBACK)
    with shelf_of(tmp_path, NOWHERE) as shelf:
        assert shelf.find("vwap_bounce").name == "vwap_bounce"
        assert shelf.find(str(path)).name == "pullback"
        assert shelf.place_of("vwap_bounce") is None
        assert shelf.source_of("vwap_bounce") is None
        assert shelf.place_of(str(path)) == str(path.resolve())
        assert shelf.source_of(str(path)) == PULLBACK
        assert shelf.boxed("vwap_bounce") is None


def test_a_file_runs_in_the_box_when_its_name_says_so(tmp_path: Path) -> None:
    needs(Tier.B)
    path = written(tmp_path, PULLBACK)
    with shelf_of(tmp_path) as shelf:
        found = shelf.find(f"box:{path}")
        plain = shelf.find(str(path))
        assert asks_elsewhere(found.plan(found.values({})))
        assert not asks_elsewhere(plain.plan(plain.values({})))
        assert found.fingerprint == plain.fingerprint
        assert shelf.place_of(f"box:{path}") == f"box:{path.resolve()}"
        assert shelf.source_of(f"box:{path}") == PULLBACK


@pytest.mark.parametrize("named", ["box:idea.py", "agent:scout"])
def test_without_a_box_there_is_no_boxed_strategy(tmp_path: Path, named: str) -> None:
    written(tmp_path, PULLBACK)
    with shelf_of(tmp_path, NOWHERE) as shelf, pytest.raises(Refused) as told:
        shelf.find(named.replace("box:", f"box:{tmp_path}/"))
    assert "needs a box, and there is none here: nothing would hold it" in str(told.value)


def test_an_agents_revision_is_found_by_its_first_digits(house: AgentHouse) -> None:
    first = house.store.draft(an_artifact(code=PULLBACK), None, PERSON)
    other = house.store.draft(an_artifact(code=CROSSING), None, PERSON)
    with shelf_of(house.data) as shelf:
        assert shelf.find(f"agent:scout@{first.revision_id}").name == "pullback"
        named = f"agent:scout@{other.revision_id[:8]}"
        assert shelf.find(named).name == "over_the_mean"
        assert shelf.place_of(named) == f"agent:scout@{other.revision_id[:SHORT]}"
        assert shelf.source_of(named) == CROSSING
        assert shelf.revision_of(named) == other.revision_id[:SHORT]
        assert shelf.revision_of("sma_crossover") == ""
        plan = shelf.find(named).plan({"period": 20})
        installed = Installed(stamp="a@1", plan=plan, revision=shelf.revision_of(named))
        assert installed.source == f"strategy:a@1+{other.revision_id[:SHORT]}"
        with pytest.raises(BadInput, match="scout has no active revision; it has "):
            shelf.find("agent:scout")
        with pytest.raises(BadInput, match="has no single revision 'zz'"):
            shelf.find("agent:scout@zz")
        with pytest.raises(BadInput, match="nobody has no active revision; it has none"):
            shelf.find("agent:nobody")


def test_only_a_revision_that_passed_its_gates_trades(house: AgentHouse) -> None:
    draft = house.store.draft(an_artifact(code=PULLBACK), None, PERSON)
    with shelf_of(house.data) as shelf:
        assert shelf.find(f"agent:scout@{draft.short}").name == "pullback"
        with pytest.raises(Refused, match="is draft, and only a revision that passed its gates"):
            shelf.find(f"agent:scout@{draft.short}", trades=True)
    revision = house.installed(an_artifact(code=CROSSING))
    house.activate(revision)
    with shelf_of(house.data) as shelf:
        assert shelf.find("agent:scout", trades=True).name == "over_the_mean"
    house.desk.quarantine("scout", revision.revision_id, PERSON)
    with shelf_of(house.data) as shelf, pytest.raises(Refused, match="quarantined"):
        shelf.find(f"agent:scout@{revision.short}", trades=True)


def test_a_revision_changed_on_disk_is_refused(house: AgentHouse) -> None:
    draft = house.store.draft(an_artifact(code=PULLBACK), None, PERSON)
    file = house.folders.place_of("scout", draft.revision_id) / "code" / "strategy.py"
    file.chmod(0o600)
    file.write_text(PULLBACK.replace("10", "11"))
    with shelf_of(house.data) as shelf, pytest.raises(Refused, match=r"code/strategy\.py"):
        shelf.find(f"agent:scout@{draft.short}")


def test_an_agents_file_is_refused_by_its_path(house: AgentHouse, tmp_path: Path) -> None:
    draft = house.store.draft(an_artifact(code=PULLBACK), None, PERSON)
    file = house.folders.place_of("scout", draft.revision_id) / "code" / "strategy.py"
    link = tmp_path / "mine.py"
    link.symlink_to(file)
    with shelf_of(house.data) as shelf:
        for path in (
            file,
            link,
            house.data / AGENTS / ".." / AGENTS / file.relative_to(house.data / AGENTS),
        ):
            for ask in (shelf.find, shelf.place_of, shelf.source_of):
                with pytest.raises(Refused, match="whose code runs in the box only"):
                    ask(str(path))
        assert shelf.find(f"box:{file}").name == "pullback"


def test_a_folder_without_agents_says_so(tmp_path: Path) -> None:
    with shelf_of(tmp_path) as shelf, pytest.raises(BadInput, match="has no agents yet"):
        shelf.find("agent:scout")
    assert not list(tmp_path.iterdir())


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xff\xfe")
    with shelf_of(tmp_path) as shelf, pytest.raises(BadInput, match="is no text in UTF-8"):
        shelf.find(f"box:{path}")
