"""After an upgrade, evidence of the former judges ends without anybody running a gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from meta_agents.evolution.standards import NO_DATA, Standards
from roboinvest.app.governance import todays
from roboinvest.core.approvals import InboxRules
from roboinvest.core.errors import Refused
from roboinvest.core.revisions.gates import Gate, Standard
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.runtime.revisions.book import RevisionBook
from roboinvest.runtime.revisions.opening import open_revisions
from roboinvest.runtime.upkeep.rounds import Rounds
from tests.fakes.clocks import ManualClock
from tests.fakes.revisions import AGENT, MACHINE, AgentHouse, agent_house, an_artifact


def upgraded(known: Standard) -> Standard:
    changed = known.gate is Gate.STATIC
    return replace(known, evaluator_digest="e" * 64) if changed else known


def rounds_of(root: Path, clock: ManualClock) -> Rounds:
    return Rounds(root, clock, rules=InboxRules(), limits=GovernorLimits(), todays=upgraded)


def changes_in(house: AgentHouse) -> int:
    return sum("gate_standard_set" in row.entry.kind for row in house.file.rows())


def test_a_round_of_another_program_ends_the_evidence_of_the_former_judge(tmp_path: Path) -> None:
    clock = ManualClock()
    with agent_house(tmp_path, clock) as house:
        revision = house.store.draft(an_artifact(), None, MACHINE)
        house.judged(revision)
        house.store.gate(AGENT, revision.revision_id, MACHINE)
        before = changes_in(house)
        rounds = rounds_of(tmp_path, clock)
        for _ in range(3):
            assert rounds.go(whole=False).troubles == {}
        rounds.close()
        assert changes_in(house) == before + 1  # told once, and only the gate that changed
        with pytest.raises(Refused, match="static was judged by another evaluator than today's"):
            house.store.install(AGENT, revision.revision_id, MACHINE)


def test_a_gate_of_this_program_is_todays_and_one_without_an_evaluator_stays() -> None:
    standards = Standards()
    was = Standard(gate=Gate.STATIC, evaluator_digest="a" * 64, data_digest=NO_DATA, version=1)
    assert todays(standards)(was) == standards.standard(Gate.STATIC, NO_DATA)
    shadow = replace(was, gate=Gate.SHADOW)
    assert todays(standards)(shadow) == shadow
    with_bars = replace(was, gate=Gate.BACKTEST, data_digest="b" * 64)
    assert todays(standards)(with_bars).data_digest == "b" * 64


def test_a_house_without_gates_gets_none(tmp_path: Path) -> None:
    with open_revisions(tmp_path, ManualClock()) as house:
        rounds = rounds_of(tmp_path, ManualClock())
        assert rounds.go(whole=False).troubles == {}
        rounds.close()
        assert house.store.read_book(RevisionBook.standards) == {}
