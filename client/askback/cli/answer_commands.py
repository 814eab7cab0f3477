"""The command lines that answer a prompt, to be shown to people."""

from __future__ import annotations

import shlex

from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo
from askback._text.text import one_line
from askback.cli.connection import Connection

HANDLE_CHARS = 8
"""The number of characters of a handle for another person: quick to type, and rarely ambiguous."""


def answer_arguments(prompt: PromptInfo, name: str) -> list[str]:
    """The arguments of `askback`: `inbox approve NAME` or `inbox answer NAME`, and `inbox reject NAME`."""
    offered = {option.decision for option in prompt.decisions}
    fills_in = prompt.schema is not None or DecisionKind.ACCEPT not in offered
    verbs = ["answer" if fills_in else "approve"]
    if offered & {DecisionKind.REJECT, DecisionKind.DISMISS}:
        verbs.append("reject")
    return [f"inbox {verb} {name}" for verb in verbs]


def commands_for_caller(prompt: PromptInfo, connection: Connection) -> list[str]:
    """The commands for the person at this shell, with the options that they typed.

    If the server does not authenticate and this person may not answer, the commands name a person or a group
    that may.
    """
    audience = prompt.proto.content.audience
    is_asked = connection.user in audience.users or set(connection.groups) & set(audience.groups)
    acts = is_asked or prompt.delegated_to(connection.user or "", connection.groups) is not None
    who = "" if acts else _identity_option(prompt, connection)
    return [connection.command(words) + who for words in answer_arguments(prompt, prompt.prompt_id)]


def commands_for_others(prompt: PromptInfo, connection: Connection) -> list[str]:
    """The commands for another person: with the options for the server, without those for the identity."""
    flags = connection.reaching_flags + _identity_option(prompt, connection)
    return [f"askback {words}{flags}" for words in answer_arguments(prompt, prompt.prompt_id[-HANDLE_CHARS:])]


def _identity_option(prompt: PromptInfo, connection: Connection) -> str:
    """The option that names a person or group that may answer, for a server without authentication.

    Empty if a token or a certificate identifies the caller, and if everyone may answer.
    """
    audience = prompt.proto.content.audience
    if connection.token or connection.cert:
        return ""
    for flag, names in (("group", audience.groups), ("user", audience.users)):
        if names:
            return f" --{flag} {shlex.quote(one_line(min(names)))}"
    return ""
