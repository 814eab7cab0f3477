"""Numbers in JSON keep every digit: as plain values, as typed values, and when they are serialised."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from askback._model.answers import answer_request
from askback._model.enums import DecisionKind
from askback._model.form import form_of
from askback._model.jobs import Event, JobInfo
from askback._model.json_text import dumps, fit, loads, loads_spelled, validate
from askback._model.prompts import PromptInfo
from askback._model.resolutions import AnswerInfo
from askback._model.understanding import Understanding
from askback._worker.handler import JobHandler
from askback._worker.job import Job
from askback.cli.job_input import job_input
from askback.cli.output import as_json
from askback.cli.record import record
from askback.terminal.fields import Field as Asked
from askback.terminal.fields import Kind
from askback.terminal.value_parser import read
from askback.v1 import job_pb2, prompt_pb2

LONG = "0.12345678901234567890123"
BIG = "12345678901234567890.25"
DIGITS = [
    *(LONG, BIG, "-" + LONG, "0.1", "12.50", "0.10", "10.0", "-0.0", "100000000000000000000.5"),
    *("1e5", "1e300", "1.5E-400", "5e-324", "1.7976931348623157e308"),
    *("9007199254740993", "18446744073709551615"),
]


class Money(BaseModel):
    amount: Decimal = Field(decimal_places=25)
    rest: Any = None


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    on: date
    amount: Decimal
    ratio: float


@pytest.mark.parametrize("text", DIGITS)
def test_a_plain_number_is_a_float_only_where_that_is_exact(text: str) -> None:
    found = loads(text)
    assert Decimal(str(found)) == Decimal(text)
    if isinstance(found, Decimal):
        assert Decimal(repr(float(text))) != Decimal(text)
    assert type(loads("0.1")) is type(loads("12.50")) is float
    assert type(loads("9007199254740993")) is int


@pytest.mark.parametrize("text", DIGITS)
def test_a_typed_number_has_every_digit(text: str) -> None:
    adapter = TypeAdapter(Decimal)
    for found in (
        validate(adapter, text),
        fit(adapter, loads_spelled(text)),
        form_of(Decimal, "?").parse(f'{{"value":{text}}}'),
    ):
        assert found == Decimal(text)
        assert "e" in text or str(found) == str(Decimal(text))
    assert form_of(list[Decimal], "?").parse(f'{{"value":[1,{text}]}}') == [1, Decimal(text)]
    assert validate(TypeAdapter(float), text) == float(text)


def test_a_type_validates_the_written_number_and_not_a_rounded_one() -> None:
    """A rounded number would pass. A strict model still accepts a date, which is text in JSON."""
    with pytest.raises(ValidationError, match="decimal places"):
        form_of(Money, "?").parse('{"amount": 1.000000000000000000000000000001}')
    text = f'{{"on":"2026-01-02","amount":{BIG},"ratio":0.5}}'
    assert form_of(Strict, "?").parse(text) == Strict(on=date(2026, 1, 2), amount=Decimal(BIG), ratio=0.5)
    found = form_of(Money, "?").parse(f'{{"amount":{LONG},"rest":[12.50]}}')
    assert (str(found.amount), found.rest, isinstance(found.rest[0], float)) == (LONG, [12.5], True)


@pytest.mark.parametrize("text", DIGITS)
def test_a_number_is_written_as_it_was_read(text: str) -> None:
    document = f'{{"a":[{text}],"b":{{"c":{text}}}}}'
    for value in (loads(document), loads_spelled(document)):
        again = json.loads(dumps(value), parse_float=Decimal, parse_int=Decimal)
        assert again == {"a": [Decimal(text)], "b": {"c": Decimal(text)}}
        assert json.loads(dumps(value, spaced=True), parse_float=Decimal) == again


def test_decimals_are_written_as_numbers_and_non_numbers_refused() -> None:
    assert dumps({"a": Decimal("12.50"), 3: (Decimal(1),), "d": date(2026, 1, 2)}) == (
        '{"a":12.50,"3":[1],"d":"2026-01-02"}'
    )
    # The server accepts integers of 64 bits. A longer one is sent as a number with a fraction.
    assert dumps([Decimal(2**64 - 1), Decimal(2**64)]) == "[18446744073709551615,18446744073709551616.0]"
    for wrong in ("NaN", "Infinity"):
        with pytest.raises(ValueError, match="JSON"):
            dumps([Decimal(wrong)])
        with pytest.raises(ValueError, match="JSON"):
            loads(wrong)


class Counted(BaseModel):
    n: int
    text: str = ""
    rest: Any = None


@pytest.mark.parametrize("big", [2**64, -(2**63) - 1, 2**70, 10**30, -(10**300) - 7])
def test_an_integer_over_64_bits_survives_as_a_number_with_a_fraction(big: int) -> None:
    text = f'"{big}", \\\\"[{big},'  # digits inside a string stay unchanged
    for value in (big, [big], {"a": {"b": [1, big]}, text: text}, Counted(n=big, text=text, rest=[big])):
        sent = dumps(value)
        assert f"{big}.0" in sent
        assert (
            loads(sent)
            == loads_spelled(sent)
            == (value.model_dump() if isinstance(value, Counted) else value)
        )
    assert dumps({"a": [Decimal("1.50"), big]}) == f'{{"a":[1.50,{big}.0]}}'
    assert dumps([2**64 - 1, -(2**63), 0.5]) == "[18446744073709551615,-9223372036854775808,0.5]"
    assert (type(loads(dumps(big))), loads(f"[{big}]")) == (int, [big])
    model = Counted(n=big, text=text, rest=[big])
    assert validate(TypeAdapter(Counted), dumps(model)) == model
    assert fit(TypeAdapter(Counted), loads_spelled(dumps(model))) == model
    assert form_of(Counted, "?").parse(dumps(model)) == model
    assert validate(TypeAdapter(int), dumps(big)) == validate(TypeAdapter(int), str(big)) == big
    assert json.loads(dumps([big], spaced=True)) == [float(big)]


def test_the_sdk_reads_exact_numbers_everywhere() -> None:
    values = f'{{"n":{LONG},"i":9007199254740993}}'
    exact = {"n": Decimal(LONG), "i": 9007199254740993}
    job = JobInfo(job_pb2.Job(input_json=values, result_json=values))
    job.proto.failure.details_json = values
    assert job.input == job.result == exact
    assert job.failure is not None
    assert job.failure[2] == exact
    assert Event.from_proto(job_pb2.JobEvent(data_json=values)).data == exact
    assert AnswerInfo.from_proto(prompt_pb2.Answer(values_json=values)).values == exact
    prompt = PromptInfo(prompt_pb2.Prompt(content=prompt_pb2.PromptContent(metadata_json=values)))
    assert prompt.metadata == exact
    state = job_pb2.DeepUnderstanding(answers_json=f"[{values}]", questions_asked_json=f"[{values}]")
    assert Understanding.from_proto(state).answers == [exact]
    assert form_of({"type": "object"}, "?").parse(values) == exact


def test_arguments_of_a_job_are_exact() -> None:
    async def pay(job: Job, amount: Decimal, plain: Any, rows: list[Decimal]) -> None: ...

    given = loads_spelled(f'{{"amount":12.50,"plain":{LONG},"rows":[{BIG},1]}}')
    bound = JobHandler("t", pay).bind(given)
    assert str(bound["amount"]) == "12.50"
    assert (bound["plain"], bound["rows"]) == (Decimal(LONG), [Decimal(BIG), 1])


@pytest.mark.parametrize("text", [LONG, BIG, "12.50", "1e300", "9007199254740993"])
def test_the_command_line_prints_and_sends_every_digit(text: str) -> None:
    job = job_pb2.Job(input_json=f'{{"n":[{text}]}}')
    assert json.loads(as_json(record(job)), parse_float=Decimal)["input"] == {
        "n": [json.loads(text, parse_float=Decimal)]
    }
    assert Decimal(dumps(job_input(None, [f"n:={text}"])["n"])).as_tuple() == Decimal(text).as_tuple()
    if "e" not in text:
        assert text in as_json(record(job))
        typed = read(Asked(path=("n",), kind=Kind.NUMBER, title="N"), f"+{text}")
        sent = answer_request(PromptInfo(prompt_pb2.Prompt()), DecisionKind.RESPOND, values={"n": typed})
        assert sent.values_json == f'{{"n":{text}}}'
