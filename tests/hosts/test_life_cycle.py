"""When signaling starts and ends: with the app's lifespan, without one, and again after an end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import socketio
from fastapi import FastAPI

from hosts.ways import OURS, SERVERS, WAYS, Way, site
from support.servers import hosted
from support.stock import WITHIN, StockPeer, meet, peers, refusal, web
from walkie_signal import SignalingNamespace, attach

wrapped = pytest.mark.parametrize("way", OURS.values(), ids=OURS.keys())


async def run_once(app: Any) -> list[str]:
    """Run an app's lifespan as a server does; returns what it answered."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: list[str] = []
    for kind in ("lifespan.startup", "lifespan.shutdown"):
        told.put_nowait({"type": kind})

    async def send(message: dict[str, Any]) -> None:
        answers.append(message["type"])

    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    await asyncio.wait_for(app(scope, told.get, send), WITHIN)
    return answers


@wrapped
async def test_the_app_is_started_again(way: Way) -> None:
    host = site()
    app = way(host.app, "/socket.io")
    for _ in range(2):
        async with hosted(app) as url:
            await meet(url)
    assert host.lived == ["startup", "shutdown"] * 2
    assert await run_once(app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_without_a_lifespan_the_first_connection_starts_it(way: Way) -> None:
    signaling = SignalingNamespace()
    if way in (WAYS["middleware-options"], WAYS["namespace-alone"], WAYS["middleware"]):
        sio = SERVERS["stock"]()
        sio.register_namespace(signaling)
        app: Any = socketio.ASGIApp(sio, FastAPI())
    else:
        app = attach(FastAPI(), signaling=signaling)
    async with hosted(app, lifespan="off") as url:
        await meet(url)
        await signaling.close()


@pytest.mark.promise("Hosts", "`rooms`, `peers`, `send`, `kick` and `close` do what they say")
async def test_close_closes_each_connection_and_refuses_the_next_until_start() -> None:
    left: list[str] = []
    app = attach(FastAPI(), on_leave=lambda member, reason: left.append(f"{member.room} {reason}"))
    async with hosted(app) as url, peers(url, "gate", "yard", None) as connected:
        await app.signaling.close()
        for peer in connected:
            await peer.hears("disconnect")
        assert sorted(left) == ["gate disconnected", "yard disconnected"]
        assert await app.signaling.rooms() == []
        refused = await refusal(url)
        assert refused["data"]["code"] == "unavailable"
        assert refused["data"]["retryAfterMs"] > 0
        await app.signaling.close()
        await app.signaling.start()
        await meet(url)


async def test_peers_that_are_connected_at_the_end_are_told_and_hold_nothing_up() -> None:
    host = site()
    async with web("") as http:
        waiting = StockPeer()
        polling = StockPeer()
        async with hosted(attach(host.app)) as url:
            await waiting.sio.connect(url, transports=["websocket"])
            await polling.sio.connect(url, transports=["polling"])
            for peer in (waiting, polling):
                await peer.join("gate")
            assert (await http.get(url + "/health")).status_code == 200
        await waiting.hears("disconnect")
        await asyncio.gather(waiting.close(), polling.close())
    assert host.lived == ["startup", "shutdown"]


async def test_a_lifespan_that_fails_is_the_servers_to_tell() -> None:
    """The start-up's failure reaches the server, and what was started for it has ended."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    app = attach(broken)
    assert await run_once(app) == ["lifespan.startup.failed"]
    assert await app.signaling.rooms() == []
    with pytest.raises(RuntimeError, match="after its answer"):
        await run_once(attach(raises_after_startup))


async def returns_at_once(_scope: Any, _receive: Any, _send: Any) -> None:
    """Do nothing, as `if scope["type"] == "http":` at the top of an app does."""


async def takes_one_and_returns(_scope: Any, receive: Any, _send: Any) -> None:
    await receive()


async def takes_one_and_raises(_scope: Any, receive: Any, _send: Any) -> None:
    assert (await receive())["type"] == "http.request"


@pytest.mark.parametrize("app", [returns_at_once, takes_one_and_returns, takes_one_and_raises])
async def test_an_app_that_does_not_answer_the_lifespan_does_not_end_ours(app: Any) -> None:
    attached = attach(app)
    async with hosted(attached) as url:
        await meet(url)
    assert await run_once(attached) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def raises_after_startup(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    raise RuntimeError("after its answer")
