"""Runs a candidate in a job's process, and writes its signals to the pool's pipe.

Nothing in here is out of the candidate's reach: it shares the process, so it may read, patch or
forge all of it. That is why there is nothing to gain: the harness holds no expected answers, no
prices of later bars and no score, and what it writes is checked by the pool.

A candidate's code defines one function:

    transform(columns)  columns: name -> float64 array (n,); returns the signals, once
    step(row)           row: a tuple of floats in the order of FIELDS; returns the answer to that
                        row, a number or a sequence of them. The next row is not in the process
                        before the answer is out.

PARAMS (name -> number) and FIELDS (names of columns or of a row's values) are there before it runs,
and for `step` HISTORY, (rows, fields): the rows before the first that is asked about. A driver of
ours, `driver(code, params, fields, history)`, makes the function in another way.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from tools.sandbox import wire

_FILE: Final = "<candidate>"


class _WrongShape(ValueError):
    """What a candidate returned is not what was asked for."""


def play(down: int, up: int) -> None:
    """Read a job, run it, and write what it came to."""
    said = json.loads(_read(down, wire.length_of(_read(down, wire.LENGTH_SIZE))))
    numbers = np.frombuffer(_read(down, 8 * said["rows"] * said["columns"]), dtype="<f8").copy()
    for chance in ("random", "numpy.random"):  # the candidate's, not ours: we draw nothing
        sys.modules[chance].seed(said["seed"] % (1 << 32))
    try:
        walks = said["name"] == "step"
        history = (numbers if walks else numbers[:0]).reshape(-1, max(len(said["fields"]), 1))
        function = _function_of(said, history)
        if walks:
            del numbers, history  # the function keeps what it needs
            _walk(function, said["outputs"], struct.Struct(f"<{len(said['fields'])}d"), down, up)
        else:
            table = numbers.reshape(said["columns"], said["rows"])
            raw = _transformed(function, dict(zip(said["fields"], table, strict=True)), said)
            _write(up, wire.framed(wire.SIGNALS, raw))
    except BaseException as error:  # noqa: BLE001 a candidate may raise anything; this process ends
        text = _told(error).encode(errors="replace")[: wire.LONGEST_TEXT]
        _write(up, wire.framed(wire.ERROR, text))


def _function_of(said: Mapping[str, Any], history: object) -> Callable[..., Any]:
    params, fields = dict(said["params"]), tuple(said["fields"])
    if said["driver"]:
        module, _, name = said["driver"].partition(":")
        function: Callable[..., Any] = getattr(sys.modules[module], name)(
            said["code"], params, fields, history
        )
        return function
    namespace: dict[str, Any] = {"__name__": "candidate", "HISTORY": history}
    namespace |= {"PARAMS": params, "FIELDS": fields}
    exec(compile(said["code"], _FILE, "exec", dont_inherit=True), namespace)  # noqa: S102 our trade
    found: Callable[..., Any] | None = namespace.get(said["name"])
    if not callable(found):
        raise _WrongShape(f"the code defines no function {said['name']}")
    return found


def _transformed(
    function: Callable[..., Any], columns: Mapping[str, Any], said: Mapping[str, Any]
) -> bytes:
    answer = np.asarray(function(columns), dtype="<f8")
    if answer.shape != (said["length"],):
        raise _WrongShape(f"transform returned shape {answer.shape}, not ({said['length']},)")
    return answer.tobytes()


def _walk(
    function: Callable[..., Any], outputs: int, row: struct.Struct, down: int, up: int
) -> None:
    """Answer rows until there are no more: one read and one write for each."""
    read, write, unpack, width = os.read, os.write, row.unpack, row.size
    pack = struct.Struct(f"<c{outputs}d").pack
    mark = wire.ANSWER
    write(up, wire.STARTED)
    while raw := read(down, width):
        answer = function(unpack(raw))
        if type(answer) is float:  # the usual answer, asked for first: this is the inner loop
            write(up, pack(mark, answer))
        elif type(answer) is tuple or isinstance(answer, tuple | list):
            write(up, pack(mark, *answer))
        else:
            write(up, pack(mark, answer))


def _told(error: BaseException) -> str:
    """Return an error in one line, with the last line of the candidate that it came from."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        text = str(error)[: wire.LONGEST_TEXT]
    except BaseException:  # noqa: BLE001 the text of a candidate's own error is its code, too
        text = ""
    where = f"line {line}: " if line else ""
    return f"{where}{type(error).__name__}: {text}"


def _read(handle: int, size: int) -> bytes:
    parts, left = [], size
    while left:
        part = os.read(handle, min(left, 1 << 20))
        if not part:
            os._exit(1)  # the pool hung up
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _write(handle: int, raw: bytes) -> None:
    rest = memoryview(raw)
    while rest:
        rest = rest[os.write(handle, rest) :]
