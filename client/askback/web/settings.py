"""The settings of the gateway, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from askback._text.files import unreadable
from askback._wire.address import is_loopback
from askback.web.origins import normal_origin


class WebSettingsError(ValueError):
    """A setting is wrong. The message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What the gateway takes from its clients before it parses anything."""

    body_bytes: int = 6 * 1024 * 1024
    """Size of a request's body, or of a message on a WebSocket. The service takes 4 MiB in protobuf, and JSON
    is up to 1.4 times as long (base64, escapes)."""
    depth: int = 64
    """Nested objects and lists."""
    values: int = 20_000
    """Objects, lists and members in one message. Parsing takes 10 µs for each."""
    messages_per_second: float = 50.0
    """Messages of one WebSocket."""
    message_burst: int = 200
    """Messages that a WebSocket may send at once after a pause."""
    sockets: int = 5_000
    """WebSockets and event streams of this process."""
    call_seconds: float = 60.0
    """Deadline of a call that names none."""
    max_call_seconds: float = 600.0
    """The longest deadline of a call."""
    body_seconds: float = 30.0
    """Time in which the whole body of a request must arrive."""
    slow_seconds: float = 20.0
    """Time after which a WebSocket that takes no message is closed. The service waits as long."""
    ping_seconds: float = 20.0
    """Between two pings of a WebSocket, and for its pong."""
    event_comment_seconds: float = 15.0
    """Between two comments of an event stream without events."""
    event_stream_seconds: float = 600.0
    """Age at which an event stream ends. Its client opens another one, whose rights are checked again."""


def _address(listen: str) -> tuple[str, int]:
    """Host and port; an IPv6 host without its brackets. Raises WebSettingsError."""
    host, colon, port = listen.rpartition(":")
    is_number = port.isascii() and port.isdecimal()
    if not colon or not host or not is_number or (":" in host and host[0] != "["):
        raise WebSettingsError(f"{listen!r} is not HOST:PORT, for example 127.0.0.1:8080")
    if int(port) > 65_535:
        raise WebSettingsError(f"the port of {listen!r} must be a number from 0 to 65535")
    return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The settings of a gateway. Times are in seconds. Raises WebSettingsError."""

    listen: str = "127.0.0.1:8080"
    public_origins: tuple[str, ...] = ()
    """Where browsers see the page, such as https://askback.example. Without one the page is for this machine
    only, at the address to listen on."""
    names: bool = False
    """People sign in with a name and no credential: for a service without authentication, on this machine."""
    session_keys: str = ""
    """File of the keys that seal session cookies. Without one, sessions end with this process."""
    metrics_listen: str = ""
    """An address for Prometheus, over plain HTTP. Empty: there are no metrics."""
    tls_cert: str = ""
    tls_key: str = ""
    drain_wait: float = 0.0
    """From not being ready to asking pages to leave."""
    drain_spread: float = 5.0
    """Over which pages are asked to leave."""
    drain_grace: float = 10.0
    """That pages and calls have to finish."""
    limits: WebLimits = field(default_factory=WebLimits)

    def __post_init__(self) -> None:
        host, _ = self.address
        try:
            origins = tuple(map(normal_origin, self.public_origins))
        except ValueError as error:
            raise WebSettingsError(f"public origin: {error}") from None
        object.__setattr__(self, "public_origins", origins)
        if self.metrics_listen:
            _address(self.metrics_listen)
        if not origins and not is_loopback(host):
            raise WebSettingsError(
                f"{self.listen} can be reached from outside: say with a public origin where browsers see the "
                "page, for example https://askback.example, or listen on 127.0.0.1"
            )
        here = all(origin.startswith("http://") for origin in origins)
        if self.names and not (is_loopback(host) and here):
            raise WebSettingsError(
                f"{self.listen} can be reached from outside, and names without a credential are for this "
                "machine only: listen on 127.0.0.1, without a public origin"
            )
        if bool(self.tls_cert) != bool(self.tls_key):
            raise WebSettingsError("the certificate and its key go together: give both, or neither")
        for path in (self.tls_cert, self.tls_key, self.session_keys):
            if path and (problem := unreadable(path)):
                raise WebSettingsError(f"{path}: {problem}")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on; an IPv6 host without its brackets. Raises WebSettingsError."""
        return _address(self.listen)

    @property
    def metrics_address(self) -> tuple[str, int]:
        """Likewise, for Prometheus."""
        return _address(self.metrics_listen)

    @property
    def scheme(self) -> str:
        """The scheme that the gateway itself speaks."""
        return "https" if self.tls_cert else "http"

    def origins(self, port: int) -> tuple[str, ...]:
        """The origins that the page may have, if the gateway listens on this port. The first is its own."""
        if self.public_origins:
            return self.public_origins
        host = self.address[0]
        hosts = dict.fromkeys([f"[{host}]" if ":" in host else host, "127.0.0.1", "localhost", "[::1]"])
        return tuple(normal_origin(f"{self.scheme}://{name}:{port}") for name in hosts)
