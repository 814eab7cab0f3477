"""The page of the canonical form of a prompt, from the contract and `tests/vectors/prompts`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from askback.v1 import prompt_pb2
from scripts.reference.tables import table

VECTORS = Path(__file__).resolve().parents[2] / "tests" / "vectors" / "prompts"
EXAMPLE = "smallest"


def lines() -> Iterator[str]:
    """The lines of the page: what is in the form, how it is written, the vectors, and an example."""
    vectors = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(VECTORS.glob("*.json"))}
    yield "# Canonical form of a prompt"
    yield ""
    yield (
        "`Prompt.shown_digest` is a digest of what people see and may decide. Every program can compute it "
        "from a [PromptContent](api.md#promptcontent), in any language, with the ProtoJSON of its protobuf "
        "library, a library for RFC 8785 and SHA-256. Consoles send it with an answer, which then counts "
        "only for that content: if the prompt has another digest, the verdict is `ANSWER_STATUS_STALE`. [ADR "
        "0057](../adr/0057-a-digest-of-what-was-shown.md) has the reasons."
    )
    yield ""
    yield "## The form"
    yield ""
    yield "1. Take the content as readers get it, with the decisions that the server has filled in."
    yield f"2. Keep these fields, and clear all others: {_names(vectors, shown=True)}."
    yield (
        "3. Write it as [ProtoJSON](https://protobuf.dev/programming-guides/json/) with the default options: "
        "names in lowerCamelCase, enums by name, 64-bit integers as strings."
    )
    yield (
        "4. Write that document as [RFC 8785](https://www.rfc-editor.org/rfc/rfc8785) (JCS): keys sorted, no "
        "white space, numbers as ECMAScript writes them, UTF-8."
    )
    yield (
        "5. The digest is the SHA-256 of the bytes `askback.prompt.v1`, a line feed (U+000A), and the form: "
        "64 hexadecimal digits, lower case."
    )
    yield ""
    yield (
        "Not in the form, because they change neither the question nor what an answer means: "
        f"{_names(vectors, shown=False)}."
    )
    yield ""
    yield "## Details"
    yield ""
    for detail in DETAILS:
        yield f"- {detail}"
    yield ""
    yield "## Vectors"
    yield ""
    yield (
        "Each file in [tests/vectors/prompts](../../tests/vectors/prompts) has a `content` (ProtoJSON), its "
        "`form` (the text of step 4) and its `digest`. The tests compute them in Python, by two ways, and in "
        "Go."
    )
    yield ""
    yield from table(
        ("vector", "what it shows", "digest"),
        (
            (
                f"[{name}](../../tests/vectors/prompts/{name}.json)",
                vector["description"],
                f"`{vector['digest']}`",
            )
            for name, vector in vectors.items()
        ),
    )
    example = vectors[EXAMPLE]
    yield f"The content of `{EXAMPLE}`, and its form in one line:"
    yield ""
    yield "```json"
    yield json.dumps(example["content"], indent=2, ensure_ascii=False)
    yield "```"
    yield ""
    yield "```text"
    yield example["form"]
    yield "```"


DETAILS = (
    "A field without presence is left out if it has its default: an empty text, `false`, an empty list. A "
    "field with presence (`optional`, a message, a member of a `oneof`) is there if it is set, also with its "
    "default: `text` of a part without a URL, `default_value` of a question, the empty object of an input "
    "without values.",
    "A JSON Schema is a string, exactly as it was sent. It is not parsed: white space, the order of keys and "
    "large numbers stay. `derived_schema_json` is made from the questions, and is not in the form.",
    "Texts are not normalised: the letter é in one code point and in two gives two digests.",
    "`-0.0` becomes `0`, `1e21` becomes `1e+21`, `1e20` becomes `100000000000000000000`. Some libraries for "
    "RFC 8785 refuse whole numbers beyond 2^53 that a JSON parser has read as integers. Read numbers as "
    "doubles: the form has no integers of more than 32 bits.",
    "Fields that a later version adds to what is shown are in the form where they are set. So a prompt "
    "without them keeps its digest. A program that is older than such a field computes another digest; use "
    "`shown_digest` as the server sends it, and compute it only to check.",
    "The content of a prompt changes with its `revision`, and the digest with it. It stays when other people "
    "are asked (escalation), and when the asker keeps the resolution for other words (`rewording`): it is "
    "always that of `Prompt.content`.",
)


def _names(vectors: dict[str, Any], *, shown: bool) -> str:
    """The fields of a content that are in the form of a vector, or that are in none."""
    known = {name for vector in vectors.values() for name in json.loads(vector["form"])}
    fields = prompt_pb2.PromptContent.DESCRIPTOR.fields
    return ", ".join(f"`{field.name}`" for field in fields if (field.camelcase_name in known) == shown)
