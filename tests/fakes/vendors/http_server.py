"""The listening socket of a vendor on loopback: HTTP/1.1 by h11, kept alive, spoilt on request."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

from tests.fakes.vendors.http_faults import Fault, FaultKind, FaultPlan, Request, Response

HOST: Final = "127.0.0.1"
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)  # close with a reset, not with a farewell
Handler = Callable[[Request], Response]


class HttpServer:
    """One listening socket on loopback; lives on the loop that starts it."""

    def __init__(
        self,
        handle: Handler,
        *,
        now: Callable[[], datetime],
        faults: FaultPlan,
        control: Handler | None = None,
    ) -> None:
        """Serve `handle`; `control` answers the test under /control/, unspoilt and unrecorded."""
        self.requests: list[Request] = []  # all that arrived, spoilt ones too, oldest first
        self.port = 0
        self._handle = handle
        self._now = now
        self._faults = faults
        self._control = control
        self._open: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Return "http://127.0.0.1:PORT"."""
        return f"http://{HOST}:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 lets the system choose."""
        self._listener = await asyncio.start_server(self._serve, HOST, port or self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Close the port and break every connection, as a vendor that is down does."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        wire = _Wire(reader, writer, self._now)
        try:
            while (request := await wire.next_request()) is not None:
                if self._control is not None and request.path.startswith("/control/"):
                    await wire.send(self._control(request))
                    continue
                self.requests.append(request)
                await self._answer(wire, request)
        except (ConnectionError, h11.RemoteProtocolError):
            return  # the client is gone, or talks nonsense
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, wire: _Wire, request: Request) -> None:
        fault = self._faults.take(request)
        if fault is None:
            await wire.send(self._handle(request))
            return
        match fault.kind:
            case FaultKind.STALL:
                await wire.until_gone()
            case FaultKind.RESET_BEFORE:
                wire.reset()
            case FaultKind.STATUS:
                await wire.send(fault.response())
            case FaultKind.LATE:
                asyncio.get_running_loop().call_later(fault.delay_s, self._handle, request)
                await wire.send(fault.response()) if fault.status else wire.reset()
            case _:
                await _answer_badly(wire, fault, self._handle(request))


async def _answer_badly(wire: _Wire, fault: Fault, response: Response) -> None:
    """Spoil the answer to a request that was handled."""
    match fault.kind:
        case FaultKind.STALL_AFTER:
            await wire.until_gone()
        case FaultKind.RESET_AFTER:
            wire.reset()
        case FaultKind.SLOW:
            await asyncio.sleep(fault.delay_s)
            await wire.send(response)
        case FaultKind.DRIP:
            await wire.send(response, drip_s=fault.drip_s)
        case FaultKind.STATUS_AFTER:
            await wire.send(fault.response())
        case FaultKind.TRUNCATED:
            await wire.send(_with_body(response, response.body[: fault.at_byte]))
        case FaultKind.CUT:
            await wire.send(response, cut_at=fault.at_byte)
        case FaultKind.REWRITE:
            spoilt = _rewritten(json.loads(response.body or b"null"), fault.fields)
            await wire.send(_with_body(response, json.dumps(spoilt).encode()))
        case _:
            raise ValueError(f"{fault.kind} is no fault of an answer")


def _with_body(response: Response, body: bytes) -> Response:
    return Response(status=response.status, body=body, headers=response.headers)


def _rewritten(value: Any, fields: Mapping[str, object]) -> Any:
    """Return a JSON value with fields changed wherever they stand."""
    if isinstance(value, list):
        return [_rewritten(part, fields) for part in value]
    if isinstance(value, dict):
        return {
            name: fields[name] if name in fields else _rewritten(part, fields)
            for name, part in value.items()
        }
    return value


class _Wire:
    """One connection, as h11 sees it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        now: Callable[[], datetime],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._now = now
        self._http = h11.Connection(h11.SERVER)

    async def next_request(self) -> Request | None:
        """Return the next request whole; None when the client is done."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        if self._http.our_state is not h11.IDLE:
            return None
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(65_536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return self._request(head, bytes(body))
            else:  # the connection is closed
                return None

    def _request(self, head: h11.Request, body: bytes) -> Request:
        parts = urlsplit(head.target.decode())
        return Request(
            method=head.method.decode(),
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.decode().lower(): value.decode() for name, value in head.headers},
            body=body,
            at=self._now(),
        )

    async def send(
        self, response: Response, *, drip_s: float | None = None, cut_at: int | None = None
    ) -> None:
        """Send an answer: whole, byte by byte, or up to a byte of its body and no further."""
        headers = [
            ("Content-Type", response.content_type),
            ("Date", format_datetime(self._now(), usegmt=True)),
            *response.headers.items(),
        ]
        if response.status != 204:
            headers.append(("Content-Length", str(len(response.body))))
        parts = [
            self._http.send(h11.Response(status_code=response.status, headers=headers)),
            self._http.send(h11.Data(data=response.body)) if response.body else b"",
            self._http.send(h11.EndOfMessage()),
        ]
        raw = b"".join(part or b"" for part in parts)
        if cut_at is not None:
            raw = raw[: len(parts[0] or b"") + cut_at]
        if drip_s is None:
            self._writer.write(raw)
        for byte in raw if drip_s is not None else b"":
            self._writer.write(bytes((byte,)))
            await self._writer.drain()
            await asyncio.sleep(drip_s or 0)
        await self._writer.drain()
        if cut_at is not None:
            self._writer.close()

    async def until_gone(self) -> None:
        """Say nothing until the client closes."""
        while await self._reader.read(65_536):
            pass

    def reset(self) -> None:
        """Break the connection so that the client sees a reset."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._writer.transport.abort()
