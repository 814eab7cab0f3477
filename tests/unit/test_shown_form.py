"""The canonical form of a prompt equals the one that any ProtoJSON and RFC 8785 library make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from hypothesis import example, given
from hypothesis import strategies as st

from askback.v1 import prompt_pb2 as pb
from askback_server.domain.checks import normalise
from askback_server.domain.content import PromptContent
from askback_server.domain.documents import content_to_json, parse_content
from askback_server.domain.errors import AskbackError
from askback_server.domain.limits import Limits
from askback_server.domain.shown_form import VERSION, canonical_form, double_text, quote, shown_digest
from askback_server.transport.convert.contents import content, content_bytes
from tests.support.shown_documents import NOT_SHOWN, SHOWN, digest_of_content, form_of
from tests.support.wire_samples import full_content

VECTORS = Path(__file__).parents[1] / "vectors" / "prompts"


def asked(message: pb.PromptContent) -> PromptContent:
    """The content as a prompt has it when a client asks with this message."""
    return normalise(content(message, "content"), Limits(), None)


def read(value: PromptContent) -> pb.PromptContent:
    """The message that readers of the prompt get."""
    return pb.PromptContent.FromString(content_bytes(value))


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_a_vector_has_the_form_and_the_digest_of_its_content(path: Path) -> None:
    vector = json.loads(path.read_text("utf-8"))
    message = ParseDict(vector["content"], pb.PromptContent())
    value = asked(message)
    assert canonical_form(value) == vector["form"]
    assert shown_digest(value) == vector["digest"]
    assert shown_digest(parse_content(content_to_json(value))) == vector["digest"]
    # By another way, from the message that readers get: they need not be the server.
    assert form_of(message).decode() == vector["form"]
    assert digest_of_content(message) == digest_of_content(read(value)) == vector["digest"]
    assert hashlib.sha256((VERSION + vector["form"]).encode()).hexdigest() == vector["digest"]


def test_every_field_of_a_content_is_shown_or_named_as_not_shown() -> None:
    assert {field.name for field in pb.PromptContent.DESCRIPTOR.fields} == {*SHOWN, *NOT_SHOWN}


def test_strings_are_escaped_as_by_rfc_8785() -> None:
    every = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    for text in (*every, "".join(every), "\U0001f98a\U0010ffff"):
        assert quote(text).encode() == rfc8785.dumps(text)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12)
ids = st.from_regex(r"[a-z][a-zA-Z0-9_]{0,5}", fullmatch=True)
int32s = st.integers(0, 2**31 - 1)
int64s = st.integers(-(2**63), 2**63 - 1)
doubles = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9).map(float)


def build(kind: Callable[..., Any], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A strategy for messages in which each of these fields is set or not; `options` always are."""
    always = {name: fields.pop(name) for name in ("options",) if name in fields}
    return st.fixed_dictionaries(always, optional=fields).map(lambda given: kind(**given))


options = st.lists(
    st.builds(pb.Option, value=names, title=texts, description=texts, recommended=st.booleans()),
    min_size=1,
    max_size=3,
)
choices = {"options": options, "allow_other": st.booleans()}
inputs = st.one_of(
    st.fixed_dictionaries({"boolean": build(pb.BooleanInput, default_value=st.booleans())}),
    st.fixed_dictionaries({"single": build(pb.SingleInput, default_value=texts, **choices)}),
    st.fixed_dictionaries(
        {
            "multi": build(
                pb.MultiInput,
                default_values=st.lists(texts, max_size=2),
                min_items=int32s,
                max_items=int32s,
                **choices,
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "text": build(
                pb.TextInput,
                default_value=texts,
                min_length=int32s,
                max_length=int32s,
                pattern=texts,
                multiline=st.booleans(),
            )
        }
    ),
    st.fixed_dictionaries(
        {"integer": build(pb.IntegerInput, default_value=int64s, minimum=int64s, maximum=int64s)}
    ),
    st.fixed_dictionaries(
        {"number": build(pb.NumberInput, default_value=doubles, minimum=doubles, maximum=doubles)}
    ),
    st.fixed_dictionaries({"date": build(pb.DateInput, default_value=texts, minimum=texts, maximum=texts)}),
)
questions = st.builds(
    lambda question, asked: pb.Question(**question, **asked),
    st.fixed_dictionaries(
        {"question_id": ids, "title": names},
        optional={"help": texts, "rationale": texts, "required": st.booleans()},
    ),
    inputs,
)
forms = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"schema_json": names}),
    st.lists(questions, min_size=1, max_size=4).map(
        lambda found: {"questions": pb.QuestionForm(questions=found)}
    ),
)
parts = st.builds(
    lambda data, **fields: pb.PromptPart(**data, **fields),
    st.fixed_dictionaries({"text": texts}) | st.fixed_dictionaries({"url": names}),
    content_id=ids,
    title=texts,
    media_type=texts,
    editable=st.booleans(),
)
violations = st.builds(pb.FieldViolation, field=names, description=names)
approvals = st.builds(
    pb.Approval,
    required=int32s,
    per_group=st.lists(st.builds(pb.GroupApproval, group=texts, required=int32s), max_size=2),
    reject_at=int32s,
    shared=st.booleans(),
)
contents = st.builds(
    lambda form, **fields: pb.PromptContent(**form, **fields),
    forms,
    kind=ids,
    title=names,
    body=texts,
    contents=st.lists(parts, max_size=2),
    decisions=st.lists(
        st.builds(
            pb.DecisionOption,
            decision=st.integers(1, 6),
            label=names,
            comment_required=st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
    correction=st.none()
    | st.builds(pb.Correction, key=names, violations=st.lists(violations, min_size=1, max_size=2)),
    approval=st.none() | approvals,
)


@given(contents)
def test_the_form_is_what_protojson_and_rfc_8785_make_of_the_message(message: pb.PromptContent) -> None:
    value = content(message, "content")
    form = canonical_form(value)
    assert form.encode() == form_of(message)
    assert form.encode() == rfc8785.dumps(json.loads(form, parse_int=float)), "it is canonical by itself"
    assert shown_digest(value) == digest_of_content(message)


@given(contents, contents, st.sampled_from(SHOWN))
def test_contents_are_the_same_question_exactly_if_they_show_the_same(
    one: pb.PromptContent, other: pb.PromptContent, name: str
) -> None:
    """By both digests: an amendment is what changes the internal one, and raises the revision."""
    changed = pb.PromptContent()
    changed.CopyFrom(one)
    changed.ClearField(name)
    taken = pb.PromptContent()
    taken.CopyFrom(other)
    for field in (*SHOWN, *NOT_SHOWN):
        if field != name:
            taken.ClearField(field)
    changed.MergeFrom(taken)  # `one` with this field of `other`
    left, right = content(one, "content"), content(changed, "content")
    assert (left.digest == right.digest) == (shown_digest(left) == shown_digest(right))


def changed_leaves(message: Message, path: str = "") -> Iterator[str]:
    """Change each set leaf of the message, one at a time, and yield its path while it is changed."""
    for field, value in message.ListFields():
        at = f"{path}.{field.name}".lstrip(".")
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for index, inner in enumerate(value if field.is_repeated else [value]):
                yield from changed_leaves(inner, f"{at}[{index}]" if field.is_repeated else at)
        elif field.message_type is None and not field.is_repeated:
            setattr(message, field.name, other(value))
            yield at
            setattr(message, field.name, value)


def other(value: Any) -> Any:
    """Another value of the same type, which is valid wherever the first one is."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, float):
        return value / 2
    return value + 1 if value < 5 else value - 1


def test_each_shown_field_changes_the_digest_and_no_other_does() -> None:
    message = full_content()
    before = shown_digest(content(message, "content"))
    shown, not_shown = set(), set()
    for path in changed_leaves(message):
        try:
            value = content(message, "content")
        except AskbackError:
            continue  # a duration of an escalation
        (not_shown if shown_digest(value) == before else shown).add(path)
    assert {path.split(".")[0].split("[")[0] for path in not_shown} <= set(NOT_SHOWN)
    assert not {path for path in shown if path.split(".")[0].split("[")[0] in NOT_SHOWN}
    assert len(shown) > 60


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e21)
@example(1e-7)
@example(-0.0)
@example(123456789012345680000.0)
@example(5e-324)
def test_doubles_are_written_as_ecmascript_does(value: float) -> None:
    assert double_text(value).encode() == rfc8785.dumps(value)
