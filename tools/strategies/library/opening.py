"""The first hour: how a session opened, and whether it goes on or turns."""

from __future__ import annotations

from roboinvest.core.quant.calculators.session import (
    gap_frac,
    opening_range_high,
    opening_range_low,
    previous_close,
    session_open,
)
from roboinvest.core.quant.conditions import (
    Condition,
    above,
    at_least,
    at_most,
    every,
    once_a_session,
)
from roboinvest.core.strategy import (
    AtColumn,
    Calculator,
    Execution,
    Param,
    Plan,
    Reward,
    Scan,
    Strategy,
    Timeframes,
    Values,
)
from tools.strategies.library.protection import (
    close_plus,
    flat_before,
    in_order,
    no_entry_before,
    protective,
    reward,
    stop_frac,
)


def opening_range_breakout() -> Strategy:
    """Buy the first close over the opening range, with the stop at its low."""
    return Strategy(
        name="opening_range_breakout",
        version="1",
        idea="The night's news is traded into a range at the open, and who is right shows by the "
        "side on which the price leaves it.",
        source="Toby Crabel, Day Trading with Short Term Price Patterns and Opening Range "
        "Breakout, 1990; on closed bars as here: Zarattini and Aziz, Can Day Trading Really Be "
        "Profitable?, 2023",
        timeframe=Timeframes.INTRADAY,
        params=(_range(15, 120), reward(2.0), no_entry_before(120), flat_before()),
        build=_opening_range,
    )


def gap_and_go() -> Strategy:
    """Buy a session that opened with a gap up, once it closes over its first minutes."""
    return Strategy(
        name="gap_and_go",
        version="1",
        idea="A large gap up has a reason, and buyers who missed the open pay up when it holds.",
        source="practice, as in Andrew Aziz, How to Day Trade for a Living, 2016; no study known "
        "to its author shows an edge",
        timeframe=Timeframes.INTRADAY,
        params=(
            _gap("min_gap", 0.02, "smallest gap up"),
            _range(5, 60),
            _within(60),
            reward(2.0),
            flat_before(),
        ),
        build=_gap_and_go,
    )


def gap_fade() -> Strategy:
    """Buy a session that opened with a small gap down and turns up; the target is the old close."""
    return Strategy(
        name="gap_fade",
        version="1",
        idea="A small gap without a reason is the haste of the open, and is often closed.",
        source="practice, known as filling the gap; no study known to its author shows an edge",
        timeframe=Timeframes.INTRADAY,
        params=(
            _gap("min_gap", 0.003, "smallest gap down"),
            _gap("max_gap", 0.02, "largest gap down"),
            Param(
                name="turn_min",
                default=5,
                low=1,
                high=60,
                step=1,
                text="minutes from the open before which no turn counts",
            ),
            _within(60),
            stop_frac(0.01),
            flat_before(),
        ),
        build=_gap_fade,
    )


def _range(default: int, high: int) -> Param:
    text = "minutes of the opening range"
    return Param(name="range_min", default=default, low=1, high=high, step=5, text=text)


def _within(default: int) -> Param:
    text = "minutes from the open after which nothing is entered"
    return Param(name="within_min", default=default, low=5, high=330, step=5, text=text)


def _gap(name: str, default: float, text: str) -> Param:
    return Param(
        name=name,
        default=default,
        low=0.001,
        high=0.2,
        step=0.001,
        text=f"{text}, fraction of the close before",
    )


def _range_columns(p: Values) -> dict[str, Calculator]:
    minutes = int(p["range_min"])
    return {
        "range_high": opening_range_high(minutes),
        "range_low": opening_range_low(minutes),
        "cent_below": close_plus(-0.01),
    }


def _over_the_range() -> Condition:
    return every(above("close", "range_high"), at_most("range_low", "cent_below"))


def _opening_range(p: Values) -> Plan:
    return Plan(
        columns=_range_columns(p),
        scan=Scan(long=once_a_session(_over_the_range())),
        execution=Execution(
            stop=AtColumn("range_low"),
            target=Reward(float(p["reward"])),
            flat_before_close_min=p["flat_before_close_min"],
            no_entry_before_close_min=p["no_entry_before_close_min"],
        ),
    )


def _gap_and_go(p: Values) -> Plan:
    in_order(p, "range_min", "within_min")
    early_gap = every(at_least("gap", p["min_gap"]), at_most("minutes_open", p["within_min"]))
    return Plan(
        columns={"gap": gap_frac(), **_range_columns(p)},
        scan=Scan(long=once_a_session(every(early_gap, _over_the_range()))),
        execution=Execution(
            stop=AtColumn("range_low"),
            target=Reward(float(p["reward"])),
            flat_before_close_min=p["flat_before_close_min"],
        ),
    )


def _gap_fade(p: Values) -> Plan:
    in_order(p, "min_gap", "max_gap")
    in_order(p, "turn_min", "within_min")
    gap = every(at_most("gap", -p["min_gap"]), at_least("gap", -p["max_gap"]))
    early = every(at_least("minutes_open", p["turn_min"]), at_most("minutes_open", p["within_min"]))
    turned = every(above("close", "first"), at_least("before", "cent_above"))
    return Plan(
        columns={
            "gap": gap_frac(),
            "first": session_open(),
            "before": previous_close(),
            "cent_above": close_plus(0.01),
        },
        scan=Scan(long=once_a_session(every(gap, early, turned))),
        execution=Execution(
            stop=protective(p["stop_frac"]),
            target=AtColumn("before"),
            flat_before_close_min=p["flat_before_close_min"],
        ),
    )
