"""The contract's comments: a client can be written from the .proto files alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from scripts.reference.contract import Source, sources

FILES = sources()
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_DIALECT = re.compile(r"\b(somebody|anybody|nobody|whoever|anew|for ever)\b", re.IGNORECASE)
_WITHOUT_IT = re.compile(r"\b(Required|Empty|Unset|Default|0:|Exactly one|together with|With|leave it)")
"""How a comment says what an omitted field means, or that the field is required."""


def elements(source: Source) -> Iterator[tuple[str, str]]:
    """Every element of a file with its comment."""
    for m, message in enumerate(source.proto.message_type):
        yield message.name, source.comment(_MESSAGE, m)
        for f, field in enumerate(message.field):
            yield f"{message.name}.{field.name}", source.comment(_MESSAGE, m, 2, f)
    for e, enum in enumerate(source.proto.enum_type):
        yield enum.name, source.comment(_ENUM, e)
        for v, value in enumerate(enum.value):
            yield f"{enum.name}.{value.name}", source.comment(_ENUM, e, 2, v)
    for s, service in enumerate(source.proto.service):
        yield service.name, source.comment(_SERVICE, s)
        for r, method in enumerate(service.method):
            yield f"{service.name}.{method.name}", source.comment(_SERVICE, s, 2, r)


COMMENTS = dict(pair for source in FILES for pair in elements(source))


@pytest.mark.parametrize("source", FILES, ids=lambda source: source.proto.name)
def test_no_comment_only_repeats_the_name(source: Source) -> None:
    assert {name: c for name, c in elements(source) if len(re.findall(r"\w+", c)) < 3} == {}


def test_comments_use_no_forbidden_words() -> None:
    assert {name: c for name, c in COMMENTS.items() if _DIALECT.search(c)} == {}


def test_every_zero_value_of_an_enum_says_what_it_means() -> None:
    zeros = {name: comment for name, comment in COMMENTS.items() if name.endswith("_UNSPECIFIED")}
    assert zeros
    assert {name: c for name, c in zeros.items() if "zero value" not in c} == {}


def test_every_rpc_names_its_errors() -> None:
    for source in FILES:
        for s, service in enumerate(source.proto.service):
            for r, method in enumerate(service.method):
                comment = source.comment(_SERVICE, s, 2, r)
                assert re.search(r"Errors:|Ends with|Further errors", comment), (
                    f"{service.name}.{method.name}"
                )


def test_every_field_of_a_request_says_what_it_means_to_omit_it() -> None:
    unsaid = []
    for source in FILES:
        for m, message in enumerate(source.proto.message_type):
            if not message.name.endswith(("Request", "Hello", "Filter")):
                continue
            for f, field in enumerate(message.field):
                comment = source.comment(_MESSAGE, m, 2, f)
                is_list = field.label == FieldDescriptorProto.LABEL_REPEATED
                if not is_list and not _WITHOUT_IT.search(comment):
                    unsaid.append(f"{message.name}.{field.name}: {comment}")
    assert unsaid == []
