"""A gate record as the text that is stored, and back; the name of its file is its digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from roboinvest.core.errors import BadInput
from roboinvest.core.records import canonical_json
from roboinvest.core.revisions.artifact import sha256_of
from roboinvest.core.revisions.gates import (
    Gate,
    GateFinding,
    GateRecord,
    Judge,
    Severity,
    Standard,
    Trace,
    Verdict,
)


def text_of(record: GateRecord) -> str:
    """Return the one JSON text of a record."""
    return canonical_json(record)


def digest_of(record: GateRecord) -> str:
    """Return the hex SHA-256 of the text."""
    return sha256_of(text_of(record).encode())


def record_of(text: bytes) -> GateRecord:
    """Return the record that a text is.

    Raises:
        BadInput: it is none.
    """
    try:
        found: Mapping[str, Any] = json.loads(text)
        trace = found["trace"]
        return GateRecord(
            standard=standard_of(found["standard"]),
            artifact_digest=found["artifact_digest"],
            capability_digest=found["capability_digest"],
            judge=Judge(found["judge"]),
            verdict=Verdict(found["verdict"]),
            findings=tuple(
                GateFinding(severity=Severity(each["severity"]), text=each["text"])
                for each in found["findings"]
            ),
            trace=None if trace is None else Trace(**trace),
            by=found["by"],
            at=datetime.fromisoformat(found["at"]),
            expires_at=datetime.fromisoformat(found["expires_at"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"a gate record cannot be read: {error!r}") from error


def standard_of(found: Mapping[str, Any]) -> Standard:
    """Return the standard that plain JSON says."""
    return Standard(
        gate=Gate(found["gate"]),
        evaluator_digest=found["evaluator_digest"],
        data_digest=found["data_digest"],
        version=int(found["version"]),
    )
