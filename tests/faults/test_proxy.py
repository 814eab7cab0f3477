"""The proxy injects each kind of connection fault, and heals it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.proxy import Link

SOON = 10.0


@asynccontextmanager
async def echo_link() -> AsyncIterator[Link]:
    """A link to an echo server."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(line)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = Link("test", lambda: port)
    await link.open()
    try:
        yield link
    finally:
        await link.close()
        server.close()


class Peer:
    """A client of the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, link: Link) -> "Peer":
        return cls(*await asyncio.open_connection("127.0.0.1", link.port))

    async def echo(self, text: bytes) -> bytes:
        self.writer.write(text + b"\n")
        return (await asyncio.wait_for(self.reader.readline(), SOON)).strip()

    async def is_reset(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(), SOON)
            return False
        except ConnectionResetError:
            return True


async def test_a_healthy_link_forwards_data_and_the_end_of_stream() -> None:
    async with echo_link() as link:
        peer = await Peer.of(link)
        assert await peer.echo(b"one") == b"one"
        peer.writer.write_eof()
        assert await asyncio.wait_for(peer.reader.read(), SOON) == b""


async def test_reset_ends_connections_and_accepts_new_ones() -> None:
    async with echo_link() as link:
        peer = await Peer.of(link)
        assert await peer.echo(b"one") == b"one"
        link.reset()
        assert await peer.is_reset()
        assert await (await Peer.of(link)).echo(b"two") == b"two"


async def test_cut_refuses_connections_until_healed() -> None:
    async with echo_link() as link:
        peer = await Peer.of(link)
        assert await peer.echo(b"one") == b"one"
        link.cut()
        assert await peer.is_reset()
        refused = await Peer.of(link)  # the kernel accepts it, the link resets it
        assert await refused.is_reset()
        link.heal()
        assert await (await Peer.of(link)).echo(b"three") == b"three"


async def test_stall_holds_data_back_and_loses_nothing() -> None:
    async with echo_link() as link:
        peer = await Peer.of(link)
        assert await peer.echo(b"one") == b"one"
        link.stall()
        peer.writer.write(b"two\n")
        late = asyncio.create_task(peer.reader.readline())
        other = await Peer.of(link)
        others = asyncio.create_task(other.echo(b"three"))
        await asyncio.sleep(0.2)  # it would have come by now
        assert not late.done()
        assert not others.done()
        link.heal()
        assert await asyncio.wait_for(late, SOON) == b"two\n"
        assert await others == b"three"


async def test_a_stall_that_heals_while_the_link_connects_holds_nothing_back() -> None:
    async with echo_link() as link:
        link.stall()
        peer = await Peer.of(link)
        # Each iteration of the loop, so that `heal` comes directly after the connection to the server.
        while not any(side.peer and side.peer.transport for side in link.connections):  # noqa: ASYNC110
            await asyncio.sleep(0)
        link.heal()
        assert await peer.echo(b"one") == b"one"


@pytest.mark.parametrize("side", ["client", "server"])
async def test_half_open_loses_one_direction_and_then_resets(side: str) -> None:
    async with echo_link() as link:
        peer = await Peer.of(link)
        assert await peer.echo(b"one") == b"one"
        link.half_open(side)
        peer.writer.write(b"two\n")
        answer = asyncio.create_task(peer.reader.readline())
        await asyncio.sleep(0.2)
        assert not answer.done()
        link.heal()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(answer, SOON)


async def test_delay_keeps_data_in_order() -> None:
    async with echo_link() as link:
        peer = await Peer.of(link)
        link.delay(0.1)
        began = asyncio.get_running_loop().time()
        peer.writer.write(b"one\n")
        await asyncio.sleep(0)
        peer.writer.write(b"two\n")
        assert await peer.reader.readline() == b"one\n"
        assert await peer.reader.readline() == b"two\n"
        assert asyncio.get_running_loop().time() - began >= 0.2


async def test_data_sent_after_a_delay_ends_does_not_overtake_delayed_data() -> None:
    async with echo_link() as link:
        peer = await Peer.of(link)
        assert await peer.echo(b"zero") == b"zero"
        link.delay(0.2)
        peer.writer.write(b"one\n")
        await asyncio.sleep(0.05)
        link.delay(0.1)
        peer.writer.write(b"two\n")
        await asyncio.sleep(0.01)
        link.heal()
        peer.writer.write(b"three\n")
        lines = [await asyncio.wait_for(peer.reader.readline(), SOON) for _ in range(3)]
        assert lines == [b"one\n", b"two\n", b"three\n"]
