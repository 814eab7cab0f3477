"""What of a prompt people have seen: the revision and the digest, which are sent with the answer."""

from __future__ import annotations

from askback._model.prompts import PromptInfo


def set_revision(prompt: PromptInfo, revision: int) -> None:
    """Make answers to this prompt answers about the revision that the person has read.

    The digest of another revision is not known, so none is sent.
    """
    if revision != prompt.revision:
        prompt.proto.shown_digest = ""
    prompt.proto.revision = revision


def shows_same(one: PromptInfo, other: PromptInfo) -> bool:
    """Whether revision and digest are equal; only the revision where one message comes from an older server.

    The revision alone is not enough: after a restore of the database the same number may be given again.
    """
    if one.revision != other.revision:
        return False
    return one.shown_digest == other.shown_digest or not (one.shown_digest and other.shown_digest)
