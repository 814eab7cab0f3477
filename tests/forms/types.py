"""The Python types of the shapes in `shapes.json`, by the name of the shape."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import AnyUrl, BaseModel, Field, Json, RootModel


class Target(StrEnum):
    """Where a release may go. This docstring is for programmers and must not be shown to users."""

    STAGING = "staging"
    PRODUCTION = "production"


class Priority(IntEnum):
    """An enum whose names mean more than its values."""

    LOW = 1
    HIGH = 2


class Reason(StrEnum):
    """An enum with a label for each value, like Django's choices."""

    DAMAGED = "dmg"
    TOO_LATE = "late"

    @property
    def label(self) -> str:
        """The label shown to users."""
        return {"dmg": "Arrived damaged", "late": "Came too late"}[self.value]


class Line(BaseModel):
    """One line of an invoice."""

    name: str
    count: Annotated[int, Field(ge=1)]


class Geo(BaseModel):
    lat: float
    lon: float


class Address(BaseModel):
    street: str
    geo: Geo | None = None


class Customer(BaseModel):
    name: str = Field(title="Full name")
    address: Address = Field(description="Where the parcel goes.")
    vip: bool = False


class Card(BaseModel):
    kind: Literal["card"] = "card"
    last_digits: Annotated[str, Field(pattern="^[0-9]{4}$")]


class Transfer(BaseModel):
    kind: Literal["transfer"] = "transfer"
    iban: str
    due: date | None = None


class Circle(BaseModel):
    radius: float


class Square(BaseModel):
    side: float


class Point(NamedTuple):
    x: int
    y: int


class Tags(RootModel[list[str]]):
    """A list with a name."""


class Release(BaseModel):
    """Several fields, some of which have a default."""

    target: Target
    canary_percent: Annotated[int, Field(ge=0, le=100)] = 10
    currency: str = "EUR"
    note: str = ""
    freeze: datetime | None = None


class Order(BaseModel):
    customer: str
    ship_to: Address | None = None
    pay_by: Address = Address(street="Main Street 1")
    must_say: int | None


class Deep(BaseModel):
    inner: "Deeper"


class Deeper(BaseModel):
    note: str | None
    lines: list[Line] = []


TYPES: dict[str, Any] = {
    "text": str,
    "boolean": bool,
    "integer": Annotated[int, Field(ge=1, le=9)],
    "number": Annotated[float, Field(gt=0)],
    "decimal": Annotated[Decimal, Field(ge=0, decimal_places=2)],
    "date": date,
    "date_time": datetime,
    "time": time,
    "duration": timedelta,
    "uuid": UUID,
    "link": AnyUrl,
    "path": Path,
    "bytes": bytes,
    "json_text": Json[dict[str, int]],
    "enum": Target,
    "enum_of_numbers": Priority,
    "enum_with_labels": Reason,
    "literal": Literal["red", "green"],
    "list_of_enum": list[Target],
    "list_of_text": Annotated[list[str], Field(max_length=3)],
    "list_of_integer": list[int],
    "list_of_decimal": list[Decimal],
    "list_of_date_time": list[datetime],
    "set_of_integer": set[int],
    "list_of_list": list[list[int]],
    "list_of_model": Annotated[list[Line], Field(min_length=1)],
    "tuple": tuple[int, str],
    "named_tuple": Point,
    "root_model": Tags,
    "dict_of_integer": dict[str, int],
    "dict_of_enum_key": dict[Target, bool],
    "dict_of_any": dict[str, Any],
    "dict_of_model": dict[str, Line],
    "union": int | str,
    "union_of_models": Circle | Square,
    "union_discriminated": Annotated[Card | Transfer, Field(discriminator="kind")],
    "optional": int | None,
    "model": Release,
    "model_nested": Customer,
    "model_optional_nested": Order,
    "model_deep": Deep,
    "anything": Any,
}
