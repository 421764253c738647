"""What is sent into the box for a strategy: its file, and which part of it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.strategy import Number, Values
from tools.boxed_strategies.declaration import library
from tools.boxed_strategies.inside.driver import LONGEST_DECLARATION
from tools.sandbox.job import Bounds, Limits, Transform, Walk

DRIVER: Final = "tools.boxed_strategies.inside.driver"
HELD: Final = 6  # values of a `core.strategy.Held`, at the end of an exit's row
_LONGEST_SOURCE: Final = 200_000  # characters
_ROWS_A_SECOND: Final = 2_000  # that a call must answer, in CPU seconds, beside the fixed limit
_WALL_TIMES: Final = 5.0  # a busy machine may take so many times as long
_LEVELS: Final = Bounds(low=0.0, high=1e12)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedFile:
    """A strategy's file, and how errors call it."""

    source: str
    name: str

    def check(self) -> None:
        """Refuse what is no text for a box.

        Raises:
            BadInput: it is too long.
        """
        if len(self.source) > _LONGEST_SOURCE:
            raise BadInput(
                f"{self.name} has {len(self.source)} characters; give {_LONGEST_SOURCE} at most"
            )

    def declaring(self, values: Values | None, limits: Limits) -> Transform:
        """Return the job that tells what the file declares, with the plan for these values."""
        return Transform(
            code=self._code(values),
            columns={},
            length=LONGEST_DECLARATION,
            limits=limits,
            bounds=Bounds(low=0.0, high=255.0, whole=True),
            driver=f"{DRIVER}:declare",
        )

    def _code(self, values: Values | None, **more: object) -> str:
        plain = None if values is None else {name: _plain(each) for name, each in values.items()}
        return json.dumps(
            {
                "source": self.source,
                "name": self.name,
                "values": plain,
                "calculators": {name: list(each) for name, each in library().items()},
                **more,
            }
        )

    def scanning(self, asked: Asked, history: Floats, limits: Limits) -> Walk:
        """Return the walk that asks the scan's call."""
        return Walk(
            code=self._asking(asked),
            fields=_fields(asked.width),
            outputs=3,
            history=history,
            limits=limits,
            bounds=_LEVELS,
            driver=f"{DRIVER}:scan",
        )

    def leaving(self, asked: Asked, history: Floats, limits: Limits) -> Walk:
        """Return the walk that asks the exit's call."""
        return Walk(
            code=self._asking(asked),
            fields=_fields(asked.leaving),
            history=history,
            limits=limits,
            bounds=Bounds(low=0.0, high=1.0, whole=True),
            driver=f"{DRIVER}:leave",
        )

    def _asking(self, asked: Asked) -> str:
        return self._code(
            asked.values,
            symbol=asked.symbol,
            columns=list(asked.columns),
            others=list(asked.others),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a walk's rows hold."""

    values: Mapping[str, Number]
    symbol: str
    columns: Sequence[str]
    others: Sequence[str]  # the symbols beside it

    @property
    def width(self) -> int:
        """Return the values of a scan's row."""
        return 1 + len(self.columns) + len(self.others)

    @property
    def leaving(self) -> int:
        """Return the values of an exit's row."""
        return self.width + HELD


def enlarged(limits: Limits, rows: int) -> Limits:
    """Return limits for a walk of so many rows."""
    more = rows // _ROWS_A_SECOND
    return replace(
        limits, cpu_s=min(limits.cpu_s + more, 3_600), wall_s=limits.wall_s + _WALL_TIMES * more
    )


def _fields(width: int) -> tuple[str, ...]:
    return tuple(f"v{at}" for at in range(width))  # the strategy's names are not for the wire


def _plain(value: Number) -> Number:
    """Return a number that JSON knows: a search may draw one of numpy's."""
    if isinstance(value, bool | int):
        return int(value)
    number = float(value)
    return int(number) if hasattr(value, "dtype") and value.dtype.kind in "iu" else number
