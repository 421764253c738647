"""Words in code that are addressed to whoever judges it.

Decided by rules, and only ever a warning more: nothing that code says about itself counts.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tools.code_checks.findings import CodeFinding, shown, warning
from tools.code_checks.rules.pieces import Piece

_NOT_WORDS: Final = re.compile(r"[\W_]+")
_MOST: Final = 20_000  # characters of one piece
_SAYS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(auditor|reviewer|judge|evaluator|gate|human|security|governance|compliance)s? "
        r"(has |have |is |was |already |must |should |says? )*"
        r"(approved?|pass(ed)?|cleared?|accept(s|ed)?|verified|happy)\b",
        r"\b(set|force|make|report|return) (the )?(gate |verdict |result )?pass(ed)? (to )?true\b",
        r"\bpass(ed)? (is |to )?true\b",
        r"\b(ignore|disregard|forget|override) (all |any |the |your |every |my )*"
        r"(previous|prior|above|earlier|preceding|other|instruction|rule|finding|warning)s?\b",
        r"\b(system|developer|assistant) (prompt|message|instruction)s?\b",
        r"\byou are (now )?(a|an|the) (\w+ )?(auditor|reviewer|assistant|model|judge|ai)\b",
        r"\b(do not|don t|never|no need to|need not|must not|skip) "
        r"(flag|report|review|audit|reject|scan|inspect)(ing)?\b",
        r"\b(already|pre|previously) (reviewed|approved|audited|vetted|cleared)\b",
        r"\b(approved|signed off|whitelisted|allowlisted|certified|authori[sz]ed) by\b",
        r"\b(verdict|severity|rating|decision) (is |be )?(pass|passed|none|info|low|approved)\b",
        r"\b(mark|rate|treat|count|classify) (this|it|me|the \w+) (as )?"
        r"(safe|approved|passed|clean|trusted|harmless)\b",
        r"\b(no|zero) (findings|issues|violations|vulnerabilities)\b",
        r"\bthis (code|file|strategy|module) (is|has been) (safe|approved|audited|certified)\b",
        r"\bas an ai\b|\blanguage model\b|\bjailbreak\b|\bprompt injection\b",
        r"^(system|assistant) (risk|override|note|you|ignore|the)\b",
    )
)
_SWITCHES: Final = re.compile(r"\b(nosec|noqa|type: ?ignore|pylint: ?disable|pragma: no cover)\b")


def judge_findings(path: str, pieces: list[Piece]) -> list[CodeFinding]:
    """Return where a file speaks to its judge, or tells a checker to look away."""
    found: list[CodeFinding] = []
    for piece in pieces:
        words = _NOT_WORDS.sub(" ", unicodedata.normalize("NFKC", piece.text[:_MOST]).casefold())
        for says in _SAYS:
            match = says.search(words.strip())
            if match is not None:
                text = f"speaks to a judge: {shown(match[0])}; it counts for nothing"
                found.append(warning("ROBO-judge", path, piece.line, text))
                break
        if piece.is_comment and _SWITCHES.search(piece.text):
            text = "tells a checker to look away; it is looked at all the same"
            found.append(warning("ROBO-judge", path, piece.line, text))
    return found
