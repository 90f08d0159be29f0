"""The transport in ASGI apps: under middleware, on other servers, and what a host's handlers see of a request."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import engineio
import httpx
import pytest
import socketio
from starlette.middleware.cors import CORSMiddleware

from support.processes import SCRIPTS, running
from support.raw import Raw, raw
from support.servers import free_port, hosted
from support.waiting import eventually
from support.wire import listens
from walkie_signal.transport import create_server

ORIGIN = "https://app.example"


def echoing(**options: Any) -> Any:
    """Make a server with an event that acks, one that emits, and one that calls back."""
    sio = create_server(**options)

    @sio.on("echo")
    async def echo(sid: str, *arguments: Any) -> Any:
        return arguments

    @sio.on("back")
    async def back(sid: str, *arguments: Any) -> None:
        await sio.emit("back", arguments, to=sid)

    @sio.on("ask")
    async def ask(sid: str) -> Any:
        return await sio.call("question", "?", to=sid, timeout=2)

    return sio


@asynccontextmanager
async def serving(app: Any, **config: Any) -> AsyncIterator[Raw]:
    async with hosted(app, **config) as url, raw(f"{url}/socket.io/") as client:
        yield client


async def conversation(url: str, transports: list[str]) -> None:
    """Let a stock client do a bit of everything."""
    sio = socketio.AsyncClient(reconnection=False)
    received: asyncio.Queue[Any] = asyncio.Queue()
    sio.on("back", lambda *arguments: received.put_nowait(arguments))
    sio.on("question", lambda text: f"{text}!")
    await sio.connect(url, transports=transports, wait_timeout=5)
    try:
        assert await sio.call("echo", ("a", b"b", {"c": [b"d"]}), timeout=5) == ("a", b"b", {"c": [b"d"]})
        assert await sio.call("ask", timeout=5) == "?!"
        for number in range(50):
            await sio.emit("back", number)
        assert [await asyncio.wait_for(received.get(), 5) for _ in range(50)] == [(n,) for n in range(50)]
    finally:
        await sio.disconnect()
        await asyncio.sleep(0)


TRANSPORTS = pytest.mark.parametrize(
    "transports",
    [["polling"], ["websocket"], ["polling", "websocket"]],
    ids=["polling", "websocket", "upgrade"],
)


def wrapped(app: Any) -> Any:
    """Put a middleware in front that does not send in the server's own way."""

    async def middleware(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        async def own_send(message: Any) -> None:
            await asyncio.sleep(0)
            await asyncio.wait_for(send(message), 5)

        await app(scope, receive, own_send)

    return middleware


@TRANSPORTS
async def test_a_stock_client_is_served(transports: list[str]) -> None:
    async with hosted(socketio.ASGIApp(echoing())) as url:
        await conversation(url, transports)


@TRANSPORTS
async def test_a_stock_client_is_served_behind_middleware_that_wraps_send(transports: list[str]) -> None:
    async with hosted(wrapped(socketio.ASGIApp(echoing()))) as url:
        await conversation(url, transports)


HOST = """
import socketio
from transport.test_asgi import echoing
app = socketio.ASGIApp(echoing())
"""


async def listening(port: int, within: float = 10.0) -> None:
    """Wait until a port takes connections; granian says that it listens before it does."""
    await eventually(lambda: listens(port), what=f"listening on {port}", within=within)


@pytest.mark.parametrize("server", ["hypercorn", "granian"])
async def test_a_stock_client_is_served_on_other_servers(server: str, tmp_path: Path) -> None:
    (tmp_path / "host.py").write_text(HOST)
    port = free_port()
    options = {
        "hypercorn": ["--bind", f"127.0.0.1:{port}", "host:app"],
        "granian": ["--interface", "asgi", "--port", str(port), "host:app"],
    }[server]
    command: list[str | Path] = [SCRIPTS / server, *options]
    env = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parent.parent}"}
    async with running(command, cwd=tmp_path, env=env) as program:
        await program.line("Running on|Started worker-1")
        await listening(port)
        for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
            await conversation(f"http://127.0.0.1:{port}", transports)
        async with raw(f"http://127.0.0.1:{port}/socket.io/") as client, client.joined() as socket:
            await socket.send("4nonsense")
            assert await socket.closed(2) in (1002, 1006)
        assert "Traceback" not in program.output


async def test_its_cors_headers_are_those_of_pythons_engineio_and_in_lower_case() -> None:
    sio = create_server(cors_allowed_origins=[ORIGIN], cors_credentials=True)
    async with serving(socketio.ASGIApp(sio)) as client:
        answer = await client.http.get(client.url, params=client.query(), headers={"Origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["vary"] == "Origin"
        assert answer.headers["content-length"] == str(len(answer.content))
        assert all(name == name.lower() for name, _ in answer.headers.raw if name.startswith(b"access"))
        headers = {"Origin": ORIGIN, "Access-Control-Request-Headers": "x-a"}
        answer = await client.http.options(client.url, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-methods"] == "OPTIONS, GET, POST"
        assert answer.headers["access-control-allow-headers"] == "x-a"


async def test_beside_a_hosts_cors_there_is_one_header() -> None:
    sio = create_server(cors_allowed_origins="*")
    app = CORSMiddleware(socketio.ASGIApp(sio), allow_origins=["*"], allow_credentials=True)
    async with serving(app) as client:
        answer = await client.http.get(client.url, params=client.query(), headers={"Origin": ORIGIN})
        assert len(answer.headers.get_list("access-control-allow-origin")) == 1


@pytest.mark.parametrize(
    ("origin", "allowed", "status"),
    [
        (ORIGIN, [ORIGIN], 200),
        ("https://evil.example", [ORIGIN], 403),
        (ORIGIN + ".evil.example", [ORIGIN], 403),
        ("null", [ORIGIN], 403),
        ("null", "*", 200),
        (ORIGIN, [], 200),
        (ORIGIN, None, 403),
    ],
)
async def test_origins_are_checked_on_both_transports(origin: str, allowed: Any, status: int) -> None:
    sio = create_server(cors_allowed_origins=allowed)
    async with serving(socketio.ASGIApp(sio)) as client:
        answer = await client.http.get(client.url, params=client.query(), headers={"Origin": origin})
        assert answer.status_code == status
        told = "access-control-allow-credentials" in answer.headers
        assert told == (allowed == [ORIGIN] and status == 200)
        answered = "*" if allowed == "*" else origin if status == 200 and allowed != [] else None
        assert answer.headers.get("access-control-allow-origin") == answered
        websocket = await client.http.get(
            client.url,
            params=client.query(transport="websocket"),
            headers={
                "Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
            },
        ) if status != 200 else None  # fmt: skip
        assert websocket is None or websocket.status_code == 403


async def test_the_same_origin_is_allowed_by_default() -> None:
    async with serving(socketio.ASGIApp(create_server())) as client:
        own = client.url.removesuffix("/socket.io/")
        assert (await client.open(Origin=own))["sid"]


def test_credentials_with_any_origin_are_refused() -> None:
    for origins in ("*", ["*"]):
        with pytest.raises(ValueError, match="name the origins"):
            create_server(cors_allowed_origins=origins, cors_credentials=True)


async def test_a_handler_sees_the_request_as_it_was() -> None:
    sio = create_server()
    seen: list[dict[str, Any]] = []
    sio.on("connect", lambda sid, environ, auth: seen.append(environ))
    app = socketio.ASGIApp(sio)
    async with serving(app, proxy_headers=True, forwarded_allow_ips="127.0.0.1") as client:
        lines = ("X-Forwarded-For: 203.0.113.7", "X-Token: t")
        query = "EIO=4&transport=websocket&token=abc"
        async with client.websocket(query, lines) as socket:
            await socket.receive()
            await socket.send("40")
            assert str(await socket.message()).startswith("40{")
            (sid,) = sio.manager.rooms["/"][None]
            assert sio.get_environ(sid) is seen[0]
    (environ,) = seen
    assert environ["REMOTE_ADDR"] == "203.0.113.7"
    assert environ["HTTP_X_TOKEN"] == "t"
    assert environ["QUERY_STRING"] == query
    assert environ["PATH_INFO"] == "/socket.io/"
    assert environ["asgi.scope"]["type"] == "websocket"


async def test_long_answers_are_compressed_for_who_takes_that() -> None:
    sio = echoing()
    async with serving(socketio.ASGIApp(sio)) as client:
        sid = await client.joined_polling()
        await sio.emit("long", "x" * 10_000)
        answer = await client.get(sid)
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.text == '42["long","' + "x" * 10_000 + '"]'


async def test_a_cookie_is_set_where_one_is_asked_for() -> None:
    async with serving(socketio.ASGIApp(create_server(cookie="io"))) as client:
        answer = await client.http.get(client.url, params=client.query())
        assert answer.headers["set-cookie"].startswith("io=")


async def test_the_log_never_names_a_session(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "walkie_signal")
    sio = echoing()
    async with serving(socketio.ASGIApp(sio)) as client:
        sid = (await client.open())["sid"]
        await client.post(sid, "40\x1e421[")
        await client.get(sid)
        await client.get("nonsense")
    assert len(sid) >= 22, "128 bits"
    assert not any(
        sid in record.getMessage() for record in caplog.records if record.name.startswith("walkie")
    )


async def test_other_asgi_apps_are_left_alone() -> None:
    async def other(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"other"})

    app = socketio.ASGIApp(create_server(), other)
    async with hosted(app, lifespan="off") as url, httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/")).text == "other"


def test_nothing_of_the_libraries_is_changed_for_the_process() -> None:
    def state() -> list[Any]:
        loggers = [logging.getLogger(name) for name in ("socketio.server", "engineio.server")]
        return [
            engineio.packet.Packet.json, engineio.payload.Payload.max_decode_packets,
            socketio.packet.Packet.json, *[(logger.level, list(logger.handlers)) for logger in loggers],
        ]  # fmt: skip

    before = state()
    create_server(json=sys.modules["json"])
    create_server()
    assert state() == before
