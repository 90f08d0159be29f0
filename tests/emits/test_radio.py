"""The first host's own features, on the workers of one command and on two machines, with nothing configured."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import socketio

from emits.listeners import Listener, listening
from emits.workers import workers
from support.redis import redis_server

MOST_TRIES = 40
"""Connections after which both of two workers have got some, but for once in 2^39 runs."""


@pytest.fixture(params=["workers", "machines"])
async def urls(request: pytest.FixtureRequest) -> AsyncIterator[list[str]]:
    """The URL of each process of a host that can be addressed."""
    async with AsyncExitStack() as stack:
        if request.param == "workers":
            services = [workers(None, 2)]
        else:
            redis = await stack.enter_async_context(redis_server())
            services = [workers(redis.url, 1), workers(redis.url, 1)]
        yield [(await stack.enter_async_context(each))[0] for each in services]


@asynccontextmanager
async def channel(urls: list[str], transport: str) -> AsyncIterator[list[Listener]]:
    """Let clients join a channel until each of two processes has two of them."""
    async with AsyncExitStack() as stack:
        found: dict[int, list[Listener]] = {}
        for number in range(MOST_TRIES):
            url = urls[number % len(urls)]
            client = await stack.enter_async_context(listening(url, transport, {"token": "right"}))
            process = await client.sio.call("join_channel", "patrol")
            found.setdefault(process, []).append(client)
            if sorted(map(len, found.values()))[-2:] >= [2, 2] and len(found) == 2:
                break
        assert len(found) == 2, "only one process has got connections"
        yield [client for clients in found.values() for client in clients]


@pytest.mark.promise(
    "Hosts",
    "A host's walkie-talkie, its broadcasts, calls and refusals work on `uvicorn --workers 2` and on two machines",
)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_host_s_walkie_talkie(urls: list[str], transport: str) -> None:
    async with channel(urls, transport) as clients, httpx.AsyncClient(base_url=urls[0]) as http:
        speaker, *hearers = clients
        frames = [bytes([number]) + os.urandom(319) for number in range(50)]
        for frame in frames:
            await speaker.sio.emit("voice_stream", ("patrol", frame))
        for hearer in hearers:
            await hearer.hears("voice_stream", {"from": speaker.sid, "audio": frames[-1]})
            assert [each["audio"] for each in hearer.told("voice_stream")] == frames
        assert speaker.told("voice_stream") == []

        assert (await http.post("/emergency", json={"level": 1})).status_code == 200
        for client in clients:
            await client.hears("emergency_broadcast", {"level": 1})
        for client in (hearers[0], hearers[-1]):
            client.sio.on("where", lambda sid=client.sid: {"at": sid})
            told = await http.post("/ask/emit", json={"event": "wake", "data": 1, "to": client.sid})
            assert told.json() == {"answer": None}
            await client.hears("wake", 1)
            where = await http.post("/ask/call", json={"event": "where", "to": client.sid})
            assert where.json() == {"answer": {"at": client.sid}}

        leaves = hearers[-1]
        await leaves.sio.call("leave_channel", "patrol")
        await speaker.sio.emit("voice_stream", ("patrol", b"after"))
        await hearers[0].hears("voice_stream", {"from": speaker.sid, "audio": b"after"})
        await http.post("/ask/emit", json={"event": "mark", "to": leaves.sid})
        await leaves.hears("mark")
        assert leaves.told("voice_stream")[-1]["audio"] == frames[-1]
        for url in urls:
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with listening(url, transport, {"token": "wrong"}):
                    pass
