"""The decisions that a prompt offers."""

from __future__ import annotations

from dataclasses import dataclass

from askback._model.enums import DecisionKind
from askback.v1 import prompt_pb2 as pb


@dataclass(frozen=True, slots=True)
class Option:
    """A decision that a prompt offers; an empty label stands for the server's."""

    decision: DecisionKind
    label: str = ""
    comment_required: bool = False

    def to_proto(self) -> pb.DecisionOption:
        """The contract's message."""
        return pb.DecisionOption(
            decision=pb.Decision.Value(f"DECISION_{self.decision}"),
            label=self.label,
            comment_required=self.comment_required,
        )
