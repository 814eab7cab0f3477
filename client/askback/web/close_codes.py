"""Why the gateway closes a WebSocket: codes that the page acts on, and a text for people.

1000  the page said goodbye
1007  a message that is no ConverseRequest, or that the service refuses: a defect of the page
1009  a message over the size limit
1011  a defect of the gateway or of the service
1012  the gateway or the service stops or is away: open another socket, at once and then ever less often
1013  too much at once: open another socket in 5 s
4401  sign in
4403  no right to do this
4408  the page did not read: start again with a snapshot
4409  the page is too old for this gateway
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import grpc

from askback._text.text import cut_bytes
from askback.web.connect_errors import ConnectError

_MAX_REASON_BYTES = 123
"""The protocol's limit for the text of a close."""


class CloseCode(IntEnum):
    """The codes; see above."""

    DONE = 1000
    BAD_MESSAGE = 1007
    TOO_LARGE = 1009
    DEFECT = 1011
    AWAY = 1012
    TOO_MUCH = 1013
    SIGN_IN = 4401
    FORBIDDEN = 4403
    NOT_READ = 4408
    PAGE_TOO_OLD = 4409


@dataclass(frozen=True, slots=True)
class Close:
    """The end of a WebSocket."""

    code: CloseCode
    text: str = ""

    @property
    def reason(self) -> str:
        """The text, cut to what a close may carry."""
        return cut_bytes(self.text, _MAX_REASON_BYTES)


_BY_STATUS = {
    grpc.StatusCode.UNAUTHENTICATED: CloseCode.SIGN_IN,
    grpc.StatusCode.PERMISSION_DENIED: CloseCode.FORBIDDEN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: CloseCode.TOO_MUCH,
    grpc.StatusCode.UNAVAILABLE: CloseCode.AWAY,
    grpc.StatusCode.DEADLINE_EXCEEDED: CloseCode.AWAY,
    grpc.StatusCode.CANCELLED: CloseCode.AWAY,
    grpc.StatusCode.INVALID_ARGUMENT: CloseCode.BAD_MESSAGE,
    grpc.StatusCode.FAILED_PRECONDITION: CloseCode.BAD_MESSAGE,
    grpc.StatusCode.NOT_FOUND: CloseCode.BAD_MESSAGE,
}
_BY_REASON = {
    "MESSAGE_TOO_LARGE": CloseCode.TOO_LARGE,
    "SUBPROTOCOL": CloseCode.PAGE_TOO_OLD,
}


def close_for(error: ConnectError) -> Close:
    """The close for the error that ended the stream, or that refuses the handshake."""
    code = _BY_REASON.get(error.reason) or _BY_STATUS.get(error.code, CloseCode.DEFECT)
    if error.metadata.get("limit") == "unread":
        code = CloseCode.NOT_READ
    elif code is CloseCode.BAD_MESSAGE and error.may_pass:
        code = CloseCode.AWAY  # a hello that came too late, for example
    return Close(code, error.message)
