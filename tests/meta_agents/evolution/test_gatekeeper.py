"""Gates run in order, stop at the first that does not pass, and can be run again."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from meta_agents.evolution.evaluator import Evaluator
from meta_agents.evolution.gatekeeper import Gatekeeper, GateReport
from meta_agents.evolution.review import GateJudge, Judged, Review, judged
from meta_agents.evolution.standards import NO_DATA, Standards
from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.artifact import sha256_of
from roboinvest.core.revisions.gates import Gate, Judge, Severity, Standard, Verdict
from roboinvest.core.revisions.lifecycle import Revision, State
from tests.fakes.evolution import (
    AGENT,
    CROSSING,
    Auditing,
    BrokenBox,
    Check,
    JudgedHouse,
    Noticed,
    Report,
    a_strategy,
    a_transform,
    an_artifact,
)
from tests.fakes.revisions import MACHINE, PERSON


class Flat(GateJudge):
    """A gate that comes to what it is told; counts how often."""

    def __init__(self, gate: Gate, data: str = NO_DATA, found: Judged | None = None) -> None:
        self._gate = gate
        self._data = data
        self.found = found or judged([])
        self.runs = 0

    @property
    def gate(self) -> Gate:
        return self._gate

    def standard(self) -> Standard:
        return Standard(
            gate=self._gate, evaluator_digest=NO_DATA, data_digest=self._data, version=1
        )

    def judge(self, review: Review) -> Judged:
        self.runs += 1
        return self.found


class Other(Flat):
    """An evaluator that came to the same, and says it with another trace."""

    def __init__(self, true: Evaluator) -> None:
        super().__init__(Gate.EVALUATOR)
        self._true = true

    def standard(self) -> Standard:
        return self._true.standard()

    def judge(self, review: Review) -> Judged:
        found = self._true.judge(review)
        assert found.trace is not None
        trace = replace(found.trace, text=found.trace.text.replace("passed", "Passed"))
        return replace(found, trace=trace)


def verdicts(report: GateReport) -> dict[str, str | None]:
    return {row.gate: row.verdict for row in report.rows}


def run(keeper: Gatekeeper, revision: Revision, **more: bool) -> GateReport:
    return keeper.run_gates(revision.agent_id, revision.revision_id, MACHINE, **more)


def records(house: JudgedHouse, revision: Revision) -> list[dict[str, object]]:
    folder = house.revisions.folders.place_of(revision.agent_id, revision.revision_id) / "gates"
    return [json.loads(path.read_bytes()) for path in sorted(folder.iterdir())]


def test_a_pure_transform_passes_and_may_be_installed(house: JudgedHouse) -> None:
    revision = house.drafted(a_transform())
    report = run(house.keeper(), revision)
    assert verdicts(report) == {Gate.STATIC: Verdict.PASSED, Gate.EVALUATOR: Verdict.PASSED}
    assert report.passed
    assert report.later == ()
    house.store.gate(AGENT, revision.revision_id, MACHINE)
    assert house.store.install(AGENT, revision.revision_id, MACHINE).state is State.INSTALLED


def test_a_failed_gate_ends_the_round_and_counts_as_a_rejection(house: JudgedHouse) -> None:
    house.check.report = Report(findings=(Noticed(severity=Severity.ERROR),))
    revision = house.drafted(a_strategy())
    report = run(house.keeper(), revision)
    assert verdicts(report)[Gate.STATIC] is Verdict.FAILED
    assert set(verdicts(report).values()) == {Verdict.FAILED, None}
    assert not report.passed
    assert house.store.read_book(lambda book: book.rejects(AGENT, revision.fingerprint)) == 1
    with pytest.raises(Refused, match="static says failed"):
        house.store.gate(AGENT, revision.revision_id, PERSON)


def test_a_gate_without_an_evaluator_here_stays_missing(house: JudgedHouse) -> None:
    reads = an_artifact(
        {"code/transform.py": "def transform(c):\n    return 2 * c['close']\n",
         "evals/cases.json": a_transform().files["evals/cases.json"]},
        (Capability.UNTRUSTED_TEXT,),
    )  # fmt: skip
    revision = house.drafted(reads)
    report = run(house.keeper(), revision)
    assert verdicts(report)[Gate.INJECTION] is None
    assert not report.passed
    assert any("no evaluator in this house" in row.note for row in report.rows)
    with pytest.raises(Refused, match="injection has no evaluator in this house"):
        house.store.gate(AGENT, revision.revision_id, PERSON)


def test_unable_is_no_pass_and_no_rejection_and_can_be_tried_again(house: JudgedHouse) -> None:
    revision = house.drafted(a_transform())
    report = run(house.keeper(jobs=BrokenBox()), revision)
    assert verdicts(report)[Gate.EVALUATOR] is Verdict.UNABLE
    assert not report.passed
    assert house.store.read_book(lambda book: book.rejects(AGENT, revision.fingerprint)) == 0
    with pytest.raises(Refused, match="evaluator says unable"):
        house.store.gate(AGENT, revision.revision_id, PERSON)
    assert run(house.keeper(), revision).passed


def test_a_checker_that_is_away_judges_nobody(house: JudgedHouse) -> None:
    house.check.away = True
    report = run(house.keeper(), house.drafted(a_transform()))
    assert verdicts(report) == {Gate.STATIC: Verdict.UNABLE, Gate.EVALUATOR: None}


def test_a_gate_that_was_passed_is_not_run_again_until_its_record_is_old(
    house: JudgedHouse,
) -> None:
    revision, keeper = house.drafted(a_transform()), house.keeper()
    run(keeper, revision)
    asked = house.check.asked
    assert [row.held for row in run(keeper, revision).rows] == [True, True]
    assert house.check.asked == asked
    assert [row.held for row in run(keeper, revision, again=True).rows] == [False, False]
    house.clock.advance(31 * 86_400.0)
    report = run(keeper, revision)
    assert report.passed
    assert [row.held for row in report.rows] == [False, False]


def test_hard_case_36_a_record_is_about_these_bytes_and_no_others(house: JudgedHouse) -> None:
    keeper, first = house.keeper(), house.drafted(a_transform())
    run(keeper, first)
    other = house.drafted(a_transform("def transform(c):\n    return c['close'] * 2\n"))
    (record,) = [r for r in records(house, first) if r["standard"]["gate"] == "evaluator"]  # type: ignore[index]
    assert record["artifact_digest"] != other.artifact_digest
    assert [row.held for row in run(keeper, other).rows] == [False, False]


def test_hard_case_36_a_file_that_was_swapped_is_not_judged_and_not_installed(
    house: JudgedHouse,
) -> None:
    keeper, revision = house.keeper(), house.drafted(a_transform())
    assert run(keeper, revision).passed
    place = house.revisions.folders.place_of(AGENT, revision.revision_id)
    path = place / "code" / "transform.py"
    os.chmod(path, 0o600)  # noqa: PTH101 as somebody would
    path.write_text("def transform(c):\n    return c['close'] * 3\n")
    with pytest.raises(Refused, match="was changed since it was stored"):
        run(keeper, revision)
    with pytest.raises(Refused, match="was changed since it was stored"):
        house.store.gate(AGENT, revision.revision_id, PERSON)


def test_a_trace_is_kept_word_for_word_and_comes_out_the_same(house: JudgedHouse) -> None:
    keeper, revision = house.keeper(), house.drafted(a_strategy())
    run(keeper, revision)
    (record,) = [r for r in records(house, revision) if r["standard"]["gate"] == "evaluator"]  # type: ignore[index]
    digest = record["trace"]["digest"]  # type: ignore[index]
    assert sha256_of(house.traces.read(digest).encode()) == digest
    assert keeper.recheck(AGENT, revision.revision_id, MACHINE) == ()


def test_a_trace_that_does_not_come_out_again_takes_the_pass_away(house: JudgedHouse) -> None:
    revision = house.drafted(a_transform())
    assert run(house.keeper(), revision).passed
    house.store.gate(AGENT, revision.revision_id, MACHINE)
    true = Evaluator(house.standards, house.boxes, house.box)
    keeper = Gatekeeper(house.revisions, [Other(true)], house.traces, house.clock)
    faults = keeper.recheck(AGENT, revision.revision_id, MACHINE)
    assert len(faults) == 1
    assert "evaluator came to" in faults[0]
    with pytest.raises(Refused, match="evaluator says failed"):
        house.store.install(AGENT, revision.revision_id, PERSON)


def test_what_cannot_be_run_again_is_not_promoted_and_not_condemned(house: JudgedHouse) -> None:
    revision = house.drafted(a_transform())
    assert run(house.keeper(), revision).passed
    with pytest.raises(Refused, match="cannot be run again now"):
        house.keeper(jobs=BrokenBox()).recheck(AGENT, revision.revision_id, MACHINE)
    assert run(house.keeper(), revision).passed


def test_a_trace_that_was_changed_on_the_disk_is_refused(house: JudgedHouse) -> None:
    keeper, revision = house.keeper(), house.drafted(a_transform())
    run(keeper, revision)
    (path,) = house.traces.root.iterdir()
    os.chmod(path, 0o600)  # noqa: PTH101 as somebody would
    path.write_text(path.read_text().replace("passed", "Passed"))
    with pytest.raises(Refused, match="was changed since it was kept"):
        keeper.recheck(AGENT, revision.revision_id, MACHINE)


def test_an_author_is_told_one_bit_for_each_gate_and_group_and_only_twice(
    house: JudgedHouse,
) -> None:
    keeper = house.keeper()
    for number, left in ((3, 1), (4, 0)):
        wrong = a_transform(f"def transform(c):\n    return {number} * c['close']\n")
        report = run(keeper, house.drafted(wrong))
        told = keeper.feedback(report)
        assert told.groups == {"main": False, "causal": True}
        assert told.gates == {"static": True, "evaluator": False}
        assert told.rounds_left == left
    report = run(
        keeper, house.drafted(a_transform("def transform(c):\n    return 5 * c['close']\n"))
    )
    with pytest.raises(Refused, match="a person looks at it"):
        keeper.feedback(report)


def test_data_of_the_house_change_only_when_somebody_says_so(house: JudgedHouse) -> None:
    one, other = (Flat(Gate.BACKTEST, sha256_of(word)) for word in (b"one", b"other"))
    walk = Flat(Gate.WALK_FORWARD)
    revision = house.drafted(a_strategy())
    report = run(house.keeper(one, walk), revision)
    assert one.runs == 1
    assert "backtest has no trace of a run" in [row.note for row in report.rows]
    with pytest.raises(Refused, match="--new-data"):
        run(house.keeper(other, walk), revision)
    assert other.runs == 0
    run(house.keeper(other, walk), revision, new_data=True)
    assert other.runs == 1


def test_hard_case_34_a_capability_more_asks_for_its_gates_and_a_person(
    house: JudgedHouse,
) -> None:
    parent = house.drafted(a_transform())
    run(house.keeper(), parent)
    house.store.gate(AGENT, parent.revision_id, MACHINE)
    house.store.install(AGENT, parent.revision_id, MACHINE)
    from roboinvest.runtime.revisions.aliases import Activation

    house.revisions.desk.activate(
        Activation(agent_id=AGENT, revision_id=parent.revision_id, expected=0), PERSON
    )
    more = house.drafted(a_strategy(), parent)
    report = run(house.keeper(), more)
    assert Gate.PERSON in report.later
    assert {Gate.BACKTEST, Gate.WALK_FORWARD, Gate.AUDITOR} <= set(verdicts(report))
    said = [f.text for row in report.rows if row.gate is Gate.AUDITOR for f in row.findings]
    assert any("asks for MarketData, OrderProposal" in text for text in said)


def test_hard_case_34_what_is_reached_through_others_is_judged_as_ones_own(
    house: JudgedHouse,
) -> None:
    words = an_artifact({"spec/idea.md": "asks the trader"}, agent="asker", calls=("trader",))
    asker = house.drafted(words)
    assert set(verdicts(run(house.keeper(), asker))) == {Gate.STATIC, Gate.EVALUATOR}
    trader = house.drafted(a_strategy(agent="trader"))
    # as if it had passed it all
    house.revisions.file.write(
        lambda t: t.connection.execute(
            "UPDATE revisions SET state = 'active' WHERE revision_id = ?", (trader.revision_id,)
        )
    )
    assert {Gate.BACKTEST, Gate.AUDITOR} <= set(verdicts(run(house.keeper(), asker)))


def test_hard_case_35_no_code_is_no_way_round_the_gates(house: JudgedHouse) -> None:
    only_words = {"spec/idea.md": "It only thinks."}
    revision = house.drafted(an_artifact(only_words, (Capability.READ,)))
    report = run(house.keeper(), revision)
    assert verdicts(report)[Gate.EVALUATOR] is Verdict.UNABLE
    assert not report.passed
    with pytest.raises(Refused, match="NetworkAccess"):
        house.drafted(an_artifact(only_words, (Capability.NETWORK, Capability.CREDENTIALS)))


def test_a_model_adds_findings_and_its_veto_stays_for_these_bytes(house: JudgedHouse) -> None:
    line = '    return Scan(long=above("close", "mean"))'
    assert line in CROSSING
    found = {"severity": "error", "path": "code/strategy.py", "line": 19, "text": "peeks",
             "quote": line}  # fmt: skip
    model = Auditing(json.dumps({"findings": [found]}))
    revision = house.drafted(a_strategy())
    report = run(house.keeper(model=model), revision)
    auditor = next(row for row in report.rows if row.gate is Gate.AUDITOR)
    assert auditor.verdict is Verdict.PASSED  # as computed
    assert not auditor.passed
    assert "finding of a model" in auditor.note
    assert verdicts(report)[Gate.EVALUATOR] is None
    content = Auditing('{"findings": []}')
    again = run(house.keeper(model=content), revision)
    assert not next(row for row in again.rows if row.gate is Gate.AUDITOR).passed


@pytest.mark.parametrize(
    "answer",
    [
        '{"pass": true}',
        '{"findings": [], "pass": true, "summary": "fine"}',
        "I looked at it and it is excellent. PASS.",
        '```json\n{"findings": []}\n```',
        "",
        TryLater("no answer in 60 s"),
    ],
)
def test_hard_case_37_prose_a_pass_or_silence_of_a_model_have_no_effect(
    house: JudgedHouse, answer: str | Exception
) -> None:
    house.check.report = Report(findings=(Noticed(severity=Severity.ERROR),))
    # the static gate would stop it first; the auditor alone is asked
    from meta_agents.evolution.auditor import Auditor

    model = Auditing(answer)
    keeper = Gatekeeper(
        house.revisions, [Auditor(Standards(), Check(house.check.report))], house.traces,
        house.clock, model=model,
    )  # fmt: skip
    revision = house.drafted(a_strategy())
    report = run(keeper, revision)
    assert verdicts(report)[Gate.AUDITOR] is Verdict.FAILED
    assert len(model.asked) == 1
    assert [r["judge"] for r in records(house, revision)] == [Judge.COMPUTED]


def test_a_revision_in_quarantine_or_retired_is_not_judged(house: JudgedHouse) -> None:
    revision = house.drafted(a_transform())
    house.revisions.desk.retire(AGENT, revision.revision_id, PERSON)
    with pytest.raises(Refused, match="is retired, and is not judged"):
        run(house.keeper(), revision)


def test_a_change_that_failed_three_times_under_new_names_waits_for_a_person(
    house: JudgedHouse,
) -> None:
    """Hard case 51: the same patch with renamed variables is the same change to the governor."""
    from roboinvest.runtime.revisions.aliases import Activation

    def named(name: str) -> Revision:
        return house.drafted(
            a_transform(f"def transform({name}):\n    return 2 * {name}['close']\n")
        )

    keeper, passing = house.keeper(), house.check.report
    house.check.report = Report(findings=(Noticed(severity=Severity.ERROR),))
    for name in ("a", "b", "c"):
        assert verdicts(run(keeper, named(name)))[Gate.STATIC] is Verdict.FAILED
    house.check.report = passing
    last = named("d")
    assert house.store.read_book(lambda book: book.rejects(AGENT, last.fingerprint)) == 3
    assert run(keeper, last).passed
    house.store.gate(AGENT, last.revision_id, MACHINE)
    house.store.install(AGENT, last.revision_id, MACHINE)
    wanted = Activation(agent_id=AGENT, revision_id=last.revision_id, expected=0)
    with pytest.raises(Refused, match="rejected 3 times, and after 3 a person acknowledges"):
        house.revisions.desk.activate(wanted, PERSON)
    house.store.acknowledge(AGENT, last.revision_id, PERSON)
    assert house.revisions.desk.activate(wanted, PERSON).after == last.revision_id
