"""The process that judges large answers: questions on stdin, violations on stdout, until stdin ends.

A message is its length in four bytes, then a pickle. Both ends are this release's own code, and what is
pickled are plain values of `domain/forms.py`.
"""

from __future__ import annotations

import pickle
import struct
import sys
from typing import BinaryIO

from askback_server.domain.forms import judge_values

LENGTH = struct.Struct("!I")


def packed(value: object) -> bytes:
    """A message."""
    body = pickle.dumps(value)
    return LENGTH.pack(len(body)) + body


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer (form, values_json, max_bytes) with violations. The first message says that it is ready."""
    answers.write(packed(()))
    answers.flush()
    while head := questions.read(LENGTH.size):
        form, values_json, max_bytes = pickle.loads(questions.read(*LENGTH.unpack(head)))
        answers.write(packed(judge_values(form, values_json, max_bytes=max_bytes)))
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
