"""What is too large: refused within a second, with nothing left of it, neither a task nor memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from typing import Any

import httpx
import pytest

from support.frames import TEXT, frame
from support.heads import POLLING, head
from support.raw import NO_CERTIFICATES, Raw, RawSocket
from support.waiting import eventually
from support.wire import Wire, wire
from transport.direct_servers import OURS, served

LIMIT = 1_000_000
EVENT_LIMIT = 65_536
MOST_MEMORY = 10_000_000
BOMB_SIZE = 5 * MOST_MEMORY
ROUNDS = 5

SERVER_TASKS = ["LifespanOn.main", "RequestResponseCycle.run_asgi", "Server.serve"]
"""Those of a uvicorn that has nothing to do but to answer how many there are."""

HOST = ("--ws-max-size", str(LIMIT), "--ws-per-message-deflate", "true")
"""What a host says on plain uvicorn, which takes 16 MiB otherwise; without deflate there would be no bomb."""


@pytest.fixture(scope="module", params=["auto", OURS], ids=["plain", "direct"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with served(request.param, "asyncio", *HOST, app="transport.sizes_app:app") as server:
        yield server.url
        assert "Traceback" not in "".join(server.output)


@pytest.fixture
async def client(url: str) -> AsyncIterator[Raw]:
    async with httpx.AsyncClient(verify=NO_CERTIFICATES, trust_env=False) as http:
        yield Raw(f"{url}/socket.io/", http)


async def settled(client: Raw) -> dict[str, Any]:
    """Wait until the server has no connection left, and no task but its own; returns how it is then."""

    async def state() -> dict[str, Any]:
        found: dict[str, Any] = (await client.http.get(httpx.URL(client.url).join("/state"))).json()
        return found

    def alone(found: dict[str, Any]) -> bool:
        return not found["sockets"] and found["tasks"] == SERVER_TASKS

    return await eventually(state, alone, within=1)


async def check(client: Raw, attack: Callable[[Raw], Awaitable[None]]) -> None:
    """Attack several times; each time it is over within a second, and in the end all is as it was."""
    loop = asyncio.get_running_loop()
    await attack(client)  # what the first one brings about, such as an import, is not its own
    before = await settled(client)
    for _ in range(ROUNDS):
        start = loop.time()
        await attack(client)
        assert loop.time() - start < 1
    after = await settled(client)
    assert after["most"] - before["now"] < MOST_MEMORY


async def joined(socket: RawSocket) -> str:
    """Join the namespace and a room; returns the peer's id."""
    assert str(await socket.receive()).startswith("0")
    await socket.send("40", '421["join_room",{"room":"gate"}]')
    return str(json.loads(str(await socket.message())[2:])["sid"])


async def large_events(client: Raw) -> None:
    async with client.websocket() as socket:
        peer_id = await joined(socket)
        for ack_id, size in ((2, EVENT_LIMIT), (3, LIMIT - 200)):
            event = json.dumps(["signal", {"targetId": peer_id, "signal": "x" * size}])
            await socket.send(f"42{ack_id}{event}")
            while not (answer := str(await socket.message())).startswith(f"43{ack_id}"):
                pass
            error = json.loads(answer[3:])[0]["error"]
            assert (error["code"], error["limitBytes"]) == ("payload_too_large", EVENT_LIMIT)


def frames(data: str | bytes) -> Callable[[Raw], Awaitable[None]]:
    async def attack(client: Raw) -> None:
        async with client.websocket() as socket:
            await joined(socket)
            await socket.send(data)
            assert await socket.closed(1) == 1009

    return attack


def posts(
    content: Callable[[], Any], status: int = 413, headers: dict[str, str] | None = None
) -> Callable[[Raw], Awaitable[None]]:
    async def attack(client: Raw) -> None:
        sid = (await client.open())["sid"]
        answer = await client.http.post(
            client.url, params=client.query(sid), content=content(), headers=headers, timeout=1
        )
        assert answer.status_code == status, answer.text
        assert (await client.get(sid)).status_code == 400

    return attack


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(LIMIT // 10_000 + 1):
        yield b"4" + b"x" * 9_999


async def endless_chunks(client: Raw) -> None:
    """The answer comes while the client goes on sending."""
    sid = (await client.open())["sid"]

    async def send(sender: Wire) -> None:
        while True:
            await sender.send(b"2710\r\n" + b"4" * 10_000 + b"\r\n")
            await asyncio.sleep(0)  # sending gives way only where the server does not keep up

    async with wire(client.url) as sender:
        await sender.send(head(f"{POLLING}&sid={sid}", "Transfer-Encoding: chunked", method="POST"))
        sending = asyncio.create_task(send(sender))
        try:
            assert (await sender.answer(within=1))[0] == 413
        finally:
            sending.cancel()
            await asyncio.wait([sending])
    assert sending.cancelled()


@cache
def bomb() -> bytes:
    """Make a frame of permessage-deflate; the shortest window fits whatever was agreed on."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -9)
    data = packer.compress(b"4" * BOMB_SIZE) + packer.flush(zlib.Z_SYNC_FLUSH)
    return frame(TEXT, data.removesuffix(b"\0\0\xff\xff"), rsv=4)


@cache
def gzipped() -> bytes:
    return gzip.compress(b"4" * BOMB_SIZE, 1)


async def compressed_frame(client: Raw) -> None:
    """Our WebSocket class agrees to no compression, so that such a frame breaks the protocol."""
    async with client.websocket(lines=["Sec-WebSocket-Extensions: permessage-deflate"]) as socket:
        await joined(socket)
        agreed = any(name == "sec-websocket-extensions" for name, _ in socket.wire.headers)
        await socket.wire.send(bomb())
        assert await socket.closed(1) == (1009 if agreed else 1002)


GZIP = {"content-encoding": "gzip"}

ATTACKS: dict[str, Callable[[Raw], Awaitable[None]]] = {
    "events over 64 KiB": large_events,
    "a frame of a byte too many": frames("4" + "x" * LIMIT),
    "a binary frame of a byte too many": frames(b"x" * (LIMIT + 1)),
    "a frame of a byte too many, in characters of two": frames("4" + "é" * (LIMIT // 2)),
    "a POST of a byte too many": posts(lambda: b"4" + b"x" * LIMIT),
    "a chunked POST of a byte too many": posts(chunks),
    "a chunked POST without end": endless_chunks,
    "a compressed frame": compressed_frame,
    "a compressed POST, which is never unpacked": posts(gzipped, 400, GZIP),
    "a compressed POST of a byte too many": posts(lambda: (gzipped() * 100)[: LIMIT + 1], 413, GZIP),
}


@pytest.mark.promise(
    "The transport",
    "Input that is too large is refused within a second, and leaves neither tasks nor memory behind",
)
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
async def test_what_is_too_large_is_refused_within_a_second_and_leaves_nothing(
    client: Raw, attack: Callable[[Raw], Awaitable[None]]
) -> None:
    await check(client, attack)


@pytest.mark.promise(
    "The transport",
    "Input that is too large is refused within a second, and leaves neither tasks nor memory behind",
)
async def test_the_limit_is_announced_and_kept(client: Raw) -> None:
    """A frame and a POST of just the limit are read: they end in an answer, not in a close for their size."""
    assert (await client.open())["maxPayload"] == LIMIT
    event = f'425["signal","{"x" * (LIMIT - 16)}"]'
    assert len(event) == LIMIT
    async with client.websocket() as socket:
        await joined(socket)
        await socket.send(event)
        while not (answer := str(await socket.message())).startswith("435"):
            pass
        assert "payload_too_large" in answer
    sid = (await client.open())["sid"]
    await client.post(sid, "40")
    await client.get(sid)
    assert (await client.post(sid, event)).text == "ok"
    assert "payload_too_large" in (await client.get(sid)).text
