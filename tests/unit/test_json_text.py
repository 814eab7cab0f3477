"""Parsing JSON from requests: RFC 8259 within the limits is accepted, hostile text is refused cheaply."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback_server.domain.json_text import (
    MAX_VIOLATIONS,
    BadFields,
    Violation,
    check_text,
    parse_json,
    pointer,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def parse(text: str, max_bytes: int = 10_000_000) -> Any:
    return parse_json(text, field="input_json", max_bytes=max_bytes)


def refusal(text: str, max_bytes: int = 10_000_000) -> str:
    with pytest.raises(BadFields) as caught:
        parse(text, max_bytes)
    (violation,) = caught.value.violations
    assert violation.field == "input_json"
    violation.description.encode()  # a description goes into a protobuf string
    return violation.description


@given(DOCUMENTS, st.booleans())
def test_every_document_within_the_limits_is_accepted(value: Any, ensure_ascii: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ensure_ascii)) == value


@given(st.text())
def test_any_text_is_parsed_or_refused_with_violations(text: str) -> None:
    try:
        parse(text)
    except BadFields as bad:
        for violation in bad.violations:
            violation.description.encode()


def test_key_order_and_64_bit_integers_are_kept() -> None:
    value = parse('{"z": 18446744073709551615, "a": -9223372036854775808, "m": 9007199254740993}')
    assert list(value.items()) == [("z", 2**64 - 1), ("a", -(2**63)), ("m", 9007199254740993)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "[1,]",
        "{'a':1}",
        "01",
        "1.",
        "+1",
        "tru",
        '"a',
        "1 2",
        "\ufeff1",
        '"\t"',
        '"\\x"',
        "\x00",
    ],
)
def test_invalid_json_is_refused(text: str) -> None:
    assert refusal(text).startswith("is not valid JSON")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "[-Infinity]", '{"a": NaN}'])
def test_nan_and_infinity_are_refused(text: str) -> None:
    assert "is not a number" in refusal(text)


@pytest.mark.parametrize("text", ["18446744073709551616", "-9223372036854775809", "9" * 400, "9" * 100_000])
def test_integers_beyond_64_bits_are_refused(text: str) -> None:
    assert "outside the range" in refusal(f'{{"a": [{text}]}}')


@pytest.mark.parametrize("text", ["1e999999", "-1e400", "1.5E+309"])
def test_floats_that_overflow_are_refused(text: str) -> None:
    assert "too large for a double" in refusal(f"[{text}]")


def test_numbers_with_very_many_digits_are_refused() -> None:
    assert "more than 400 characters" in refusal("0." + "1" * 500)
    assert parse("0." + "1" * 398) == pytest.approx(1 / 9)
    assert parse("1e-999999") == 0.0


@pytest.mark.parametrize(
    "text", ['"a\\u0000b"', '{"\\u0000": 1}', '[["\\u0000"]]', '{"a": {"b": "\\u0000"}}', '"\\\\\\u0000"']
)
def test_an_escaped_nul_is_refused(text: str) -> None:
    assert "NUL" in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        '"\\ud800"',
        '"\\uDFFF"',
        '{"\\udc00": 1}',
        '["\\ud83d x \\ude00"]',
        '"\\ude00\\ud83d"',
        '{"a": {"b": ["\\ud800"]}}',
        '"\ud800"',
        '{"\ud800": 1}',
    ],
)
def test_lone_surrogates_are_refused(text: str) -> None:
    assert "lone surrogate" in refusal(text)


def test_valid_escapes_are_accepted() -> None:
    assert parse('"\\ud83d\\ude00"') == "😀"
    assert parse('"\\\\ud800 and \\\\u0000"') == "\\ud800 and \\u0000"


def test_an_unprintable_key_can_be_named_in_a_refusal() -> None:
    assert "twice" in refusal('{"\\ud800": 1, "\\ud800": 2}')
    assert "twice" in refusal('{"' + "k" * 900 + '": 1, "' + "k" * 900 + '": 2}')


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '{"a": 1, "\\u0061": 2}', '[{"x": {"b": 1, "c": 2, "b": 3}}]']
)
def test_duplicate_keys_are_refused(text: str) -> None:
    assert "twice in one object" in refusal(text)


def test_the_same_key_in_two_objects_is_accepted() -> None:
    assert parse('{"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}')


def test_keys_over_1024_characters_are_refused() -> None:
    assert parse(json.dumps({"k" * 1024: 1}))
    assert "more than 1024 characters" in refusal(json.dumps([{"k" * 1025: 1}]))


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("closed", [True, False])
def test_a_hundred_thousand_levels_are_refused(opening: str, closed: bool) -> None:
    closing = "".join({"[": "]", "{": "}"}.get(c, "") for c in reversed(opening))
    text = opening * 100_000 + "1" + (closing * 100_000 if closed else "")
    assert "nested deeper than 64 levels" in refusal(text)


def test_depth_is_counted_exactly_and_outside_strings() -> None:
    assert parse("[" * 64 + "]" * 64)
    assert "nested deeper" in refusal("[" * 65 + "]" * 65)
    assert len(parse("[" + ",".join(["[]"] * 500) + "]")) == 500
    brackets = '[{"' * 100
    assert parse(json.dumps([brackets, '\\"[' * 100])) == [brackets, '\\"[' * 100]
    assert "nested deeper" in refusal('["\\"' + "]" * 100 + '", ' + "[" * 65)


def test_size_is_counted_in_utf8() -> None:
    assert parse('"aé"', max_bytes=5) == "aé"
    assert refusal('"aé"', max_bytes=4) == "is 5 bytes long; at most 4 bytes are allowed"


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 500_000,
        "[" * 100 + '"' + '\\"' * 500_000,
        "[" + '"\\' * 300_000,
        "{" * 65 + '"' * 999_999,
        "[" + "[]," * 300_000,
        "-" * 1_000_000,
        '["' + "\\\\ud800" * 100_000 + '"]',
    ],
)
def test_large_hostile_text_is_refused_quickly(text: str) -> None:
    start = time.process_time()
    with contextlib.suppress(BadFields):
        parse(text)
    assert time.process_time() - start < 2


def test_plain_text_is_checked_for_characters_and_size() -> None:
    check_text("line\nbreak, tab\t, 😀", field="comment", max_bytes=100)
    for text, reason in [("a\0", "NUL"), ("\udfff", "surrogate"), ("é" * 51, "102 bytes long")]:
        with pytest.raises(BadFields, match=reason):
            check_text(text, field="comment", max_bytes=100)


def test_pointers_are_escaped() -> None:
    assert pointer("a/b", 0, "c~d") == "/a~1b/0/c~0d"
    assert pointer() == ""


def test_violations_fit_a_trailer() -> None:
    bad = BadFields(Violation(f"values_json/{'x' * 1000}{i}", "y" * 1000) for i in range(5000))
    assert len(bad.violations) == MAX_VIOLATIONS
    assert bad.violations[-1].description == f"is wrong, and so are {5000 - MAX_VIOLATIONS} more fields"
    assert sum(len(v.field) + len(v.description) for v in bad.violations) < 10_100
