"""What a person does about an alert, by the key of its cause.

One table for everything that people read (status, the list of alerts, the daily report), so that
they are not told two things. Deliberately absent: advice to acknowledge, which mends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

AGENT: Final = "agent."  # begins the keys of what the Overseer tells of an agent
HEAL: Final = "heal."  # begins the keys of ladders that came to their end
_AGENTS: Final = (AGENT, "service.", HEAL)  # each followed by the agent's name
_LOOK: Final = "see why, and what was tried: roboinvest health"
# The longest beginning that fits is taken; {rest} is what follows it in the key.
_FOLDER: Final = "see what is in the way of the reports folder: roboinvest doctor"
_STEPS: Final[dict[str, str]] = {
    "halt": "find out why it was halted; when that is over: roboinvest resume",
    "reports.": _FOLDER,
    "health.": _FOLDER,
    "daily_report.": _FOLDER,
    "performance_analysis.": _FOLDER,
    "governance_meeting.": "nothing, unless it stays; then: roboinvest doctor",
    "overseer.file": "stop the daemon, move overseer.db and its -wal away, and start it again; "
    "trading does not need it",
    AGENT: _LOOK,
    "service.": _LOOK,
    HEAL: "healing can do no more; look into it yourself: roboinvest health",
    "bus.": "look into the log, and restart the daemon if it stays",
    "notify.channel.": "see what the channel says: roboinvest notify test {rest}",
    "notify.heartbeat": "see whether the watcher at notify.heartbeat_url answers",
    "metrics.": "free the port, or set another in metrics.port, and start again",
    "recall": "nothing; trading does without it, and it is started again by itself",
    "data.": "see what was refused of it: roboinvest status",
    "lock.": "nothing, or end it yourself: roboinvest locks clear {rest}",
    "risk.lowered_limits": "lower them in the settings if they were to stay, and restart; until "
    "then the settings bind",
    "strategy.": "activate a revision that loads, or take it out: roboinvest agents ls",
    "stream": "correct ALPACA_API_KEY and ALPACA_SECRET_KEY, and start again; reports are still "
    "asked for",
    "broker.": "compare with the broker's own page; then: roboinvest doctor --live",
    "broker.away": "nothing, if it comes back; else see its status page: roboinvest doctor --live",
    "market_data.": "nothing, if it comes back; else see its status page: roboinvest doctor --live",
    "llm.budget.": "nothing, or raise the cap in the settings: roboinvest llm spend",
    "llm.": "rules answer meanwhile; try the model: roboinvest llm test",
    "governance.audit.": "find out who wrote to the file: roboinvest audit verify",
    "governance.question.": "decide: roboinvest approvals show {rest}",
    "governance.notice.": "nothing, or object: roboinvest approvals show {rest}",
    "governance.storm.": "see why so many were quarantined: roboinvest audit ls",
    "governance.": "see what is in the way: roboinvest doctor",
    "sandbox.": "generated code stays off until the box holds: roboinvest doctor",
    "alerts.storm.": "look for what they have in common: roboinvest alerts ls",
    "alerts.": "see the worst first: roboinvest alerts ls",
}


_DEPENDENCIES: Final = {
    "market data": "see what was refused, and whether the source answers: roboinvest status",
    "market data vendor": "see its status page, and the key: roboinvest doctor --live",
    "broker": "see its status page, and the keys: roboinvest doctor --live",
    "data folder": "make room on its disk, and see who may write it: roboinvest doctor",
    "process": "see what takes memory, files or processor; restart the daemon if it stays",
}
_AGENT_KINDS: Final = {
    "generated": "see what it decided, and why: roboinvest explain last",
    "trading": "see what it decided, and why: roboinvest explain last",
}


def next_step(key: str) -> str:
    """Return what a person does about the cause with this key, in a sentence."""
    start = max((each for each in _STEPS if key.startswith(each)), key=len, default=None)
    if start is None:
        return "read the log around the time it was first seen: logs/roboinvest.jsonl"
    return _STEPS[start].replace("{rest}", key[len(start) :])


def next_steps(follows_from: Mapping[str, str | None]) -> Mapping[str, str]:
    """Return what a person does about each cause.

    Where healing gave an agent up, that is told with the alert of the agent, too.

    Args:
        follows_from: by the key of an open alert, the key that it follows from.
    """
    found = {key: next_step(key) for key in follows_from}
    for key, root in follows_from.items():
        if key.startswith(HEAL) and root in found:
            found[root] = found[key]
    return found


def for_agent(name: str, kind: str) -> str:
    """Return what a person does about an agent that is not well, by its kind."""
    if kind == "dependency":
        return _DEPENDENCIES.get(name, "see whether it is there: roboinvest doctor")
    return _AGENT_KINDS.get(kind, f"read the log of {name}: logs/roboinvest.jsonl")


def agent_in(key: str) -> str | None:
    """Return the agent that an alert is about; None: it is about none."""
    start = next((each for each in _AGENTS if key.startswith(each)), None)
    return None if start is None else key[len(start) :]
