"""From a version and values to the messages that a model is sent.

Rendering is a pure function of the version, the values and the marker: it reads no clock, no file
and no setting, so that a record of the three can be rendered again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from roboinvest.core.errors import BadInput
from roboinvest.runtime.llm.provider import Message
from roboinvest.runtime.prompts.values import checked_values
from roboinvest.runtime.prompts.versions import PromptVersion

if TYPE_CHECKING:
    from roboinvest.runtime.prompts.sandbox import Compiled

MAX_COMPILED: Final = 64  # prompts kept ready; an unused one is compiled again


class PromptRenderer:
    """Renders versions; a version is compiled at its first use."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        """Take the function that strips and caps strangers' text."""
        self._clean = clean
        self._compiled: OrderedDict[str, tuple[Compiled, Compiled]] = OrderedDict()

    def render(
        self, version: PromptVersion, values: Mapping[str, object], marker: str
    ) -> tuple[Message, ...]:
        """Return the system and the user message.

        Args:
            version: of a prompt.
            values: one for each placeholder, of its type.
            marker: 16 to 64 letters and figures that nobody outside can guess; of this call alone.

        Raises:
            BadInput: a value is missing, unknown or of another type, or the text grows too long.
        """
        try:
            shown = checked_values(
                version.prompt.placeholders, values, marker=marker, clean=self._clean
            )
            system, user = self._of(version)
            return (
                Message(speaker="system", text=system.render(shown)),
                Message(speaker="user", text=user.render(shown)),
            )
        except BadInput as error:
            raise BadInput(f"the prompt {version.name} cannot be written: {error}") from error

    def _of(self, version: PromptVersion) -> tuple[Compiled, Compiled]:
        from roboinvest.runtime.prompts.sandbox import compile_pieces

        key = version.prompt.digest
        found = self._compiled.get(key)
        if found is None:
            prompt = version.prompt
            found = (
                compile_pieces(prompt.system, version.name),
                compile_pieces(prompt.user, version.name),
            )
            self._compiled[key] = found
        self._compiled.move_to_end(key)
        if len(self._compiled) > MAX_COMPILED:
            self._compiled.popitem(last=False)
        return found
