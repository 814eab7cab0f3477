"""Python types as forms, job input as arguments, and the cost of importing the client."""

import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from json import loads
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from askback._model.content import same_question
from askback._model.form import TypeForm, form_of
from askback._model.nonretryable import InvalidValue
from askback._worker.handler import InvalidInput, JobHandler
from askback._worker.job import Job
from askback._worker.progress_reports import progress_of
from askback.v1 import prompt_pb2
from askback_server.domain.json_schema import compile_schema, schema_violations


class Policy(StrEnum):
    STANDARD = "standard"
    LEGAL = "legal"


class Address(BaseModel):
    city: str


class Ruling(BaseModel):
    zeta: Policy = Field(title="Which policy?")
    alpha: Policy | None = None
    must: int | None
    amount: float = Field(ge=0)
    to: Address | None = None
    address: Address
    tags: list[Policy] = []


class Colour(Enum):
    RED = "red"


class Picked(BaseModel):
    side: Literal["left", None]
    other: Literal["b", None] = None


@dataclass
class Plain:
    b: int
    a: str = "x"


class Tree(BaseModel):
    children: list["Tree"] = []


def type_form(type_: Any, title: str) -> TypeForm:
    form = form_of(type_, title)
    assert isinstance(form, TypeForm)
    return form


def schema_of(type_: Any) -> dict[str, Any]:
    schema: dict[str, Any] = loads(type_form(type_, "Title?").schema_json)
    return schema


def test_a_model_is_flat_and_keeps_its_order() -> None:
    schema = schema_of(Ruling)
    assert list(schema["properties"]) == ["zeta", "alpha", "must", "amount", "to", "address", "tags"]
    assert schema["required"] == ["zeta", "amount", "address"]
    assert schema["properties"]["alpha"] == {
        "enum": ["standard", "legal"],
        "title": "Alpha",
        "type": "string",
    }
    assert schema["properties"]["zeta"]["title"] == "Which policy?"
    assert schema["properties"]["to"]["properties"]["city"]["type"] == "string"
    assert schema["properties"]["tags"]["items"]["enum"] == ["standard", "legal"]
    for trace in ("$ref", "$defs", "null", "x-nullable"):
        assert trace not in type_form(Ruling, "").schema_json


@pytest.mark.parametrize(
    "type_",
    [
        Ruling,
        Plain,
        Policy,
        bool,
        str,
        int,
        float,
        date,
        Decimal,
        list[int],
        dict[str, int],
        int | None,
        Ruling | None,
        list[Address],
    ],
)
def test_the_server_accepts_every_schema_of_a_type(type_: Any) -> None:
    compile_schema(type_form(type_, "Title?").schema_json)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Ruling, Ruling(zeta=Policy.LEGAL, must=None, amount=2, address=Address(city="X"))),
        (Plain, Plain(1)),
        (Policy, Policy.LEGAL),
        (bool, False),
        (int, 2**60 + 1),
        (date, date(2026, 11, 23)),
        (Decimal, Decimal("12.50")),
        (list[int], [3, 1]),
        (dict[str, int], {"b": 1, "a": 2}),
        (int | None, None),
        (Ruling | None, None),
        (Literal["yes", None], None),
        (Literal[None, 1, 2], 2),
        (Literal[Policy.LEGAL], Policy.LEGAL),
        (Picked, Picked(side=None, other="b")),
    ],
)
def test_values_survive_the_round_trip_through_json(type_: Any, value: Any) -> None:
    form = type_form(type_, "Title?")
    found = form.parse(form.dump(value))
    assert found == value
    assert type(found) is type(value)
    assert not schema_violations(form.schema_json, loads(form.dump(value)), "values_json")


def test_omitted_values_are_none_or_refused() -> None:
    form = form_of(Ruling, "")
    found = form.parse('{"zeta":"legal","amount":1,"address":{"city":"X"}}')
    assert found.must is None
    with pytest.raises(ValidationError):
        form.parse('{"zeta":"legal"}')


def test_a_literal_of_enum_members_that_no_answer_can_name_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Literal\[Colour.RED\]; ask for the enum"):
        form_of(list[Literal[Colour.RED]], "")


def test_a_recursive_type_has_no_form() -> None:
    with pytest.raises(TypeError, match="recursive"):
        form_of(Tree, "")


def test_the_same_question_is_recognised_with_what_the_server_fills_in() -> None:
    asked = prompt_pb2.PromptContent(kind="confirm", title="Go?", blocking=True, priority=1)
    known = prompt_pb2.PromptContent(kind="confirm", title="Go?", blocking=True, priority=2)
    known.decisions.add(decision=prompt_pb2.DECISION_ACCEPT, label="Confirm")
    assert same_question(asked, known)
    known.title = "Stop?"
    assert not same_question(asked, known)


def test_job_input_becomes_typed_arguments() -> None:
    async def fn(
        job: Job, /, order: str, since: date, policy: Policy = Policy.LEGAL, **more: int
    ) -> None: ...

    handler = JobHandler("t", fn)
    bound = handler.bind({"order": "A", "since": "2026-01-02", "policy": "standard", "extra": 1})
    assert bound == {"order": "A", "since": date(2026, 1, 2), "policy": Policy.STANDARD, "extra": 1}
    with pytest.raises(InvalidInput, match="needs since"):
        handler.bind({"order": "A"})


def test_invalid_job_input_is_refused_with_a_readable_reason() -> None:
    """The reason names each place. It has no links of pydantic and no values, which may be confidential."""

    async def fn(job: Job, order: str, prices: list[float]) -> None: ...

    with pytest.raises(InvalidInput) as caught:
        JobHandler("t", fn).bind({"order": "A", "prices": [1, "two", None]})
    assert str(caught.value) == (
        "prices.1: Input should be a valid number, unable to parse string as a number; "
        "prices.2: Input should be a valid number"
    )


def test_a_bare_job_input_is_passed_to_the_only_parameter() -> None:
    async def fn(job: Job, rows: list[int]) -> None: ...

    assert JobHandler("t", fn).bind([1, 2]) == {"rows": [1, 2]}


async def test_a_handler_starts_jobs_with_its_own_arguments() -> None:
    async def fn(job: Job, order: str, days: int = 3) -> None: ...

    class Starter:
        async def start(self, job_type: str, input: Any, *, returns: Any) -> Any:
            return job_type, input, returns

    client: Any = Starter()
    started: Any = await JobHandler("refund", fn).using(client).start("A-17", days=4)
    assert started == ("refund", {"order": "A-17", "days": 4}, type(None))
    with pytest.raises(TypeError):
        await JobHandler("refund", fn).using(client).start()  # type: ignore[call-arg]


def test_importing_askback_loads_nothing_heavy() -> None:
    code = (
        "import sys, askback\n"
        "heavy = [m for m in ('grpc', 'pydantic', 'google.protobuf', 'sqlalchemy') if m in sys.modules]\n"
        "assert not heavy, heavy\n"
        "assert all(getattr(askback, name) for name in askback.__all__)\n"
        "assert not [m for m in sys.modules if m.startswith(('sqlalchemy', 'askback_server'))]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("form", "default", "values"),
    [
        (Address, {"city": "Bonn"}, {"city": "Bonn"}),
        (Address, Address(city="Bonn"), {"city": "Bonn"}),
        (Plain, {"b": 3}, {"b": 3, "a": "x"}),
        (Policy, "legal", {"value": "legal"}),
        (list[Address], [{"city": "Bonn"}], {"value": [{"city": "Bonn"}]}),
        (date, "2026-12-01", {"value": "2026-12-01"}),
        (Decimal, "12.50", {"value": "12.50"}),
        (int, 3, {"value": 3}),
        (str | None, None, {}),
        (Literal["a", "b"], "b", {"value": "b"}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_default_may_be_given_as_constructor_arguments(form: Any, default: Any, values: Any) -> None:
    assert loads(type_form(form, "Title?").dump(default)) == values


@pytest.mark.parametrize(
    ("form", "default", "says"),
    [
        (Address, {"town": "Bonn"}, "city: Field required"),
        (Ruling, {"zeta": "odd"}, "zeta: Input should be 'standard' or 'legal'"),
        (Policy, "odd", "Input should be 'standard' or 'legal'"),
        (int, "three", "Input should be a valid integer"),
        (Address, "Bonn", "Input should be a valid dictionary or instance of Address"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_default_that_does_not_fit_the_form_is_refused_with_a_reason(
    form: Any, default: Any, says: str
) -> None:
    with pytest.raises(InvalidValue, match=re.escape(f"does not fit the form: {says}")):
        type_form(form, "Title?").dump(default)


@pytest.mark.parametrize(
    ("done", "total", "says"),
    [
        (30, 20, r"progress\(30, 20\): 30 of 20 cannot be done; leave total out"),
        (1, -1, "below 0"),
        (-1, 0, "below 0"),
    ],
)
def test_impossible_progress_is_refused(done: int, total: int, says: str) -> None:
    with pytest.raises(InvalidValue, match=says):
        progress_of(done, total, "")


def test_progress_allows_an_unknown_total() -> None:
    assert (progress_of(30, 0, "rows").done, progress_of(20, 20, "").total) == (30, 20)
