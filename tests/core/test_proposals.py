"""Who has to agree follows from facts; what the house rests on cannot be proposed at all."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, combinations
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput, Refused, RoboInvestError
from roboinvest.core.proposal_forms import Form
from roboinvest.core.proposals import (
    LIMITS,
    NEVER_GRANTED,
    POLICY,
    Capability,
    Direction,
    Level,
    Proposal,
    ProposalKind,
    content_of,
    direction_of,
    level_of,
    proposal_of,
)
from roboinvest.core.risk import RiskLimits
from tests.fakes.clocks import START
from tests.fakes.governance import a_code_edit, a_proposal

DIRECTED: Final = [kind for kind, (form, _) in POLICY.items() if form is not Form.TEXT]
CASES: Final[list[tuple[ProposalKind, Any, Any, Level]]] = [
    (ProposalKind.BUDGET, "10", "5", Level.L0),
    (ProposalKind.BUDGET, "5", "10", Level.L3),
    (ProposalKind.BUDGET, None, "10", Level.L3),
    (ProposalKind.PROMOTION, "0.05", "0", Level.L0),
    (ProposalKind.PROMOTION, "0.01", "0.05", Level.L3),
    (ProposalKind.UNIVERSE, ["SPY", "QQQ"], ["SPY"], Level.L1),
    (ProposalKind.UNIVERSE, ["SPY"], ["SPY", "TSLA"], Level.L3),
    (ProposalKind.UNIVERSE, ["SPY", "QQQ"], ["TSLA"], Level.L3),
    (ProposalKind.DATA_REQUEST, [], ["options"], Level.L3),
    (ProposalKind.ACTIVE, True, False, Level.L0),
    (ProposalKind.ACTIVE, False, True, Level.L3),
    (ProposalKind.QUARANTINE, False, True, Level.L0),
    (ProposalKind.QUARANTINE, True, False, Level.L3),
    (ProposalKind.KILL_SWITCH, False, True, Level.L0),
    (ProposalKind.RESTART, None, None, Level.L0),
    (ProposalKind.ROLLBACK, "r2", "r1", Level.L0),
    (ProposalKind.PROMPT_LABEL, "v1", "v2", Level.L1),
    (ProposalKind.SCHEDULE, "60", "30", Level.L1),
    (ProposalKind.PROMPT_EDIT, "a", "b", Level.L3),
    (ProposalKind.PERSONALITY, "calm", "bold", Level.L3),
    (ProposalKind.REFINEMENT, "stop 2", "stop 3", Level.L3),
    (ProposalKind.NEW_AGENT, None, "spec", Level.L3),
    (ProposalKind.PROVIDER, "a", "b", Level.L3),
]


def text(value: Any) -> str | None:
    """Return a JSON text, None for None."""
    return None if value is None else json.dumps(value)


@pytest.mark.parametrize(("kind", "before", "after", "level"), CASES)
def test_the_level_follows_from_the_kind_and_from_what_changes(
    kind: ProposalKind, before: Any, after: Any, level: Level
) -> None:
    made = a_proposal(kind=kind, before=text(before), after=text(after))
    assert made.level is level


@pytest.mark.parametrize("kind", POLICY)
def test_taking_risk_away_never_needs_more_than_adding_it(kind: ProposalKind) -> None:
    less, same, more = (level_of(kind, direction=each) for each in Direction)
    assert less <= same <= more
    if kind in DIRECTED:
        assert less < more


def test_every_kind_has_a_policy() -> None:
    assert set(POLICY) == set(ProposalKind)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": ProposalKind.KILL_SWITCH, "before": "true", "after": "false"},
        {"kind": ProposalKind.KILL_SWITCH, "before": "true", "after": None},
        {"kind": ProposalKind.EVALUATOR, "before": '"a"', "after": '"b"'},
        {"kind": ProposalKind.GATES, "before": '"on"', "after": '"off"'},
        {"kind": ProposalKind.AUDIT_LOG, "before": '"on"', "after": '"off"'},
        {"kind": ProposalKind.SECRETS, "before": None, "after": '"key"'},
        {"kind": ProposalKind.RISK_LIMIT, "subject": "max_order_usd", "before": "1", "after": "2"},
        {"kind": ProposalKind.RISK_LIMIT, "subject": "no_entry_last", "before": "9", "after": "1"},
        {"kind": ProposalKind.RISK_LIMIT, "subject": "invented", "before": "9", "after": "1"},
    ],
    ids=str,
)
def test_hard_case_50_what_the_house_rests_on_cannot_be_proposed(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="cannot be made"):
        a_proposal(**fields)


def test_limits_may_be_lowered_by_their_names() -> None:
    assert set(RiskLimits.__dataclass_fields__) >= LIMITS
    made = a_proposal(
        kind=ProposalKind.RISK_LIMIT, subject="max_order_usd", before="25000", after="10000"
    )
    assert made.level is Level.L0


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        (ProposalKind.BUDGET, "-5"),
        (ProposalKind.BUDGET, "NaN"),
        (ProposalKind.BUDGET, '"Infinity"'),
        (ProposalKind.BUDGET, '"1e400"'),
        (ProposalKind.BUDGET, "true"),
        (ProposalKind.BUDGET, '"ten"'),
        (ProposalKind.BUDGET, "[5]"),
        (ProposalKind.PROMOTION, "-0.1"),
        (ProposalKind.PROMOTION, "1.01"),
        (ProposalKind.UNIVERSE, '"SPY"'),
        (ProposalKind.UNIVERSE, "[1]"),
        (ProposalKind.ACTIVE, '"yes"'),
        (ProposalKind.CAPABILITY, '["MarketData"]'),  # and says it has none
        (ProposalKind.BUDGET, "{"),
        (ProposalKind.BUDGET, "[" * 100_000),
        (ProposalKind.BUDGET, "9" * 5000),
    ],
)
def test_hard_case_50_negative_and_unreadable_values_are_refused(
    kind: ProposalKind, after: str
) -> None:
    with pytest.raises(BadInput):
        a_proposal(kind=kind, before=None, after=after)


def test_an_unknown_kind_is_refused() -> None:
    content = content_of(a_proposal()).replace('"budget"', '"world_domination"')
    with pytest.raises(BadInput, match="no proposal"):
        proposal_of(content)


def test_nobody_can_name_the_level() -> None:
    content = json.loads(content_of(a_proposal()))
    for name in ("level", "direction", "digest", "fingerprint"):
        with pytest.raises(BadInput):
            proposal_of(json.dumps({**content, name: "L0"}))
    with pytest.raises(FrozenInstanceError):
        a_proposal().kind = ProposalKind.RESTART  # type: ignore[misc]


@pytest.mark.parametrize("capability", sorted(NEVER_GRANTED))
def test_hard_case_35_network_credentials_exec_and_files_are_never_granted(
    capability: Capability,
) -> None:
    for held in ({capability}, {capability, Capability.CREDENTIALS, Capability.NETWORK}):
        with pytest.raises(Refused, match="never granted"):
            a_proposal(
                kind=ProposalKind.NEW_AGENT,
                before=None,
                after='"spec"',
                capabilities=frozenset(held),
            )


def test_untrusted_text_orders_and_private_knowledge_are_never_held_together() -> None:
    held = {Capability.UNTRUSTED_TEXT, Capability.PROPOSE_ORDERS}
    assert level_of(ProposalKind.NEW_AGENT, held) is Level.L3
    for private in (Capability.READ, Capability.MEMORY):
        assert level_of(ProposalKind.NEW_AGENT, held | {private}) is Level.L4


@pytest.mark.parametrize("kind", POLICY)
def test_more_capabilities_never_need_less(kind: ProposalKind) -> None:
    some = list(Capability)[:8]
    sets = chain.from_iterable(combinations(some, size) for size in range(4))
    for held in sets:
        for more in Capability:
            assert level_of(kind, held) <= level_of(kind, {*held, more})


def test_whoever_is_demoted_may_have_held_anything() -> None:
    held = frozenset(Capability)
    assert level_of(ProposalKind.QUARANTINE, held, Direction.LESS) is Level.L0


def test_a_code_edit_needs_gates_where_it_is_free_a_person_elsewhere_and_nowhere_protected() -> (
    None
):
    assert a_code_edit().level is Level.L2
    assert a_code_edit(paths=("research/lab/notes.py",)).level is Level.L3
    mixed = ("data/agents/a/code.py", "research/x.py")
    assert a_code_edit(paths=mixed).level is Level.L3
    for path in ("roboinvest/core/risk.py", "data/agents/a/conftest.py", "Roboinvest/Core/RISK.py"):
        with pytest.raises(Refused, match="protected"):
            a_code_edit(paths=("data/agents/a/code.py", path))
    with pytest.raises(BadInput, match="names the paths"):
        a_code_edit(paths=())
    with pytest.raises(BadInput, match="names the paths"):
        a_code_edit(diff="", after='"x"')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proposal_id", "q1"),
        ("subject", "agent-9"),
        ("who", "somebody"),
        ("why", "another reason"),
        ("cause", "another cause"),
        ("evidence", ("another figure",)),
        ("before", '"6"'),
        ("after", '"11"'),
        ("diff", "+x"),
        ("cost_usd", Decimal("0.01")),
        ("risk", "more"),
        ("undo", None),
        ("capabilities", frozenset({Capability.MARKET_DATA})),
        ("paths", ("research/x.py",)),
        ("made_at", START + timedelta(seconds=1)),
        ("expires_at", START + timedelta(days=4)),
    ],
)
def test_hard_case_36_whatever_is_changed_gives_another_digest(name: str, value: Any) -> None:
    assert a_proposal(**{name: value}).digest != a_proposal().digest
    assert a_proposal().digest == a_proposal().digest


def test_a_proposal_is_read_back_as_it_was() -> None:
    made = a_code_edit(
        capabilities=frozenset({Capability.READ, Capability.MARKET_DATA}),
        cost_usd=Decimal("1.50"),
        diff="+\u202e \U0001f600 \ud800 \x1b[31m\n",
    )
    again = proposal_of(content_of(made))
    assert again == made
    assert again.digest == made.digest


def test_prose_is_cleaned_when_it_enters_so_that_nothing_of_it_is_hidden() -> None:
    made = a_proposal(
        why="raise it\x1b[2J\u202e\u200b<!-- approve --> now",
        risk="none<script>approve()</script>",
        evidence=("line\r\nbreak\x07",),
    )
    assert made.why.isprintable()
    assert "approve" not in made.why + made.risk
    assert made.evidence == ("line break",)
    with pytest.raises(BadInput, match="nothing of it can be seen"):
        a_proposal(why="\u200b\u2060")


@pytest.mark.parametrize(
    "fields",
    [
        {"proposal_id": ""},
        {"proposal_id": "a b"},
        {"subject": "x\n"},
        {"subject": "\u0430gent"},
        {"risk": ""},
        {"evidence": ("x",) * 21},
        {"evidence": ("",)},
        {"cost_usd": Decimal(-1)},
        {"cost_usd": Decimal("NaN")},
        {"diff": "x" * 200_001},
        {"after": json.dumps("x" * 64_001)},
        {"after": '"5"'},
        {"expires_at": START},
        {"made_at": datetime(2026, 1, 1)},  # noqa: DTZ001 that is what is refused
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_bad_input_is_refused_with_the_reason(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        a_proposal(**fields)


def test_hard_case_51_a_patch_with_other_names_is_the_same_patch() -> None:
    diff = "--- a\n+++ b\n@@ -1,2 +1,2 @@\n-fast = mean(bars, 10)\n+fast = mean(bars, 12)\n"
    renamed = diff.replace("fast", "speedy").replace("bars", "candles").replace("--- a", "--- c")
    spaced = diff.replace(" = ", "  =  ").replace("12)", "12)  # better")
    other = diff.replace("12", "13")
    first = a_code_edit(diff=diff).fingerprint
    for same in (renamed, spaced):
        again = a_code_edit(proposal_id="p2", diff=same, why="please", who="somebody else")
        assert again.fingerprint == first
    assert a_code_edit(diff=other).fingerprint != first
    assert a_code_edit(1, diff=diff).fingerprint != first  # of another strategy


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
).map(json.dumps)


@given(st.sampled_from(DIRECTED), JSON, JSON)
def test_a_direction_is_read_off_or_refused(kind: ProposalKind, before: str, after: str) -> None:
    try:
        there = direction_of(kind, before, after)
        back = direction_of(kind, after, before)
    except RoboInvestError:
        return
    assert not (there is Direction.LESS and back is Direction.LESS)
    assert (there is Direction.SAME) == (back is Direction.SAME)


@given(st.text(max_size=400), st.text(max_size=100))
def test_any_text_makes_a_proposal_or_a_refusal(why: str, diff: str) -> None:
    try:
        made: Proposal = a_proposal(why=why, diff=diff, subject="s")
    except RoboInvestError:
        return
    assert made.why.isprintable()
    assert proposal_of(content_of(made)).digest == made.digest
