"""Searches prompts by words."""

from __future__ import annotations

from askback._model.prompts import PromptInfo


def matches(prompt: PromptInfo, text: str) -> bool:
    """Whether every word of the text occurs in the prompt's title, body, names, id or labels, in any case."""
    labels = (f"{name}={value}" for name, value in prompt.labels.items())
    texts = (prompt.title, prompt.body, prompt.kind, prompt.key, prompt.job_type, prompt.prompt_id, *labels)
    found = "\n".join(texts).casefold()
    return all(word in found for word in text.casefold().split())
