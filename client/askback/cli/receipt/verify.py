"""`askback receipt verify`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.exits import Exit
from askback.cli.output import Output, output_options

if TYPE_CHECKING:
    from askback._model.prompts import PromptInfo
    from askback._model.receipts import Receipt


@click.command(cls=Command)
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@click.option(
    "--keys",
    type=click.File("r", encoding="utf-8-sig"),
    help="The public keys that you trust, a JSON Web Key Set. By default those in FILE.",
)
@click.option("--thumbprint", default="", help="The thumbprint (RFC 7638) of the key that you trust.")
@output_options
def verify(file: Any, keys: Any, thumbprint: str, out: Output) -> None:
    """Verify a receipt, without a server. FILE is the output of `askback receipt get`, or a statement alone.

    Verifies the signature, and that the prompt in FILE is what was signed: its content, its answer and how it
    ended. The keys in FILE show only that it is whole: a person who changed all of it would have put in other
    ones. To know who signed it, give --keys or --thumbprint.

    Exit 0: it is right. Exit 5: it is not. Exit 2: FILE or the keys cannot be read.
    """
    from askback._model.receipt_keys import read_key_set, verify_receipt
    from askback._model.receipts import InvalidReceipt

    document = _document(file)
    trusted = _text(keys) if keys is not None else document.get("keys")
    if trusted is None:
        raise click.UsageError("FILE has no keys: give --keys, the output of `askback receipt keys`")
    try:
        read_key_set(trusted)
    except InvalidReceipt as error:
        raise click.UsageError(str(error)) from None
    try:
        receipt = verify_receipt(str(document["receipt"]), trusted, thumbprint=thumbprint)
        prompt = _prompt(document)
        wrong = receipt.differences(prompt) if prompt is not None else []
    except InvalidReceipt as error:
        _report_invalid(out, str(error))
        sys.exit(Exit.NO)
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    is_trusted = keys is not None or bool(thumbprint)
    if wrong:
        _report_invalid(out, f"the prompt in it is not the one that was signed: {', '.join(wrong)}", wrong)
        sys.exit(Exit.NO)
    if out.as_json:
        out.json({"valid": True, "trusted": is_trusted, "kid": receipt.kid, "receipt": dict(receipt.payload)})
        return
    _print(out, receipt, prompt)
    if not is_trusted:
        out.note("the key comes from the file itself: compare its id, or give --keys or --thumbprint")


def _text(file: Any) -> str:
    try:
        text: str = file.read()
    except UnicodeDecodeError:
        raise click.UsageError(f"{file.name} is not UTF-8 text") from None
    return text


def _document(file: Any) -> Mapping[str, Any]:
    """What a file has: a statement, or a JSON object with one. Raises click.UsageError."""
    text = _text(file).strip()
    if not text.startswith("{"):
        return {"receipt": text}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{file.name} is not JSON: {error}") from None
    if not isinstance(found.get("receipt"), str):
        raise click.UsageError(f"{file.name} has no `receipt`")
    document: Mapping[str, Any] = found
    return document


def _prompt(document: Mapping[str, Any]) -> PromptInfo | None:
    from google.protobuf.json_format import ParseDict, ParseError

    from askback._model.prompts import PromptInfo
    from askback._model.receipts import InvalidReceipt
    from askback.v1 import prompt_pb2

    if "prompt" not in document:
        return None
    try:
        return PromptInfo(ParseDict(document["prompt"], prompt_pb2.Prompt(), ignore_unknown_fields=True))
    except (ParseError, TypeError, ValueError) as error:
        raise InvalidReceipt(f"the prompt in it cannot be read: {error}") from None


def _report_invalid(out: Output, problem: str, wrong: list[str] | None = None) -> None:
    if out.as_json:
        out.json({"valid": False, "problem": problem, "differences": wrong or []})
    else:
        out.error(f"the receipt is not right: {problem}")


def _print(out: Output, receipt: Receipt, prompt: PromptInfo | None) -> None:
    from askback._text.spans import exact_time
    from askback._text.text import one_line

    signed = receipt.payload
    answer = signed.get("answer", {})
    who = one_line(receipt.decided_by)
    if answer.get("on_behalf_of"):
        who += f", on behalf of {one_line(str(answer['on_behalf_of']))}"
    pairs = [
        ("decided", str(receipt.decision or receipt.state)),
        ("by", who),
        ("at", exact_time(receipt.decided_at)),
        ("source", _source(answer)),
        ("prompt", one_line(prompt.title) if prompt is not None else ""),
        ("id", receipt.prompt_id),
        ("job", receipt.job_id),
        ("namespace", one_line(str(signed.get("namespace", "")))),
        ("asked by", one_line(str(signed.get("requested_by", "")))),
        ("revision", str(signed["revision"])),
        ("shown", receipt.shown_digest),
        ("needed", _needed(signed.get("approval"))),
        *(("vote", _vote(vote)) for vote in receipt.votes),
        ("signed by", f"key {receipt.kid}"),
    ]
    out.fields([(name, text) for name, text in pairs if text])


def _source(answer: Mapping[str, Any]) -> str:
    source = str(answer.get("source", ""))
    return f"{source}, rule {answer['rule']}" if answer.get("rule") else source


def _needed(approval: Mapping[str, Any] | None) -> str:
    from askback._text.text import one_line

    if approval is None:
        return ""
    groups = [
        f"{each['required']} of {one_line(str(each['group']))}" for each in approval.get("per_group", ())
    ]
    return ", ".join([f"{approval['required']} people", *groups])


def _vote(vote: Mapping[str, Any]) -> str:
    from askback._text.text import one_line

    text = f"{vote['decision']} by {one_line(str(vote['user_id']))}"
    if vote.get("on_behalf_of"):
        text += f", on behalf of {one_line(str(vote['on_behalf_of']))}"
    if vote.get("rule"):
        text += f", by rule {vote['rule']}"
    return f"{text}, {vote['given_at']}"
