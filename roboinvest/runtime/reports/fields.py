"""What every report is made of: objects without unknown fields, and rounded, finite figures."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

SCHEMA_VERSION: Final = 1


def _rounded(digits: int) -> BeforeValidator:
    def to_number(value: object) -> object:
        if not isinstance(value, (Decimal, float)):
            return value
        return round(float(value), digits) + 0.0  # -0.0 becomes 0.0

    return BeforeValidator(to_number)


Usd = Annotated[float, _rounded(2), Field(description="USD, whole cents")]
Price = Annotated[float, _rounded(4), Field(description="USD per share")]
Shares = Annotated[float, _rounded(9), Field(description="shares, negative when short")]
Cost = Annotated[
    float, _rounded(6), Field(description="USD, millionths: a call costs less than 1 c")
]
Fraction = Annotated[float, _rounded(6), Field(description="fraction, 0.12 is 12 %")]
Percent = Annotated[float, _rounded(4), Field(description="percent, 12.0 is 12 %")]
Figure = Annotated[float, _rounded(4)]
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """A JSON object with these fields and no others; numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Report(Record):
    """What every report file begins with."""

    schema_version: Literal[1] = SCHEMA_VERSION
    generated_at: AwareDatetime  # UTC, real time, when the content last changed
    sequence: Count = 0  # grows by one with every write of this file, also over restarts
