"""The child process that validates large answers: requests on stdin, violations on stdout, until stdin ends.

A message is its length in four bytes, followed by a pickle. Pickle is safe here: both ends run the same code,
and only plain values of `domain/forms.py` are sent.
"""

from __future__ import annotations

import pickle
import struct
import sys
from typing import BinaryIO

from askback_server.domain.forms import judge_values

LENGTH = struct.Struct("!I")


def pack(value: object) -> bytes:
    """Encode a message."""
    body = pickle.dumps(value)
    return LENGTH.pack(len(body)) + body


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Validate requests of (form, values_json, max_bytes). The first message, empty, reports readiness."""
    answers.write(pack(()))
    answers.flush()
    while head := questions.read(LENGTH.size):
        form, values_json, max_bytes = pickle.loads(  # noqa: S301 - from the parent process
            questions.read(*LENGTH.unpack(head))
        )
        answers.write(pack(judge_values(form, values_json, max_bytes=max_bytes)))
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
