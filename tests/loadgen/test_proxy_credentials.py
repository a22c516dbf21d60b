"""A proxy that wants a user and password gets them, and nobody else does."""

import asyncio
import base64
import contextlib
import ssl
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest

from flows.advice import remedy
from loadgen.secrets import Secrets
from loadgen.spec import Target
from loadgen.worker import run_shard
from schemas.errors import SpecError
from tests.certificate import make_certificate

LOGIN = "corp\\me:p@ss:wörd%41"  # as companies have them; the first colon ends the user
BASIC = base64.b64encode(LOGIN.encode()).decode()


class Guard:
    """A small proxy that lets in who says LOGIN: forwards, opens tunnels, speaks SOCKS 5. `port` is where it listens."""

    def __init__(self) -> None:
        self.port = 0
        self.let_in = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            first = await reader.readexactly(1)
            await (self._socks(reader, writer) if first == b"\x05" else self._http(first, reader, writer))
        writer.close()

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        if 2 not in methods:
            writer.write(b"\x05\xff")
            return
        writer.write(b"\x05\x02")
        await reader.readexactly(1)
        user, password = [await reader.readexactly((await reader.readexactly(1))[0]) for _ in range(2)]
        if b"%b:%b" % (user, password) != LOGIN.encode():
            writer.write(b"\x01\x01")
            return
        writer.write(b"\x01\x00")
        *_, kind = await reader.readexactly(4)
        host = await reader.readexactly(4 if kind == 1 else (await reader.readexactly(1))[0])
        name = ".".join(map(str, host)) if kind == 1 else host.decode()
        await self._pass(name, int.from_bytes(await reader.readexactly(2)), reader, writer, b"\x05\0\0\1\0\0\0\0\0\0")

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        method, where, _ = head.split(" ", 2)
        if f"proxy-authorization: basic {BASIC}".lower() not in head.lower():
            said = f"who are you? not {head.partition('asic ')[2]}"  # as talkative proxies are
            answer = f"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: {len(said)}\r\n\r\n{said}"
            writer.write(answer.encode())
            return
        url = urlsplit(f"//{where}" if method == "CONNECT" else where)
        opened = b"HTTP/1.1 200 Connection established\r\n\r\n" if method == "CONNECT" else b""
        sent = b"" if opened else head.replace(where, url.path, 1).encode()
        await self._pass(url.hostname, url.port, reader, writer, opened, sent)

    async def _pass(self, host, port, reader, writer, opened: bytes, sent: bytes = b"") -> None:
        self.let_in += 1
        there, back = await asyncio.open_connection(host, port)
        writer.write(opened)
        back.write(sent)
        await asyncio.gather(_pipe(reader, back), _pipe(there, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(make_certificate(tmp_path_factory.mktemp("tls")))
    return context


@pytest.fixture
def through_guard(serve, wire, make_spec):
    """Run two requests through the guard; the closing event, the rows, and what the guard and the server saw."""

    async def answer(body, writer) -> None:
        writer.write(wire.stream("a", "b"))

    def run(scheme: str, *, tls: ssl.SSLContext | None = None, **target: Any) -> tuple[dict[str, Any], Any, Guard, Any]:
        async def scenario() -> tuple[dict[str, Any], Any, Guard, Any]:
            guard = Guard()
            listener = await asyncio.start_server(guard.talk, "127.0.0.1", 0)
            proxy = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
            async with serve(answer, tls=tls) as server:
                proxied = {"proxy": proxy, "proxy_auth_env": "PROXY_LOGIN", "verify_tls": False, **target}
                done = await run_shard(
                    make_spec(server.url, requests=2, target=proxied), lambda _: None, lambda _: None
                )
            listener.close()
            rows = [row for part in done["parts"] for row in pq.read_table(part).to_pylist()]
            return done, rows, guard, server

        return asyncio.run(scenario())

    return run


@pytest.mark.parametrize(("scheme", "sealed"), [("http", False), ("http", True), ("socks5", False), ("socks5h", True)])
def test_the_proxy_is_told_user_and_password_and_the_server_is_not(
    through_guard, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str, sealed: bool
) -> None:
    monkeypatch.setenv("PROXY_LOGIN", f"{LOGIN}\n")
    done, rows, guard, server = through_guard(scheme, tls=tls if sealed else None)
    assert done["outcomes"] == {"ok": 2}
    assert {row["transport"] for row in rows} == {"httpx"}
    assert guard.let_in == done["health"]["connections_opened"] == 2
    if sealed or scheme != "http":  # a forward proxy takes its header out by itself; ours here is a simple one
        assert not any("proxy-authorization" in head.lower() for head in server.heads)


@pytest.mark.parametrize(
    ("scheme", "sealed", "login", "says"),
    [
        ("http", False, "me:hunter-2", "HTTP 407: who are you? not ***"),
        ("http", True, "me:hunter-2", ": 407 Proxy Authentication Required"),
        ("socks5", False, "me:hunter-2", ": Invalid username/password"),
        ("http", False, None, "HTTP 407: who are you?"),
        (
            "socks5",
            True,
            None,
            ": Requested NO AUTHENTICATION REQUIRED from proxy server, but got NO ACCEPTABLE METHODS",
        ),
    ],
)
def test_who_is_not_let_in_hears_why_without_the_password_and_what_to_do(
    through_guard, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str, sealed: bool, login: str | None, says: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("PROXY_LOGIN", login or "")
    variable = "PROXY_LOGIN" if login else None
    done, rows, guard, _ = through_guard(scheme, tls=tls if sealed else None, proxy_auth_env=variable)
    assert (done["outcomes"].get("ok"), guard.let_in) == (None, 0)
    assert [row["error"] for row in rows if says not in row["error"]] == []
    assert not any(secret in str(rows) + str(done) for secret in ("hunter-2", "bWU6aHVudGVyLTI="))
    hint = remedy(
        Target(url="http://e", api="chat", model="m", proxy="http://p:1", proxy_auth_env=variable), rows[0], "timeout_s"
    )
    assert ("refuses the user and password in PROXY_LOGIN" if login else "name that with proxy_auth_env") in hint


@pytest.mark.parametrize(
    ("proxy", "login", "says"),
    [
        ("http://p:1", None, "PROXY_LOGIN, which is not set"),
        ("http://p:1", "hunter-2", "PROXY_LOGIN, which has no colon"),
        ("socks5://p:1", f"me:{'hunter-2' * 32}", "PROXY_LOGIN is too long: SOCKS takes 255 bytes each"),
    ],
)
def test_what_is_no_user_and_password_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, proxy: str, login: str | None, says: str
) -> None:
    monkeypatch.delenv("PROXY_LOGIN", raising=False)
    if login is not None:
        monkeypatch.setenv("PROXY_LOGIN", login)
    with pytest.raises(SpecError, match=says) as caught:
        Secrets.of(Target(url="http://e/v1", api="chat", model="m", proxy=proxy, proxy_auth_env="PROXY_LOGIN"))
    assert "hunter" not in str(caught.value)
