"""Who is watched: a card for each agent, and the graph of who needs whom.

The graph has no circle at any time, so whoever follows it from a failure to its root gets there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.text.cleaning import clean

MAX_NAMES: Final = 50  # capabilities, or dependencies, of one agent
_MAX_SPECIALIZATION: Final = 120  # characters
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:/@+ -]{0,118}[A-Za-z0-9_+])?")
_KEYS: Final = ("type", "specialization", "capabilities", "dependencies")


class AgentKind(StrEnum):
    """What sort of thing is watched."""

    SERVICE = "service"  # a loop that the supervisor keeps
    TRADING = "trading"
    RESEARCH = "research"
    META = "meta"
    GENERATED = "generated"  # a revision that the house wrote
    DEPENDENCY = "dependency"  # a vendor, a store, a file system


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCard:
    """Who an agent is, as it registers."""

    name: str
    kind: AgentKind
    specialization: str = ""
    capabilities: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()  # names of agents; what it cannot do its work without

    def __post_init__(self) -> None:
        """Raise BadInput for a name that is none, or that is given twice."""
        _require_name(self.name, "an agent")
        for word, names in (
            ("capabilities", self.capabilities),
            ("dependencies", self.dependencies),
        ):
            if len(names) > MAX_NAMES or len(set(names)) < len(names):
                raise BadInput(
                    f"{self.name} has {len(names)} {word}; give at most {MAX_NAMES}, each once"
                )
            for name in names:
                _require_name(name, f"one of the {word} of {self.name}")


def card_of(name: str, metadata: Mapping[str, object]) -> AgentCard:
    """Return the card of an agent that registers with a name and plain metadata.

    Args:
        name: the agent's.
        metadata: `type` (one of `AgentKind`), and if wanted `specialization` (text),
            `capabilities` and `dependencies` (lists of names).

    Raises:
        BadInput: a key is missing or unknown, or a value is malformed; the sentence names it.
    """
    _require_name(name, "an agent")
    if not isinstance(metadata, Mapping):
        raise BadInput(f"the metadata of {name} is {_shown(metadata)}; give a mapping")
    strange = sorted(clean(str(key), 40) for key in metadata if key not in _KEYS)
    if strange:
        raise BadInput(
            f"the metadata of {name} has {', '.join(strange[:5])}; known are {', '.join(_KEYS)}"
        )
    kinds = ", ".join(AgentKind)
    kind = metadata.get("type")
    if not isinstance(kind, str) or kind not in set(AgentKind):
        raise BadInput(f"the type of {name} is {_shown(kind)}; give one of {kinds}")
    specialization = metadata.get("specialization", "")
    if not isinstance(specialization, str):
        raise BadInput(f"the specialization of {name} is {_shown(specialization)}; give a text")
    return AgentCard(
        name=name,
        kind=AgentKind(kind),
        specialization=clean(specialization, _MAX_SPECIALIZATION),
        capabilities=_names(name, metadata, "capabilities"),
        dependencies=_names(name, metadata, "dependencies"),
    )


class Roster:
    """Everybody who is watched, by name. What an agent depends on is always on the roster."""

    def __init__(self, cards: Iterable[AgentCard] = ()) -> None:
        """Take the first cards; see `register_all`."""
        self._cards: dict[str, AgentCard] = {}
        self._dependants: dict[str, set[str]] = {}
        self.register_all(cards)

    @property
    def cards(self) -> Mapping[str, AgentCard]:
        """Return the cards by name, in the order of registration."""
        return dict(self._cards)

    def card(self, name: str) -> AgentCard:
        """Return the card of an agent.

        Raises:
            BadInput: nobody is called so.
        """
        found = self._cards.get(name)
        if found is None:
            raise BadInput(f"no agent is called {_shown(name)}; register it first")
        return found

    def register(self, card: AgentCard) -> None:
        """Take an agent; the same card twice is taken once.

        Raises:
            BadInput: another card has the name, a dependency is unknown, or it needs itself.
        """
        self.register_all((card,))

    def register_all(self, cards: Iterable[AgentCard]) -> None:
        """Take several agents, which may depend on each other in any order; all or none.

        Raises:
            BadInput: as `register`; or they need each other in a circle.
        """
        fresh: dict[str, AgentCard] = {}
        for card in cards:
            known = self._cards.get(card.name) or fresh.get(card.name)
            if known is not None and known != card:
                raise BadInput(
                    f"{card.name} is registered with another card ({known.kind}, "
                    f"{known.specialization or 'no specialization'}); replace it, or take "
                    "another name"
                )
            if card.name not in self._cards:
                fresh[card.name] = card
        self._admit(fresh)

    def replace(self, card: AgentCard) -> None:
        """Take a new card of an agent that is on the roster.

        Raises:
            BadInput: nobody is called so, a dependency is unknown, or there would be a circle.
        """
        self.card(card.name)
        self._admit({card.name: card})

    def retire(self, name: str) -> None:
        """Forget an agent.

        Raises:
            BadInput: nobody is called so.
            Refused: others depend on it.
        """
        card = self.card(name)
        needed_by = sorted(self._dependants[name])
        if needed_by:
            shown = ", ".join(needed_by[:5]) + (" and more" if len(needed_by) > 5 else "")
            raise Refused(f"{name} is needed by {shown}; retire those first")
        for needed in card.dependencies:
            self._dependants[needed].discard(name)
        del self._cards[name], self._dependants[name]

    def dependants(self, name: str) -> tuple[str, ...]:
        """Return who cannot work without an agent, directly or through others, by name.

        Raises:
            BadInput: nobody is called so.
        """
        self.card(name)
        found: set[str] = set()
        waiting = [name]
        while waiting:
            fresh = self._dependants[waiting.pop()] - found
            found |= fresh
            waiting.extend(fresh)
        return tuple(sorted(found))

    def _admit(self, fresh: Mapping[str, AgentCard]) -> None:
        after = {**self._cards, **fresh} if len(fresh) > 1 else fresh
        for card in fresh.values():
            for needed in card.dependencies:
                if needed not in after and needed not in self._cards:
                    raise BadInput(
                        f"{card.name} depends on {needed}, and nobody is called so; "
                        f"register {needed} first"
                    )
        self._require_no_circle(fresh)
        for card in fresh.values():
            before = self._cards.get(card.name)
            for needed in before.dependencies if before is not None else ():
                self._dependants[needed].discard(card.name)
            self._cards[card.name] = card
            self._dependants.setdefault(card.name, set())
        for card in fresh.values():
            for needed in card.dependencies:
                self._dependants[needed].add(card.name)

    def _require_no_circle(self, fresh: Mapping[str, AgentCard]) -> None:
        """Follow the dependencies of what is new, depth first, without recursion."""

        def needs(name: str) -> tuple[str, ...]:
            return (fresh.get(name) or self._cards[name]).dependencies

        cleared: set[str] = set()
        for start in fresh:
            path, todo = [start], [iter(needs(start))]
            while todo:
                needed = next(todo[-1], None)
                if needed is None:
                    todo.pop()
                    cleared.add(path.pop())
                elif needed in path:
                    circle = " -> ".join([*path[path.index(needed) :], needed])
                    raise BadInput(
                        f"{start} would be in a circle of dependencies: {circle}; leave one out"
                    )
                elif needed not in cleared:
                    path.append(needed)
                    todo.append(iter(needs(needed)))


def _names(agent: str, metadata: Mapping[str, object], key: str) -> tuple[str, ...]:
    found = metadata.get(key, ())
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, str) for each in found):
        raise BadInput(f"the {key} of {agent} are {_shown(found)}; give a list of names")
    return tuple(found)


def _require_name(name: object, what: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(
            f"{_shown(name)} is no name of {what}; give 1 to 120 letters, digits, spaces or _.:/@+-"
        )


def _shown(value: object) -> str:
    return repr(clean(str(value), 60)) if value is not None else "missing"
