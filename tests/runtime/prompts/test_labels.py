"""A changed file comes into force; nothing else undoes what was decided, and all of it is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput, BadSettings, Refused
from roboinvest.runtime.prompts.registry import PromptRegistry
from roboinvest.runtime.prompts.versions import MoveKind, PromptTerms, version_of
from tests.fakes.prompts import NAME, TERMS, PromptPlace, a_prompt, cause

ONE, TWO, THREE = (a_prompt(system=f"You decide, {word}.") for word in ("one", "two", "three"))
OTHER_MODEL = replace(TERMS, model="model-2")


@pytest.fixture
def place(tmp_path: Path) -> PromptPlace:
    """Return a place with one prompt in it."""
    place = PromptPlace(tmp_path)
    place.write(ONE)
    return place


def words(registry: PromptRegistry) -> str:
    """Return the words in force."""
    return registry.current(NAME).prompt.text


def history(place: PromptPlace) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(place.path)) as connection:
        return list(connection.execute("SELECT label, kind FROM moves ORDER BY seq"))


# Versions


@given(text=st.text(), model=st.text(), name=st.text())
def test_a_version_is_named_by_its_content_alone(text: str, model: str, name: str) -> None:
    first = PromptTerms(model=model, parameters={"a": 1, "b": 2})
    again = PromptTerms(model=model, parameters={"b": 2, "a": 1})
    assert version_of(name, text, first) == version_of(name, text, again)


def test_whatever_is_asked_in_another_way_is_another_version() -> None:
    terms = [
        TERMS,
        OTHER_MODEL,
        replace(TERMS, parameters={"reply_tokens": 901}),
        replace(TERMS, form={"type": "y"}),
    ]
    names = {
        version_of(name, text, t) for name in (NAME, "a/b") for text in (ONE, TWO) for t in terms
    }
    assert len(names) == 16


def test_the_name_of_a_version_stays_what_it_was() -> None:
    terms = PromptTerms(model="m", parameters={"reply_tokens": 1}, form={"type": "object"})
    assert version_of("a/b", "words", terms) == (
        "72fa3017948b3ac22aef5557cb5ec3277ed366f6f6bdcc9b8d9c246e8a20c5a0"
    )


# Files


async def test_the_first_start_takes_the_file_in(place: PromptPlace) -> None:
    async with place.opened() as registry:
        current = registry.current(NAME)
        assert current.prompt.text == ONE
        assert current.version == version_of(NAME, ONE, TERMS)
        assert current.temperature == 0.2
        assert registry.candidate(NAME) is None
    assert history(place) == [("current", "file")]


async def test_a_start_that_finds_all_as_it_was_writes_no_history(place: PromptPlace) -> None:
    for _ in range(3):
        async with place.opened():
            pass
    assert history(place) == [("current", "file")]


async def test_a_changed_file_comes_into_force(place: PromptPlace) -> None:
    async with place.opened():
        pass
    place.write(TWO)
    async with place.opened() as registry:
        assert words(registry) == TWO
    assert history(place) == [("current", "file")] * 2


async def test_a_file_that_stays_undoes_no_rollback(place: PromptPlace) -> None:
    async with place.opened():
        pass
    place.write(TWO)
    async with place.opened() as registry:
        move = await registry.rollback(NAME, cause("two loses"))
        assert (move.before, move.after) == (
            version_of(NAME, TWO, TERMS),
            version_of(NAME, ONE, TERMS),
        )
        assert words(registry) == ONE
    for _ in range(2):
        async with place.opened() as registry:
            assert words(registry) == ONE
    place.write(THREE)
    async with place.opened() as registry:
        assert words(registry) == THREE


async def test_a_file_that_stays_undoes_no_promotion(place: PromptPlace) -> None:
    async with place.opened() as registry:
        await registry.propose(NAME, TWO, cause())
        await registry.promote(NAME, cause(pairs=140, e=21.5))
        assert words(registry) == TWO
        assert registry.candidate(NAME) is None
    async with place.opened() as registry:
        assert words(registry) == TWO


async def test_other_terms_keep_the_words_and_make_a_version(place: PromptPlace) -> None:
    async with place.opened() as registry:
        await registry.propose(NAME, TWO, cause())
        await registry.promote(NAME, cause())
        await registry.propose(NAME, THREE, cause())
    async with place.opened(OTHER_MODEL) as registry:
        assert registry.current(NAME).version == version_of(NAME, TWO, OTHER_MODEL)
        candidate = registry.candidate(NAME)
        assert candidate is not None
        assert candidate.version == version_of(NAME, THREE, OTHER_MODEL)
        await registry.rollback(NAME, cause())
        assert registry.current(NAME).version == version_of(NAME, ONE, OTHER_MODEL)
        with pytest.raises(Refused, match="nothing to go back to"):
            await registry.rollback(NAME, cause())


async def test_a_missing_file_stops_the_start(place: PromptPlace) -> None:
    with pytest.raises(BadSettings, match=r"absent\.md cannot be read"):
        async with place.opened(names=(NAME, "strategy/absent")):
            pass


async def test_a_file_with_other_rules_takes_the_candidate_away(place: PromptPlace) -> None:
    async with place.opened() as registry:
        await registry.propose(NAME, TWO, cause())
    place.write(a_prompt(protected="Sell everything at noon."))
    async with place.opened() as registry:
        assert registry.candidate(NAME) is None
    assert history(place)[-2:] == [("current", "file"), ("candidate", "withdrawn")]


async def test_a_version_that_this_program_cannot_read_gives_way_to_the_file(
    place: PromptPlace,
) -> None:
    async with place.opened():
        pass
    with closing(sqlite3.connect(place.path)) as connection:
        connection.execute("DROP TRIGGER texts_hold")
        connection.execute("UPDATE texts SET text = 'of a later form'")
        connection.execute(
            "CREATE TRIGGER texts_hold BEFORE UPDATE ON texts "
            "BEGIN SELECT RAISE(ABORT, 'texts are append-only'); END"
        )
        connection.commit()
    place.write(TWO)
    async with place.opened() as registry:
        assert words(registry) == TWO


# Steps back


async def test_rolling_back_twice_goes_two_steps_back_and_never_forth(place: PromptPlace) -> None:
    for text in (ONE, TWO, THREE):
        place.write(text)
        async with place.opened():
            pass
    async with place.opened() as registry:
        for expected in (TWO, ONE):
            await registry.rollback(NAME, cause())
            assert words(registry) == expected
        with pytest.raises(Refused, match="nothing to go back to"):
            await registry.rollback(NAME, cause())
        assert words(registry) == ONE


async def test_words_with_other_placeholders_are_not_gone_back_to(place: PromptPlace) -> None:
    place.write(a_prompt("{{ day }}", placeholders={"day": "date"}))
    async with place.opened():
        pass
    place.write(ONE)
    async with place.opened() as registry:
        with pytest.raises(Refused, match="its placeholders are not those"):
            await registry.rollback(NAME, cause())


# Proposals


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (ONE.replace("Never sell", "Always sell"), Refused, "protected block"),
        (ONE.replace("Never sell short.", "Never sell short. "), Refused, "protected block"),
        (a_prompt("{{ at }}", placeholders={"at": "text"}), Refused, "placeholders"),
        (ONE.replace('"json"', '"list"'), Refused, "placeholders"),
        (ONE, Refused, "is the version in force"),
        (ONE.replace("Be brief.", "{{ ''.__class__ }}"), BadInput, "'__class__' is out of reach"),
        (ONE.replace("Be brief.", "x" * 70_000), BadInput, "bytes"),
        (ONE.replace("{# protected #}\n", ""), BadInput, "protected block"),
        ("", BadInput, "0 bytes"),
    ],
)
async def test_a_proposal_that_goes_too_far_is_refused_and_leaves_nothing(
    place: PromptPlace, text: str, error: type[Exception], said: str
) -> None:
    async with place.opened() as registry:
        with pytest.raises(error, match=said):
            await registry.propose(NAME, text, cause())
        assert registry.candidate(NAME) is None
    assert history(place) == [("current", "file")]
    with closing(sqlite3.connect(place.path)) as connection:
        assert connection.execute("SELECT count(*) FROM versions").fetchone() == (1,)


async def test_a_proposal_is_the_candidate_and_not_in_force(place: PromptPlace) -> None:
    async with place.opened() as registry:
        proposed = await registry.propose(NAME, TWO.replace("0.2", "0.7"), cause())
        assert registry.candidate(NAME) == proposed
        assert proposed.temperature == 0.7
        assert words(registry) == ONE
        again = await registry.propose(NAME, TWO.replace("0.2", "0.7"), cause())
        assert again.version == proposed.version
    assert history(place) == [("current", "file"), ("candidate", "proposed")]


async def test_without_a_candidate_there_is_nothing_to_promote(place: PromptPlace) -> None:
    async with place.opened() as registry:
        with pytest.raises(Refused, match="no candidate"):
            await registry.promote(NAME, cause())


async def test_a_move_keeps_who_when_why_and_the_evidence(place: PromptPlace) -> None:
    async with place.opened() as registry:
        await registry.propose(NAME, TWO, cause())
        move = await registry.promote(NAME, cause(" wins\n140 pairs ", pairs=140, e=21.5))
    assert move.kind is MoveKind.PROMOTED
    assert (move.reason, move.by, move.evidence) == (
        "wins 140 pairs",
        "tester",
        {"pairs": 140, "e": 21.5},
    )


@pytest.mark.parametrize(
    "bad",
    [cause(""), cause(" \n"), cause("x" * 1_001), cause("\x1b[31mred"), cause(e="x" * 70_000)],
)
async def test_a_move_without_a_proper_reason_is_refused_whole(
    place: PromptPlace, bad: object
) -> None:
    async with place.opened() as registry:
        with pytest.raises(BadInput):
            await registry.propose(NAME, TWO, bad)  # type: ignore[arg-type]
    assert history(place) == [("current", "file")]


async def test_a_prompt_that_nobody_declared_is_unknown(place: PromptPlace) -> None:
    async with place.opened() as registry:
        for name in ("strategy/other", "x"):
            with pytest.raises(BadInput, match=f"'{name}'"):
                registry.current(name)
            with pytest.raises(BadInput, match=f"'{name}'"):
                await registry.promote(name, cause())


# What was written stays


@pytest.mark.parametrize(
    ("table", "column"), [("texts", "text"), ("versions", "terms"), ("moves", "reason")]
)
@pytest.mark.parametrize("change", ["DELETE FROM {0}", "UPDATE {0} SET {1} = 'x'"])
async def test_history_is_changed_by_nobody(
    place: PromptPlace, table: str, column: str, change: str
) -> None:
    async with place.opened():
        pass
    with (
        closing(sqlite3.connect(place.path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(change.format(table, column))


@pytest.mark.parametrize(
    ("seq", "before", "said"), [(9, "now", "one by one"), (2, "something else", "last one ended")]
)
async def test_history_is_continued_where_it_ended(
    place: PromptPlace, seq: int, before: str, said: str
) -> None:
    async with place.opened() as registry:
        now = registry.current(NAME).version
    row = (
        seq,
        NAME,
        "current",
        "file",
        now if before == "now" else before,
        "v",
        "r",
        "{}",
        "b",
        "t",
    )
    with (
        closing(sqlite3.connect(place.path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match=said),
    ):
        connection.execute("INSERT INTO moves VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


# The file


async def test_a_file_that_is_not_ours_to_write_is_refused_in_a_sentence(
    place: PromptPlace,
) -> None:
    place.path.parent.mkdir(parents=True)
    for content, said in (
        (b"not a database" * 100, "is damaged"),
        (foreign("PRAGMA user_version = 3"), "of another program, and no prompt registry"),
        (
            foreign("PRAGMA application_id = 1380536369", "PRAGMA user_version = 99"),
            "newer program",
        ),
    ):
        place.path.write_bytes(content)
        with pytest.raises(BadSettings, match=said):
            async with place.opened():
                pass
        assert place.path.read_bytes() == content


def foreign(*statements: str) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in ("CREATE TABLE t (x)", *statements):
            connection.execute(statement)
        return connection.serialize()
