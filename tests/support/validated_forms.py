"""Forms whose validators refuse values that their schemas allow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator


class Row(BaseModel):
    price: Decimal = Field(decimal_places=2)


class Trip(BaseModel):
    start: date
    end: date
    cost: Decimal = Field(max_digits=5, title="Cost in EUR")
    rows: list[Row] = []
    note: str = ""

    @field_validator("cost")
    @classmethod
    def _whole(cls, value: Decimal) -> Decimal:
        if value % 1:
            raise ValueError("whole euros only")
        return value

    @model_validator(mode="after")
    def _check_order(self) -> Trip:
        assert self.end >= self.start, "end is before start"
        return self


@dataclass
class Span:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def even(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd")
    return value


Even = Annotated[int, AfterValidator(even)]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Even = Field(alias="a/b", title="Lives")


class Dog(BaseModel):
    kind: Literal["dog"]


class Pet(BaseModel):
    animal: Cat | Dog = Field(discriminator="kind")


class Shares(BaseModel):
    of: dict[str, Even]


GOOD = {"start": "2026-01-01", "end": "2026-01-02", "cost": 5}
