"""Changes that went wrong: words that no model answers to, code that raises or is slow."""

from __future__ import annotations

from typing import Final

from roboinvest.core.oversight.healing_record import HealAttempt, Rung
from tests.fakes.overseen import World
from tests.fakes.overseen_parts import (
    REVISED,
    WORDS,
    decides_by_revision,
    poison,
    revise,
    with_prompts,
    with_revisions,
)
from tests.fakes.planted_faults.values import Fault, bug

_SETTLES_S: Final = 5_400.0  # after one revision, before the next: the governor's cool-down


def poisons(world: World) -> None:
    """Put poisoned words into force; the registry does so in its own time."""
    world.do(poison(world))


def words_went_back(world: World, attempts: tuple[HealAttempt, ...]) -> None:
    """Say that the words before are in force again, and the model is asked as before."""
    assert world.prompts is not None
    assert world.prompts.current(WORDS).version != world.parts["poisoned"]
    assert [each.rung for each in attempts if each.verdict != "refused"] == [Rung.PROMPT_ROLLBACK]
    assert not world.oversight._switch.degraded


def code_went_back(world: World, _attempts: tuple[HealAttempt, ...]) -> None:
    """Say that the revision before is in force again."""
    assert world.parts["active at the end"] == world.parts["first"]


FAULTS: Final = (
    Fault(
        name="a prompt is poisoned: no reply can be read since",
        mechanism="bad change",
        agent="SimpleOrganicStrategyAgent",
        causes=("bad_output",),
        plant=poisons,
        ends_in="healed",
        rung="prompt_rollback",
        furnish=with_prompts,
        proves=words_went_back,
        is_sample=True,
    ),
    Fault(
        name="a revision raises",
        mechanism="bad change",
        agent=REVISED,
        causes=("own_code",),
        plant=revise(bug(), 0.1),
        begins_s=_SETTLES_S,
        ends_in="healed",
        rung="revision_rollback",
        furnish=with_revisions,
        house={"installs": decides_by_revision},
        proves=code_went_back,
    ),
    Fault(
        name="a revision is slow",
        mechanism="bad change",
        agent=REVISED,
        causes=("own_code",),
        plant=revise(None, 2.0),
        begins_s=_SETTLES_S,
        ends_in="healed",
        rung="revision_rollback",
        furnish=with_revisions,
        house={"installs": decides_by_revision},
        proves=code_went_back,
    ),
)
