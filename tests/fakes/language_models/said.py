"""What a scripted model is asked, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fakes.vendors.http_faults import Request, Response

Body = dict[str, Any]
BYTES_PER_TOKEN: Final = 4  # by this server's count


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for a chat completion."""

    body: Body
    request: Request

    @property
    def model(self) -> str:
        return str(self.body.get("model"))

    @property
    def messages(self) -> list[Body]:
        return list(self.body["messages"])

    @property
    def prompt(self) -> str:
        """Return the text of all messages."""
        return "\n".join(str(message.get("content") or "") for message in self.messages)

    @property
    def response_format(self) -> Body | None:
        found: Body | None = self.body.get("response_format")
        return found

    @property
    def tools(self) -> list[Body]:
        return [tool["function"] for tool in self.body.get("tools") or ()]

    @property
    def form(self) -> Body | None:
        """Return the tool that has to be called, where one tool has to be."""
        choice = self.body.get("tool_choice")
        if not isinstance(choice, dict):
            return None
        name = choice["function"]["name"]
        return next(tool for tool in self.tools if tool["name"] == name)

    @property
    def schema(self) -> Body | None:
        """Return the schema of the answer that is asked for; None where none is named."""
        if self.form is not None:
            return dict(self.form["parameters"])
        said = (self.response_format or {}).get("json_schema")
        return dict(said["schema"]) if said else None

    @property
    def most_tokens(self) -> int | None:
        """Return the most that may be written."""
        found: int | None = self.body.get("max_completion_tokens", self.body.get("max_tokens"))
        return found

    @property
    def prompt_tokens(self) -> int:
        """Return the tokens read: messages, tools and schema, as a vendor bills them."""
        parts = (self.body.get(name) for name in ("messages", "tools", "response_format"))
        text = "".join(json.dumps(part, ensure_ascii=False) for part in parts if part)
        return tokens_of(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call; the arguments are text, as a model writes them."""

    name: str
    arguments: str = "{}"
    call_id: str | None = "call_1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A completion: work that is billed."""

    text: str | None = None
    ended: str = "stop"  # finish_reason
    refusal: str | None = None
    calls: tuple[Call, ...] = ()
    cached_tokens: int = 0
    has_usage: bool = True
    change: Callable[[Body], object] | None = None  # makes the body that is sent
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An error: nothing was done, and nothing is billed."""

    status: int
    code: str | None = None
    kind: str = "invalid_request_error"
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Said | Refused | Response  # a Response goes as it is, and is not billed
Script = Callable[[Asked], Answer]


def tokens_of(text: str) -> int:
    """Return the tokens of a text by this server's count."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)
