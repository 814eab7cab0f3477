"""Who gave an answer or a vote, and how: in whose place, by an override, by which rule."""

from __future__ import annotations

from askback._model.approvals import Vote
from askback._model.resolutions import AnswerInfo


def author_words(name: str, on_behalf_of: str) -> str:
    """Who answered, and in whose place: `ben on behalf of ana`."""
    return f"{name} on behalf of {on_behalf_of}" if on_behalf_of else name


def rule_words(rule_id: str, revision: int) -> str:
    """A rule as answers and the job's log name it: `rule 0190…@3`; `askback rules show` takes the id."""
    return f"rule {rule_id}@{revision}"


def answer_author(answer: AnswerInfo, actor: str = "") -> str:
    """Who gave an answer, and how: `ben on behalf of ana`, `root (override)`, `pia (rule 0190…@3)`, `the
    deadline's default`. `actor` is named if the answer has no name."""
    if answer.by_default:
        return "the deadline's default"
    author = author_words(answer.by or actor or "someone", answer.on_behalf_of)
    if answer.by_rule:
        return f"{author} ({rule_words(answer.rule_id, answer.rule_revision)})"
    return f"{author} (override)" if answer.by_override else author


def voter_words(vote: Vote) -> str:
    """Who gave a vote, in a line about several: `ben on behalf of ana`, `pia (by rule)`."""
    return author_words(vote.by, vote.on_behalf_of) + " (by rule)" * bool(vote.rule_id)
