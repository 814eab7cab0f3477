"""Sends an answer from a dialogue, and retries it with the person's consent while the server is away."""

from __future__ import annotations

import uuid

from askback._client.client import Client
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback.errors import Unavailable
from askback.terminal.draft import Draft
from askback.terminal.short_questions import YES_OR_NO, pick
from askback.terminal.terminal import Dialogue
from askback.terminal.wizard import Send


def client_sender(client: Client, prompt: PromptInfo, dialogue: Dialogue) -> Send:
    """The wizard's function to send a draft.

    While the server is unavailable it asks whether to try again, with the same answer id, so that the answer
    counts once.
    """

    async def send(draft: Draft) -> AnswerOutcome:
        answer_id = uuid.uuid4().hex
        while True:
            try:
                return await client.answer(
                    prompt,
                    draft.decision,
                    values=draft.values,
                    edits=draft.edits,
                    comment=draft.comment,
                    answer_id=answer_id,
                )
            except Unavailable as error:
                dialogue.writer.line(f"! {error.message}; your answer is kept", "error")
                if not await pick(dialogue, "Try again? [y/n] ", YES_OR_NO):
                    raise

    return send
