"""What kind of event a headline tells, by the first rule whose words are in it.

Rules stand in the order of what outweighs what: a regulator that stops a merger is a regulator's
story. Text is clean and in lower case when it gets here.
"""

from __future__ import annotations

import re
from typing import Final

from roboinvest.core.news.records import EventKind

_RULES: Final[tuple[tuple[EventKind, re.Pattern[str]], ...]] = tuple(
    (kind, re.compile(rf"\b(?:{words})\b"))
    for kind, words in (
        (
            EventKind.LEGAL,
            r"lawsuits?|sues?|sued|class action|court|judge|jury|verdict|settles?|settlement"
            r"|indicted|fraud|litigation|patent infringement|bankruptcy|chapter 11",
        ),
        (
            EventKind.REGULATORY,
            r"fda|sec|ftc|doj|epa|regulators?|regulatory|antitrust|probe|investigation|approves?"
            r"|approval|recalls?|sanctions?|subpoena|export ban|tariffs? on",
        ),
        (
            EventKind.MERGER,
            r"merger|mergers|merges?|acquires?|acquired|acquisition|takeover|buyout|to buy [a-z]+"
            r" for|stake in|spin-?off|divests?|tender offer|bid for",
        ),
        (
            EventKind.GUIDANCE,
            r"guidance|outlook|full-year|forecasts? (?:q[1-4]|fy|revenue|sales|profit)"
            r"|(?:raises|cuts|lowers|lifts|reaffirms) (?:its )?(?:forecast|view|targets?)"
            r"|sees (?:q[1-4]|fy)",
        ),
        (
            EventKind.ANALYST,
            r"upgraded|upgrades?|downgraded|downgrades?|price target|initiated|reiterated|initiates"
            r"|overweight|underweight|outperform|underperform|analysts?|rating|buy rating",
        ),
        (
            EventKind.EARNINGS,
            r"earnings|eps|estimates|quarterly|quarter|q[1-4]|revenues?|profits?|results|margins?"
            r"|net income|same-store sales",
        ),
        (
            EventKind.MANAGEMENT,
            r"ceo|cfo|coo|chairman|chairwoman|chair|president of|resigns?|steps down|appoints?"
            r"|names|hires|fires|successor|board of directors|founder",
        ),
        (
            EventKind.MACRO,
            r"inflation|cpi|ppi|fed|federal reserve|central bank|ecb|jobless|payrolls|gdp"
            r"|recession|treasury|interest rates?|rate (?:cut|hike)s?|retail sales|manufacturing"
            r"|housing starts|stocks (?:rally|slump|rise|fall)|futures|market opens",
        ),
        (
            EventKind.PRODUCT,
            r"launch(?:es|ed)?|unveils?|product|releases?|contract|orders|deliveries|trial"
            r"|partnership|deal|plant|factory",
        ),
    )
)


def kind_of(text: str) -> EventKind:
    """Return the kind of event that a clean text tells, OTHER where no rule speaks."""
    lower = text.lower()
    return next((kind for kind, words in _RULES if words.search(lower)), EventKind.OTHER)
