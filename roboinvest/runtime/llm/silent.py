"""A model that is named and never asked: it stands in a chain while answers are replayed."""

from __future__ import annotations

from roboinvest.runtime.llm.provider import ChatRequest, NoReply, Trouble


class SilentProvider:
    """A `Provider` without a line to anybody."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.is_closed = False

    @property
    def name(self) -> str:
        """Return the source of the answers that were recorded."""
        return f"openai:{self.model}"

    async def complete(self, request: ChatRequest) -> NoReply:  # noqa: ARG002 nothing is sent
        """Say that nobody is asked."""
        return NoReply(
            trouble=Trouble.CONNECTION, text="recorded answers are replayed", was_sent=False
        )

    async def close(self) -> None:
        """Note it; there is nothing to close."""
        self.is_closed = True
