"""Whatever is asked in whatever order, the books agree with themselves and with a model of them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.artifact import Artifact
from roboinvest.core.revisions.gates import Gate, Verdict
from roboinvest.core.revisions.lifecycle import Actor, MoveKind, Revision, State
from roboinvest.runtime.governance.verify import verify
from tests.fakes.revisions import (
    AGENT,
    MACHINE,
    PERSON,
    AgentHouse,
    a_record,
    agent_house,
    an_artifact,
)

ACTORS = st.sampled_from([MACHINE, PERSON])
WHICH = st.integers(0, 7)
CAPABILITIES = st.sampled_from([(), (), (Capability.MARKET_DATA,)])


class LifeOfAnAgent(RuleBasedStateMachine):
    """Every operation on one agent, by machine and person, with time that passes."""

    @initialize()
    def open(self) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="life-"))
        self.opened = agent_house(self.data)
        self.house: AgentHouse = self.opened.__enter__()
        self.known: list[Revision] = []
        self.locked: set[str] = set()  # by a person, as a model of it

    def one(self, which: int) -> Revision | None:
        return self.known[which % len(self.known)] if self.known else None

    def try_to(self, do: object, *arguments: object, **options: object) -> bool:
        """Do it; where it is refused, nothing may have changed."""
        before = self.house.everything()
        told: str | None = None
        try:
            do(*arguments, **options)  # type: ignore[operator]
        except RoboInvestError as error:
            told = str(error)
        if told is not None:
            assert "\n" not in told
            assert self.house.everything() == before, told
        return told is None

    @rule(number=st.integers(1, 4), which=WHICH, wide=CAPABILITIES, root=st.booleans())
    def draft(self, number: int, which: int, wide: tuple[Capability, ...], root: bool) -> None:
        parent = self.one(which)
        artifact: Artifact = an_artifact(number, *wide)
        made = self.house.store.draft(
            artifact, None if root or parent is None else parent.revision_id, MACHINE
        )
        if all(each.revision_id != made.revision_id for each in self.known):
            self.known.append(made)

    @rule(number=st.integers(1, 6), warnings=st.integers(0, 3))
    def bring_to_the_door(self, number: int, warnings: int) -> None:
        active = self.house.active()
        before = self.house.file.head()[0]
        try:
            made = self.house.installed(an_artifact(number), active, warnings=warnings)
        except RoboInvestError:
            assert self.house.file.head()[0] >= before
            return
        self.known.append(made)

    @rule(which=WHICH, gate=st.sampled_from([Gate.STATIC, Gate.EVALUATOR, Gate.SHADOW]),
          verdict=st.sampled_from([Verdict.PASSED, Verdict.PASSED, Verdict.FAILED]))  # fmt: skip
    def judge(self, which: int, gate: Gate, verdict: Verdict) -> None:
        if (one := self.one(which)) is not None:
            record = a_record(one, gate, self.house.clock, verdict=verdict)
            self.try_to(self.house.store.record, one, record, MACHINE)

    @rule(which=WHICH, who=ACTORS, install=st.booleans())
    def advance(self, which: int, who: Actor, install: bool) -> None:
        if (one := self.one(which)) is not None:
            step = self.house.store.install if install else self.house.store.gate
            self.try_to(step, AGENT, one.revision_id, who)

    @rule(which=WHICH, who=ACTORS, force=st.booleans(), stale=st.integers(0, 3))
    def activate(self, which: int, who: Actor, force: bool, stale: int) -> None:
        if (one := self.one(which)) is not None:
            expected = self.house.sequence() - (stale == 3)
            done = self.try_to(self.house.activate, one, who, force=force, expected=expected)
            assert not (done and stale == 3)

    @rule(who=ACTORS)
    def roll_back(self, who: Actor) -> None:
        before = self.house.active()
        if self.try_to(self.house.desk.rollback, AGENT, self.house.sequence(), who):
            assert self.house.active() not in (None, before)

    @rule(which=WHICH, who=ACTORS)
    def quarantine(self, which: int, who: Actor) -> None:
        if (one := self.one(which)) is not None:
            done = self.try_to(self.house.desk.quarantine, AGENT, one.revision_id, who)
            if done and who.is_person:
                self.locked.add(one.revision_id)

    @rule(which=WHICH, who=ACTORS, retire=st.booleans())
    def end(self, which: int, who: Actor, retire: bool) -> None:
        if (one := self.one(which)) is not None:
            step = self.house.desk.retire if retire else self.house.desk.release
            if self.try_to(step, AGENT, one.revision_id, who):
                assert who.is_person or one.revision_id not in self.locked
                self.locked.discard(one.revision_id)

    @rule(which=WHICH, who=ACTORS, acknowledge=st.booleans())
    def reject(self, which: int, who: Actor, acknowledge: bool) -> None:
        if (one := self.one(which)) is not None:
            step = self.house.store.acknowledge if acknowledge else self.house.store.reject
            self.try_to(step, AGENT, one.revision_id, who)

    @rule(hours=st.sampled_from([1, 25, 24 * 31]))
    def let_time_pass(self, hours: int) -> None:
        self.house.clock.advance(hours * 3600)

    @rule()
    def sweep(self) -> None:
        before = self.house.everything()
        assert self.house.store.sweep() == ()
        assert self.house.everything() == before

    @invariant()
    def the_alias_stands_at_the_one_active_revision_or_nowhere(self) -> None:
        revisions = self.house.store.read_book(lambda book: book.revisions(AGENT))
        active = [each.revision_id for each in revisions if each.state is State.ACTIVE]
        assert active == [self.house.active()] or (active == [] and self.house.active() is None)
        if active:
            found = self.house.store.active(AGENT)
            assert found is not None
            assert found[0].revision_id == active[0]

    @invariant()
    def history_explains_the_present(self) -> None:
        moves = self.house.store.read_book(lambda book: book.moves(AGENT))
        stands, promoted = None, 0
        for number, move in enumerate(moves, 1):
            assert (move.sequence, move.before) == (number, stands)
            assert move.after != move.before
            promoted += move.kind is MoveKind.ACTIVATED
            stands = move.after
        assert stands == self.house.active()
        told = [row.entry.kind for row in self.house.file.rows(subject=AGENT, limit=10_000)]
        assert told.count("revision.activated") == promoted

    @invariant()
    def what_a_person_locked_is_locked(self) -> None:
        for revision in self.known:
            if revision.revision_id in self.locked:
                assert self.house.now(revision).state is State.QUARANTINED
                assert self.house.now(revision).quarantined_by_person

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)
        assert verify(self.data / "governance.db").is_whole
        shutil.rmtree(self.data)


LifeOfAnAgent.TestCase.settings = settings(
    max_examples=15, stateful_step_count=40, deadline=None, print_blob=True
)
TestLifeOfAnAgent = LifeOfAnAgent.TestCase
