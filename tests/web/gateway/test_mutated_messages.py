"""Mutated ProtoJSON: it is a message or it is refused, and the gateway goes on."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from google.protobuf.message import Message
from websockets.exceptions import ConnectionClosed

from askback.web.close_codes import CloseCode
from askback.web.contract import METHODS
from askback.web.proto_json import BadJson, format_message, parse
from askback.web.settings import WebLimits
from tests.support.service import ServiceWorld
from tests.support.web import WebWorld

MUTATED = 10_000
OVER_HTTP = 600
OVER_SOCKETS = 60
ODD: tuple[Any, ...] = (
    *(None, True, -1, 2**31, 2**63, 2**200, 1e308, float("inf"), float("nan")),
    *("", "\x00", "\ud800", "\u202e", "𝄞", "x" * 5000, "9223372036854775808", "-0", "1e5", "Infinity"),
    *("2026-13-01T00:00:00Z", "1s", [], {}, [[]], {"": {}}, {"__proto__": 1}),
)
BYTES = b'{}[]",:\\0-+.eE\x00\xff\xed\xa0\x80 tfn/u'


def fill(message: Message, depth: int = 0) -> Message:
    """The message with a value in each field, down to the fourth level."""
    for field in message.DESCRIPTOR.fields:
        nested = field.message_type
        if nested is not None and (depth == 3 or nested.GetOptions().map_entry):
            continue
        value: Any = {field.TYPE_STRING: "text", field.TYPE_BYTES: b"raw"}.get(field.type, 1)
        if nested is not None:
            target = getattr(message, field.name)
            fill(target.add() if field.is_repeated else target, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    return message


def texts() -> list[tuple[str, str]]:
    """A full request of each unary method, and of the stream, as ProtoJSON."""
    return [
        (path, format_message(fill(method.request())))
        for path, method in METHODS.items()
        if not method.streaming or path.endswith("/Converse")
    ]


def mutated(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Messages with up to four faults each, without an end."""
    found = texts()
    while True:
        path, text = chance.choice(found)
        if chance.random() < 0.5:
            value = json.loads(text)
            for _ in range(chance.randint(1, 4)):
                value = with_odd_value(chance, value)
            text = json.dumps(value, ensure_ascii=chance.random() < 0.5)
        raw = bytearray(text.encode("utf-8", "surrogatepass"))
        for _ in range(chance.randint(0, 3)):
            damage(chance, raw)
        yield path, bytes(raw)


def with_odd_value(chance: random.Random, value: Any) -> Any:
    """The value with one part replaced, renamed or repeated."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.1:
            return {**value, key + "X": value[key]}
        return {**value, key: with_odd_value(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], with_odd_value(chance, value[place]), *value[place:]]
    return chance.choice(ODD)


def damage(chance: random.Random, raw: bytearray) -> None:
    """Change the text at one place."""
    place = chance.randrange(len(raw) + 1)
    match chance.randrange(5):
        case 0:
            raw[place : place + chance.randint(1, 5)] = b""
        case 1:
            raw[place:place] = bytes(chance.choices(BYTES, k=chance.randint(1, 3)))
        case 2:
            raw[place:place] = raw[place : place + chance.randint(1, 50)]
        case 3:
            del raw[place:]
        case _:
            raw[place:place] = chance.choice((b"[", b"{", b'{"a":')) * chance.randint(1, 200)


def test_the_parser_gives_a_message_or_says_what_is_wrong() -> None:
    chance, limits = random.Random(20261129), WebLimits()
    parsed = 0
    for _, (path, raw) in zip(range(MUTATED), mutated(chance), strict=False):
        refusal = ""
        try:
            message: Message = parse(raw, METHODS[path].request(), limits)
            message.SerializeToString()
            parsed += 1
        except BadJson as error:
            refusal = str(error)
        assert refusal.isprintable()
        assert len(refusal) < 400
    assert MUTATED * 0.03 < parsed < MUTATED * 0.9, "some are still messages"


async def test_mutated_calls_get_a_status_of_their_caller(web: WebWorld, lite: ServiceWorld) -> None:
    """Never one of the gateway or the service, and never silence."""
    chance = random.Random(7)
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port, limit=2**20)
    messages = (
        item for item in mutated(chance) if not item[0].endswith(("/Converse", "/LeaseJobs", "/AwaitPrompt"))
    )
    for number, (path, raw) in zip(range(OVER_HTTP), messages, strict=False):
        lines = [f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{web.port}", "content-type: application/json"]
        # Another person for every 100 calls: one alone would be told to wait.
        lines += [f"askback-user: u{number // 100}", f"content-length: {len(raw)}"]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + raw)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode("latin-1").lower()
        status = int(head.split()[1])
        size = int(head.partition("content-length: ")[2].split()[0])
        body = json.loads(await reader.readexactly(size))
        assert status == 200 or 400 <= status < 500, (path, raw[:300], status, body)
        assert status == 200 or body["code"] not in ("internal", "unknown", "unavailable"), body
    writer.transport.abort()
    assert (await web.call("AccessService/WhoAmI")).status == 200


async def test_mutated_messages_on_a_socket_end_at_most_that_socket(
    web: WebWorld, lite: ServiceWorld
) -> None:
    chance = random.Random(8)
    messages = (raw for path, raw in mutated(chance) if path.endswith("/Converse"))
    for number, raw in zip(range(OVER_SOCKETS), messages, strict=False):
        async with web.open(f"u{number}") as socket:
            with suppress(ConnectionClosed):
                await socket.send('{"frames":[{"ref":"1","hello":{}}]}')
                await socket.send(raw, text=True)
                await socket.send('{"frames":[{"ref":"999","listPrompts":{}},{"goodbye":{}}]}')
                async with asyncio.timeout(20):
                    while True:
                        await socket.recv()
            assert socket.close_code in (CloseCode.DONE, CloseCode.BAD_MESSAGE, CloseCode.AWAY), raw[:300]
    assert (await web.call("AccessService/WhoAmI")).status == 200
