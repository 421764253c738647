"""Faults of others: data, broker, models, text memory, channels to people."""

from __future__ import annotations

from typing import Final

from roboinvest.core.events import Severity
from roboinvest.core.oversight.healing_record import HealAttempt, Verdict
from roboinvest.runtime.notifications.notice import Notice
from tests.fakes.overseen import World
from tests.fakes.overseen_parts import a_phone, text_memory
from tests.fakes.planted_faults.values import (
    Fault,
    alert,
    answers,
    both,
    bug,
    fails,
    resolves,
    sets,
)

_QUOTA: Final = "openai:mini: 429 insufficient_quota"
_AWAY: Final = "openai:mini: no answer within 20 s"
_AGAIN: Final = answers("openai:mini", "")


def rules_carry_on(world: World, _attempts: tuple[HealAttempt, ...]) -> None:
    """Say that trading went on by the rules, and nobody who asked is called ill."""
    keys = {event.key for event in world.raised()}
    assert not keys & {"agent.trading", "agent.SimpleOrganicStrategyAgent"}
    assert not any(one.halt is not None for one in (world.gate,))


def is_taken_back(world: World, _attempts: tuple[HealAttempt, ...]) -> None:
    """Say that the model answers again, after a trial that went well."""
    assert not world.oversight._switch.degraded


def unlucky_hook(world: World) -> None:
    """Let the broker be away, and the way to connect again fail."""
    alert("broker.away", "broker", "the broker did not answer in time: no answer")(world)

    async def connect() -> None:
        raise ConnectionError("connection refused")

    world.oversight.hooks.register("broker", "connects to the broker again", connect)


def got_well_alone(_world: World, attempts: tuple[HealAttempt, ...]) -> None:
    """Say that nobody takes the credit for a recovery in the middle of a ladder."""
    (only,) = attempts
    assert only.rung.value == "reconnect"
    assert only.verdict is Verdict.UNKNOWN
    assert "nothing of ours did that" in only.reason


def phone_down(world: World) -> None:
    """Let the phone fail just when there is news to tell."""
    world.parts["line"].is_down = True
    world.parts["outbox"].post(
        Notice(
            key="fills",
            kind="risk",
            severity=Severity.HIGH,
            text="an order was filled",
            at=world.clock.now(),
        )
    )


def phone_up(world: World) -> None:
    """Let the phone work again."""
    world.parts["line"].is_down = False


def heard_all(world: World, _attempts: tuple[HealAttempt, ...]) -> None:
    """Say that the news that waited was told, once."""
    texts = [line for one in world.parts["line"].sent for line in str(one).splitlines()]
    assert sum("an order was filled" in text for text in texts) == 1


FAULTS: Final = (
    Fault(
        name="the data goes stale",
        mechanism="data",
        agent="market data",
        causes=("data_gap",),
        plant=sets(is_stale=True),
        mends=sets(is_stale=False),
        ends_in="recovered",
        is_sample=True,
    ),
    Fault(
        name="the data is garbage",
        mechanism="data",
        agent="market data",
        causes=("data_gap", "dependency"),
        plant=sets(is_stale=True, bad_rows=9),
        mends=sets(is_stale=False, bad_rows=0),
        ends_in="recovered",
    ),
    Fault(
        name="the broker answers 500",
        mechanism="broker",
        agent="broker",
        causes=("provider",),
        plant=alert("broker.away", "broker", "alpaca answered 500 to every call"),
        mends=resolves("broker.away"),
        ends_in="recovered",
        tells=("broker.away",),
    ),
    Fault(
        name="the broker does not answer",
        mechanism="broker",
        agent="broker",
        causes=("provider",),
        plant=alert("broker.away", "broker", "the broker did not answer in time: no answer"),
        mends=resolves("broker.away"),
        ends_in="recovered",
        tells=("broker.away",),
    ),
    Fault(
        name="the broker recovers while its ladder is climbed",
        mechanism="broker",
        agent="broker",
        causes=("provider",),
        plant=unlucky_hook,
        mends=resolves("broker.away"),
        mends_s=420.0,
        ends_in="recovered",
        rung="reconnect",
        tells=("broker.away",),
        proves=got_well_alone,
        is_sample=True,
    ),
    Fault(
        name="the model's quota is out",
        mechanism="money",
        agent="language model",
        causes=("budget",),
        plant=answers("rules", _QUOTA),
        mends=_AGAIN,
        ends_in="recovered",
    ),
    Fault(
        name="the day's cap is spent, and rules carry on",
        mechanism="money",
        agent="language model",
        causes=("budget",),
        plant=answers("rules", "the cap of 5 USD a day is spent; rules answer until tomorrow"),
        mends=_AGAIN,
        ends_in="recovered",
        proves=rules_carry_on,
        is_sample=True,
    ),
    Fault(
        name="the model does not answer",
        mechanism="model",
        agent="language model",
        causes=("provider",),
        plant=answers("rules", _AWAY),
        mends=_AGAIN,
        ends_in="recovered",
    ),
    Fault(
        name="the model refuses its key",
        mechanism="settings",
        agent="language model",
        causes=("configuration",),
        plant=answers("rules", "openai:mini: 401 (invalid_api_key)"),
        mends=_AGAIN,
        ends_in="recovered",
        is_sample=True,
    ),
    Fault(
        name="the model is asked too often",
        mechanism="model",
        agent="language model",
        causes=("provider",),
        plant=answers("rules", "openai:mini: 429 rate_limit_exceeded"),
        mends=_AGAIN,
        ends_in="recovered",
    ),
    Fault(
        name="the model takes its time",
        mechanism="slowness",
        agent="language model",
        causes=("provider",),
        plant=lambda world: setattr(world.model, "takes_s", 6.0),
        begins_s=5_400.0,
        mends=lambda world: setattr(world.model, "takes_s", 0.0),
        ends_in="recovered",
        house={"installs": lambda world: setattr(world.model, "takes_s", 0.5)},
    ),
    Fault(
        name="the model's replies are garbage",
        mechanism="model",
        agent="SimpleOrganicStrategyAgent",
        causes=("bad_output",),
        plant=answers("safe", "openai:mini: unreadable twice"),
        ends_in="healed",
        rung="degrade",
        lives_s=1_500.0,  # less than the wait for the first trial
        is_sample=True,
    ),
    Fault(
        name="the model's replies are garbage for a while, and it is taken back",
        mechanism="model",
        agent="SimpleOrganicStrategyAgent",
        causes=("bad_output",),
        plant=answers("safe", "openai:mini: unreadable twice"),
        mends=_AGAIN,
        mends_s=1_300.0,
        ends_in="healed",
        rung="degrade",
        proves=is_taken_back,
    ),
    Fault(
        name="two at once: the model is away beside a bug",
        mechanism="two at once",
        agent="scout",
        causes=("own_code",),
        plant=both(answers("rules", _AWAY), fails(bug)),
        mends=_AGAIN,
        ends_in="acted",
        tells=("agent.scout", "agent.language model"),
        is_sample=True,
    ),
    Fault(
        name="text memory is gone",
        mechanism="memory",
        agent="recall",
        says="text recall is degraded",
        plant=lambda world: world.parts["shelf"].go(),
        mends=lambda world: world.parts["shelf"].come_back(),
        ends_in="recovered",
        house={"services": text_memory},
        is_sample=True,
    ),
    Fault(
        name="the channel to people is down",
        mechanism="channel",
        agent="notify.channel.phone",
        says="channel phone failed",
        plant=phone_down,
        mends=phone_up,
        ends_in="recovered",
        house={"services": a_phone},
        proves=heard_all,
        is_sample=True,
    ),
)
