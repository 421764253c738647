"""The suite of an artifact, as its `evals/*.json` write it: cases with inputs and expectations.

    {"kind": "strategy", "cases": [{"name": "buys_a_rise", "group": "entries",
     "bars": {"kind": "trend", "seed": 3, "rows": 300},
     "expect": {"entries_in": [{"first": 60, "last": 200, "side": "long"}], "stops": true}}]}

    {"kind": "transform", "cases": [{"name": "doubles", "columns": {"close": [1, 2]},
     "expect": {"values": [2, 4]}}]}

An expectation is a number or a range and never code: it is compared outside of the box, where what
is judged cannot reach. Everything here was written by whoever is judged, so it is bounded, and a
field that nobody knows is refused rather than passed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from roboinvest.core.errors import BadInput
from roboinvest.core.market.values import Timeframe

FEWEST_CASES: Final = 3
MOST_CASES: Final = 100
MOST_ROWS: Final = 5_000  # of one case
MOST_BYTES: Final = 1_000_000  # of all files of a suite
CODE_OF: Final[Mapping[str, str]] = {
    "strategy": "code/strategy.py",
    "transform": "code/transform.py",
}
_FOLDER: Final = "evals/"
_LONGEST_PLACE: Final = 200  # characters of a fault that a sentence shows

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Ticker = Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,5}$")]
Price = Annotated[float, Field(gt=0.0, le=1e6)]
Row = Annotated[int, Field(ge=0, lt=MOST_ROWS)]
Params = Annotated[dict[Name, int | float], Field(max_length=20)]
Column = Annotated[tuple[float, ...], Field(min_length=1, max_length=MOST_ROWS)]


class Kind(StrEnum):
    """What the code of an artifact is."""

    TRANSFORM = "transform"  # transform(columns) -> one number a row
    STRATEGY = "strategy"  # either form of tools.strategies.files


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Made(_Form):
    """Bars that the house makes from a seed."""

    kind: Literal["trend", "range", "gap", "crash", "flat", "walk"]
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    rows: Annotated[int, Field(ge=10, le=MOST_ROWS)] = 300
    timeframe: Annotated[Timeframe, Field(strict=False)] = Timeframe.DAY
    start: Price = 100.0  # USD


class Given(_Form):
    """Bars that are written out: open, high, low, close (USD) and volume (shares)."""

    rows: Annotated[
        tuple[tuple[Price, Price, Price, Price, Annotated[float, Field(ge=0.0, le=1e12)]], ...],
        Field(min_length=2, max_length=MOST_ROWS),
    ]
    timeframe: Annotated[Timeframe, Field(strict=False)] = Timeframe.DAY


Bars = Made | Given


class NumbersExpected(_Form):
    """What a transform's answer has to be."""

    values: Annotated[tuple[float, ...], Field(min_length=1, max_length=MOST_ROWS)] | None = None
    tolerance: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-9  # absolute, and of the value
    low: float | None = None
    high: float | None = None
    monotone: Literal["rising", "falling"] | None = None  # equal neighbours are allowed
    causal: bool = False  # an answer does not change when later rows are cut away
    finite: bool = True  # always required; may be said

    @property
    def is_nothing(self) -> bool:
        """Return whether any numbers at all would do."""
        said = (self.values, self.low, self.high, self.monotone)
        return not self.causal and all(each is None for each in said)


class Rows(_Form):
    """Some rows of a case's bars, counted from 0, both ends included."""

    first: Row
    last: Row
    side: Literal["long", "short"] | None = None


class TradesExpected(_Form):
    """What a strategy has to do; an entry counts at the row whose close decided it."""

    entries_in: Annotated[tuple[Rows, ...], Field(max_length=20)] = ()  # one at least in each
    no_entries_in: Annotated[tuple[Rows, ...], Field(max_length=20)] = ()
    only: Literal["long", "short"] | None = None
    stops: bool = False  # each entry has one, on its losing side
    at_least: Annotated[int, Field(ge=0, le=MOST_ROWS)] | None = None  # entries
    at_most: Annotated[int, Field(ge=0, le=MOST_ROWS)] | None = None
    flat_by_close: bool = False  # nothing is held over night

    @property
    def is_nothing(self) -> bool:
        """Return whether anything at all would do."""
        named = (self.entries_in, self.no_entries_in, self.only, self.at_least)
        return not (any(named) or self.at_most is not None or self.stops or self.flat_by_close)


class TransformCase(_Form):
    """One call of a transform."""

    name: Name
    group: Name = "main"
    columns: Annotated[dict[Name, Column], Field(max_length=16)] | None = None
    bars: Made | None = None  # in place of columns: open, high, low, close, volume
    params: Params = {}
    expect: NumbersExpected


class StrategyCase(_Form):
    """One run of a strategy."""

    name: Name
    group: Name = "main"
    symbol: Ticker = "AAA"
    bars: Bars
    others: Annotated[dict[Ticker, Bars], Field(max_length=5)] = {}  # beside it, by ticker
    params: Params = {}
    expect: TradesExpected


Case = TransformCase | StrategyCase


class _Transforms(_Form):
    kind: Literal["transform"]
    cases: Annotated[tuple[TransformCase, ...], Field(max_length=MOST_CASES)]


class _Strategies(_Form):
    kind: Literal["strategy"]
    cases: Annotated[tuple[StrategyCase, ...], Field(max_length=MOST_CASES)]


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    kind: Kind


def kind_of(files: Mapping[str, bytes]) -> Kind | None:
    """Return what the code of an artifact is; None: nothing that this house can try, or both."""
    found = [Kind(kind) for kind, path in CODE_OF.items() if path in files]
    return found[0] if len(found) == 1 else None


def suite_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of an artifact that make its suite."""
    return {path: files[path] for path in sorted(files) if path.startswith(_FOLDER)}


def suite_digest(files: Mapping[str, bytes]) -> str:
    """Return the hex SHA-256 of the suite of an artifact."""
    told = hashlib.sha256()
    for path, content in suite_files(files).items():
        told.update(f"{path}|{hashlib.sha256(content).hexdigest()}|".encode())
    return told.hexdigest()


def cases_of(files: Mapping[str, bytes], kind: Kind) -> tuple[Case, ...]:
    """Return the cases of an artifact's suite, in the order of files and then of writing.

    Raises:
        BadInput: a file is no suite, of the other kind or too large, two cases have one name, there
            are fewer than 3 or more than 100, or one expects nothing.
    """
    own = suite_files(files)
    if sum(map(len, own.values())) > MOST_BYTES:
        raise BadInput(f"the suite has more than {MOST_BYTES} bytes; make it smaller")
    found: list[Case] = []
    for path, content in own.items():
        found += _read(path, content, kind)
    names = [case.name for case in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"the suite has two cases {twice[0]}; give each a name of its own")
    if not FEWEST_CASES <= len(found) <= MOST_CASES:
        raise BadInput(
            f"the suite proves nothing: it has {len(found)} cases, and {FEWEST_CASES} to "
            f"{MOST_CASES} are needed; write more in evals/"
        )
    for case in found:
        _require_sense(case)
    return tuple(found)


def _read(path: str, content: bytes, kind: Kind) -> list[Case]:
    if not path.endswith(".json"):
        raise BadInput(f"{path} is no JSON file; evals hold cases and nothing else")
    try:
        said = _File.model_validate_json(content).kind
        if said is not kind:
            raise BadInput(f"{path} is for a {said}, and the code is a {kind}; write it for that")
        form = _Transforms if kind is Kind.TRANSFORM else _Strategies
        return list(form.model_validate_json(content).cases)
    except ValidationError as error:
        fault = first_fault(error)
        raise BadInput(f"{path}: {fault}; see `agents draft --help`") from error


def first_fault(error: ValidationError) -> str:
    """Return the first thing that is wrong, in one line; names in it are the author's, so cut."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "the file"
    plain = "".join(each if each.isascii() and each.isprintable() else "?" for each in where)
    return f"{plain[:_LONGEST_PLACE]}: {first['msg'][:_LONGEST_PLACE]}"


def _require_sense(case: Case) -> None:
    if case.expect.is_nothing:
        raise BadInput(
            f"the suite proves nothing: case {case.name} expects nothing; say what has to come out"
        )
    if isinstance(case, StrategyCase):
        if case.symbol in case.others:
            raise BadInput(f"case {case.name} has {case.symbol} twice; rename one of them")
        for rows in (*case.expect.entries_in, *case.expect.no_entries_in):
            if rows.first > rows.last:
                raise BadInput(
                    f"case {case.name} names rows {rows.first} to {rows.last}; swap them"
                )
        return
    if (case.columns is None) is (case.bars is None) or case.columns == {}:
        raise BadInput(f"case {case.name} needs either columns or bars; give one of them")
    lengths = {len(each) for each in (case.columns or {}).values()}
    if len(lengths) > 1:
        raise BadInput(f"case {case.name} has columns of {len(lengths)} lengths; give one length")
