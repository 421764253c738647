"""When a strategy entered, small enough to keep for every run and good enough to know it again.

Of all entries those with the smallest hashes are kept (a bottom-k sketch). The hash depends on
symbol and time alone, so the same entry is kept or dropped alike in every run, and two sketches can
be compared on the days that both runs saw: starting a day later does not make a strategy another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Ints

Hashes = NDArray[np.uint64]
KEPT: Final = 256  # entries of a sketch; the agreement it tells is right to about 0.03
MARKS: Final = 32  # of them, by which a run is found again
FEWEST: Final = 3  # entries below which to agree is nothing but chance
ALIKE: Final = 0.5  # Jaccard index from which on two runs are of one strategy
_ROW: Final = np.dtype([("hash", "<u8"), ("at", "<i8"), ("symbol", "<u2")])
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySketch:
    """The entries of one run with the smallest hashes; arrays of shape (k,), sorted by hash."""

    symbols: tuple[str, ...]  # what `symbol` counts into
    hashes: Hashes
    at: Ints  # ns since the epoch
    symbol: NDArray[np.uint16]
    entries: int  # how many there were

    @property
    def limit(self) -> np.uint64:
        """Return the largest hash up to which every entry of the run is kept."""
        return _ALL if self.entries <= KEPT else np.uint64(self.hashes[-1])

    @property
    def marks(self) -> list[int]:
        """Return the smallest hashes, as SQLite holds them (signed)."""
        found: list[int] = self.hashes[:MARKS].view(np.int64).tolist()
        return found

    def to_bytes(self) -> bytes:
        """Return the rows as bytes; the symbols and the count are kept beside them."""
        rows = np.zeros(len(self.hashes), dtype=_ROW)
        rows["hash"], rows["at"], rows["symbol"] = self.hashes, self.at, self.symbol
        return rows.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, symbols: tuple[str, ...], entries: int) -> EntrySketch:
        """Return what `to_bytes` wrote."""
        rows = np.frombuffer(data, dtype=_ROW)
        return cls(
            symbols=symbols,
            hashes=np.ascontiguousarray(rows["hash"], dtype=np.uint64),
            at=np.ascontiguousarray(rows["at"], dtype=np.int64),
            symbol=np.ascontiguousarray(rows["symbol"], dtype=np.uint16),
            entries=entries,
        )


def sketch_of(entries: Mapping[str, Ints]) -> EntrySketch:
    """Return the sketch of the instants (ns since the epoch) at which each symbol was entered.

    Raises:
        BadInput: more symbols than a sketch can name.
    """
    symbols = tuple(sorted(entries))
    if len(symbols) > 65_535:
        raise BadInput(f"{len(symbols)} symbols in one run; at most 65535 can be logged")
    at = [np.unique(np.asarray(entries[symbol], dtype=np.int64)) for symbol in symbols]
    hashes = [_hashes(symbol, each) for symbol, each in zip(symbols, at, strict=True)]
    numbers = [np.full(len(each), number, np.uint16) for number, each in enumerate(at)]
    if not symbols:
        at, hashes = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
        numbers = [np.zeros(0, np.uint16)]
    every = np.concatenate(hashes)
    smallest = np.argsort(every, kind="stable")[:KEPT]
    return EntrySketch(
        symbols=symbols,
        hashes=every[smallest],
        at=np.concatenate(at)[smallest],
        symbol=np.concatenate(numbers)[smallest],
        entries=len(every),
    )


def agreement(one: EntrySketch, other: EntrySketch, first: int, last: int) -> float | None:
    """Return the Jaccard index of two runs' entries from `first` to `last` (ns), symbols in both.

    None where either has too few entries there to tell.
    """
    shared = frozenset(one.symbols) & frozenset(other.symbols)
    limit = min(one.limit, other.limit)
    mine = _within(one, shared, limit, first, last)
    theirs = _within(other, shared, limit, first, last)
    if min(len(mine), len(theirs)) < FEWEST:
        return None
    both = len(np.intersect1d(mine, theirs, assume_unique=True))
    return both / (len(mine) + len(theirs) - both)


def _within(
    sketch: EntrySketch, shared: frozenset[str], limit: np.uint64, first: int, last: int
) -> Hashes:
    known = np.array([name in shared for name in sketch.symbols], dtype=np.bool_)
    if not known.any():
        return sketch.hashes[:0]
    inside = (sketch.hashes <= limit) & (sketch.at >= first) & (sketch.at <= last)
    return sketch.hashes[inside & known[sketch.symbol]]


def _hashes(symbol: str, at: Ints) -> Hashes:
    """Return one hash an instant (splitmix64 of the time and the symbol's own number)."""
    key = np.frombuffer(hashlib.blake2b(symbol.encode(), digest_size=8).digest(), "<u8")[0]
    mixed = at.view(np.uint64) ^ key
    mixed = mixed + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Hashes = mixed ^ (mixed >> np.uint64(31))
    return found
