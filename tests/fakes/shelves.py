"""Documents in memory, as the store keeps them."""

from __future__ import annotations

from roboinvest.core.errors import TryLater


class Shelf:
    """Keeps documents; full when told."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.is_full = False

    async def document(self, name: str) -> str | None:
        """Return a document."""
        return self.documents.get(name)

    async def put_document(self, name: str, text: str) -> None:
        """Keep a document."""
        if self.is_full:
            raise TryLater("the disk is full")
        self.documents[name] = text
