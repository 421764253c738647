"""Who listens at the other end of a channel: a web server that takes what is posted, and a postman.

Both are on loopback, in threads of their own, and keep what they were given.
"""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from roboinvest.runtime.notifications.channel import Sent
from roboinvest.runtime.notifications.notice import Message
from tests.fakes.clocks import ManualClock
from tests.fakes.vendors.http_faults import FaultPlan, Request, Response, json_response
from tests.fakes.vendors.http_server import HttpServer
from tests.fakes.vendors.threaded_server import ThreadedServer


class Listener(ThreadedServer):
    """Takes whatever is posted or asked, unless a fault is planted."""

    def __init__(self) -> None:
        super().__init__("listener")
        self.faults = FaultPlan()
        self._server = HttpServer(self._answer, now=ManualClock().now, faults=self.faults)

    @property
    def requests(self) -> list[Request]:
        """Return all that came in, spoilt ones too."""
        return list(self._server.requests)

    @property
    def address(self) -> str:
        """Return "127.0.0.1:PORT"."""
        return self._server.url.removeprefix("http://")

    def go_down(self) -> None:
        """Close the port."""
        self._thread.call(self._server.stop)

    def come_back(self) -> None:
        """Open the port again, at the same number."""
        self._thread.run(self._server.start())

    def _answer(self, request: Request) -> Response:
        with self._changed:
            self._changed.notify_all()
        return json_response({"id": "x"})


class Postman:
    """A small SMTP server that takes every letter."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refuses = False
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self) -> None:
                outer._serve(self.rfile, self.wfile)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """Return the port of 127.0.0.1."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, lines: Any, out: Any) -> None:
        out.write(b"220 postman\r\n")
        while line := lines.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                out.write(b"354 go on\r\n")
                self._keep(lines)
                out.write(b"250 kept\r\n")
            elif word == b"QUIT":
                out.write(b"221 bye\r\n")
                return
            elif word == b"RCPT" and self.refuses:
                out.write(b"550 no such person\r\n")
            else:
                out.write(b"250 yes\r\n")

    def _keep(self, lines: Any) -> None:
        letter = bytearray()
        while (line := lines.readline()) not in (b".\r\n", b""):
            letter += line.removeprefix(b".") if line.startswith(b"..") else line
        found = email.message_from_bytes(bytes(letter), policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        self.letters.append(found)


class Mouthpiece:
    """A channel that keeps what it was to send, and fails while it is told to."""

    def __init__(self, name: str = "phone", journal: list[tuple[str, str]] | None = None) -> None:
        self.name = name
        self.fails = False
        self.said: list[Message] = []
        self.tried = 0
        self._journal = journal

    async def send(self, message: Message) -> Sent:
        """Keep the message, or fail."""
        self.tried += 1
        if self.fails:
            return Sent(channel=self.name, ok=False, text="HTTP 503", took_s=0.0)
        self.said.append(message)
        if self._journal is not None:
            self._journal.append((self.name, message.body))
        return Sent(channel=self.name, ok=True, text="sent", took_s=0.0)

    @property
    def bodies(self) -> list[str]:
        """Return the texts that were sent."""
        return [message.body for message in self.said]
