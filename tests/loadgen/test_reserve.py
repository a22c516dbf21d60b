"""Idle connections are opened ahead, in the background, and a dead server is not knocked at again and again."""

import asyncio
import socket

from loadgen.transport import SocketTransport


def test_what_is_missing_is_opened_and_no_more(serve) -> None:
    async def answer(body, writer) -> None: ...

    async def scenario() -> tuple[int, int]:
        async with serve(answer) as server:
            transport = SocketTransport()
            async with asyncio.timeout(20):
                while len(transport.open_sockets()) < 5:
                    transport.reserve(5, server.url)
                    await asyncio.sleep(0.01)
            transport.reserve(5, server.url)
            await asyncio.sleep(0)
            opened = transport.connections_opened
            await transport.aclose()
            return opened, len(transport.open_sockets())

    assert asyncio.run(scenario()) == (5, 0)


def test_a_server_that_refuses_is_left_alone_for_a_while(monkeypatch) -> None:
    tried = []

    async def scenario(url: str) -> None:
        transport = SocketTransport()
        connect = transport._connect

        async def counted(origin):
            tried.append(origin)
            return await connect(origin)

        monkeypatch.setattr(transport, "_connect", counted)
        transport.reserve(3, url)
        async with asyncio.timeout(20):
            while transport._opening:
                await asyncio.sleep(0.01)
        transport.reserve(3, url)
        await asyncio.sleep(0.01)
        await transport.aclose()

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        asyncio.run(scenario(f"http://127.0.0.1:{unused.getsockname()[1]}/v1"))
    assert len(tried) == 3
