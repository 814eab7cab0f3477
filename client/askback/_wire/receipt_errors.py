"""Errors about receipts.

AskbackError
├── FailedPrecondition
│   └── ReceiptUnavailable     there is no receipt of the prompt: `because`
└── AuditFailed              what is stored was damaged or changed: nothing is signed
"""

from __future__ import annotations

from askback.errors import AskbackError, FailedPrecondition


class ReceiptUnavailable(FailedPrecondition):
    """There is no receipt of the prompt."""

    @property
    def because(self) -> str:
        """Why: OPEN, NO_KEY, ERASED or UNCHAINED."""
        return self.metadata.get("because", "")


class AuditFailed(AskbackError):
    """What the server has stored of the job is not what its events have recorded: `askback audit verify`."""

    code = "DATA_LOSS"


# Tracebacks and pickles show the public names: `askback.AuditFailed`.
for _class in (ReceiptUnavailable, AuditFailed):
    _class.__module__ = "askback"
